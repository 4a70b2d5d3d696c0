//! What the partners of a select compete for, and what the winner leaves there.
//!
//! A party that waits in several channels at once has an [`Entry`] in each and one
//! [`Claim`], which all of them point to. A party that wants to serve one of the operations must
//! first win the claim.
//!
//! Invariants:
//!
//! - A claim is open until it is closed, by compare-exchange, and stays closed. Another party
//!   closes it only under the lock of a channel in which one of its operations is enlisted. It is
//!   alive then, since its own party delists all its operations before it leaves.
//! - The contents belong to the claim's own party until the first operation is enlisted, then to
//!   the party that closes the claim until the unparker is used, then to its own party again.
//! - A party that has closed another's claim must use its unparker, and leaves a [`Grant`] before.
//! - A grant is written once, where the party will use it: it has room for a message, and copying
//!   it from call to call took longer than what the calls do.

use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::NonNull;

use lisle_runtime::internal::Erased;
use lisle_runtime::internal::primitive::atomic::{AtomicBool, Ordering};
use lisle_runtime::internal::primitive::cell::UnsafeCell;
use lisle_scheduler::park::{Place, Unparker};

use crate::waiter::{Parked, Waiter, Won};

/// What a party waits for in several channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To carry out one of its operations. It can be the partner of a party at the other end.
    Select,
    /// To hear that one of its operations may be possible. It is no partner.
    Watch,
}

/// One wait in several channels, in the frame of the party that waits.
#[derive(Debug)]
pub(crate) struct Claim {
    open: AtomicBool,
    purpose: Purpose,
    contents: UnsafeCell<Contents>,
    /// What the party is granted goes there. It belongs to the owner of the contents.
    grant: NonNull<GrantCell>,
}

#[derive(Debug, Default)]
struct Contents {
    unparker: Option<Unparker>,
    /// The index of the operation that was granted.
    granted: Option<usize>,
}

/// An operation of a select, as it waits in a channel.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) waiter: Waiter,
    selecting: UnsafeCell<Selecting>,
    /// Set by a party that has taken the waiter out: it will not touch the operation again, nor the
    /// claim unless it has closed it.
    dropped: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
struct Selecting {
    claim: NonNull<Claim>,
    /// Which operation of the claim's party this is.
    index: usize,
}

/// Where a party finds its grant: in the frame of the select. What it holds is not dropped with it,
/// nor when something else is put there.
#[derive(Debug)]
pub struct GrantCell {
    grant: UnsafeCell<ManuallyDrop<Grant>>,
    /// Where the select is, for reports. It lies here since few attempts ask for it.
    place: Place,
}

/// How far an operation of a select has come when it is selected.
#[derive(Debug)]
pub(crate) enum Grant {
    /// A receive has its message.
    Message(Landing),
    /// A send has a receiver that waits for the message.
    Partner(Won),
    /// A send has a place in the buffer, which is set aside for it.
    Reserved,
    /// The other end is gone.
    Disconnected,
    /// Nothing: the party has to look at its channels again.
    LookAgain,
}

impl Claim {
    /// An open claim, whose winner puts the grant into `grant`.
    #[inline]
    pub(crate) fn new(purpose: Purpose, grant: &GrantCell) -> Self {
        Self {
            open: AtomicBool::new(true),
            purpose,
            contents: UnsafeCell::new(Contents::default()),
            grant: NonNull::from(grant),
        }
    }

    pub(crate) fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Whether the claim is open. It may be closed at any moment, and then stays closed.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Puts the unparker where the winner will find it.
    ///
    /// # Safety
    ///
    /// None of the claim's operations is enlisted yet.
    pub(crate) unsafe fn arm(&self, unparker: Unparker) {
        // SAFETY: no other party knows of the claim yet.
        self.contents.with_mut(|contents| unsafe { (*contents).unparker = Some(unparker) });
    }

    /// Closes the claim for its own party, which gets its unparker back unless another party was
    /// faster.
    pub(crate) fn withdraw(&self) -> Option<Unparker> {
        if !self.close() {
            return None;
        }
        // SAFETY: we have closed the claim, so the contents are ours.
        self.contents.with_mut(|contents| unsafe { (*contents).unparker.take() })
    }

    /// The index of the operation that was granted, if another party has closed the claim.
    ///
    /// # Safety
    ///
    /// The claim's own party calls this when its wait is over: its unparker was used or given back.
    #[inline]
    pub(crate) unsafe fn granted(&self) -> Option<usize> {
        // SAFETY: the contents belong to the calling party again.
        self.contents.with(|contents| unsafe { (*contents).granted })
    }

    /// Closes an open claim. Relaxed: it only decides which party is first. What the winner reads
    /// was written before the operation was enlisted under the lock that the winner holds; what it
    /// writes is handed over by the unparker.
    #[inline]
    fn close(&self) -> bool {
        // It looks first, without an exchange: closed claims are met often.
        self.is_open()
            && self.open.compare_exchange(true, false, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Entry {
    /// The operation `index` of the party of `claim`. It waits nowhere yet.
    #[inline]
    pub(crate) fn new(claim: &Claim, index: usize) -> Self {
        Self {
            waiter: Waiter::new(Parked::selecting()),
            selecting: UnsafeCell::new(Selecting { claim: NonNull::from(claim), index }),
            dropped: AtomicBool::new(false),
        }
    }

    /// Which operation of its party this is.
    #[inline]
    pub(crate) fn index(&self) -> usize {
        self.selecting().index
    }

    /// # Safety
    ///
    /// The operation and its claim are alive, for as long as the result is used.
    #[inline]
    pub(crate) unsafe fn claim<'a>(this: NonNull<Self>) -> &'a Claim {
        // SAFETY: passed on to the caller.
        unsafe { this.as_ref().selecting().claim.as_ref() }
    }

    /// Tells the party that the operation will not be touched any more. It may be gone at once.
    ///
    /// # Safety
    ///
    /// The operation is alive. The caller has taken its waiter out, and holds the lock of the list
    /// still.
    #[inline]
    pub(crate) unsafe fn drop_out(this: NonNull<Self>) {
        // Release: what was done with the operation and the claim comes before the end of their
        // frame.
        // SAFETY: alive, says the caller.
        unsafe { this.as_ref().dropped.store(true, Ordering::Release) };
    }

    /// Whether [`drop_out`](Self::drop_out) was called, so that the party knows without the lock
    /// that nobody has access to the operation.
    #[inline]
    pub(crate) fn was_dropped(&self) -> bool {
        // Acquire pairs with `drop_out`.
        let dropped = self.dropped.load(Ordering::Acquire);
        if cfg!(lisle_loom) && dropped {
            // Stands for the end of the frame, which a model does not see.
            self.selecting.with_mut(|_| {});
        }
        dropped
    }

    #[inline]
    fn selecting(&self) -> Selecting {
        // SAFETY: it is never written.
        self.selecting.with(|selecting| unsafe { *selecting })
    }
}

/// The right and the duty to serve a select by one of its operations.
#[must_use = "the party sleeps until it is granted something"]
#[derive(Debug)]
pub(crate) struct Chosen {
    claim: NonNull<Claim>,
    index: usize,
}

impl Chosen {
    /// Wins `operation`, unless its claim is closed already.
    ///
    /// # Safety
    ///
    /// The operation and its claim are alive.
    #[inline]
    pub(crate) unsafe fn win(operation: NonNull<Entry>) -> Option<Self> {
        // SAFETY: passed on to the caller.
        let Selecting { claim, index } = unsafe { operation.as_ref() }.selecting();
        // SAFETY: as above.
        unsafe { claim.as_ref() }.close().then_some(Self { claim, index })
    }

    /// Hands `message` to the party, which receives, and wakes it. Out of line: it would burden the
    /// frames of senders that meet no select.
    #[inline(never)]
    pub(crate) fn send<T>(self, message: T) {
        self.grant(Grant::Message(Landing::new(message)));
    }

    /// Leaves `grant` for the party and wakes it.
    #[inline]
    pub(crate) fn grant(self, grant: Grant) {
        // SAFETY: we have closed the claim, so its party stays until we use the unparker, which
        // happens after the last access here.
        let claim = unsafe { self.claim.as_ref() };
        // SAFETY: as the claim, its cell stays; and it is ours until then, as the contents are.
        unsafe { claim.grant.as_ref().fill(grant) };
        let unparker = claim.contents.with_mut(|contents| {
            // SAFETY: from closing the claim to using the unparker the contents are ours alone.
            let contents = unsafe { &mut *contents };
            contents.granted = Some(self.index);
            contents.unparker.take()
        });
        unparker.expect("a claim with an enlisted operation has an unparker").unpark();
    }
}

impl GrantCell {
    /// A cell that holds nothing that would have to be dropped.
    #[inline]
    #[track_caller]
    #[expect(clippy::new_without_default, reason = "not part of the interface")]
    pub fn new() -> Self {
        let grant = UnsafeCell::new(ManuallyDrop::new(Grant::LookAgain));
        Self { grant, place: Location::caller() }
    }

    /// Where the cell was made.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    #[inline]
    pub(crate) fn put(&mut self, grant: Grant) {
        // SAFETY: `&mut self` says that nobody else has access.
        unsafe { self.fill(grant) };
    }

    /// # Safety
    ///
    /// Nobody else has access to the cell meanwhile.
    #[inline]
    unsafe fn fill(&self, grant: Grant) {
        // SAFETY: passed on to the caller.
        self.grant.with_mut(|place| unsafe { *place = ManuallyDrop::new(grant) });
    }

    /// Whether nothing was granted.
    #[inline]
    pub(crate) fn is_empty(&mut self) -> bool {
        matches!(**self.get_mut(), Grant::LookAgain)
    }

    /// Whether what was granted is only the news that the operation will fail.
    #[inline]
    pub(crate) fn is_disconnected(&mut self) -> bool {
        matches!(**self.get_mut(), Grant::Disconnected)
    }

    /// The grant, where it lies.
    #[inline]
    pub(crate) fn get_mut(&mut self) -> &mut ManuallyDrop<Grant> {
        let place = self.grant.with_mut(|place| place);
        // SAFETY: `&mut self` says that nobody else has access, as long as the result is used.
        unsafe { &mut *place }
    }
}

/// A message of any type on its way to a select, which does not know the type.
pub(crate) type Landing = Erased<[u64; 8]>;

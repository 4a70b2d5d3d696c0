//! What parties of a select compete for, and what the winner leaves there.
//!
//! A party that waits in several channels at once has a waiter in each and one [`Claim`], which all
//! of them point to. Whoever wants to serve one of the waiters must first win the claim.
//!
//! Invariants:
//!
//! - A claim is open from its making until somebody closes it, by compare-exchange, and then closed
//!   for good. Others close it only under the lock of a channel in which one of its waiters is
//!   linked; so the claim is alive there, since its party unlinks all its waiters before it leaves.
//! - The contents belong to the party until the first waiter is linked, then to whoever closes the
//!   claim until the unparker is used, then to the party again.
//! - The party that closed another's claim must use its unparker, and leaves a [`Grant`] before.
//! - A grant is written once, where the party will use it: it has room for a message, and copying
//!   it from call to call took longer than what the calls do.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use lisle_runtime::internal::Erased;
use lisle_runtime::internal::primitive::atomic::{AtomicBool, Ordering};
use lisle_runtime::internal::primitive::cell::UnsafeCell;
use lisle_scheduler::park::Unparker;

use crate::waiter::Won;

/// What a party waits for in several channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To carry out one of its operations. A party of the other end can be served by it.
    Select,
    /// To hear that one of its operations may be possible. Nobody is served by it.
    Watch,
}

/// One wait in several channels, in the frame of the party that waits.
#[derive(Debug)]
pub(crate) struct Claim {
    open: AtomicBool,
    purpose: Purpose,
    contents: UnsafeCell<Contents>,
    /// What the party is granted goes there. It belongs to whom the contents belong.
    grant: NonNull<GrantCell>,
}

#[derive(Debug, Default)]
struct Contents {
    unparker: Option<Unparker>,
    /// The index of the operation that was granted.
    granted: Option<usize>,
}

/// Where a party finds its grant: in the frame of the select. What it holds is not dropped with it,
/// nor when something else is put there.
#[derive(Debug)]
pub struct GrantCell(UnsafeCell<ManuallyDrop<Grant>>);

/// How far the operation of a select has come when it is selected.
#[derive(Debug)]
pub(crate) enum Grant {
    /// A receive has its message.
    Message(Landing),
    /// A send has a receiver that waits for the message.
    Partner(Won),
    /// A send has a place in the buffer, set aside for it.
    Place,
    /// The other end is gone.
    Disconnected,
    /// Nothing has come of it: the party has to look at its channels again.
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

    /// Whether nobody has closed the claim. It may be closed at any moment; once it is, it stays
    /// so.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Lays the unparker down.
    ///
    /// # Safety
    ///
    /// None of the claim's waiters is linked yet.
    pub(crate) unsafe fn arm(&self, unparker: Unparker) {
        // SAFETY: nobody else knows of the claim yet.
        self.contents.with_mut(|contents| unsafe { (*contents).unparker = Some(unparker) });
    }

    /// Closes the claim by its own party, which gets its unparker back unless somebody was faster.
    pub(crate) fn withdraw(&self) -> Option<Unparker> {
        if !self.close() {
            return None;
        }
        // SAFETY: we have closed the claim, so the contents are ours.
        self.contents.with_mut(|contents| unsafe { (*contents).unparker.take() })
    }

    /// The index of the operation that was granted, if it was not the party itself that closed the
    /// claim.
    ///
    /// # Safety
    ///
    /// The party calls this when its wait is over, that is, its unparker was used or given back.
    #[inline]
    pub(crate) unsafe fn granted(&self) -> Option<usize> {
        // SAFETY: nobody but the party has access to the contents any more.
        self.contents.with(|contents| unsafe { (*contents).granted })
    }

    /// Closes an open claim. Relaxed: it only decides who is first. What the winner reads was
    /// written before the waiter was linked under the lock that the winner holds; what it writes is
    /// handed over by the unparker.
    #[inline]
    fn close(&self) -> bool {
        // Looked at first, without an exchange: waiters whose claim is closed are met often.
        self.is_open()
            && self.open.compare_exchange(true, false, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// The right and the duty to serve a party of a select by one of its operations.
#[must_use = "the party sleeps until it is granted something"]
#[derive(Debug)]
pub(crate) struct Chosen {
    claim: NonNull<Claim>,
    index: usize,
}

impl Chosen {
    /// Wins the operation `index` of the claim's party, unless the claim is closed already.
    ///
    /// # Safety
    ///
    /// The caller holds the lock of a channel in which a waiter of the claim is linked.
    #[inline]
    pub(crate) unsafe fn win(claim: NonNull<Claim>, index: usize) -> Option<Self> {
        // SAFETY: the party unlinks its waiters before its frame ends, and one of them is linked.
        unsafe { claim.as_ref() }.close().then_some(Self { claim, index })
    }

    /// Hands `message` to the party, which receives, and wakes it. Out of line: it would burden the
    /// frames of those who send to no select.
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
        unparker.expect("a claim with a linked waiter has an unparker").unpark();
    }
}

impl GrantCell {
    /// A cell that holds nothing that would have to be dropped.
    #[inline]
    #[expect(clippy::new_without_default, reason = "not part of the interface")]
    pub fn new() -> Self {
        Self(UnsafeCell::new(ManuallyDrop::new(Grant::LookAgain)))
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
        self.0.with_mut(|place| unsafe { *place = ManuallyDrop::new(grant) });
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
        let place = self.0.with_mut(|place| place);
        // SAFETY: `&mut self` says that nobody else has access, as long as the result is used.
        unsafe { &mut *place }
    }
}

/// A message of any type on its way to a select, which does not know the type.
pub(crate) type Landing = Erased<[u64; 8]>;

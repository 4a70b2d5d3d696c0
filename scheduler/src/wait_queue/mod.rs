//! A queue of parked parties: first come, first served, without allocation.
//!
//! A party brings its own entry, a [`Waiter`], in the frame from which it parks. A [`WaitQueue`]
//! links these entries and owns nothing. It has no lock either: it lies beside the state that its
//! owner guards, and `&mut` says that the owner holds the lock. `README.md` beside this file tells
//! the protocol.
//!
//! Two types say what a waiter carries:
//!
//! - the *payload* `P` is what the two sides hand to each other: a message's address, the number of
//!   permits wanted, a note of how the wait has ended;
//! - the *key* `K` is what ends the wait. For a party that waits in this queue alone it is the
//!   [`Unparker`] itself. A party that waits in several queues at once leaves another kind of key
//!   in each, by which a waker finds out whether it is still the first.
//!
//! Invariants:
//!
//! - A waiter is linked in its queue, or part of a [`Chain`], exactly as long as it has its key.
//! - Links and key are written under the lock, but for a waiter in a chain: its links stay as they
//!   are, and the holder of the chain takes its key.
//! - The payload is touched under the lock while the waiter is linked, by the holder of its
//!   [`Taken`] from then on, and by the party before it is linked and when its wait is over.

#[cfg(all(test, lisle_loom))]
mod models;
#[cfg(all(test, not(lisle_loom)))]
mod tests;

use std::ptr::NonNull;

use lisle_runtime::internal::primitive::cell::UnsafeCell;

use crate::park::Unparker;

/// The queue. The head of its file explains it.
#[derive(Debug)]
pub struct WaitQueue<P = (), K = Unparker> {
    first: Link<P, K>,
    last: Link<P, K>,
}

/// One parked party, in its own frame.
#[derive(Debug)]
pub struct Waiter<P = (), K = Unparker> {
    links: UnsafeCell<Links<P, K>>,
    key: UnsafeCell<Option<K>>,
    payload: UnsafeCell<P>,
}

type Link<P, K> = Option<NonNull<Waiter<P, K>>>;

#[derive(Debug)]
struct Links<P, K> {
    /// The waiter in front. One that is in a chain points to itself.
    previous: Link<P, K>,
    next: Link<P, K>,
}

/// The right and the duty to end the wait of a party that was taken out of its queue.
///
/// The party's frame stays until the key is used or dropped, and with it the payload.
#[must_use = "the party sleeps until its key is used"]
#[derive(Debug)]
pub struct Taken<P = (), K = Unparker> {
    payload: NonNull<UnsafeCell<P>>,
    key: K,
}

/// Several parties that were taken out of a queue, in their order there.
#[must_use = "the parties sleep until their keys are used"]
#[derive(Debug)]
pub struct Chain<P = (), K = Unparker> {
    first: Link<P, K>,
}

// SAFETY: the queue is two pointers to waiters, which nobody touches but through a reference to it,
// on whichever thread that is; and what lies there are keys and payloads.
unsafe impl<P: Send, K: Send> Send for WaitQueue<P, K> {}
// SAFETY: nobody else has access to the payload behind the pointer.
unsafe impl<P: Send, K: Send> Send for Taken<P, K> {}
// SAFETY: nobody else writes the waiters behind the pointer.
unsafe impl<P: Send, K: Send> Send for Chain<P, K> {}

impl<P, K> Waiter<P, K> {
    /// A waiter that is in no queue.
    #[inline]
    pub fn new(payload: P) -> Self {
        Self {
            links: UnsafeCell::new(Links { previous: None, next: None }),
            key: UnsafeCell::new(None),
            payload: UnsafeCell::new(payload),
        }
    }

    /// The payload: before the wait, or afterwards, as the other side has left it.
    ///
    /// Not by value: what parks often should not move its waiter.
    #[inline]
    pub fn payload(&mut self) -> &mut P {
        let payload = self.payload.with_mut(|payload| payload);
        // SAFETY: nobody else has access as long as the result is used, since a waiter is borrowed
        // while it is in a queue and until its key was used.
        unsafe { &mut *payload }
    }

    /// Calls `f` with the payload while the waiter is borrowed.
    ///
    /// # Safety
    ///
    /// The waiter is in no queue and no chain, and nobody has a [`Taken`] of it.
    pub unsafe fn look<R>(&self, f: impl FnOnce(&P) -> R) -> R {
        // SAFETY: nobody else has access, says the caller.
        self.payload.with(|payload| f(unsafe { &*payload }))
    }

    /// Puts the party into the hands of a waker that is known already, as if the waiter had been
    /// queued and taken out.
    ///
    /// # Safety
    ///
    /// The waiter is in no queue. It does not move or end, and is not borrowed mutably, before the
    /// key was used or dropped.
    pub unsafe fn surrender<L>(&self, key: L) -> Taken<P, L> {
        Taken { payload: NonNull::from(&self.payload), key }
    }

    /// # Safety
    ///
    /// The waiter is alive, and nobody else has access to its links.
    #[inline]
    unsafe fn links<R>(this: NonNull<Self>, f: impl FnOnce(&mut Links<P, K>) -> R) -> R {
        // SAFETY: passed on to the caller. No `f` below reaches the same links twice.
        unsafe { this.as_ref().links.with_mut(|links| f(&mut *links)) }
    }

    /// # Safety
    ///
    /// The waiter is alive, and nobody writes its links meanwhile.
    #[inline]
    unsafe fn next(this: NonNull<Self>) -> Link<P, K> {
        // SAFETY: passed on to the caller.
        unsafe { this.as_ref().links.with(|links| (*links).next) }
    }

    /// # Safety
    ///
    /// The waiter is alive, and nobody else has access to its key.
    #[inline]
    unsafe fn key<R>(this: NonNull<Self>, f: impl FnOnce(&mut Option<K>) -> R) -> R {
        // SAFETY: passed on to the caller. No `f` below reaches the same key twice.
        unsafe { this.as_ref().key.with_mut(|key| f(&mut *key)) }
    }
}

// That `&self` and `&mut self` come out of the lock is what the SAFETY notes below mean by "we hold
// the lock". A linked waiter is alive, says the contract of `push`.
impl<P, K> WaitQueue<P, K> {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { first: None, last: None }
    }

    /// Whether nobody waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Adds a waiter at the end. Called from the `commit` of a park.
    ///
    /// # Safety
    ///
    /// The waiter is in no queue. It does not move or end, and is not borrowed mutably, before it
    /// was [removed](Self::remove), or was taken out and its key was used or dropped. Until then
    /// one and the same lock guards this queue.
    #[inline]
    pub unsafe fn push(&mut self, waiter: &Waiter<P, K>, key: K) {
        let this = NonNull::from(waiter);
        let previous = self.last.replace(this);
        // SAFETY: `waiter` is a live reference, and as it is in no queue nobody else has access.
        unsafe { Self::enter(this, Links { previous, next: None }, key) };
        match previous {
            // SAFETY: it is linked, and we hold the lock.
            Some(previous) => unsafe { Waiter::links(previous, |links| links.next = Some(this)) },
            None => self.first = Some(this),
        }
    }

    /// Adds a waiter at the front: one that was woken, has found nothing and keeps its turn.
    ///
    /// # Safety
    ///
    /// As for [`push`](Self::push).
    pub unsafe fn push_front(&mut self, waiter: &Waiter<P, K>, key: K) {
        let this = NonNull::from(waiter);
        let next = self.first.replace(this);
        // SAFETY: `waiter` is a live reference, and as it is in no queue nobody else has access.
        unsafe { Self::enter(this, Links { previous: None, next }, key) };
        match next {
            // SAFETY: it is linked, and we hold the lock.
            Some(next) => unsafe { Waiter::links(next, |links| links.previous = Some(this)) },
            None => self.last = Some(this),
        }
    }

    /// Takes a waiter out on behalf of its own party, which gets its key back, unless somebody else
    /// has taken the waiter out. Called from the `retract` of a park.
    ///
    /// # Safety
    ///
    /// If the waiter was ever in a queue, it was this one, and its party is still waiting or has
    /// never begun to.
    #[inline]
    pub unsafe fn remove(&mut self, waiter: &Waiter<P, K>) -> Option<K> {
        let this = NonNull::from(waiter);
        // SAFETY: links are written under the lock, which we hold.
        if waiter.links.with(|links| unsafe { (*links).previous }) == Some(this) {
            // The holder of a chain has the key, or may take it right now.
            return None;
        }
        // SAFETY: `waiter` is a live reference, it is in no chain, and we hold the lock.
        let key = unsafe { Waiter::key(this, Option::take) }?;
        // SAFETY: it had its key and is in no chain, so it is linked.
        unsafe { self.unlink(this) };
        Some(key)
    }

    /// Takes out the first waiter.
    #[inline]
    pub fn pop(&mut self) -> Option<Taken<P, K>> {
        self.pop_if(|_, _| true)
    }

    /// Takes out the first waiter if it is `wanted`, going by its key and its payload.
    #[inline]
    pub fn pop_if(&mut self, wanted: impl FnOnce(&K, &mut P) -> bool) -> Option<Taken<P, K>> {
        let first = self.first?;
        // SAFETY: it is linked.
        let payload = unsafe { &first.as_ref().payload };
        let wanted = |key: &mut K| {
            // SAFETY: the waiter is linked, and we hold the lock.
            payload.with_mut(|payload| unsafe { wanted(key, &mut *payload) })
        };
        // SAFETY: as above.
        let key = unsafe { Waiter::key(first, |key| key.take_if(wanted)) }?;
        // SAFETY: as above.
        let next = unsafe { Waiter::next(first) };
        self.first = next;
        match next {
            // SAFETY: it is linked, and we hold the lock.
            Some(next) => unsafe { Waiter::links(next, |links| links.previous = None) },
            None => self.last = None,
        }
        Some(Taken { payload: NonNull::from(payload), key })
    }

    /// Takes out the first `count` waiters.
    pub fn take(&mut self, count: usize) -> Chain<P, K> {
        self.take_if(count, |_| true)
    }

    /// Takes out all waiters.
    pub fn take_all(&mut self) -> Chain<P, K> {
        self.take(usize::MAX)
    }

    /// Takes out, of those waiters that are `wanted`, the first `count`. It goes by their keys.
    pub fn take_if(&mut self, count: usize, mut wanted: impl FnMut(&K) -> bool) -> Chain<P, K> {
        let mut chain = Chain { first: None };
        let mut last: Link<P, K> = None;
        let mut left = count;
        let mut at = self.first;
        while let Some(waiter) = at.filter(|_| left > 0) {
            // SAFETY: it is linked, and we hold the lock.
            at = unsafe { Waiter::next(waiter) };
            // SAFETY: as above.
            if !unsafe { Waiter::key(waiter, |key| key.as_ref().is_some_and(&mut wanted)) } {
                continue;
            }
            left -= 1;
            // SAFETY: it is linked in this queue.
            unsafe { self.unlink(waiter) };
            let chained = Links { previous: Some(waiter), next: None };
            // SAFETY: the party stays since we have its key, there.
            unsafe { Waiter::links(waiter, |links| *links = chained) };
            match last.replace(waiter) {
                // SAFETY: as above.
                Some(last) => unsafe { Waiter::links(last, |links| links.next = Some(waiter)) },
                None => chain.first = Some(waiter),
            }
        }
        chain
    }

    /// Whether there is a waiter whose key is `wanted`.
    pub fn any(&self, mut wanted: impl FnMut(&K) -> bool) -> bool {
        let mut at = self.first;
        while let Some(waiter) = at {
            // SAFETY: it is linked.
            let key = unsafe { &waiter.as_ref().key };
            // SAFETY: we hold the lock, by a shared reference, through which nobody writes.
            if key.with(|key| unsafe { (*key).as_ref().is_some_and(&mut wanted) }) {
                return true;
            }
            // SAFETY: it is linked, and we hold the lock.
            at = unsafe { Waiter::next(waiter) };
        }
        false
    }

    /// # Safety
    ///
    /// The waiter is alive, and nobody else has access to it.
    #[inline]
    unsafe fn enter(waiter: NonNull<Waiter<P, K>>, place: Links<P, K>, with: K) {
        // SAFETY: passed on to the caller.
        unsafe {
            Waiter::links(waiter, |links| *links = place);
            Waiter::key(waiter, |key| *key = Some(with));
        }
    }

    /// # Safety
    ///
    /// The waiter is linked in this queue.
    unsafe fn unlink(&mut self, waiter: NonNull<Waiter<P, K>>) {
        // SAFETY: it is linked, and we hold the lock.
        let (previous, next) =
            unsafe { Waiter::links(waiter, |links| (links.previous, links.next)) };
        match previous {
            // SAFETY: as above, for the neighbours of a linked waiter are linked.
            Some(previous) => unsafe { Waiter::links(previous, |links| links.next = next) },
            None => self.first = next,
        }
        match next {
            // SAFETY: as above.
            Some(next) => unsafe { Waiter::links(next, |links| links.previous = previous) },
            None => self.last = previous,
        }
    }
}

impl<P, K> Default for WaitQueue<P, K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P, K> Taken<P, K> {
    /// Calls `f` with the payload. Needs no lock.
    #[inline]
    pub fn with<R>(&mut self, f: impl FnOnce(&mut P) -> R) -> R {
        // SAFETY: the payload stays until the key is gone, and until then nobody else has access
        // to it.
        unsafe { self.payload.as_ref().with_mut(|payload| f(&mut *payload)) }
    }

    /// Exchanges the key for what `f` makes of it.
    ///
    /// # Safety
    ///
    /// The new key keeps the party waiting until it is used or dropped, as the old one has done.
    #[inline]
    pub unsafe fn map<L>(self, f: impl FnOnce(K) -> L) -> Taken<P, L> {
        Taken { payload: self.payload, key: f(self.key) }
    }

    /// The key. The payload is out of reach from now on.
    #[inline]
    pub fn into_key(self) -> K {
        self.key
    }
}

impl<P> Taken<P> {
    /// Lets the party continue. Not to be called under the lock.
    #[inline]
    pub fn wake(self) {
        self.key.unpark();
    }
}

impl<P> Chain<P> {
    /// Lets all parties continue, in their order. Not to be called under the lock.
    pub fn wake(self) {
        self.for_each(Taken::wake);
    }
}

impl<P, K> Chain<P, K> {
    /// Whether no party is left in it.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

impl<P, K> Iterator for Chain<P, K> {
    type Item = Taken<P, K>;

    fn next(&mut self) -> Option<Taken<P, K>> {
        let first = self.first?;
        // SAFETY: the party stays until its key is used, which we have, and only we write to a
        // waiter in this chain.
        self.first = unsafe { Waiter::next(first) };
        // SAFETY: as above.
        let (key, payload) =
            unsafe { (Waiter::key(first, Option::take), NonNull::from(&first.as_ref().payload)) };
        key.map(|key| Taken { payload, key })
    }
}

impl<P, K> Drop for Chain<P, K> {
    /// Drops the keys that are left. (That of an unparker wakes nobody.)
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

//! A source: the readiness of one descriptor, and the tasks that wait for it.
//!
//! Everything about the protocol is in the driver's `README.md`. In short, for each direction:
//!
//! - An operation notes how many *edges* there have been, then tries. If it would block, it
//!   registers the descriptor, and parks, but only if there has been no edge since.
//! - A report of the poller adds an edge and wakes the first waiter; all of them if the descriptor
//!   has come to its end.
//! - A waiter that an edge has woken holds the *baton*. If it then finds that it would block,
//!   nothing is left, and it waits again. In any other case it hands the baton on to the next
//!   waiter.

mod block;
mod operation;
mod slab;
mod waiters;

use std::io;
use std::mem::ManuallyDrop;
use std::ptr;
use std::time::{Duration, Instant};

use lisle_runtime::internal::prefetch;
use lisle_runtime::internal::primitive::Arc;

use self::block::Block;
use self::operation::Operation;
use super::poller::{Descriptor, Distance, Poller, Readiness};
use crate::clock::now;
use crate::park::Reason;
use crate::turn;

/// What a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Something can be read or accepted, or reading would fail at once.
    Read,
    /// Something can be written, or writing would fail at once.
    Write,
}

/// How long an operation waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As long as it takes.
    Endless,
    /// Not at all: it fails as its attempt has, with `WouldBlock`.
    None,
    /// This long, from its first wait on. Then it fails as its last attempt has.
    For(Duration),
    /// Until then. Then it fails with `TimedOut`.
    Until(Instant),
}

impl Patience {
    fn deadline(self) -> Option<Instant> {
        match self {
            Self::Endless | Self::None => None,
            // A time that no clock will reach is none.
            Self::For(time) => now().checked_add(time),
            Self::Until(deadline) => Some(deadline),
        }
    }
}

/// A descriptor in non-blocking mode whose operations wait by parking their task.
///
/// A plain thread that waits is blocked. Tasks and threads may use one source at the same time.
pub struct Source<T: Descriptor> {
    descriptor: ManuallyDrop<T>,
    block: &'static Block,
}

impl<T: Descriptor> Source<T> {
    /// Takes over a descriptor, which must be in non-blocking mode.
    pub fn new(descriptor: T) -> Self {
        Self { descriptor: ManuallyDrop::new(descriptor), block: slab::take() }
    }

    /// What the source was made of.
    pub fn get_ref(&self) -> &T {
        &self.descriptor
    }

    /// Ends the registration and gives the descriptor back.
    pub fn into_inner(self) -> T {
        let mut this = ManuallyDrop::new(self);
        this.retire();
        // SAFETY: `this` is not dropped, so the descriptor is taken once.
        unsafe { ManuallyDrop::take(&mut this.descriptor) }
    }

    /// Tries `operation` until it does something else than to fail with `WouldBlock`, and waits in
    /// between until `direction` is ready. An operation that was interrupted is tried again.
    /// `patience` is asked before the first wait.
    ///
    /// # Errors
    ///
    /// The operation's; what [`Patience`] says; that of the registration, such as EPERM for a
    /// regular file; `ConnectionAborted` once the source is [closed](Self::close). A task that is
    /// cancelled and cannot be unwound cannot wait, and gets an error of the kind `TimedOut` if it
    /// is a time limit that is over, else `Other`.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is being cancelled. Panics inside `no_suspend` if it would have to wait.
    #[inline]
    #[track_caller]
    pub fn attempt<R>(
        &self,
        direction: Direction,
        reason: Reason,
        patience: impl Fn() -> Patience,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.attempt_and_note(direction, reason, patience, operation, |_, _| ())
    }

    /// As [`attempt`](Self::attempt), for a read that fills its buffer, of the size `room`, unless
    /// it takes all that is there: the next operation then waits without an attempt.
    ///
    /// Only TCP is like that, and only until something else than data has been reported. Elsewhere
    /// a read may be short and leave something behind of which nothing more is reported: a
    /// Unix socket's ends before descriptors that come with the data.
    #[inline]
    #[track_caller]
    pub fn attempt_to_drain(
        &self,
        reason: Reason,
        patience: impl Fn() -> Patience,
        room: usize,
        read: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.attempt_and_note(Direction::Read, reason, patience, read, |edges, &count| {
            self.block.note_read(edges, count > 0 && count < room);
        })
    }

    /// Gives `note` the edges before the attempt that has succeeded, and its result.
    #[inline(always)]
    #[track_caller]
    fn attempt_and_note<R>(
        &self,
        direction: Direction,
        reason: Reason,
        patience: impl Fn() -> Patience,
        mut operation: impl FnMut(&T) -> io::Result<R>,
        note: impl FnOnce(u32, &R),
    ) -> io::Result<R> {
        if turn::spend_on_call() {
            turn::next();
        }
        let mut this = Operation::new(self.block, direction);
        loop {
            this.edges = self.block.edges(direction);
            if self.block.is_closed() {
                return Err(closed());
            }
            if this.knows_better() {
                this.wait(&*self.descriptor, reason, &patience, None)?;
                continue;
            }
            match operation(&self.descriptor) {
                Ok(value) => {
                    note(this.edges, &value);
                    return Ok(value);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    this.wait(&*self.descriptor, reason, &patience, Some(error))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends all waits, and all operations to come, with `ConnectionAborted`. The descriptor stays
    /// open until the source is dropped.
    pub fn close(&self) {
        self.block.close();
    }

    fn retire(&mut self) {
        let token = self.block.token();
        if let Some(home) = self.block.home.lock().take() {
            home.remove(self.descriptor.fd(), token);
        }
        self.block.give_back();
    }
}

impl<T: Descriptor> Drop for Source<T> {
    fn drop(&mut self) {
        self.retire();
        // SAFETY: this is the end of the source, so the descriptor is dropped once. It is no longer
        // registered: closed before that, its number could be another's.
        unsafe { ManuallyDrop::drop(&mut self.descriptor) };
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "it was closed by this program")
}

/// Has what a report will change fetched into the cache: first the block, and then the waiter,
/// whose address is in the block.
///
/// # Safety
///
/// The token is that of a source, which may be gone.
#[inline]
pub(super) unsafe fn fetch(token: u64, distance: Distance) {
    // SAFETY: the caller's promise.
    let (block, _) = unsafe { slab::block_of(token) };
    match distance {
        Distance::Far => prefetch(ptr::from_ref(block).cast()),
        Distance::Near => prefetch(block.first_waiter().cast()),
    }
}

/// Passes on what a poller reports. True if that has woken a task.
///
/// # Safety
///
/// The token is that of a source, which may be gone.
pub(super) unsafe fn deliver(token: u64, readiness: Readiness) -> bool {
    // SAFETY: the caller's promise.
    let (block, generation) = unsafe { slab::block_of(token) };
    block.note(readiness, generation)
}

/// Drops all registrations with a poller whose owner ends. The waiters look again, and register
/// with a poller of their own.
pub(super) fn disown(poller: &Arc<Poller>) {
    const LOOK_ANEW: Readiness =
        Readiness { readable: true, writable: true, ended: true, irregular: false };
    for token in poller.end() {
        // SAFETY: sources alone register with a poller, by the tokens of their blocks.
        let (block, generation) = unsafe { slab::block_of(token) };
        block.leave(poller);
        block.note(LOOK_ANEW, generation);
    }
}

#[cfg(all(test, lisle_loom))]
pub(super) mod testing {
    //! What the model of reused blocks needs.

    use super::*;

    impl<T: Descriptor> Source<T> {
        pub(in crate::driver) fn token(&self) -> u64 {
            self.block.token()
        }

        /// A source that has the block of the one with this token.
        ///
        /// # Safety
        ///
        /// The token is that of a source, which is gone.
        pub(in crate::driver) unsafe fn reusing(token: u64, descriptor: T) -> Self {
            // SAFETY: the caller's promise.
            let (block, _) = unsafe { slab::block_of(token) };
            Self { descriptor: ManuallyDrop::new(descriptor), block }
        }

        pub(in crate::driver) fn edges(&self, direction: Direction) -> u32 {
            self.block.edges(direction)
        }
    }
}

#[cfg(all(test, lisle_loom))]
mod models;

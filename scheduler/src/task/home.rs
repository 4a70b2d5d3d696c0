//! Which worker has a task, and how a cancellation finds it there.
//!
//! One word says where the task is:
//!
//! ```text
//!   null ---- accepted ----> kept by W ---- begun ----> started on W, for ever
//!                             |      ^
//!                             +------+  moved: stolen, or placed elsewhere
//! ```
//!
//! A task that is kept is a closure, and the keeper has a place for it in its queue, or in its
//! backlog, from which a thief may take it at any moment. A task that has started is its home's.
//!
//! **A cancellation from elsewhere** writes its cause beside the word, then reads the word, and
//! asks the worker that it finds, by [`Request::Cancel`](crate::post::Request). The worker that
//! starts a task reads the cause first. Nothing is lost, whatever happens meanwhile:
//!
//! - The canceller reads *started on W*: W reads the request, and ends the task's wait.
//! - It reads *kept by W*: W reads the request. By then W has started the task, as above; or it
//!   will, and sees the cause, which was written before the request was put in; or the task was
//!   moved, as below.
//! - It reads *kept by W*, or null, but the task has been moved to V: the canceller has written the
//!   cause and then read the word; V has written the word and then reads the cause, with a fence
//!   between the two on both sides. So one sees the other: V the cause, or the canceller V.
//!
//! The fence is paid by those that move a task, and not by a worker that starts what was spawned on
//! it. Only the home makes the cause a cancellation, so that nothing else in the control block is
//! touched by two threads. A request that comes after the task has finished is void.

use std::ptr;

use lisle_runtime::internal::primitive::atomic::{AtomicPtr, Ordering, fence};

use super::{CancelledBy, Control};
use crate::post::Post;

/// Set in the word as long as the task has not started.
pub(super) const KEPT: usize = 1;

/// Set beside `KEPT` if no other worker may start the task.
pub(super) const TIED: usize = 2;

const _: () = assert!(align_of::<Post>() > TIED, "the lowest bits of an address are free");

/// No cancellation was asked for.
pub(super) const NOT_REQUESTED: u8 = 0;

/// Which worker has a task, as any party may read it that keeps the control block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// No worker has accepted it yet.
    Nowhere,
    /// It has not started, and this worker has a place for it, or had one when it was looked at.
    KeptBy(*const Post),
    StartedOn(*const Post),
}

#[inline(always)]
pub(super) fn kept_by(keeper: *const Post) -> AtomicPtr<Post> {
    AtomicPtr::new(if keeper.is_null() { ptr::null_mut() } else { tagged(keeper) })
}

#[inline(always)]
fn tagged(keeper: *const Post) -> *mut Post {
    keeper.cast_mut().map_addr(|address| address | KEPT)
}

impl Control {
    /// The home of a task that has started. Written before its first unparker exists.
    #[inline(always)]
    pub(crate) fn home(&self) -> *const Post {
        self.home.load(Ordering::Relaxed)
    }

    /// Notes the worker that has taken the task from elsewhere. It has not started.
    pub(crate) fn move_to(&self, keeper: *const Post) {
        self.home.store(tagged(keeper), Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Only the worker that keeps the task may start it.
    pub(crate) fn tie(&self) {
        let word = self.home.load(Ordering::Relaxed);
        self.home.store(word.map_addr(|address| address | TIED), Ordering::Relaxed);
    }

    /// Whether that was said of the task, which has not started.
    pub(crate) fn is_tied(&self) -> bool {
        self.home.load(Ordering::Relaxed).addr() & TIED != 0
    }

    /// The task starts on the worker that keeps it.
    #[inline(always)]
    pub(super) fn settle(&self, home: *const Post) {
        self.home.store(home.cast_mut(), Ordering::Relaxed);
    }

    pub(crate) fn whereabouts(&self) -> Whereabouts {
        let word = self.home.load(Ordering::Relaxed);
        let post = word.map_addr(|address| address & !(KEPT | TIED)).cast_const();
        match () {
            () if word.is_null() => Whereabouts::Nowhere,
            () if word.addr() & KEPT != 0 => Whereabouts::KeptBy(post),
            () => Whereabouts::StartedOn(post),
        }
    }

    /// Notes that the task is to be cancelled, and says which worker must hear of it. `None` if
    /// that was noted before.
    pub(crate) fn request_cancel(&self, by: CancelledBy) -> Option<Whereabouts> {
        let cause = by as u8 + 1;
        // Acquire and Release: a later canceller may rely on what an earlier one has done.
        if self.requested.swap(cause, Ordering::AcqRel) != NOT_REQUESTED {
            return None;
        }
        fence(Ordering::SeqCst);
        Some(self.whereabouts())
    }

    /// Whether the task is to be cancelled. For the worker that has it.
    #[inline(always)]
    pub(crate) fn is_cancel_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed) != NOT_REQUESTED
    }

    /// Why the task is to be cancelled, if it is. For the worker that has it.
    pub(crate) fn requested_cancel(&self) -> Option<CancelledBy> {
        match self.requested.load(Ordering::Relaxed) {
            NOT_REQUESTED => None,
            cause => CancelledBy::from_code(cause - 1),
        }
    }
}

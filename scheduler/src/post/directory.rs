//! All teams of the process: how a thread that keeps none of them finds out whether a worker is
//! still there, and what there is to be told of in a dump.

#[cfg(not(lisle_loom))]
use std::sync::PoisonError;
#[cfg(lisle_loom)]
use std::sync::TryLockError;
use std::sync::{Mutex, MutexGuard};

use lisle_runtime::internal::primitive::Arc;
#[cfg(lisle_loom)]
use lisle_runtime::internal::primitive::thread;

use super::{Post, Posts};
use crate::dump::Member;
#[cfg(not(lisle_loom))]
use crate::per_process::PerProcess;

// Not modelled: a thread that has found a post asks it for something, which is.
type Directory = Mutex<Vec<Member>>;

#[cfg(not(lisle_loom))]
fn lock() -> MutexGuard<'static, Vec<Member>> {
    static DIRECTORY: PerProcess<Directory> = PerProcess::new();
    DIRECTORY.get_or(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Models run side by side, each on one thread of the system with all of its own.
#[cfg(lisle_loom)]
fn lock() -> MutexGuard<'static, Vec<Member>> {
    std::thread_local! {
        static DIRECTORY: &'static Directory = Box::leak(Box::default());
    }
    let directory = DIRECTORY.with(|directory| *directory);
    loop {
        match directory.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => thread::yield_now(),
        }
    }
}

/// Enters a new team.
pub(crate) fn enter(member: Member) {
    lock().push(member);
}

/// All teams, in the order in which they began.
pub(crate) fn all() -> Vec<Member> {
    lock().clone()
}

/// Strikes out a team that ends.
pub(crate) fn strike_out(posts: &Arc<Posts>) {
    let removed = {
        let mut all = lock();
        let place = all.iter().position(|other| Arc::ptr_eq(&other.posts, posts));
        place.map(|place| all.remove(place))
    };
    drop(removed);
}

/// The post, if its team is still there, as the posts of its team and the place among them.
pub(crate) fn find(post: *const Post) -> Option<(Arc<Posts>, usize)> {
    lock().iter().find_map(|Member { posts, .. }| Some((posts.clone(), posts.index_of(post)?)))
}

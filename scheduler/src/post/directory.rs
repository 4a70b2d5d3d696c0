//! The posts of all teams of the process: how a thread that keeps none of them finds out whether a
//! worker is still there.

#[cfg(not(lisle_loom))]
use std::sync::PoisonError;
#[cfg(lisle_loom)]
use std::sync::TryLockError;
use std::sync::{Mutex, MutexGuard};

use lisle_runtime::internal::primitive::Arc;
#[cfg(lisle_loom)]
use lisle_runtime::internal::primitive::thread;

use super::{Post, Posts};
#[cfg(not(lisle_loom))]
use crate::per_process::PerProcess;

// Not modelled: a thread that has found a post asks it for something, which is.
type Directory = Mutex<Vec<Arc<Posts>>>;

#[cfg(not(lisle_loom))]
fn lock() -> MutexGuard<'static, Vec<Arc<Posts>>> {
    static DIRECTORY: PerProcess<Directory> = PerProcess::new();
    DIRECTORY.get_or(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Models run side by side, each on one thread of the system with all of its own.
#[cfg(lisle_loom)]
fn lock() -> MutexGuard<'static, Vec<Arc<Posts>>> {
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

/// Enters the posts of a new team.
pub(crate) fn enter(posts: &Arc<Posts>) {
    lock().push(posts.clone());
}

/// Strikes out the posts of a team that ends.
pub(crate) fn strike_out(posts: &Arc<Posts>) {
    let removed = {
        let mut all = lock();
        let place = all.iter().position(|other| Arc::ptr_eq(other, posts));
        place.map(|place| all.swap_remove(place))
    };
    drop(removed);
}

/// The post, if its team is still there, as the posts of its team and the place among them.
pub(crate) fn find(post: *const Post) -> Option<(Arc<Posts>, usize)> {
    lock().iter().find_map(|posts| Some((posts.clone(), posts.index_of(post)?)))
}

//! Deadlocks: how one is recognised. [`report`] has what is reported.
//!
//! A worker that has nothing runnable, no timer pending and nothing in its inbox cannot go on by
//! itself. It is deadlocked if nothing else can wake it either. A plain thread may hold a sender
//! that no scheduler knows of, so a report is made only if every thread of the process is the
//! runtime's own, by the kernel's list, or if the user has said that other threads do not count.

mod report;
mod survey;
mod text;
mod threads;

pub use report::{Deadlock, TaskReport};
pub(crate) use report::{describe, describe_wait, relate};
pub(crate) use survey::{Purpose, Survey};
pub(crate) use text::{Count, FirstOf, Group, Tally, groups};

use std::sync::{Mutex, MutexGuard, PoisonError};

use lisle_runtime::internal::panics;

use crate::blocking;
use crate::per_process::PerProcess;

/// Whether threads that do not belong to the runtime count as able to wake its tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForeignThreads {
    /// Any other thread of the process may wake a task some day, so while there is one, nothing is
    /// reported. Never wrong, and the default.
    #[default]
    MayWake,
    /// Other threads never wake a task, so their presence does not put off a report.
    NeverWake,
    /// Threads that there were when [`RuntimeBuilder::run`](crate::RuntimeBuilder::run) was called
    /// never wake a task; those that were started later may. For tests, whose harness keeps threads
    /// of its own.
    ///
    /// A report is wrong if an older thread would have woken a task, one of a pool in a `static`
    /// say.
    LaterMayWake,
}

/// The numbers of threads of Lisle's that wake no task: those of runtimes that have ended on which
/// a task was left behind, and those that make dumps. A fork child has none of them.
static BYSTANDERS: PerProcess<Mutex<Vec<u32>>> = PerProcess::new();

fn bystanders() -> MutexGuard<'static, Vec<u32>> {
    BYSTANDERS.get_or(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// The calling thread will never wake a task, and never ends.
pub fn never_wakes_a_task() {
    // SAFETY: the call has no conditions.
    let thread = unsafe { libc::gettid() };
    bystanders().push(thread.unsigned_abs());
}

/// Parks the calling thread for ever.
pub(crate) fn stay_for_ever() -> ! {
    never_wakes_a_task();
    loop {
        std::thread::park();
    }
}

/// The threads that there are now, if the policy needs them.
pub(crate) fn earlier_threads(policy: ForeignThreads) -> Vec<u32> {
    match policy {
        ForeignThreads::MayWake | ForeignThreads::NeverWake => Vec::new(),
        ForeignThreads::LaterMayWake => threads::list().unwrap_or_default(),
    }
}

/// Whether a thread that is not one of the runtime's own, of which there are `own`, could wake one
/// of its tasks. A blocking call that is under way can, whatever the policy. When its run began
/// there were the `earlier` threads, with that of its first worker.
pub(crate) fn others_may_wake_us(policy: ForeignThreads, own: usize, earlier: &[u32]) -> bool {
    // Known before the threads are counted, so that none is left out which is known here.
    let pool = blocking::standing();
    if pool.is_busy {
        return true;
    }
    let others = match policy {
        ForeignThreads::NeverWake => false,
        ForeignThreads::MayWake => {
            let idle = bystanders().len() + panics::helper_threads();
            threads::count().is_none_or(|threads| threads != own + idle + pool.threads)
        }
        // Any other thread of Lisle's that is older is among the earlier ones; one that is not puts
        // the report off.
        ForeignThreads::LaterMayWake => {
            let pool = blocking::thread_ids();
            let bystanders = bystanders().clone();
            threads::list().is_none_or(|threads| {
                let is_later = |thread: &&u32| {
                    ![earlier, &pool, &bystanders].iter().any(|known| known.contains(thread))
                };
                threads.iter().filter(is_later).count() + 1 != own
            })
        }
    };
    // In the count, another thread may have taken the place of one of the pool's that has gone.
    others || blocking::standing() != pool
}

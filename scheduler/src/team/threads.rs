//! The threads of a team: started when there is something for them, waited for at the end.

use std::time::{Duration, Instant};
use std::{io, mem};

use lisle_runtime::internal::last_words::{abort_with, complain};
use lisle_runtime::internal::primitive::Arc;
use lisle_runtime::internal::primitive::thread::{Builder, JoinHandle};

use super::{Door, Team};
use crate::deadlock::{self, ForeignThreads};
use crate::park::{Reason, Unparker, Wake, in_task, park};
use crate::settings::Settings;
use crate::worker;

pub(super) struct Threads {
    /// The threads that `join_threads` has not waited for yet, with the indices of their workers.
    pub(super) handles: Vec<(usize, JoinHandle<()>)>,
    /// The workers that have said their [`Farewell`] on a thread of the team's.
    pub(super) gone: Vec<(usize, Farewell)>,
    /// Waits in `join_threads` for one more of these.
    pub(super) joiner: Option<Unparker>,
    /// Workers that have been given a thread. The first worker has the caller's.
    pub(super) started: usize,
    /// Workers that can still be given one.
    pub(super) missing: usize,
}

/// What becomes of the thread of a worker that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    Ends,
    /// A task was left behind there, which may borrow from its thread-locals.
    Stays,
}

impl Threads {
    /// The threads of a new team, of which only the first worker has one.
    pub(super) fn new(workers: usize) -> Self {
        Self {
            handles: Vec::new(),
            gone: Vec::new(),
            joiner: None,
            started: 1,
            missing: workers - 1,
        }
    }
}

impl Team {
    /// Whether another worker can get a thread. Not when the team stops: its threads are, or
    /// already were, waited for.
    pub(super) fn may_start_another(&self, threads: &Threads) -> bool {
        threads.missing > 0 && !self.injector.is_closed()
    }

    /// Gives one more worker a thread, which it [may](Self::may_start_another) have. False if none
    /// can be started: the team goes on with the workers that have a thread.
    pub(super) fn start_another(this: &Arc<Self>, threads: &mut Threads) -> bool {
        let index = threads.started;
        match Self::start_thread(this, index) {
            Ok(handle) => {
                threads.handles.push((index, handle));
                threads.started += 1;
                threads.missing -= 1;
                true
            }
            Err(error) => {
                let missing = mem::take(&mut threads.missing);
                this.idle.forget(missing);
                // A task may be about to stop, so this is no place to panic.
                complain(format_args!("going on with {missing} fewer workers: {error}"));
                false
            }
        }
    }

    /// Gives the first worker a thread of its own.
    pub(crate) fn start_first(this: &Arc<Self>) -> io::Result<()> {
        let handle = Self::start_thread(this, 0)?;
        this.threads.lock().handles.push((0, handle));
        Ok(())
    }

    fn start_thread(this: &Arc<Self>, index: usize) -> io::Result<JoinHandle<()>> {
        let team = this.clone();
        let name = format!("{}-{index}", this.settings.thread_name);
        let thread = Builder::new().name(name).spawn(move || (team.start)(team.clone(), index));
        thread.map_err(|source| no_thread(&this.settings, &source))
    }

    /// How many threads the team has.
    pub(crate) fn threads(&self) -> usize {
        self.threads.lock().started
    }

    /// How many threads of the process are the team's own, with that of its watch.
    pub(crate) fn own_threads(&self) -> usize {
        self.threads() + self.watching_threads()
    }

    fn watching_threads(&self) -> usize {
        self.watch.as_ref().map_or(0, |watch| watch.threads())
    }

    /// How many of the first workers, which have threads, have not ended.
    pub(super) fn live_workers(&self, started: usize) -> usize {
        self.posts.all()[..started].iter().filter(|post| !post.has_ended()).count()
    }

    /// How many threads of the process are the team's own while it ends. That of the first worker
    /// is the caller's of `run`, where it waits for the others.
    fn live_threads(&self) -> usize {
        let waits_for_others = self.door == Door::Entered && self.posts.all()[0].has_ended();
        self.live_workers(self.threads()) + usize::from(waits_for_others) + self.watching_threads()
    }

    /// Whether a thread that is not one of the team's own could wake a task while the team ends.
    pub(crate) fn others_may_wake_last_tasks(&self, policy: ForeignThreads) -> bool {
        let own = self.live_threads();
        let others = deadlock::others_may_wake_us(policy, own, &self.earlier_threads);
        // In the count, another thread may have taken the place of one that has gone meanwhile.
        others || self.live_threads() != own
    }

    /// Waits for the threads of all workers, which end when the team stops.
    ///
    /// A task parks meanwhile: the threads may wait for tasks of its own worker. It does not wait
    /// for the team that it belongs to, nor when it is being cancelled; the threads then end by
    /// themselves.
    pub(crate) fn join_threads(this: &Arc<Self>) {
        if this.is_of_parent() {
            // A fork child has none of these threads, and a lock may be held for ever.
            return mem::forget(this.clone());
        }
        Self::join_threads_until(this, None);
    }

    /// Waits for the threads, but no longer than until `deadline`. True if all have ended.
    pub(crate) fn join_threads_until(this: &Arc<Self>, deadline: Option<Instant>) -> bool {
        let ended = this.await_threads(deadline);
        if let Some(watch) = &this.watch {
            // It ends with the last worker. A task does not wait for it, since its worker would.
            watch.end(ended && deadline.is_none() && !in_task());
        }
        if ended && cfg!(any(debug_assertions, lisle_loom)) {
            let missing = this.threads.lock().missing;
            this.idle.check(this.settings.workers.get(), missing);
        }
        ended
    }

    fn await_threads(&self, deadline: Option<Instant>) -> bool {
        // One by one: a thread that has not ended yet may still start another.
        while let Some((index, thread)) = self.next_thread() {
            match self.await_farewell(index, deadline) {
                None => return false,
                // The thread has nothing left to do but to destroy its thread-locals, which may
                // wait, too.
                Some(Farewell::Ends) if in_task() || deadline.is_some() => {}
                Some(Farewell::Ends) => {
                    if thread.join().is_err() {
                        abort_with(format_args!("the thread of a worker has panicked"));
                    }
                }
                Some(Farewell::Stays) => {}
            }
        }
        true
    }

    /// The worker has finished its tasks, on a thread of the team's.
    pub(crate) fn bid_farewell(&self, index: usize, farewell: Farewell) {
        let mut threads = self.threads.lock();
        threads.gone.push((index, farewell));
        let joiner = threads.joiner.take();
        drop(threads);
        if let Some(joiner) = joiner {
            joiner.unpark();
        }
    }

    /// Waits until a worker has ended. `None` if the deadline passes before, or if the caller is a
    /// task that must not wait for it.
    fn await_farewell(&self, index: usize, deadline: Option<Instant>) -> Option<Farewell> {
        const REASON: Reason = Reason::new("waiting for the threads of a runtime");
        /// A deadline, however late, says that the wait will end although no task will end it.
        const LONG: Duration = Duration::from_secs(3600);
        if worker::current_team_is(self) {
            return None;
        }
        loop {
            let mut threads = self.threads.lock();
            if let Some((_, farewell)) = threads.gone.iter().find(|gone| gone.0 == index) {
                return Some(*farewell);
            }
            let wake = park(
                REASON,
                deadline.or_else(|| in_task().then(|| Instant::now() + LONG)),
                |unparker| {
                    threads.joiner = Some(unparker);
                    drop(threads);
                },
                || self.threads.lock().joiner.take(),
            );
            let is_late = deadline.is_some() && wake == Wake::TimedOut;
            if wake == Wake::Failed || is_late {
                return None;
            }
        }
    }

    fn next_thread(&self) -> Option<(usize, JoinHandle<()>)> {
        self.threads.lock().handles.pop()
    }
}

/// The error names all limits that may have been reached: the C library says "resource temporarily
/// unavailable" for each.
fn no_thread(settings: &Settings, source: &io::Error) -> io::Error {
    let text = format!(
        "no thread could be started for a worker of the runtime {name:?}: {source}. It may be the \
         limit of processes of this user (RLIMIT_NPROC, ulimit -u), of the control group \
         (pids.max) or of the system (kernel.threads-max, kernel.pid_max), or the address space \
         for the thread's stack (RLIMIT_AS, ulimit -v)",
        name = settings.title(),
    );
    io::Error::new(source.kind(), text)
}

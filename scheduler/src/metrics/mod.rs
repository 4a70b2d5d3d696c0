//! Counting what the workers of a runtime do.
//!
//! Each worker writes its own counters, with plain stores and only where it does something slow
//! anyway; what changes with every switch it publishes at each look around, that is every 64
//! switches and when it has nothing to do. So counting costs nothing that could be measured, and
//! what is read from elsewhere is a little old.

mod delays;

pub use delays::QueueDelays;

use std::time::Duration;

/// What the workers of one runtime have done until now, and what they have to do.
///
/// # Examples
///
/// ```
/// lisle::run(|| {
///     let tasks: Vec<_> = (0..100).map(|_| lisle::spawn(|| ())).collect();
///     tasks.into_iter().for_each(|task| task.join().unwrap());
///     let metrics = lisle::metrics().expect("this is a task");
///     assert!(metrics.total().switches >= 100);
///     assert!(metrics.total().live_tasks >= 1); // this one
/// });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(crate) workers: Vec<WorkerMetrics>,
    pub(crate) injected: u64,
    pub(crate) blocking: BlockingMetrics,
    pub(crate) stacks: StackMetrics,
}

/// What one worker has done since it began, and what it has to do.
///
/// The worker publishes its numbers of switches, tasks and stacks every 64 switches, the others
/// every 1,024, and all when it has nothing to do, so if it computes for long they are that old. A
/// task that asks about its own worker gets what is true now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// Turns given to tasks, each by a switch unless a task follows itself.
    pub switches: u64,
    /// Times it has looked at the other workers' backlogs for tasks to take.
    pub searches: u64,
    /// Tasks that had not started and that it has taken from other workers.
    pub steals: u64,
    /// Times its tasks have woken a task of another worker or runtime.
    pub wakes_sent: u64,
    /// Times another thread has woken one of its tasks.
    pub wakes_received: u64,
    /// Times its thread has gone to sleep.
    pub sleeps: u64,
    /// Times it has [looked out](crate::RuntimeBuilder::spin) for something to do before it went to
    /// sleep, and nothing came. It does so less and less often while that is in vain.
    pub vain_spins: u64,
    /// Tasks it is responsible for: all that have not finished, started or not.
    pub live_tasks: u64,
    /// Tasks that wait for something.
    pub parked_tasks: u64,
    /// Tasks that run or wait for their turn.
    pub runnable_tasks: u64,
    /// Stacks it keeps for tasks to come.
    pub cached_stacks: u64,
    /// Tasks that have begun to run here.
    pub started_tasks: u64,
    /// Time in which it has looked out or slept for want of something to run. What it has rested
    /// while its thread ran another worker is not part of it.
    pub idle_time: Duration,
    /// Waits with a deadline, and regions with one, whose time has not come.
    pub pending_timers: u64,
    /// Such whose time has come.
    pub fired_timers: u64,
    /// Tasks that wait for a descriptor, or for a blocking call.
    pub io_waits: u64,
    /// Times it has asked the system which descriptors are ready, asleep or not.
    pub io_looks: u64,
    /// Descriptors that were ready then.
    pub io_reports: u64,
    /// How long runnable tasks have waited for their turn, if
    /// [that is measured](crate::RuntimeBuilder::queue_delays).
    pub queue_delays: QueueDelays,
}

/// What the threads of the process do that run [`blocking`](crate::blocking()) calls. All runtimes
/// share them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockingMetrics {
    /// How many there are.
    pub threads: u64,
    /// How many of them have nothing to do.
    pub idle_threads: u64,
    /// Calls that wait for a thread.
    pub queued_calls: u64,
    /// Calls since the process began, with those that wait.
    pub calls: u64,
}

/// What the stacks of the process take, of all its runtimes and of coroutines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StackMetrics {
    /// Stacks that tasks and coroutines have, or that workers keep for some to come.
    pub stacks: u64,
    /// Address space that is set apart for stacks, in bytes. Only what a stack has used of its part
    /// takes memory.
    pub reserved_bytes: u64,
}

impl Metrics {
    /// One entry for each worker, the first for the one that began. A worker whose thread was not
    /// needed yet has done nothing.
    ///
    /// ```
    /// let runtime = lisle::Runtime::builder().workers(2).start()?;
    /// assert_eq!(runtime.metrics().workers().len(), 2);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn workers(&self) -> &[WorkerMetrics] {
        &self.workers
    }

    /// Tasks that a thread outside of the runtime has spawned, and that no worker has taken yet.
    ///
    /// ```
    /// let runtime = lisle::Runtime::builder().start()?;
    /// runtime.spawn(|| ()).join().unwrap();
    /// assert_eq!(runtime.metrics().injected_tasks(), 0); // a worker has taken it
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn injected_tasks(&self) -> u64 {
        self.injected
    }

    /// What the threads for blocking calls do.
    ///
    /// ```
    /// let blocking = lisle::run(|| {
    ///     lisle::blocking(|| ());
    ///     lisle::metrics().unwrap().blocking()
    /// });
    /// assert!(blocking.calls >= 1 && blocking.threads >= 1);
    /// ```
    pub fn blocking(&self) -> BlockingMetrics {
        self.blocking
    }

    /// What the stacks take.
    ///
    /// ```
    /// let stacks = lisle::run(|| lisle::metrics().unwrap().stacks());
    /// assert!(stacks.stacks >= 1 && stacks.reserved_bytes >= 4096); // that of main
    /// ```
    pub fn stacks(&self) -> StackMetrics {
        self.stacks
    }

    /// The sums over all workers. The [injected tasks](Self::injected_tasks) are live and runnable
    /// ones here, although they are no worker's.
    ///
    /// ```
    /// lisle::run(|| {
    ///     let task = lisle::spawn_local(|| lisle::yield_now());
    ///     assert_eq!(lisle::metrics().unwrap().total().live_tasks, 2);
    ///     task.join().unwrap();
    /// });
    /// ```
    pub fn total(&self) -> WorkerMetrics {
        let injected = WorkerMetrics {
            live_tasks: self.injected,
            runnable_tasks: self.injected,
            ..WorkerMetrics::default()
        };
        self.workers.iter().fold(injected, |a, b| WorkerMetrics {
            switches: a.switches + b.switches,
            searches: a.searches + b.searches,
            steals: a.steals + b.steals,
            wakes_sent: a.wakes_sent + b.wakes_sent,
            wakes_received: a.wakes_received + b.wakes_received,
            sleeps: a.sleeps + b.sleeps,
            vain_spins: a.vain_spins + b.vain_spins,
            live_tasks: a.live_tasks + b.live_tasks,
            parked_tasks: a.parked_tasks + b.parked_tasks,
            runnable_tasks: a.runnable_tasks + b.runnable_tasks,
            cached_stacks: a.cached_stacks + b.cached_stacks,
            started_tasks: a.started_tasks + b.started_tasks,
            idle_time: a.idle_time + b.idle_time,
            pending_timers: a.pending_timers + b.pending_timers,
            fired_timers: a.fired_timers + b.fired_timers,
            io_waits: a.io_waits + b.io_waits,
            io_looks: a.io_looks + b.io_looks,
            io_reports: a.io_reports + b.io_reports,
            queue_delays: a.queue_delays.and(b.queue_delays),
        })
    }
}

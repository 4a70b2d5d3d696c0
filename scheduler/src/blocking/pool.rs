//! The threads, and which of them comes for a job.
//!
//! Everything is one state behind one lock. Jobs are taken in the order in which they came. What
//! must not happen is that a job lies in the queue and no thread ever looks there. The rule:
//!
//! > While the queue is not empty, a thread is *coming*, or no thread can be had.
//!
//! A thread is coming if it will look into the queue without running a job before: one that was
//! called from its sleep, one that is being started, one that spins. The party that puts a job into
//! an empty queue calls a thread, unless one is coming; a thread that takes a job and leaves others
//! calls the next, before it runs its own. So a burst of jobs costs its submitter one call, and the
//! pool grows by itself, as long as there is something left to do.
//!
//! If no thread can be had, since there are 512 or the system refuses one, jobs wait for one of
//! those that are there: each looks into the queue before it sleeps, and sleeps before it ends. If
//! there is none at all, the party that was refused runs what is queued, its own job and those that
//! have counted on the thread that it wanted to start.
//!
//! Idle threads lie on a stack, so that the one that slept last is called first, and the others
//! have a chance to end.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use lisle_runtime::internal::last_words::complain;
use lisle_runtime::internal::primitive::atomic::{AtomicBool, Ordering};
use lisle_runtime::internal::primitive::thread::{Builder, Thread, current, park_timeout};
use lisle_runtime::internal::primitive::{Arc, Mutex, MutexGuard, hint};

use crate::cancel::shield;
use crate::metrics::BlockingMetrics;
use crate::per_process::PerProcess;
use crate::trace;
use crate::worker::{self, Worker, current_number};

/// How many threads there are at most.
const MOST_THREADS: usize = if cfg!(lisle_loom) { 2 } else { 512 };

/// How many jobs of the limited class are queued for a thread or run, at most.
const MOST_LIMITED: usize = if cfg!(lisle_loom) { 1 } else { 64 };

/// How long a thread without a job stays.
const LINGER: Duration = Duration::from_secs(10);

/// How long a thread that has run a job looks for another before it sleeps: as long as it takes to
/// wake one. One thread at a time does.
const SPIN: Duration = Duration::from_micros(50);

/// After a spin that was in vain, threads sleep at once a number of times, which doubles up to this
/// with each such spin in a row. On a busy machine it is the spinning itself that keeps the next
/// job from coming, so that how soon that came afterwards says nothing.
const MOST_SKIPPED_SPINS: u32 = 64;

pub(super) struct Pool {
    state: Mutex<State>,
    /// Whether the queue holds something, for a thread that spins.
    has_jobs: AtomicBool,
    spin: Duration,
    start: fn(&'static Pool) -> io::Result<()>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(Job, Class)>,
    /// Jobs of the limited class that are queued or run.
    limited: usize,
    /// Those for which that would be too many.
    limited_waiting: VecDeque<Job>,
    /// All jobs that ever came.
    submitted: u64,

    /// All threads, with those that are being started.
    threads: usize,
    starting: usize,
    spinning: usize,
    /// Threads that were called from their sleep and have not come yet.
    called: usize,
    idle: Vec<Arc<Sleeper>>,
    /// The kernel's numbers of the threads that run.
    ids: Vec<u32>,

    /// How many spins were left out since the last one, and are to be left out before the next.
    skipped_spins: u32,
    spins_to_skip: u32,
    has_complained: bool,
}

struct Sleeper {
    thread: Thread,
    /// Changed under the lock.
    called: AtomicBool,
}

/// Which limit a job counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// That of threads alone.
    Plain,
    /// At most 64 at a time, for what would otherwise keep all others waiting when one server does
    /// not answer.
    Limited,
}

/// The right and the duty to run something once.
#[must_use = "a job that is dropped is waited for in vain"]
pub(super) struct Job {
    data: *const (),
    run: unsafe fn(*const ()),
    /// The task that has made it, for a trace.
    by: u64,
}

// SAFETY: `new` asks for what may run on any thread.
unsafe impl Send for Job {}

impl Job {
    /// # Safety
    ///
    /// `run` may be called with `data`, once, on any thread and at any time from now on. It does
    /// not unwind.
    pub(super) unsafe fn new(data: *const (), run: unsafe fn(*const ())) -> Self {
        Self { data, run, by: if trace::is_on() { current_number() } else { 0 } }
    }

    fn run(self) {
        // SAFETY: the promise of `new`; a job is used up by this.
        trace::span_of(self.by, "blocking call", || unsafe { (self.run)(self.data) });
    }
}

impl State {
    fn is_one_coming(&self) -> bool {
        self.starting + self.spinning + self.called > 0
    }

    /// A job of this class has ended.
    fn end(&mut self, class: Class) {
        if class == Class::Limited {
            match self.limited_waiting.pop_front() {
                Some(job) => self.queue.push_back((job, class)),
                None => self.limited -= 1,
            }
        }
    }
}

impl Pool {
    pub(super) fn new(spin: Duration, start: fn(&'static Self) -> io::Result<()>) -> Self {
        Self { state: Mutex::default(), has_jobs: AtomicBool::new(false), spin, start }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Has a thread run the job. Where there is none, and none can be started, the caller runs it.
    pub(super) fn submit(&'static self, job: Job, class: Class) {
        let mut state = self.lock();
        state.submitted += 1;
        if class == Class::Limited {
            if state.limited == MOST_LIMITED {
                return state.limited_waiting.push_back(job);
            }
            state.limited += 1;
        }
        state.queue.push_back((job, class));
        self.has_jobs.store(true, Ordering::Relaxed);
        if state.spinning == 0 {
            worker::with_current(|worker| worker.map(Worker::expect_a_long_pause));
        }
        self.call(state);
    }

    /// Has a thread come for what is queued.
    fn call(&'static self, mut state: MutexGuard<'_, State>) {
        if state.queue.is_empty() || state.is_one_coming() {
            return;
        }
        if let Some(sleeper) = state.idle.pop() {
            state.called += 1;
            sleeper.called.store(true, Ordering::Relaxed);
            drop(state);
            return sleeper.thread.unpark();
        }
        if state.threads < MOST_THREADS {
            state.threads += 1;
            state.starting += 1;
            drop(state);
            if let Err(error) = (self.start)(self) {
                self.do_without(&error);
            }
        }
    }

    /// A thread could not be started.
    #[cold]
    fn do_without(&self, error: &io::Error) {
        let mut state = self.lock();
        state.threads -= 1;
        state.starting -= 1;
        if !state.has_complained && !cfg!(lisle_loom) {
            state.has_complained = true;
            let threads = state.threads;
            drop(state);
            complain(format_args!(
                "no thread could be started for a blocking call, beside the {threads} that are \
                 there: {error}. Calls wait for those; if there are none, they block the workers"
            ));
            state = self.lock();
        }
        while state.threads == 0
            && let Some((job, class)) = self.take(&mut state)
        {
            drop(state);
            shield(|| job.run());
            state = self.lock();
            state.end(class);
        }
    }

    fn take(&self, state: &mut State) -> Option<(Job, Class)> {
        let job = state.queue.pop_front();
        if state.queue.is_empty() {
            self.has_jobs.store(false, Ordering::Relaxed);
        }
        job
    }

    /// What a thread of the pool does.
    pub(super) fn serve(&'static self) {
        let sleeper = Sleeper { thread: current(), called: AtomicBool::new(false) };
        let (me, id) = (Arc::new(sleeper), thread_id());
        let mut state = self.lock();
        state.starting -= 1;
        state.ids.push(id);
        loop {
            let Some((job, class)) = self.take(&mut state) else {
                match self.rest(state, &me) {
                    Some(locked) => state = locked,
                    None => return,
                }
                continue;
            };
            self.call(state);
            job.run();
            state = self.lock();
            state.end(class);
        }
    }

    /// Waits for a reason to look into the queue. `None` if the thread has to end.
    fn rest<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        me: &Arc<Sleeper>,
    ) -> Option<MutexGuard<'a, State>> {
        state.skipped_spins = state.skipped_spins.saturating_add(1);
        if state.spinning == 0 && state.skipped_spins > state.spins_to_skip && !self.spin.is_zero()
        {
            state.skipped_spins = 0;
            state.spinning += 1;
            drop(state);
            self.spin();
            state = self.lock();
            state.spinning -= 1;
            if !state.queue.is_empty() {
                state.spins_to_skip = 0;
                return Some(state);
            }
            state.spins_to_skip = (state.spins_to_skip * 2).clamp(1, MOST_SKIPPED_SPINS);
        }
        state.idle.push(me.clone());
        let since = Instant::now();
        loop {
            drop(state);
            park_timeout(LINGER.saturating_sub(since.elapsed()));
            state = self.lock();
            if me.called.load(Ordering::Relaxed) {
                me.called.store(false, Ordering::Relaxed);
                state.called -= 1;
                return Some(state);
            }
            // In a model no time passes.
            if cfg!(lisle_loom) || since.elapsed() >= LINGER {
                state.idle.retain(|sleeper| !Arc::ptr_eq(sleeper, me));
                let id = thread_id();
                state.ids.retain(|&other| other != id);
                state.threads -= 1;
                return None;
            }
        }
    }

    fn spin(&self) {
        let start = Instant::now();
        while !cfg!(lisle_loom) && start.elapsed() < self.spin {
            for _ in 0..16 {
                if self.has_jobs.load(Ordering::Relaxed) {
                    return;
                }
                hint::spin_loop();
            }
        }
    }
}

static POOL: PerProcess<Pool> = PerProcess::new();

/// The pool of this process.
pub(super) fn of_this_process() -> &'static Pool {
    fn start(pool: &'static Pool) -> io::Result<()> {
        let builder = Builder::new().name("lisle-blocking".into());
        builder.spawn(|| pool.serve()).map(drop)
    }
    POOL.get_or(|| {
        // On one processor a thread that spins keeps off the task whose job it has run.
        let alone =
            std::thread::available_parallelism().is_ok_and(|processors| processors.get() == 1);
        Pool::new(if alone { Duration::ZERO } else { SPIN }, start)
    })
}

/// The calling thread's number, as the kernel lists it.
fn thread_id() -> u32 {
    if cfg!(lisle_loom) {
        return 0;
    }
    // SAFETY: the call has no preconditions.
    unsafe { libc::gettid() }.cast_unsigned()
}

/// How the pool stands, for the detection of deadlocks. If two looks give the same, and no job was
/// under way, none was in between either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// All jobs that ever came.
    submitted: u64,
    /// Whether one of them is queued or runs. When it has ended, what it has woken is awake.
    pub(crate) is_busy: bool,
    /// How many threads there are, if it is not.
    pub(crate) threads: usize,
}

pub(crate) fn standing() -> Standing {
    POOL.get().map_or_else(Standing::default, |pool| {
        let state = pool.lock();
        Standing {
            submitted: state.submitted,
            is_busy: !state.queue.is_empty() || state.threads != state.idle.len() + state.spinning,
            threads: state.threads,
        }
    })
}

/// How much the pool has to do.
pub(crate) fn metrics() -> BlockingMetrics {
    POOL.get().map_or_else(BlockingMetrics::default, |pool| {
        let state = pool.lock();
        let idle = state.idle.len() + state.spinning;
        BlockingMetrics {
            threads: state.threads as u64,
            idle_threads: idle.min(state.threads) as u64,
            queued_calls: (state.queue.len() + state.limited_waiting.len()) as u64,
            calls: state.submitted,
        }
    })
}

/// The kernel's numbers of the pool's threads.
pub(crate) fn thread_ids() -> Vec<u32> {
    POOL.get().map_or_else(Vec::new, |pool| pool.lock().ids.clone())
}

//! The workers of one runtime, and which idle one watches for work.
//!
//! Waking a sleeping thread costs its waker 10 to 20 µs and takes 50 µs or more, while a task may
//! need less than one. So no thread is woken for a task that was just spawned. Instead, while some
//! workers are busy and others idle, one of the idle ones is the **watcher**: it looks at the
//! others' backlogs now and then, and takes tasks that have waited for a while. All other idle
//! workers **sleep** until something is posted to them or they are appointed watcher. When all are
//! idle, all sleep.
//!
//! One word holds the state: how many workers sleep, and whether there is a watcher. `README.md` in
//! this crate tells the protocol and why a backlog cannot be overlooked for long.

mod injector;

use std::fmt::{self, DebugStruct};
use std::time::{Duration, Instant};
use std::{io, mem};

use lisle_runtime::internal::fork::{generation, watched_generation};
use lisle_runtime::internal::last_words::{abort_with, complain};
use lisle_runtime::internal::primitive::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use lisle_runtime::internal::primitive::thread::{Builder, JoinHandle};
use lisle_runtime::internal::primitive::{Arc, Mutex};

use self::injector::Injector;
pub(crate) use self::injector::NewTask;
use crate::deadlock::{self, Deadlock, Purpose, Survey};
use crate::metrics::Metrics;
use crate::park::{Reason, Unparker, Wake, in_task, park};
use crate::post::{Post, Posts, Request};
use crate::settings::Settings;
use crate::worker;

/// How a team was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The thread that called `run` is the first worker, and the team ends with its main task.
    Entered,
    /// All workers have threads of the team's, which ends when somebody says so.
    Started,
}

pub(crate) struct Team {
    pub(crate) settings: Settings,
    door: Door,
    /// New tasks from outside.
    pub(crate) injector: Injector,
    /// One for each worker, the first for the thread that entered the runtime.
    pub(crate) posts: Arc<Posts>,
    /// `SLEEPER` for each worker that sleeps or has no thread yet, and perhaps `WATCHER`.
    idle: AtomicUsize,
    /// Counts how often a worker has stopped sleeping.
    awakenings: AtomicUsize,
    /// The deadlock that has ended the team.
    deadlock: Mutex<Option<Deadlock>>,
    /// Whether a notice of a stall was given: there is one.
    has_given_notice: AtomicBool,
    /// Workers of the ending team that sleep and have tasks whose hand-over is under way.
    hand_overs: AtomicUsize,
    /// The threads of the process when the team was made, if its settings ask for them.
    earlier_threads: Vec<u32>,
    threads: Mutex<Threads>,
    /// The process that has its threads.
    generation: u32,
    /// The main function of every worker but the first.
    start: fn(Arc<Team>, usize),
}

struct Threads {
    /// Those that `join_threads` has not waited for yet, with their workers.
    handles: Vec<(usize, JoinHandle<()>)>,
    /// The workers that have said their [`Farewell`] on a thread of the team's.
    gone: Vec<(usize, Farewell)>,
    /// Waits in `join_threads` for one more of these.
    joiner: Option<Unparker>,
    /// Workers that have been given a thread. The first worker has the caller's.
    started: usize,
    /// Workers that can still be given one.
    missing: usize,
}

/// What becomes of the thread of a worker that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    Ends,
    /// A task was left behind there, which may borrow from its thread-locals.
    Stays,
}

/// The C library says the same, "resource temporarily unavailable", of all that may be missing.
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

const WATCHER: usize = 1;
const SLEEPER: usize = 2;

/// What an idle worker does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Watcher,
    Sleeper,
}

impl Team {
    /// A team of which only the first worker has a thread: the caller's, or the one that
    /// `start_first` gives it. `start` is the main function of the others.
    pub(crate) fn new(settings: Settings, door: Door, start: fn(Arc<Team>, usize)) -> Self {
        let workers = settings.workers.get();
        // A single worker needs no watcher; pretending that there is one keeps it from calling.
        let idle = if workers == 1 { WATCHER } else { (workers - 1) * SLEEPER };
        let earlier_threads = deadlock::earlier_threads(settings.foreign_threads);
        Self {
            settings,
            door,
            injector: Injector::default(),
            posts: Arc::new(Posts::new(workers)),
            idle: AtomicUsize::new(idle),
            awakenings: AtomicUsize::new(0),
            deadlock: Mutex::new(None),
            has_given_notice: AtomicBool::new(false),
            hand_overs: AtomicUsize::new(0),
            earlier_threads,
            threads: Mutex::new(Threads {
                handles: Vec::new(),
                gone: Vec::new(),
                joiner: None,
                started: 1,
                missing: workers - 1,
            }),
            generation: watched_generation(),
            start,
        }
    }

    /// Whether this process is a fork child of the one that has the team's threads.
    #[inline]
    pub(crate) fn is_of_parent(&self) -> bool {
        self.generation != generation()
    }

    pub(crate) fn metrics(&self) -> Metrics {
        Metrics { workers: self.posts.all().iter().map(Post::metrics).collect() }
    }

    /// Whether a deadlock is looked for. Outside of a team that was started there are always
    /// threads that can spawn and send.
    pub(crate) fn detects_deadlocks(&self) -> bool {
        self.door == Door::Entered && self.settings.deadlock_detection
    }

    /// How the team looks in debugging output.
    pub(crate) fn describe(&self, mut out: DebugStruct<'_, '_>) -> fmt::Result {
        out.field("name", &self.settings.title()).field("workers", &self.settings.workers).finish()
    }

    /// Whether the team has one worker only, which then never watches.
    pub(crate) fn is_alone(&self) -> bool {
        self.settings.workers.get() == 1
    }

    /// Whether workers sleep and none watches, so that a backlog would stay where it is. A hint,
    /// for the busy path.
    #[inline]
    pub(crate) fn wants_watcher(&self) -> bool {
        let idle = self.idle.load(Ordering::Relaxed);
        idle >= SLEEPER && idle & WATCHER == 0
    }

    /// Appoints a sleeping worker as the watcher, starting its thread if it has none.
    #[cold]
    pub(crate) fn call_watcher(this: &Arc<Self>) {
        let appointed = this.idle.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |idle| {
            (idle >= SLEEPER && idle & WATCHER == 0).then_some(idle | WATCHER)
        });
        if appointed.is_err() || this.posts.all().iter().any(Post::appoint) {
            return;
        }
        let mut threads = this.threads.lock();
        if this.may_start_another(&threads) {
            this.posts.all()[threads.started].appoint_first();
            if Self::start_another(this, &mut threads) {
                return;
            }
        }
        this.idle.fetch_and(!WATCHER, Ordering::AcqRel);
        // A worker that was counted as asleep is just waking up by itself, or it has not fallen
        // asleep yet, and does so because it has seen a watcher. It has to look again.
        this.posts.knock_at_all();
    }

    /// Whether another worker can get a thread. Not when the team stops: its threads are, or
    /// already were, waited for.
    fn may_start_another(&self, threads: &Threads) -> bool {
        threads.missing > 0 && !self.injector.is_closed()
    }

    /// Gives one more worker a thread, which it [may](Self::may_start_another) have. False if none
    /// can be started: the team goes on with the workers that have a thread.
    fn start_another(this: &Arc<Self>, threads: &mut Threads) -> bool {
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
                // They were counted as asleep.
                this.idle.fetch_sub(missing * SLEEPER, Ordering::AcqRel);
                // A task may be about to stop, so this is no place to panic.
                complain(format_args!("going on with {missing} workers fewer, no thread: {error}"));
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

    /// Takes a new task in from outside, and sees to it that a worker which has nothing to do, or
    /// no thread yet, comes for it.
    ///
    /// # Errors
    ///
    /// The task, if the team ends or has ended.
    pub(crate) fn inject(this: &Arc<Self>, task: NewTask) -> Result<(), NewTask> {
        this.injector.push(task)?;
        // Either this look finds the worker that goes to sleep, or that worker finds the task: see
        // `is_wanted`.
        fence(Ordering::SeqCst);
        let idle = this.idle.load(Ordering::Relaxed);
        if idle == 0 || this.posts.all().iter().any(Post::wake) {
            return Ok(());
        }
        if idle >= SLEEPER {
            let mut threads = this.threads.lock();
            if this.may_start_another(&threads) {
                Self::start_another(this, &mut threads);
            }
        }
        Ok(())
    }

    /// Whether there is something to do for a worker that has just announced that it will sleep.
    pub(crate) fn is_wanted(&self) -> bool {
        // After the announcement, as the look at those asleep in `inject` comes after the task.
        fence(Ordering::SeqCst);
        !self.injector.is_empty()
    }

    fn start_thread(this: &Arc<Self>, index: usize) -> io::Result<JoinHandle<()>> {
        let team = this.clone();
        let name = format!("{}-{index}", this.settings.thread_name);
        let thread = Builder::new().name(name).spawn(move || (team.start)(team.clone(), index));
        thread.map_err(|source| no_thread(&this.settings, &source))
    }

    /// Waits for the threads of all workers, which end when the team stops.
    ///
    /// A task parks meanwhile: the threads may wait for tasks of its own worker. It does not wait
    /// for the team that it belongs to, nor when it is being cancelled; the threads then end by
    /// themselves.
    pub(crate) fn join_threads(this: &Arc<Self>) {
        if this.is_of_parent() {
            // What the handles stand for is not there, and a lock may be held for ever.
            return mem::forget(this.clone());
        }
        Self::join_threads_until(this, None);
    }

    /// The same, but no longer than until `deadline`. Whether all have ended.
    pub(crate) fn join_threads_until(this: &Arc<Self>, deadline: Option<Instant>) -> bool {
        // One by one: a thread that has not ended yet may still start another.
        while let Some((index, thread)) = this.next_thread() {
            match this.await_farewell(index, deadline) {
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
        if cfg!(any(debug_assertions, lisle_loom)) {
            this.check_idle();
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

    /// Waits until a worker has ended. `None` if the caller does not wait so long.
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

    /// No worker has a thread any more, and each has left the idle ones before it ended.
    fn check_idle(&self) {
        let idle = if self.is_alone() { WATCHER } else { self.threads.lock().missing * SLEEPER };
        assert_eq!(self.idle.load(Ordering::Relaxed), idle, "the idle workers are miscounted");
    }

    fn next_thread(&self) -> Option<(usize, JoinHandle<()>)> {
        self.threads.lock().handles.pop()
    }

    /// The caller has nothing to do. Returns its role meanwhile.
    pub(crate) fn enter_idle(&self) -> Role {
        let mut role = Role::Sleeper;
        let _ = self.idle.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |idle| {
            let watched = idle & WATCHER != 0;
            role = if watched { Role::Sleeper } else { Role::Watcher };
            Some(if watched { idle + SLEEPER } else { idle | WATCHER })
        });
        role
    }

    /// The caller, which is counted as asleep, was appointed the watcher.
    ///
    /// From the call for a watcher until now it is counted as both. The worker that calls for a
    /// watcher must not take it from the sleepers: it only believes that one sleeps, and there
    /// could be fewer than none.
    pub(crate) fn accept_appointment(&self) {
        self.idle.fetch_sub(SLEEPER, Ordering::AcqRel);
    }

    /// The watcher becomes a sleeper if all others sleep.
    pub(crate) fn watcher_may_sleep(&self) -> bool {
        let others = (self.size() - 1) * SLEEPER;
        self.idle
            .compare_exchange(
                others + WATCHER,
                others + SLEEPER,
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// The caller, which was idle, has work.
    pub(crate) fn leave_idle(&self, role: Role) {
        match role {
            Role::Watcher => self.idle.fetch_and(!WATCHER, Ordering::AcqRel),
            Role::Sleeper => self.idle.fetch_sub(SLEEPER, Ordering::AcqRel),
        };
    }

    /// Counts the caller's awakening. To be called before it touches any task.
    pub(crate) fn note_awakening(&self) {
        self.awakenings.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether all other workers sleep and none of them will wake by itself. If so, nothing in the
    /// team can happen any more but by the caller or a foreign thread.
    ///
    /// Looking at them one after the other is not enough: one that was seen asleep may have been
    /// woken by one that was not seen yet. So all are looked at twice. What is posted between the
    /// first look at the receiver and the first look at the sender, which sleeps by then, is found
    /// by the second look at the receiver, or the receiver has awoken, and has counted that.
    pub(crate) fn is_quiescent(&self, caller: usize) -> bool {
        let (posts, with_thread) = (self.posts.all(), self.threads());
        let asleep = || {
            let mut others = (0..with_thread).filter(|&index| index != caller);
            others.all(|index| posts[index].sleeps_for_good())
        };
        let awakenings = self.awakenings.load(Ordering::Acquire);
        asleep() && asleep() && self.awakenings.load(Ordering::Acquire) == awakenings
    }

    /// Whether a thread that is not one of the team's own, of which there are `own`, could wake a
    /// task.
    pub(crate) fn others_may_wake_us(&self, own: usize) -> bool {
        let policy = self.settings.foreign_threads;
        deadlock::others_may_wake_us(policy, own, &self.earlier_threads)
    }

    /// How often a worker has stopped sleeping.
    pub(crate) fn awakenings(&self) -> usize {
        self.awakenings.load(Ordering::Acquire)
    }

    /// How many threads the team has.
    pub(crate) fn threads(&self) -> usize {
        self.threads.lock().started
    }

    /// How many of them serve workers that have not ended.
    pub(crate) fn live_threads(&self) -> usize {
        let started = self.threads();
        self.posts.all()[..started].iter().filter(|post| !post.has_ended()).count()
    }

    fn size(&self) -> usize {
        let threads = self.threads.lock();
        threads.started + threads.missing
    }

    /// The tasks of the team will never go on: all workers say what theirs wait for, and the one
    /// that says it last [ends](Self::end_in) the team.
    pub(crate) fn declare_deadlock(&self) {
        self.survey(Purpose::Deadlock, self.threads());
    }

    /// Has notice given, once, of what the tasks have waited for so long.
    pub(crate) fn give_notice_of_stall(&self, duration: Duration) {
        if !self.has_given_notice.swap(true, Ordering::Relaxed) {
            self.survey(Purpose::Stall(duration), self.threads());
        }
    }

    /// The team ends, and none of the tasks that are left will: the process is aborted.
    pub(crate) fn declare_endless(&self) {
        self.survey(Purpose::End, self.live_threads());
    }

    /// Notes that a hand-over to a task of the caller's is under way, until the result is dropped. To
    /// be called before a sleep.
    pub(crate) fn await_hand_overs(&self) -> impl Drop {
        struct Counted<'a>(&'a AtomicUsize);
        impl Drop for Counted<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        // Relaxed: whoever sees the caller asleep sees this too.
        self.hand_overs.fetch_add(1, Ordering::Relaxed);
        Counted(&self.hand_overs)
    }

    /// Whether that is so of a worker that was seen asleep.
    pub(crate) fn any_awaits_hand_over(&self) -> bool {
        self.hand_overs.load(Ordering::Relaxed) != 0
    }

    /// Asks all workers, of which so many have not ended.
    fn survey(&self, purpose: Purpose, workers: usize) {
        let survey = Arc::new(Survey::new(purpose, workers));
        self.posts.ask_first(self.threads(), || Request::Describe(survey.clone()));
    }

    /// Ends the team with the report of a deadlock.
    pub(crate) fn end_in(&self, deadlock: Deadlock) {
        *self.deadlock.lock() = Some(deadlock);
        self.stop();
    }

    /// The deadlock that has ended the team, if one has.
    pub(crate) fn take_deadlock(&self) -> Option<Deadlock> {
        self.deadlock.lock().take()
    }

    /// Ends the team: every worker gives up its tasks, and no new ones come from outside.
    pub(crate) fn stop(&self) {
        // Before the workers know: each looks once more for new tasks when it does, and then none
        // can come any more.
        self.injector.close();
        self.posts.ask_first(self.settings.workers.get(), || Request::Stop);
    }
}

#[cfg(all(test, lisle_loom))]
mod models;

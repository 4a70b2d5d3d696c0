//! The workers of one runtime, and which idle one watches for work.
//!
//! Waking a sleeping thread costs its waker 10 to 20 µs and takes 50 µs or more, while a task may
//! need less than one. So no thread is woken for a task that was just spawned. Instead, while some
//! workers are busy and others idle, one of the idle ones is the **watcher**: it looks at the
//! others' backlogs now and then, and takes tasks that have waited for a while. All other idle
//! workers **sleep** until something is posted to them or they are appointed watcher. When all are
//! idle, all sleep.
//!
//! One word, [`Idle`], holds the state: how many workers sleep, and whether there is a watcher. The
//! crate's `README.md` has the protocol, and why a backlog cannot be overlooked for long.

mod idle;
mod placement;
mod threads;

use std::fmt::{self, DebugStruct};
use std::time::Duration;

use lisle_runtime::internal::fork::{generation, watched_generation};
use lisle_runtime::internal::primitive::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use lisle_runtime::internal::primitive::{Arc, Mutex};
use lisle_runtime::internal::stacks::{self, Usage};

use self::idle::Idle;
pub(crate) use self::idle::Role;
pub(crate) use self::placement::Balance;
pub(crate) use self::threads::Farewell;
use self::threads::Threads;
use crate::blocking;
use crate::clock::VirtualClock;
use crate::deadlock::{self, Deadlock, Purpose, Survey};
use crate::dump::Member;
use crate::injector::{Injector, NewTask};
use crate::metrics::{Metrics, StackMetrics};
use crate::post::{Post, Posts, Request, directory};
use crate::settings::Settings;
use crate::watch::Watch;

/// How a team was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The thread that called `run` is the first worker, and the team ends with its main task.
    Entered,
    /// Each worker has a thread of its own, and the team ends when its `Runtime` says so.
    Started,
}

pub(crate) struct Team {
    pub(crate) settings: Settings,
    door: Door,
    /// New tasks from outside.
    pub(crate) injector: Arc<Injector>,
    /// One for each worker, the first for the thread that entered the runtime.
    pub(crate) posts: Arc<Posts>,
    /// Looks out for workers that are blocked, if the settings ask for it.
    pub(crate) watch: Option<std::sync::Arc<Watch>>,
    pub(crate) idle: Idle,
    /// The clock, if it is not the system's.
    pub(crate) clock: Option<VirtualClock>,
    /// The deadlock that has ended the team.
    deadlock: Mutex<Option<Deadlock>>,
    /// Whether a notice of a stall was given: there is one.
    has_given_notice: AtomicBool,
    /// Tasks that wait for a hand-over which is under way, and those of them in no shield.
    hand_overs: AtomicUsize,
    exposed_hand_overs: AtomicUsize,
    /// Whether it was said which tasks in shields hold up the end of the team.
    has_told_shields: AtomicBool,
    /// The threads of the process when the team was made, if its settings ask for them.
    earlier_threads: Vec<u32>,
    threads: Mutex<Threads>,
    /// The process that has its threads.
    generation: u32,
    /// The main function of every worker but the first.
    start: fn(Arc<Team>, usize),
}

impl Team {
    /// A team of which only the first worker has a thread: the caller's, or the one that
    /// `start_first` gives it. `start` is the main function of the others.
    pub(crate) fn new(settings: Settings, door: Door, start: fn(Arc<Team>, usize)) -> Self {
        let workers = settings.workers.get();
        let posts = Arc::new(Posts::new(workers));
        let injector = Arc::new(Injector::default());
        let earlier_threads = deadlock::earlier_threads(settings.foreign_threads);
        let this = Self {
            watch: Watch::new(&settings, &posts),
            clock: settings.virtual_time.then(|| VirtualClock::new(workers)),
            settings,
            door,
            injector,
            posts,
            idle: Idle::new(workers),
            deadlock: Mutex::new(None),
            has_given_notice: AtomicBool::new(false),
            hand_overs: AtomicUsize::new(0),
            exposed_hand_overs: AtomicUsize::new(0),
            has_told_shields: AtomicBool::new(false),
            earlier_threads,
            threads: Mutex::new(Threads::new(workers)),
            generation: watched_generation(),
            start,
        };
        directory::enter(this.as_member());
        this
    }

    /// The team as dumps see it.
    pub(crate) fn as_member(&self) -> Member {
        let (posts, injector) = (self.posts.clone(), self.injector.clone());
        Member { posts, injector, settings: self.settings.clone() }
    }

    /// Whether this process is a fork child of the one that has the team's threads.
    #[inline]
    pub(crate) fn is_of_parent(&self) -> bool {
        self.generation != generation()
    }

    pub(crate) fn metrics(&self) -> Metrics {
        // Before the workers: a task that is taken meanwhile counts twice rather than not at all.
        let injected = self.injector.len() as u64;
        let workers = self.posts.all().iter().map(Post::metrics).collect();
        let Usage { reserved, stacks } = stacks::usage();
        let stacks = StackMetrics { stacks: stacks as u64, reserved_bytes: reserved as u64 };
        Metrics { workers, injected, blocking: blocking::metrics(), stacks }
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

    /// Appoints a sleeping worker as the watcher, starting its thread if it has none.
    #[cold]
    pub(crate) fn call_watcher(this: &Arc<Self>) {
        if !this.idle.begin_appointment() || this.posts.all().iter().any(Post::appoint) {
            return;
        }
        let mut threads = this.threads.lock();
        if this.may_start_another(&threads) {
            this.posts.all()[threads.started].appoint_first();
            if Self::start_another(this, &mut threads) {
                return;
            }
        }
        this.idle.take_appointment_back();
        // A worker that was counted as asleep is just waking up by itself, or it has not fallen
        // asleep yet, and does so because it has seen a watcher. It has to look again.
        this.posts.knock_at_all();
    }

    /// Accepts a new task from outside, and wakes an idle worker for it, or starts the thread of
    /// one that has none yet.
    ///
    /// # Errors
    ///
    /// The task, if the team ends or has ended.
    pub(crate) fn inject(this: &Arc<Self>, task: NewTask) -> Result<(), NewTask> {
        this.injector.push(task)?;
        // Either this look finds the worker that goes to sleep, or that worker finds the task: see
        // `is_wanted`.
        fence(Ordering::SeqCst);
        if this.idle.is_none() || this.posts.all().iter().any(Post::wake) {
            return Ok(());
        }
        if this.idle.has_sleepers() {
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

    /// The watcher becomes a sleeper if all others sleep.
    pub(crate) fn watcher_falls_asleep(&self) -> bool {
        let threads = self.threads.lock();
        let workers = threads.started + threads.missing;
        drop(threads);
        self.idle.watcher_falls_asleep(workers - 1)
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
        let awakenings = self.idle.awakenings();
        asleep() && asleep() && self.idle.awakenings() == awakenings
    }

    /// Whether a thread that is not one of the team's own, of which there are `own`, could wake a
    /// task.
    pub(crate) fn others_may_wake_us(&self, own: usize) -> bool {
        let policy = self.settings.foreign_threads;
        deadlock::others_may_wake_us(policy, own, &self.earlier_threads)
    }

    /// The tasks of the team will never go on: all workers say what theirs wait for, and the one
    /// that says it last [ends](Self::end_in) the team.
    pub(crate) fn declare_deadlock(&self) {
        self.survey(Purpose::Deadlock);
    }

    /// Asks all workers, once, to report what their tasks have waited for so long.
    pub(crate) fn give_notice_of_stall(&self, duration: Duration) {
        if !self.has_given_notice.swap(true, Ordering::Relaxed) {
            self.survey(Purpose::Stall(duration));
        }
    }

    /// The team ends, and none of the tasks that are left will: the process is aborted.
    pub(crate) fn declare_endless(&self) {
        self.survey(Purpose::End);
    }

    /// Asks all workers, once, to say which of their tasks hold up the end of the team: all that
    /// are left, in shields.
    pub(crate) fn tell_of_shields(&self) {
        if !self.has_told_shields.swap(true, Ordering::Relaxed) {
            self.survey(Purpose::Shields);
        }
    }

    /// A task of the caller's is about to wait for a hand-over that is under way.
    pub(crate) fn begin_hand_over(&self, exposed: bool) {
        // Relaxed: a worker that sees the caller asleep sees this too.
        self.hand_overs.fetch_add(1, Ordering::Relaxed);
        self.exposed_hand_overs.fetch_add(usize::from(exposed), Ordering::Relaxed);
    }

    /// The task does not wait any more.
    pub(crate) fn end_hand_over(&self, exposed: bool) {
        self.hand_overs.fetch_sub(1, Ordering::Relaxed);
        self.exposed_hand_overs.fetch_sub(usize::from(exposed), Ordering::Relaxed);
    }

    /// Whether a task waits for a hand-over that is under way. To be asked when all other workers
    /// were seen asleep.
    pub(crate) fn any_awaits_hand_over(&self) -> bool {
        self.hand_overs.load(Ordering::Relaxed) != 0
    }

    /// Whether one does outside of a shield. To be asked as above.
    pub(crate) fn any_exposed_awaits_hand_over(&self) -> bool {
        self.exposed_hand_overs.load(Ordering::Relaxed) != 0
    }

    /// What the clock shows has changed, or whether something holds it.
    pub(crate) fn look_at_clock(&self) {
        self.posts.knock_at_all();
    }

    /// Says once what holds the clock, which has stood for `duration`.
    #[cold]
    pub(crate) fn tell_what_holds_the_clock(&self, duration: Duration) {
        if self.clock.as_ref().is_some_and(VirtualClock::tells_first) {
            self.survey(Purpose::Clock(duration));
        }
    }

    /// Asks all workers that have a thread and have not ended.
    fn survey(&self, purpose: Purpose) {
        let started = self.threads();
        let survey = Arc::new(Survey::new(purpose, self.live_workers(started)));
        self.posts.ask_first(started, || Request::Describe(survey.clone()));
    }

    /// Ends the team with the report of a deadlock.
    pub(crate) fn end_in(&self, deadlock: Deadlock) {
        *self.deadlock.lock() = Some(deadlock);
        self.settings.engine.iter().for_each(|engine| engine.note_deadlock());
        self.stop();
    }

    /// The deadlock that has ended the team, if one has.
    pub(crate) fn take_deadlock(&self) -> Option<Deadlock> {
        self.deadlock.lock().take()
    }

    /// Ends the team: every worker cancels its tasks, and no new ones come from outside.
    pub(crate) fn stop(&self) {
        // Before the workers know: each looks once more for new tasks when it does, and then none
        // can come any more.
        self.injector.close();
        self.posts.all().iter().for_each(Post::refuse_placements);
        self.posts.ask_first(self.settings.workers.get(), || Request::Stop);
    }
}

#[cfg(all(test, lisle_loom))]
mod models;

impl Drop for Team {
    fn drop(&mut self) {
        directory::strike_out(&self.posts);
    }
}

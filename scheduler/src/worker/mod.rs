//! The worker: one OS thread that runs tasks in turn.
//!
//! A worker is touched by its own thread only, through `&self` and cells, and no borrow of its
//! state is held where a switch can happen. What other threads may touch is in its [`Post`].
//!
//! A task that stops picks its successor itself and switches to it directly ([`turn`]). The
//! thread's own stack, the *base*, is entered only when nothing is runnable, and does the sleeping
//! ([`base`]).
//!
//! Started tasks never leave their worker. That keeps a suspension simple: another thread that
//! wakes a task can do no more than put it into this worker's inbox, and this worker does not look
//! there before the task has been left. So a parking task needs no help from its successor: it
//! announces itself, releases its locks and then switches.

mod base;
mod cancelling;
mod carrying;
mod census;
mod crowd;
mod current;
mod exploring;
mod layout;
mod leaving;
mod life;
mod locals;
#[cfg(all(test, lisle_loom))]
mod models;
mod overflow;
mod polling;
mod probing;
mod resting;
mod spinning;
mod stalling;
mod stealing;
mod tracing;
mod turn;
mod virtual_time;
mod waits;
mod watched;

use carrying::Calls;
use crowd::Crowd;
pub(crate) use current::{
    Enter, abandon, ask, current, current_team_is, metrics_of, note_end_of_accepted,
    note_unwinding_below, unpark, with_allowance, with_current, with_panicking_task,
};
pub use current::{
    current_number, current_task, metrics, next_turn_at, next_turn_on_lock_at, note_accept,
    yield_now,
};
pub(crate) use layout::LAYOUT;
pub(crate) use leaving::MOST_STRIKES;
use locals::Occasions;
pub(crate) use overflow::describe_current;
use probing::Probe;
use resting::Stock;
use spinning::Spins;
use stalling::Quiet;

use std::cell::{Cell, RefCell};
use std::io;
use std::num::NonZeroU64;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use lisle_runtime::internal::primitive::Arc;
use lisle_runtime::stack::{Stack, StackCache};
use lisle_runtime::switch::Context;

use crate::clock::VirtualClock;
use crate::driver::Driver;
use crate::injector::NewTask;
use crate::post::{Notice, Post, PostOwner};
use crate::run_queue::{Counts, RunQueue};
use crate::scope::Bonds;
use crate::task::{Control, Numbers, Shown, Slab, TaskId, TaskList};
use crate::team::{Balance, Team};
use crate::timer::Timers;
use crate::trace::{Cause, Tracer};
use crate::turn::Allowance;

/// Switches between two looks at the inbox and the clock, which bounds how long a wake from another
/// thread or a due timer can be held up by tasks that keep yielding.
const POLL_INTERVAL: u32 = 64;

/// One poll of this many publishes all that is counted, if the worker does not idle.
const POLLS_TO_PUBLISH_ALL: u8 = 16;

/// Tells the workers apart that the process has or had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WorkerId(NonZeroU64);

impl WorkerId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(NonZeroU64::new(number).expect("numbers start at 1"))
    }
}

pub(crate) struct Worker {
    team: Arc<Team>,
    id: WorkerId,
    /// The worker's place in the team.
    index: usize,
    post: PostOwner,
    current: Shown<Control>,
    /// Where the thread's own stack continues while a task runs.
    base: Cell<Context>,

    queue: RunQueue,
    /// Tasks that have started and have not finished.
    started: TaskList,
    crowd: Crowd,
    /// A scope whose home this is, and which was not yet told of all its tasks that have ended
    /// here.
    untold: Cell<Option<NonNull<Bonds>>>,

    /// Whether each turn takes the slow path: the worker explores, its turns are watched, or a
    /// recording goes on.
    heeds_turns: Cell<bool>,
    /// Switches left until the next look at the inbox and the clock, that one included.
    until_poll: Cell<u32>,
    /// What that was when switches were counted last.
    poll_interval: Cell<u32>,
    calls: Calls,
    /// What time it was at the last look at the clock.
    clock: Cell<Instant>,
    timers: RefCell<Timers>,
    /// When timers have fired last, on the same clock.
    last_fired: Cell<Instant>,
    driver: Driver,

    slab: Slab,
    stacks: RefCell<StackCache>,
    /// A stack of special size whose task has finished; released when the next one is wanted or
    /// retired, which happens on another stack.
    retired: Cell<Option<Stack>>,
    stock: Stock,
    numbers: Numbers,

    /// Polls left until the next that publishes all that is counted, that one included.
    until_all_published: Cell<u8>,
    occasions: Occasions,

    /// Whether it was already reported that a task cannot start for want of memory.
    starved: Cell<bool>,
    shutting_down: Cell<bool>,
    /// Whether new tasks may have to be cancelled or placed: the runtime ends, or a task has
    /// accepted something. Spawns ask for this alone.
    births_differ: Cell<bool>,
    /// The task that may borrow from the caller of `run`, if this worker runs one.
    main: Cell<Option<NonNull<Control>>>,
    /// Whether that task was left behind, and whether any was.
    left_main: Cell<bool>,
    left_behind: Cell<bool>,
    /// How many tasks were spawned here since the runtime began to end, and whether it was reported
    /// that this goes on without end.
    late_spawns: Cell<u32>,
    spawns_without_end: Cell<bool>,
    spins: Spins,
    tracer: Tracer,
    probe: Probe,
    /// The worker's post, by which a wake-up knows that it need not leave the worker; null while
    /// wake-ups are recorded, which goes the longer way.
    wakes_fast: Cell<*const Post>,
    /// The time in which no worker has had anything to do, as far as this worker has seen.
    quiet: Cell<Option<Quiet>>,
    /// In a program that is explored: how often tasks had been queued when one was chosen to
    /// start. `None` once it has come to an operation.
    starting: Cell<Option<usize>>,
    /// Since when something has held the clock, if that is virtual and nothing has run.
    clock_held_since: Cell<Option<Instant>>,
}

impl Worker {
    /// The worker at place `index` of a team, on the calling thread.
    pub(crate) fn new(team: Arc<Team>, index: usize) -> Self {
        let now = Instant::now();
        let driver = Driver::new(team.settings.carry, now);
        let is_explored = team.settings.engine.is_some();
        let numbers = Numbers::new();
        if is_explored {
            numbers.begin_at(1);
        }
        let heeds_turns = is_explored || team.settings.is_watched();
        let interval = if heeds_turns { 1 } else { POLL_INTERVAL };
        let post = PostOwner::claim(team.posts.clone(), index, &driver);
        Self {
            id: WorkerId::next(),
            index,
            current: Shown::none(),
            base: Cell::new(Context::NONE),
            queue: RunQueue::new(post.backlog.clone()),
            wakes_fast: Cell::new(&raw const *post),
            post,
            started: TaskList::default(),
            crowd: Crowd::default(),
            untold: Cell::new(None),
            heeds_turns: Cell::new(heeds_turns),
            until_poll: Cell::new(interval),
            poll_interval: Cell::new(interval),
            calls: Calls::new(now),
            clock: Cell::new(now),
            timers: RefCell::new(Timers::new(team.clock.as_ref().map_or(now, VirtualClock::start))),
            last_fired: Cell::new(now),
            driver,
            slab: Slab::default(),
            stacks: RefCell::new(StackCache::new(team.settings.stack_size)),
            retired: Cell::new(None),
            stock: Stock::new(),
            numbers,
            until_all_published: Cell::new(POLLS_TO_PUBLISH_ALL),
            occasions: Occasions::new(),
            starved: Cell::new(false),
            shutting_down: Cell::new(false),
            births_differ: Cell::new(is_explored),
            main: Cell::new(None),
            left_main: Cell::new(false),
            left_behind: Cell::new(false),
            late_spawns: Cell::new(0),
            spawns_without_end: Cell::new(false),
            spins: Spins::new(),
            tracer: Tracer::new(),
            probe: Probe::default(),
            quiet: Cell::new(None),
            starting: Cell::new(None),
            clock_held_since: Cell::new(None),
            team,
        }
    }

    /// Ends the wait of another worker's task, or of one of this worker's while that is recorded.
    #[cold]
    fn wake_elsewhere(&self, task: NonNull<Control>, home: *const Post) {
        if self.post.is(home) {
            return self.deliver_and_note_unpark(task);
        }
        self.post.add(|counters| &counters.wakes_sent, 1);
        self.note_wake(task, Cause::Elsewhere);
        match self.team.posts.find(home) {
            Some(mate) => {
                // SAFETY: the task's unparker was that of the caller of `unpark`.
                if unsafe { mate.put_in(task, Notice::Unparked) } {
                    self.call_mate(mate);
                } else {
                    self.calls.note_wake();
                }
            }
            // SAFETY: as in `unpark`.
            None => unsafe { Post::notify_home(home, task, Notice::Unparked) },
        }
    }

    #[inline]
    pub(crate) fn id(&self) -> WorkerId {
        self.id
    }

    pub(crate) fn driver(&self) -> &Driver {
        &self.driver
    }

    pub(crate) fn slab(&self) -> &Slab {
        &self.slab
    }

    /// The running task. Called by tasks only: the base runs no user code.
    #[inline]
    pub(crate) fn current_task(&self) -> &Control {
        let task = self.current.get().expect("only tasks call into the worker");
        // SAFETY: the current task has not finished, so its block is alive.
        unsafe { task.as_ref() }
    }

    /// The running task, or `None` at the base, where the result of the main task is dropped.
    pub(crate) fn running_task(&self) -> Option<&Control> {
        // SAFETY: the current task has not finished, so its block is alive.
        self.current.get().map(|task| unsafe { task.as_ref() })
    }

    /// The next task number.
    #[inline]
    pub(crate) fn next_id(&self) -> TaskId {
        self.numbers.next()
    }

    pub(crate) fn team(&self) -> &Arc<Team> {
        &self.team
    }

    /// Whether this is a worker of the team.
    pub(crate) fn is_of(&self, team: &Team) -> bool {
        ptr::eq(&*self.team, team)
    }

    /// Makes sure that one more task of the default stack size can start.
    #[inline]
    pub(crate) fn reserve_stack(&self) -> io::Result<()> {
        self.stacks.borrow_mut().reserve()
    }

    /// Ends the team with its main task, which calls this at its end.
    pub(crate) fn end_team(&self) {
        self.shut_down(self.current.get());
        self.team.stop();
    }

    /// Publishes how many tasks there are. Of those that are not in the queue, `running` are
    /// running, and the others are parked.
    fn publish(&self, running: u64) {
        let Counts { runnable, unknown_thefts } = self.queue.counts();
        let live = (self.unfinished() - unknown_thefts) as u64;
        let runnable = runnable as u64 + running;
        self.post.publish(live, runnable, self.stacks.borrow().len() as u64);
    }

    /// Publishes what a busy worker does not publish at each poll.
    #[inline(never)]
    fn publish_rest(&self) {
        self.until_all_published.set(POLLS_TO_PUBLISH_ALL);
        self.post.set(|counters| &counters.started, self.started.inserted() as u64);
        self.post.set(|counters| &counters.timers, self.timers.borrow().len() as u64);
        self.post.set(|counters| &counters.io_waits, self.driver.waits() as u64);
        let (looks, reports) = self.driver.looks_and_reports();
        self.post.set(|counters| &counters.io_looks, looks);
        self.post.set(|counters| &counters.io_reports, reports);
    }

    /// How many tasks this worker has to finish, or to start. A stolen task is one of them until
    /// the theft becomes known.
    ///
    /// Each task that has not started has a stack reserved here, whichever it will run on; nothing
    /// else has, between two turns. So the reservations count these tasks.
    fn unfinished(&self) -> usize {
        let unstarted = self.stacks.borrow().reserved();
        debug_assert!(unstarted == 0 || !self.queue.is_empty(), "no turn is left to start a task");
        self.started.len() + unstarted
    }

    /// Switches since the last poll.
    fn uncounted_switches(&self) -> u64 {
        u64::from(self.poll_interval.get() - self.until_poll.get())
    }

    /// Counts the switches since the last time. The next poll is due after `interval` more.
    fn count_switches(&self, interval: u32) {
        let turns = self.uncounted_switches();
        self.post.add(|counters| &counters.switches, turns);
        self.count_for_probe(turns);
        self.poll_interval.set(interval);
        self.until_poll.set(interval);
    }

    /// Has the worker poll before the next turn.
    fn poll_after_this_turn(&self) {
        self.tracer.poll_next();
        self.count_switches(1);
    }

    /// Gives back what `reserve_stack` has promised.
    pub(crate) fn cancel_reservation(&self) {
        self.stacks.borrow_mut().cancel_reservation();
    }

    /// Accepts a task that was spawned here, and that any worker may start. A stack is reserved for
    /// it here.
    pub(crate) fn accept_new(&self, task: NonNull<Control>) {
        if self.births_differ.get() {
            return self.accept_otherwise(task);
        }
        self.accept(task);
    }

    /// Accepts a new task that only this worker may start. A stack is reserved for it here.
    pub(crate) fn accept_new_local(&self, task: NonNull<Control>) {
        self.cancel_if_late(task);
        self.note_spawn(task);
        self.accept_local(task);
    }

    #[cold]
    #[inline(never)]
    fn accept_otherwise(&self, task: NonNull<Control>) {
        self.cancel_if_late(task);
        self.note_spawn(task);
        if self.is_explored() {
            return self.accept_local(task);
        }
        if with_allowance(Allowance::has_accepted) {
            // SAFETY: the task is new.
            unsafe { Control::count_as_accepted(task) };
            return self.place(task, Balance::Accepted);
        }
        self.births_differ.set(self.is_shutting_down() || self.tracer.is_on());
        self.accept(task);
    }

    /// Cancels a new task at once if the runtime ends.
    fn cancel_if_late(&self, task: NonNull<Control>) {
        if self.is_shutting_down() {
            // SAFETY: no other worker knows the task.
            self.cancel_from_birth(unsafe { task.as_ref() });
        }
    }

    /// Accepts a task that any worker may start. A stack is reserved for it here.
    #[inline]
    fn accept(&self, task: NonNull<Control>) {
        // SAFETY: the caller has just made the task, or taken it.
        unsafe { self.queue.push_new(task) };
        self.share_backlog();
    }

    /// Accepts a new task from elsewhere: from outside, or from another worker's backlog.
    fn adopt(&self, task: NonNull<Control>) {
        self.note_move(task);
        self.accept(task);
    }

    /// Accepts a new task that was placed here, and that only this worker may start.
    fn adopt_placed(&self, task: NonNull<Control>) {
        self.note_move(task);
        self.accept_local(task);
    }

    fn note_move(&self, task: NonNull<Control>) {
        // SAFETY: the caller has taken the task, so that it has not started.
        unsafe { task.as_ref() }.move_to(&raw const *self.post);
    }

    /// Where new tasks are spawned.
    pub(crate) fn post(&self) -> &Post {
        &self.post
    }

    /// Makes sure that there is a watcher if a task waits in the backlog.
    #[inline]
    fn share_backlog(&self) {
        if self.team.idle.wants_watcher() && self.queue.has_backlog() {
            Team::call_watcher(&self.team);
        }
    }

    /// Accepts a new task that is to be spread. A stack is reserved for it here.
    #[cold]
    pub(crate) fn accept_spread(&self, task: NonNull<Control>) {
        self.cancel_if_late(task);
        self.note_spawn(task);
        self.place(task, Balance::Living);
    }

    /// Places a new task that any worker may start, and for which a stack is reserved here, on the
    /// worker that has the least of what is to be balanced.
    fn place(&self, task: NonNull<Control>, balance: Balance) {
        if self.is_shutting_down() {
            return self.keep_placed(task, balance);
        }
        // Neither the number of tasks here nor the one to come is to count this one.
        self.cancel_reservation();
        self.publish(1);
        // SAFETY: the caller's promise.
        let task = unsafe { NewTask::new(task) };
        if let Err(task) = Team::place(&self.team, task, balance, Some(self.index)) {
            self.reserve_stack().expect("a reservation that was just cancelled can be made again");
            self.keep_placed(task.into_raw(), balance);
        }
    }

    fn keep_placed(&self, task: NonNull<Control>, balance: Balance) {
        self.post.count_placement(balance);
        self.accept_local(task);
    }

    /// Accepts the task that may borrow from the caller of `run`.
    pub(crate) fn accept_main(&self, task: NonNull<Control>) {
        self.main.set(Some(task));
        self.accept_local(task);
    }

    /// Whether what is spawned now is cancelled from its birth.
    fn is_shutting_down(&self) -> bool {
        self.shutting_down.get()
    }

    /// Accepts a task that only this worker may start. A stack is reserved for it here.
    fn accept_local(&self, task: NonNull<Control>) {
        // SAFETY: the caller has just made the task, or taken it.
        unsafe { task.as_ref() }.tie();
        self.queue.push(task);
    }
}

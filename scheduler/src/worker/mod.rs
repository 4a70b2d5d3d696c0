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
mod leaving;
mod locals;
#[cfg(all(test, lisle_loom))]
mod models;
mod overflow;
mod stalling;
mod turn;
mod waits;

pub(crate) use base::Enter;
pub(crate) use leaving::MOST_STRIKES;
pub(crate) use overflow::describe_current;
use stalling::Quiet;

use std::cell::{Cell, RefCell};
use std::io;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::{self, Arc};
use lisle_runtime::stack::{Stack, StackCache};
use lisle_runtime::switch::Context;

use crate::driver::Driver;
use crate::metrics::Metrics;
use crate::post::{Notice, Post, PostOwner};
use crate::run_queue::{Counts, RunQueue};
use crate::task::{Control, IdBlock, Slab, Task, TaskId, TaskList};
use crate::team::Team;
use crate::timer::Timers;
use crate::turn::Allowance;

/// Switches between two looks at the inbox and the clock, which bounds how long a wake from another
/// thread or a due timer can be held up by tasks that keep yielding.
const POLL_INTERVAL: u32 = 64;

pub(crate) struct Worker {
    team: Arc<Team>,
    /// The worker's place in the team.
    index: usize,
    post: PostOwner,
    current: Cell<Option<NonNull<Control>>>,
    /// Where the thread's own stack continues while a task runs.
    base: Cell<Context>,

    queue: RunQueue,
    /// Tasks that have started and have not finished.
    started: TaskList,

    /// Switches left until the next look at the inbox and the clock, that one included.
    until_poll: Cell<u32>,
    epoch: Instant,
    /// The time since `epoch` at the last look at the clock.
    clock: Cell<Duration>,
    timers: RefCell<Timers>,
    driver: Driver,

    slab: Slab,
    stacks: RefCell<StackCache>,
    /// A stack of special size whose task has finished; released when the next one is wanted or
    /// retired, which happens on another stack.
    retired: Cell<Option<Stack>>,
    next_ids: Cell<IdBlock>,

    /// Whether it was already said that a task cannot start for want of memory.
    starved: Cell<bool>,
    shutting_down: Cell<bool>,
    /// The task that may borrow from the caller of `run`, if this worker runs one.
    main: Cell<Option<NonNull<Control>>>,
    /// Whether that task was left behind, and whether any was.
    left_main: Cell<bool>,
    left_behind: Cell<bool>,
    /// How many tasks were spawned here since the runtime ends, and whether it was said that they
    /// come to no end.
    late_spawns: Cell<u32>,
    spawns_without_end: Cell<bool>,
    /// Whether it was said which tasks in shields hold up the end of the runtime.
    told_shields: Cell<bool>,
    /// How often in a row this worker has spun, or could have, and nothing was posted.
    vain_spins: Cell<u32>,
    /// How long no worker has had anything to do, as far as this worker has seen it.
    quiet: Cell<Option<Quiet>>,
}

/// What the scheduler keeps for a thread. In one place, so that an operation that needs both looks
/// for it once.
struct Local {
    worker: Cell<*const Worker>,
    allowance: Allowance,
}

primitive::thread_local! {
    static LOCAL: Local = Local { worker: Cell::new(ptr::null()), allowance: Allowance::new() }
}

/// What the calling thread's task may still do in its turn.
#[inline(always)]
pub(crate) fn with_allowance<R>(look: impl FnOnce(&Allowance) -> R) -> R {
    LOCAL.with(|local| look(&local.allowance))
}

/// Calls `then` with the calling thread's worker, if it has one.
#[inline(always)]
pub(crate) fn with_current<R>(then: impl FnOnce(Option<&Worker>) -> R) -> R {
    // SAFETY: the closure cannot keep the reference: it takes one of any lifetime.
    then(unsafe { current() })
}

/// The same for a function that tells its caller's place, which a closure in it cannot.
///
/// # Safety
///
/// The function that calls this does not return while the reference is in use. Until then the
/// worker stays: it goes away only when its last task has finished and its base has been left.
#[inline(always)]
pub(crate) unsafe fn current<'a>() -> Option<&'a Worker> {
    // SAFETY: `Enter` keeps the pointer null or valid. The caller answers for the lifetime.
    unsafe { LOCAL.with(|local| local.worker.get()).as_ref() }
}

/// Whether the caller is a task of this team.
pub(crate) fn current_team_is(team: &Team) -> bool {
    with_current(|worker| worker.is_some_and(|worker| worker.is_of(team)))
}

/// The identity of the calling task, or `None` on a plain thread.
pub fn current_task() -> Option<Task> {
    with_current(|worker| Some(worker?.current_task().identity()))
}

/// Calls `say` with the running task, if there is one whose runtime wants panics to be told apart.
#[cold]
pub(crate) fn with_panicking_task(say: fn(&Control)) {
    with_current(|worker| {
        if let Some(worker) = worker
            && worker.team.settings.panic_note
            && let Some(task) = worker.current.get()
        {
            // SAFETY: the current task has not finished.
            say(unsafe { task.as_ref() });
        }
    });
}

/// Lets the other runnable tasks of this worker have a turn each, in the order in which they became
/// runnable, and then goes on. While more than 4,096 wait to start, these are as many as are
/// runnable, but not always the same ones: see [`spawn`](fn@crate::spawn).
///
/// On a plain thread it is `std::thread::yield_now`.
///
/// # Panics
///
/// Unwinds a task that is being cancelled because its runtime ends. Panics inside
/// [`no_suspend`](lisle_runtime::no_suspend).
#[inline]
#[track_caller]
pub fn yield_now() {
    // SAFETY: the reference is used in this call alone.
    match unsafe { current() } {
        Some(worker) => worker.yield_now(),
        None => primitive::thread::yield_now(),
    }
}

/// What the workers of the calling task's runtime have done until now, and what they have to do.
/// `None` on a plain thread.
pub fn metrics() -> Option<Metrics> {
    with_current(|worker| Some(metrics_of(&worker?.team)))
}

/// The same of any team. A task of the team gets what is true of its own worker now.
pub(crate) fn metrics_of(team: &Team) -> Metrics {
    with_current(|worker| {
        let Some(worker) = worker.filter(|worker| worker.is_of(team)) else {
            return team.metrics();
        };
        worker.publish(1);
        let mut metrics = team.metrics();
        metrics.workers[worker.index].switches += worker.uncounted_switches();
        metrics
    })
}

/// Notes of the running task, if there is one, whether a destructor that unwinds waits for what it
/// does. Returns what was noted before.
pub(crate) fn note_unwinding_below(below: bool) -> bool {
    let task = with_current(|worker| worker?.current.get());
    // SAFETY: the current task has not finished.
    task.is_some_and(|task| unsafe { task.as_ref() }.note_unwinding_below(below))
}

/// Ends the wait of a task, from any thread.
#[inline]
pub(crate) fn unpark(task: NonNull<Control>) {
    // SAFETY: the caller has used up the task's unparker, until when the task cannot finish.
    let control = unsafe { task.as_ref() };
    with_current(|worker| match worker {
        Some(worker) if worker.post.is(control.home()) => worker.deliver_unpark(task),
        Some(worker) => worker.wake_elsewhere(task, control.home()),
        // SAFETY: the task is parked or about to be, and its home waits for it, so the post is
        // alive. The unparker was the caller's.
        None => unsafe { Post::notify_home(control.home(), task, Notice::Unparked) },
    });
}

/// The unparker of a task was dropped, on any thread.
#[cold]
pub(crate) fn abandon(task: NonNull<Control>) {
    // SAFETY: the caller gives up the task's unparker, until when the task cannot finish its wait.
    let control = unsafe { task.as_ref() };
    with_current(|worker| match worker {
        Some(worker) if worker.post.is(control.home()) => worker.deliver_abandonment(task),
        // SAFETY: as in `unpark`.
        _ => unsafe { Post::notify_home(control.home(), task, Notice::Abandoned) },
    });
}

impl Worker {
    /// The worker at place `index` of a team, on the calling thread.
    pub(crate) fn new(team: Arc<Team>, index: usize) -> Self {
        let driver = Driver::new();
        let post = PostOwner::claim(team.posts.clone(), index, &driver);
        Self {
            index,
            current: Cell::new(None),
            base: Cell::new(Context::NONE),
            queue: RunQueue::new(post.backlog.clone()),
            post,
            started: TaskList::default(),
            until_poll: Cell::new(POLL_INTERVAL),
            epoch: Instant::now(),
            clock: Cell::new(Duration::ZERO),
            timers: RefCell::default(),
            driver,
            slab: Slab::default(),
            stacks: RefCell::new(StackCache::new(team.settings.stack_size)),
            retired: Cell::new(None),
            next_ids: Cell::default(),
            starved: Cell::new(false),
            shutting_down: Cell::new(false),
            main: Cell::new(None),
            left_main: Cell::new(false),
            left_behind: Cell::new(false),
            late_spawns: Cell::new(0),
            spawns_without_end: Cell::new(false),
            told_shields: Cell::new(false),
            vain_spins: Cell::new(0),
            quiet: Cell::new(None),
            team,
        }
    }

    /// Ends the wait of another worker's task.
    #[cold]
    fn wake_elsewhere(&self, task: NonNull<Control>, home: *const Post) {
        self.post.add(|counters| &counters.wakes_sent, 1);
        match self.team.posts.find(home) {
            // SAFETY: the task's unparker was that of the caller of `unpark`.
            Some(mate) => unsafe { mate.notify(task, Notice::Unparked) },
            // SAFETY: as in `unpark`.
            None => unsafe { Post::notify_home(home, task, Notice::Unparked) },
        }
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

    /// The running task, or `None` at the base, where a runtime takes the result of its main task.
    pub(crate) fn running_task(&self) -> Option<&Control> {
        // SAFETY: the current task has not finished, so its block is alive.
        self.current.get().map(|task| unsafe { task.as_ref() })
    }

    /// The next task number. Workers take numbers from the process by the block.
    pub(crate) fn next_id(&self) -> TaskId {
        let mut ids = self.next_ids.take();
        let id = ids.next().unwrap_or_else(|| {
            ids = TaskId::next_block();
            ids.next().expect("a block is not empty")
        });
        self.next_ids.set(ids);
        id
    }

    pub(crate) fn team(&self) -> &Arc<Team> {
        &self.team
    }

    /// Whether this is a worker of the team.
    pub(crate) fn is_of(&self, team: &Team) -> bool {
        ptr::eq(&*self.team, team)
    }

    /// Makes sure that one more task of the default stack size can start.
    pub(crate) fn reserve_stack(&self) -> io::Result<()> {
        self.stacks.borrow_mut().reserve()
    }

    /// Gives back what is kept at hand for tasks to come. Called at the base.
    fn rest(&self) {
        self.release_retired();
        self.stacks.borrow_mut().rest();
    }

    /// Returns the stack that was kept because its task still ran on it to end. The caller runs on
    /// another.
    pub(crate) fn release_retired(&self) {
        drop(self.retired.take());
    }

    /// Ends the team with its main task, which calls this at its end.
    pub(crate) fn end_team(&self) {
        self.shut_down(self.current.get());
        self.team.stop();
    }

    /// Publishes how many tasks there are. Of those that are not in the queue `running` run, and
    /// the others are parked.
    fn publish(&self, running: u64) {
        let Counts { runnable, unknown_thefts } = self.queue.counts();
        let live = (self.unfinished() - unknown_thefts) as u64;
        let runnable = runnable as u64 + running;
        self.post.set(|counters| &counters.live, live);
        self.post.set(|counters| &counters.runnable, runnable);
        self.post.set(|counters| &counters.parked, live.saturating_sub(runnable));
        self.post.set(|counters| &counters.stacks, self.stacks.borrow().len() as u64);
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
        u64::from(POLL_INTERVAL - self.until_poll.get())
    }

    /// Gives back what `reserve_stack` has promised.
    pub(crate) fn cancel_reservation(&self) {
        self.stacks.borrow_mut().cancel_reservation();
    }

    /// Accepts a task that any worker may start. A stack is reserved for it here.
    pub(crate) fn accept(&self, task: NonNull<Control>) {
        // SAFETY: the caller has just made the task, or taken it.
        unsafe { self.queue.push_new(task) };
        self.share_backlog();
    }

    /// Makes sure that there is a watcher if a task waits in the backlog.
    #[inline]
    fn share_backlog(&self) {
        if self.team.wants_watcher() && self.queue.has_backlog() {
            Team::call_watcher(&self.team);
        }
    }

    /// Accepts the task that may borrow from the caller of `run`.
    pub(crate) fn accept_main(&self, task: NonNull<Control>) {
        self.main.set(Some(task));
        self.accept_local(task);
    }

    /// Whether what is spawned now is cancelled from its birth.
    #[inline]
    pub(crate) fn is_shutting_down(&self) -> bool {
        self.shutting_down.get()
    }

    /// Accepts a new task that only this worker may start. A stack is reserved for it here.
    pub(crate) fn accept_local(&self, task: NonNull<Control>) {
        self.queue.push(task);
    }
}

//! The worker of the calling thread, and how the rest of the crate and its users call it.

use std::cell::Cell;
use std::ptr::{self, NonNull};

use lisle_runtime::internal::primitive;

use super::Worker;
use crate::cancel::{check_thread, uninterrupted};
use crate::explore::Passage;
use crate::metrics::Metrics;
use crate::park::Place;
use crate::post::{Notice, Post, Request, directory};
use crate::task::{Control, Task};
use crate::team::Team;
use crate::turn::Allowance;

/// What the scheduler keeps for a thread. One thread-local, so that an operation which needs both
/// fields looks it up once.
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

/// Makes a worker the calling thread's, until it is dropped.
pub(crate) struct Enter<'a>(&'a Worker);

impl<'a> Enter<'a> {
    pub(crate) fn new(worker: &'a Worker) -> Self {
        worker.occasions.begin();
        LOCAL.with(|local| local.worker.set(worker));
        Self(worker)
    }
}

impl Drop for Enter<'_> {
    fn drop(&mut self) {
        LOCAL.with(|local| local.worker.set(ptr::null()));
        self.0.occasions.end();
    }
}

/// Calls `then` with the calling thread's worker, if it has one.
#[inline(always)]
pub(crate) fn with_current<R>(then: impl FnOnce(Option<&Worker>) -> R) -> R {
    // SAFETY: the closure cannot keep the reference: it takes one of any lifetime.
    then(unsafe { current() })
}

/// The calling thread's worker, for a function that is `#[track_caller]`: a closure passed to
/// [`with_current`] would not see its caller's place.
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
///
/// # Examples
///
/// ```
/// lisle::run(|| assert_eq!(lisle::task::current().unwrap().name(), Some("main")));
/// assert!(lisle::task::current().is_none());
/// ```
pub fn current_task() -> Option<Task> {
    with_current(|worker| Some(worker?.current_task().identity()))
}

/// The number of the calling task, or 0 on a plain thread.
#[inline(always)]
pub fn current_number() -> u64 {
    with_current(|worker| worker.and_then(Worker::running_task).map_or(0, |task| task.id.number()))
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
/// runnable, and then goes on. While very many wait to start, these are as many as are
/// runnable, but not always the same ones: see [`spawn`](fn@crate::spawn).
///
/// On a plain thread it is `std::thread::yield_now`.
///
/// # Panics
///
/// Unwinds a task that is cancelled. Panics in a task inside
/// [`no_suspend`](lisle_runtime::no_suspend).
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// static DONE: AtomicBool = AtomicBool::new(false);
///
/// lisle::run(|| {
///     lisle::spawn(|| DONE.store(true, Ordering::Release));
///     while !DONE.load(Ordering::Acquire) {
///         lisle::yield_now(); // without it the task might never have its turn
///     }
/// });
/// ```
#[inline]
#[track_caller]
pub fn yield_now() {
    // SAFETY: the reference is used in this call alone.
    match unsafe { current() } {
        Some(worker) => worker.yield_now(),
        None => yield_thread(),
    }
}

/// Out of line: the compiler would keep the addresses of what is called here in registers over each
/// switch of a loop that yields.
#[cold]
#[inline(never)]
#[track_caller]
fn yield_thread() {
    primitive::thread::yield_now();
    check_thread();
}

/// As [`turn::next`](crate::turn::next), for an operation at this place.
pub fn next_turn_at(place: Place) {
    with_current(|worker| match worker {
        Some(worker) => worker.next_turn(place),
        None => with_allowance(Allowance::renew),
    });
}

/// The same for the taking of a lock, which unwinds the task only if its runtime ends.
#[cold]
pub fn next_turn_on_lock_at(place: Place) {
    with_current(|worker| match worker {
        Some(worker) if worker.is_explored() => worker.pass(Passage::Quick(place)),
        _ => uninterrupted(|| next_turn_at(place)),
    });
}

/// What the workers of the calling task's runtime have done until now, and what they have to do.
/// `None` on a plain thread.
///
/// # Examples
///
/// ```
/// assert!(lisle::run(|| lisle::metrics().unwrap().total().live_tasks) >= 1); // this one
/// assert!(lisle::metrics().is_none());
/// ```
pub fn metrics() -> Option<Metrics> {
    with_current(|worker| Some(metrics_of(&worker?.team)))
}

/// The metrics of `team`. Called by a task of the team, they are exact for its own worker.
pub(crate) fn metrics_of(team: &Team) -> Metrics {
    with_current(|worker| {
        let Some(worker) = worker.filter(|worker| worker.is_of(team)) else {
            return team.metrics();
        };
        worker.publish(1);
        worker.publish_rest();
        let mut metrics = team.metrics();
        metrics.workers[worker.index].switches += worker.uncounted_switches();
        metrics
    })
}

/// Notes in the running task, if there is one, whether a destructor called by an unwinding waits
/// for the code that runs now. Returns what was noted before.
pub(crate) fn note_unwinding_below(below: bool) -> bool {
    let task = with_current(|worker| worker?.current.get());
    // SAFETY: the current task has not finished.
    task.is_some_and(|task| unsafe { task.as_ref() }.note_unwinding_below(below))
}

/// Notes that the calling task has just accepted a connection, or whatever else it will hand to a
/// task of its own: what it spawns before it next suspends is placed on the worker that has the
/// fewest such tasks. So a plain loop that accepts and spawns uses all workers, although a task
/// stays where it starts.
///
/// An accepting operation calls it when it has succeeded, right before it returns. On a plain
/// thread it does nothing.
pub fn note_accept() {
    with_allowance(Allowance::note_accept);
    with_current(|worker| worker.iter().for_each(|worker| worker.births_differ.set(true)));
}

/// The running task, which serves what was accepted, ends.
pub(crate) fn note_end_of_accepted() {
    with_current(|worker| worker.expect("tasks run on workers").post.note_end_of_accepted());
}

/// Ends the wait of a task, from any thread.
#[inline]
pub(crate) fn unpark(task: NonNull<Control>) {
    // SAFETY: the caller has used up the task's unparker, until when the task cannot finish.
    let control = unsafe { task.as_ref() };
    with_current(|worker| match worker {
        Some(worker) if worker.wakes_fast.get() == control.home() => worker.deliver_unpark(task),
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

/// Asks a worker of any team for something: at once, if it is the calling thread's.
pub(crate) fn ask(post: *const Post, request: Request) {
    with_current(|worker| match worker {
        Some(worker) if worker.post.is(post) => worker.receive_request(request),
        worker => {
            if let Some(mate) = worker.and_then(|worker| worker.team.posts.find(post)) {
                let _ = mate.ask(request);
            } else if let Some((posts, index)) = directory::find(post) {
                let _ = posts.all()[index].ask(request);
            }
        }
    });
}

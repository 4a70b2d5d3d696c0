//! What the scheduler asks at each choice, and what it tells.

use std::any::Any;
use std::cell::{RefCell, RefMut};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use super::failure::{Cause, Event, History, What};
use super::fault::{Fault, Faults};
use super::points::{self, Passage};
use super::strategy::Plan;
use crate::deadlock::{Deadlock, TaskReport};
use crate::park::{Place, Reason};
use crate::task::{Cancelled, TaskId};

/// A choice that was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) chosen: u32,
    /// How many answers there were.
    pub(super) of: u32,
    /// Whether all but the first answer interrupt a task that could go on.
    pub(super) interrupts: bool,
}

/// What a choice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Which task goes on, one of which, the first, is interrupted if it is not chosen.
    MayPreempt,
    /// Which task goes on.
    Next,
    /// Something else: which operation of a select is tried first.
    Thing,
    /// Whether a fault strikes. The first answer is no.
    Fault,
}

impl Choice {
    fn new(kind: Kind, chosen: usize, of: usize) -> Self {
        let interrupts = matches!(kind, Kind::MayPreempt | Kind::Fault);
        Self { chosen: chosen as u32, of: of as u32, interrupts }
    }
}

/// Whether tasks come to a point before they release a lock: see
/// [`pass_before_release`](super::points::pass_before_release).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Releases {
    #[default]
    Unseen,
    Seen,
}

/// Makes the choices of an execution after the other.
pub(crate) struct Engine {
    state: OfOneThread<State>,
    max_steps: usize,
    faults: Faults,
    /// Whether what happens is kept.
    records: AtomicBool,
    is_deadlocked: AtomicBool,
}

pub(super) struct State {
    plan: Plan,
    pub(super) choices: Vec<Choice>,
    pub(super) extent: Extent,
    pub(super) releases: Releases,
    /// What has happened since that was wanted.
    history: History,
    /// Whether faults can strike: not before and after the program.
    runs: bool,
    cause: Option<Cause>,
}

/// How much there was to choose in an execution.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extent {
    /// Choices between tasks, those included for which there was one answer alone.
    steps: usize,
    /// Those for which there were several.
    pub(super) turns: usize,
    /// How often a fault could have struck.
    pub(super) hazards: usize,
    /// Whether it was looked at whether a lock is held.
    pub(super) looks: bool,
}

impl Engine {
    pub(super) fn new(max_steps: usize, faults: Faults) -> Self {
        let state = State {
            plan: Plan::Given(Default::default()),
            choices: Vec::new(),
            extent: Extent::default(),
            releases: Releases::default(),
            history: History::new(),
            runs: false,
            cause: None,
        };
        Self {
            state: OfOneThread::new(state),
            max_steps,
            faults,
            records: AtomicBool::new(false),
            is_deadlocked: AtomicBool::new(false),
        }
    }

    /// An execution begins, whose choices are made by `plan`.
    pub(super) fn begin(&self, plan: Plan, releases: Releases) {
        if releases == Releases::Seen {
            points::begin_use_at_releases();
        }
        let mut state = self.state();
        state.plan = plan;
        state.releases = releases;
        state.choices.clear();
        state.extent = Extent::default();
        state.runs = true;
    }

    /// Keeps what happens from now on.
    pub(super) fn record(&self) {
        self.records.store(true, Ordering::Relaxed);
    }

    /// The program has come to its end, or is unwound: no fault strikes any more.
    pub(super) fn end(&self) {
        self.state().runs = false;
    }

    /// All tasks wait. What happens from now on is not the program's doing.
    pub(crate) fn note_deadlock(&self) {
        self.records.store(false, Ordering::Relaxed);
        self.is_deadlocked.store(true, Ordering::Relaxed);
    }

    pub(super) fn take_history(&self) -> History {
        std::mem::take(&mut self.state().history)
    }

    /// Which of several tasks goes on after `parting`. The number of the one at a place is asked
    /// for by those plans that want it. `None` if the execution has just become longer than it may
    /// be.
    #[inline]
    pub(crate) fn choose_task(
        &self,
        kind: Kind,
        of: usize,
        parting: Option<TaskId>,
        number: impl Fn(usize) -> u64,
    ) -> Option<usize> {
        let mut state = self.state();
        state.extent.steps += 1;
        if state.extent.steps >= self.max_steps && state.cause.is_none() {
            state.cause = Some(Cause::Endless(self.max_steps));
            return None;
        }
        if of < 2 {
            return Some(0);
        }
        let State { plan, choices, extent, .. } = &mut *state;
        let chosen = match plan {
            Plan::Pct(pct) => pct.choose(extent.turns, of, parting.map(TaskId::number), number),
            plan => plan.choose(kind, choices.len(), of),
        };
        extent.turns += 1;
        choices.push(Choice::new(kind, chosen, of));
        Some(chosen)
    }

    /// Whether a task comes to a point before it releases a lock.
    #[inline]
    pub(crate) fn sees_releases(&self) -> bool {
        self.state().releases == Releases::Seen
    }

    pub(super) fn note_look_at_lock(&self) {
        self.state().extent.looks = true;
    }

    /// A task asks for others to run.
    pub(crate) fn note_yield(&self, task: TaskId) {
        self.state().plan.note_yield(task.number());
    }

    /// Which of `len` things comes first.
    pub(super) fn choose_thing(&self, len: usize) -> usize {
        if len < 2 { 0 } else { self.state().choose(Kind::Thing, len) }
    }

    /// Whether a fault strikes now.
    pub(crate) fn strikes(&self, fault: Fault, task: Option<TaskId>, place: Option<Place>) -> bool {
        if !self.faults.contain(fault) {
            return false;
        }
        let mut state = self.state();
        if !state.runs {
            return false;
        }
        state.extent.hazards += 1;
        let strikes = state.choose(Kind::Fault, 2) == 1;
        if strikes && self.records() {
            let task = task.map_or(0, TaskId::number);
            state.history.push(Event { task, what: What::Fault(fault), place });
        }
        strikes
    }

    pub(crate) fn note_passage(&self, task: TaskId, passage: Passage) {
        match passage {
            Passage::Waiting(place) | Passage::Quick(place) => {
                self.note(task, What::Operation, Some(place));
            }
            Passage::Aside(what, place) => self.note(task, What::Aside(what), place),
            Passage::Release(place @ Some(_)) => {
                self.note(task, What::Aside("unlocks what it has locked here"), place);
            }
            Passage::Release(None) => self.note(task, What::Aside("unlocks"), None),
        }
    }

    pub(crate) fn note_wait(&self, task: TaskId, reason: Reason, place: Place) {
        self.note(task, What::Wait(reason), Some(place));
    }

    /// Whether what happens is kept.
    #[inline]
    pub(crate) fn records(&self) -> bool {
        self.records.load(Ordering::Relaxed)
    }

    #[inline]
    fn note(&self, task: TaskId, what: What, place: Option<Place>) {
        if self.records() {
            self.state().history.push(Event { task: task.number(), what, place });
        }
    }

    /// The program has panicked, or one of its tasks has, which nobody joins.
    pub(crate) fn note_panic(&self, panic: &(dyn Any + Send)) {
        if Cancelled::of(panic).is_none() {
            self.note_cause(Cause::of_panic(panic));
        }
    }

    /// Whether it is known that the execution has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.is_deadlocked.load(Ordering::Relaxed) || self.state().cause.is_some()
    }

    /// Tasks are left that wait for ever.
    pub(super) fn note_lost(&self, tasks: Vec<TaskReport>) {
        self.note_cause(Cause::Lost(tasks));
    }

    fn note_cause(&self, cause: Cause) {
        self.state().cause.get_or_insert(cause);
    }

    /// Why the last execution has failed, if it has.
    pub(super) fn cause_of(&self, ended: Result<(), Deadlock>) -> Option<Cause> {
        let cause = self.state().cause.take();
        cause.or_else(|| ended.err().map(Cause::Deadlock))
    }

    /// Not across a call of anything that could ask for it again.
    #[inline]
    pub(super) fn state(&self) -> RefMut<'_, State> {
        self.state.get()
    }
}

impl State {
    fn choose(&mut self, kind: Kind, of: usize) -> usize {
        let chosen = self.plan.choose(kind, self.choices.len(), of);
        self.choices.push(Choice::new(kind, chosen, of));
        chosen
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// What one thread has made and alone uses: that on which the program is explored. A lock would
/// cost as much as a choice.
struct OfOneThread<T> {
    thread: usize,
    value: RefCell<T>,
}

// SAFETY: `get`, the one way to the value, panics on other threads than that which has made it.
unsafe impl<T: Send> Sync for OfOneThread<T> {}

impl<T> OfOneThread<T> {
    fn new(value: T) -> Self {
        Self { thread: this_thread(), value: RefCell::new(value) }
    }

    #[inline]
    fn get(&self) -> RefMut<'_, T> {
        assert_eq!(self.thread, this_thread(), "an exploration is used by one thread");
        self.value.borrow_mut()
    }
}

/// The address of a thread-local: that of no other thread that lives.
#[inline]
fn this_thread() -> usize {
    thread_local! {
        static HERE: u8 = const { 0 }
    }
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

//! What the scheduler asks at each choice, and what it tells.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::failure::{Cause, Event, History, What};
use super::strategy::Plan;
use crate::deadlock::{Deadlock, TaskReport};
use crate::park::{Place, Reason};
use crate::task::{Cancelled, TaskId};

/// A task that could go on, and its place in the queue.
pub(crate) struct Candidate {
    pub(crate) task: TaskId,
    pub(crate) place: usize,
}

/// A choice that was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) chosen: usize,
    /// How many answers there were.
    pub(super) of: usize,
}

/// What a choice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Which task goes on, one of which, the first, is interrupted if it is not chosen.
    MayPreempt,
    /// Which task goes on.
    Next,
    /// Something else: which operation of a select is tried first.
    Thing,
}

/// Makes the choices of an execution after the other. Used by one thread: its lock is never waited
/// for.
pub(crate) struct Engine {
    state: Mutex<State>,
    max_steps: usize,
    is_too_long: AtomicBool,
    /// Whether what happens is kept.
    records: AtomicBool,
}

struct State {
    plan: Plan,
    choices: Vec<Choice>,
    /// Choices between tasks, those included for which there was one answer alone.
    steps: usize,
    options: Vec<u64>,
    places: Vec<usize>,
    /// What has happened since that was wanted.
    history: History,
    has_ended: bool,
    is_deadlocked: bool,
    cause: Option<Cause>,
}

impl Engine {
    pub(super) fn new(max_steps: usize) -> Self {
        let state = State {
            plan: Plan::Given(Default::default()),
            choices: Vec::new(),
            steps: 0,
            options: Vec::new(),
            places: Vec::new(),
            history: History::new(),
            has_ended: false,
            is_deadlocked: false,
            cause: None,
        };
        Self {
            state: Mutex::new(state),
            max_steps,
            is_too_long: AtomicBool::new(false),
            records: AtomicBool::new(false),
        }
    }

    /// An execution begins, whose choices are made by `plan`.
    pub(super) fn begin(&self, plan: Plan) {
        let mut state = self.lock();
        state.plan = plan;
        state.choices.clear();
        state.has_ended = false;
        state.steps = 0;
    }

    /// Keeps what happens from now on.
    pub(super) fn record(&self) {
        self.records.store(true, Ordering::Relaxed);
    }

    /// The choices of an execution that has ended, and the number of its steps.
    pub(super) fn end(&self) -> (Vec<Choice>, usize) {
        let mut state = self.lock();
        state.has_ended = true;
        (std::mem::take(&mut state.choices), state.steps)
    }

    /// Whether the choices of the last execution were asked for.
    pub(super) fn has_ended(&self) -> bool {
        self.lock().has_ended
    }

    /// All tasks wait. What happens from now on is not the program's doing.
    pub(crate) fn note_deadlock(&self) {
        self.records.store(false, Ordering::Relaxed);
        self.lock().is_deadlocked = true;
    }

    pub(super) fn take_history(&self) -> History {
        std::mem::take(&mut self.lock().history)
    }

    /// The place in the queue of the task that goes on after `parting`, or `None` if there is none.
    /// The first of the candidates is that one, and could simply go on, if this `may_preempt`.
    pub(crate) fn choose_task(
        &self,
        parting: Option<TaskId>,
        candidates: impl Iterator<Item = Candidate>,
        may_preempt: bool,
    ) -> Option<usize> {
        let mut state = self.lock();
        let state = &mut *state;
        state.options.clear();
        state.places.clear();
        for candidate in candidates {
            state.options.push(candidate.task.number());
            state.places.push(candidate.place);
        }
        state.plan.note_step(state.steps, parting.map(TaskId::number));
        state.steps += 1;
        if state.steps >= self.max_steps && state.cause.is_none() {
            state.cause = Some(Cause::Endless(self.max_steps));
            self.is_too_long.store(true, Ordering::Relaxed);
        }
        let kind = if may_preempt { Kind::MayPreempt } else { Kind::Next };
        let chosen = match state.options.len() {
            0 => return None,
            1 => 0,
            _ => state.choose(kind),
        };
        Some(state.places[chosen])
    }

    /// A task asks for others to run.
    pub(crate) fn note_yield(&self, task: TaskId) {
        self.lock().plan.note_yield(task.number());
    }

    /// Which of `len` things comes first.
    pub(super) fn choose_thing(&self, len: usize) -> usize {
        let mut state = self.lock();
        if len < 2 {
            return 0;
        }
        state.options.clear();
        state.options.extend(0..len as u64);
        state.choose(Kind::Thing)
    }

    /// Whether the execution has just become longer than it may be.
    pub(crate) fn is_too_long(&self) -> bool {
        self.is_too_long.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn note_operation(&self, task: TaskId, place: Place) {
        self.note(task, What::Operation, place);
    }

    pub(crate) fn note_wait(&self, task: TaskId, reason: Reason, place: Place) {
        self.note(task, What::Wait(reason), place);
    }

    /// Whether what happens is kept.
    pub(crate) fn records(&self) -> bool {
        self.records.load(Ordering::Relaxed)
    }

    fn note(&self, task: TaskId, what: What, place: Place) {
        if self.records() {
            self.lock().history.push(Event { task: task.number(), what, place });
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
        let state = self.lock();
        state.is_deadlocked || state.cause.is_some()
    }

    /// Tasks are left that wait for ever.
    pub(super) fn note_lost(&self, tasks: Vec<TaskReport>) {
        self.note_cause(Cause::Lost(tasks));
    }

    fn note_cause(&self, cause: Cause) {
        self.lock().cause.get_or_insert(cause);
    }

    /// Why the last execution has failed, if it has.
    pub(super) fn cause_of(&self, ended: Result<(), Deadlock>) -> Option<Cause> {
        let cause = self.lock().cause.take();
        cause.or_else(|| ended.err().map(Cause::Deadlock))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn choose(&mut self, kind: Kind) -> usize {
        let (chosen, of) = self.plan.choose(kind, self.choices.len(), &self.options);
        self.choices.push(Choice { chosen, of });
        chosen
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

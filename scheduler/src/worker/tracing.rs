//! What a worker notes while a [recording](crate::trace) goes on.

use std::ptr::NonNull;

use super::{POLL_INTERVAL, Worker};
use crate::task::{Control, Phase, Runnable};
use crate::trace::{Cause, How, What};
use lisle_runtime::switch::Context;

impl Worker {
    /// Notes something, if this worker takes part in a recording.
    pub(crate) fn note(&self, what: What) {
        self.tracer.note(what);
    }

    /// Takes part in a recording that has begun, or not any more in one that has ended.
    #[cold]
    pub(crate) fn follow_recording(&self) {
        if !self.tracer.is_behind() {
            return;
        }
        let settings = &self.team.settings;
        self.tracer.follow(|| format!("{} worker {}", settings.title(), self.index));
        if self.tracer.is_on() {
            // Each turn and each spawn takes the slow path from now on.
            self.count_switches(1);
            self.births_differ.set(true);
            self.started.for_each(|task| self.note_name(task));
            if let Some(current) = self.running_task() {
                self.note_turn_of(current);
            }
        }
    }

    /// Switches until the next turn that takes the slow path.
    pub(super) fn interval(&self) -> u32 {
        if self.sees_each_turn() || self.is_explored() { 1 } else { self.turns_until_poll() }
    }

    /// Whether each turn takes the slow path, although not each polls.
    fn sees_each_turn(&self) -> bool {
        self.tracer.is_on() || self.is_watched()
    }

    /// Whether a turn that takes the slow path polls before it.
    pub(super) fn lets_poll(&self) -> bool {
        !self.sees_each_turn() || self.tracer.lets_poll(POLL_INTERVAL)
    }

    fn note_name(&self, task: &Control) {
        if let Some(name) = task.name() {
            self.note(What::name(task.id.number(), name));
        }
    }

    /// The present turn ends, and the next begins: notes it, if that is recorded or watched.
    #[inline]
    pub(super) fn note_turn(&self, next: Option<&Runnable>) {
        if self.sees_each_turn() {
            self.count_switches(1);
            self.tell_end_of_turn();
        }
        if self.tracer.is_on() {
            self.note_switch(next.map(|next| &**next));
        }
    }

    fn note_turn_of(&self, task: &Control) {
        self.tracer.exchange_turn(task.id.number());
        let (next, spawned_at) = (task.id.number(), Some(task.spawned_at));
        self.note(What::Turn { how: How::Nothing, reason: None, next, spawned_at });
    }

    fn note_switch(&self, next: Option<&Control>) {
        let number = next.map_or(0, |next| next.id.number());
        let before = self.tracer.exchange_turn(number);
        let (how, reason) = match self.running_task() {
            _ if before == 0 => (How::Nothing, None),
            None => (How::Ends, None),
            Some(task) => match task.phase.get() {
                Phase::Parked | Phase::AwaitsUnpark => {
                    (How::Waits, task.park_record().map(|record| record.told()))
                }
                _ => (How::Yields, None),
            },
        };
        if how == How::Nothing && next.is_none() {
            return;
        }
        if let Some(next) = next.filter(|next| next.context() == Context::NONE) {
            self.note_name(next);
        }
        let spawned_at = next.map(|next| next.spawned_at);
        self.note(What::Turn { how, reason, next: number, spawned_at });
    }

    /// Notes that the unparker of a task was used.
    #[cold]
    #[inline(never)]
    pub(super) fn note_unpark(&self, task: NonNull<Control>) {
        self.note_wake(task, Cause::Elsewhere);
    }

    /// Notes that a task becomes runnable. It is woken by the current task, unless the worker
    /// itself does that.
    #[cold]
    pub(super) fn note_wake(&self, task: NonNull<Control>, otherwise: Cause) {
        // SAFETY: a task that is being woken has not finished.
        let task = unsafe { task.as_ref() }.id.number();
        let waker = self.running_task().filter(|_| !self.tracer.polls());
        let (by, cause) = match waker {
            Some(waker) => (waker.id.number(), Cause::Task),
            None => (0, otherwise),
        };
        self.note(What::Wake { task, by, cause });
    }

    /// Notes a new task, if that is recorded.
    #[inline]
    pub(super) fn note_spawn(&self, task: NonNull<Control>) {
        if self.tracer.is_on() {
            // SAFETY: the caller has just made the task, or taken it.
            let task = unsafe { task.as_ref() };
            let by = self.running_task().filter(|_| !self.tracer.polls());
            let by = by.map_or(0, |by| by.id.number());
            self.note(What::Spawn { task: task.id.number(), by, spawned_at: task.spawned_at });
        }
    }
}

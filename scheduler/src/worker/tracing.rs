//! What a worker notes while a [recording](crate::trace) goes on.

use std::ptr::{self, NonNull};

use lisle_runtime::switch::Context;

use super::{POLL_INTERVAL, Worker};
use crate::carry::Mate;
use crate::park::Place;
use crate::post::Post;
use crate::task::{Control, Phase, Runnable};
use crate::trace::{Cause, How, Text, What};

impl Worker {
    /// Notes something, if this worker takes part in a recording.
    pub(crate) fn note(&self, what: What) {
        self.tracer.note(what);
    }

    /// Takes part in a recording that has begun, or not any more in one that has ended.
    #[inline]
    pub(crate) fn follow_recording(&self) {
        if self.tracer.is_behind() {
            self.begin_or_end_to_follow();
        } else if self.tracer.is_on() {
            self.renew_tasks();
        }
    }

    #[cold]
    fn begin_or_end_to_follow(&self) {
        let settings = &self.team.settings;
        self.tracer.follow(|| format!("{} worker {}", settings.title(), self.index));
        if self.tracer.is_on() {
            // Each turn and each spawn takes the slow path from now on.
            self.count_switches(1);
            self.births_differ.set(true);
            self.renew_tasks();
            if let Some(current) = self.running_task() {
                self.note_turn_of(current);
            }
        }
        self.heeds_turns.set(self.sees_each_turn() || self.is_explored());
        self.look_for_own_wakes();
    }

    /// Has a ring say once more what the tasks are called, before it has forgotten.
    fn renew_tasks(&self) {
        self.started.for_each_of_newest(self.tracer.renewals(), |task| {
            self.note(What::Known { task: task.id.number(), spawned_at: task.spawned_at });
            self.note_name(task);
        });
    }

    /// A wake-up by a task of this worker is noted while something is recorded, which its fast path
    /// does not do.
    fn look_for_own_wakes(&self) {
        let post = if self.tracer.is_on() { ptr::null() } else { &raw const *self.post };
        self.wakes_fast.set(post);
    }

    /// Switches until the next turn that takes the slow path.
    pub(super) fn interval(&self) -> u32 {
        if self.heeds_turns.get() { 1 } else { self.turns_until_poll() }
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
            What::name(task.id.number(), name).for_each(|part| self.note(part));
        }
    }

    /// The present turn ends, and the next begins: notes it, if that is recorded or watched.
    #[cold]
    #[inline(never)]
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
        let next = task.id.number();
        self.tracer.exchange_turn(next);
        self.note(What::Turn { how: How::Nothing, reason: None, next });
    }

    #[inline(always)]
    fn note_switch(&self, next: Option<&Control>) {
        let number = next.map_or(0, |next| next.id.number());
        let before = self.tracer.exchange_turn(number);
        let Some(next) = next else {
            return self.note_last_turn(before);
        };
        if next.context() == Context::NONE {
            self.note(What::Known { task: number, spawned_at: next.spawned_at });
            self.note_name(next);
        }
        let (how, reason) = self.end_of_turn(before);
        self.tracer.note_now(What::Turn { how, reason, next: number });
    }

    #[cold]
    fn note_last_turn(&self, before: u64) {
        let (how, reason) = self.end_of_turn(before);
        if how != How::Nothing {
            self.note(What::Turn { how, reason, next: 0 });
        }
    }

    /// How the turn ends of the task with the number `before`, 0 if there is none.
    #[inline(always)]
    fn end_of_turn(&self, before: u64) -> (How, Option<(Text, Place)>) {
        match self.running_task() {
            _ if before == 0 => (How::Nothing, None),
            None => (How::Ends, None),
            Some(task) => match task.phase.get() {
                Phase::Parked | Phase::AwaitsUnpark => {
                    (How::Waits, task.park_record().map(|record| record.told()))
                }
                _ => (How::Yields, None),
            },
        }
    }

    /// Notes that a task becomes runnable. It is woken or cancelled by the task whose turn it is,
    /// unless the worker itself does that.
    pub(super) fn note_wake(&self, task: NonNull<Control>, otherwise: Cause) {
        if !self.tracer.is_on() {
            return;
        }
        // SAFETY: a task that is being woken has not finished.
        let task = unsafe { task.as_ref() }.id.number();
        let (by, cause) = match self.tracer.acting_task() {
            0 if self.driver.delivers() => (0, Cause::Descriptor),
            0 => (0, otherwise),
            by if otherwise == Cause::Cancel => (by, Cause::Cancel),
            by => (by, Cause::Task),
        };
        self.tracer.note_now(What::Wake { task, by, cause });
    }

    /// Notes that this worker is about to rest, and its thread to run a mate.
    pub(super) fn note_carrying(&self, mate: Mate) {
        if self.tracer.is_on() {
            self.note(What::Sleep);
            let is_mate = |post: &Post| post.mate() == Some(mate);
            if let Some(worker) = self.team.posts.all().iter().position(is_mate) {
                self.note(What::Carried { worker: worker as u64 });
            }
        }
    }

    /// Notes a new task, if that is recorded.
    #[inline]
    pub(super) fn note_spawn(&self, task: NonNull<Control>) {
        if self.tracer.is_on() {
            // SAFETY: the caller has just made the task, or taken it.
            let task = unsafe { task.as_ref() };
            let by = self.tracer.acting_task();
            self.note(What::Spawn { task: task.id.number(), by, spawned_at: task.spawned_at });
        }
    }
}

//! Crowds: tasks of a kind that wait for work as soon as they start, such as actors and the members
//! of a pool. They are dealt to the workers that are idle.
//!
//! A task stays where it starts, and a burst of such tasks has started long before another worker
//! could have come for them: without this all would live on one. What tells them from tasks that
//! are better left together? Nothing does before the first one has had its turn. So it is watched
//! in that turn, and when the next task from the same place of the program is about to start, the
//! two are a crowd if
//!
//! - the first one waits, for something to do ([`Object::awaits_work`](crate::park::Object)): a
//!   sender, a joiner and a sleeper do not;
//! - it has done nothing before: no operation of a channel that succeeds or fails at once, no
//!   spawn, no wake-up. One that has asked for something has a partner, which should be near;
//! - one more at least is there: pairs stay together.
//!
//! Then those of the burst that have not started are dealt in blocks, the others' first, so that no
//! worker gets more than a block more than another. A task starts here nevertheless if the one
//! before it has not gone on like the first. Those of other places end the deal, and start where
//! they are. README.md says what this gains, and NOTES.md what was rejected.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::ptr::{self, NonNull};

use super::{Worker, with_allowance};
use crate::injector::NewTask;
use crate::task::{Control, Phase, Runnable};
use crate::team::Team;
use crate::turn::Allowance;

/// How many tasks in a row go to one worker at most. Neighbours often talk to each other.
const LONGEST_BLOCK: usize = 4;

#[derive(Default)]
pub(super) struct Crowd {
    /// How many tasks had started when one was last about to start on a stack of its own.
    started: Cell<usize>,
    /// The task that did so, as long as it has done nothing.
    watched: Cell<Option<NonNull<Control>>>,
    /// How much was pushed into the queue by then.
    pushes: Cell<usize>,
    deal: RefCell<Option<Deal>>,
}

/// A crowd that is being dealt.
struct Deal {
    /// Where its tasks are spawned.
    place: &'static Location<'static>,
    /// Those that were idle when it began. They are busy as soon as they have their first tasks.
    workers: Vec<usize>,
    block: usize,
    /// How many tasks were dealt, with those whose turn it was to stay.
    dealt: usize,
    /// How many tasks that waited when it began have not come to their turn yet.
    left: usize,
}

impl Crowd {
    /// Whether the last task that was about to start may have stayed: now this many have started.
    /// The one comparison that every other start pays for.
    #[inline]
    pub(super) fn may_grow(&self, started: usize) -> bool {
        self.started.replace(started) != started
    }

    /// The running task does something before it waits. True if it was watched for that.
    pub(super) fn is_left_by(&self, task: &Control) -> bool {
        let is_watched = self.watched.get() == Some(NonNull::from(task));
        if is_watched {
            self.watched.set(None);
        }
        is_watched
    }
}

impl Worker {
    /// Gives a task that is about to start to another worker, if it is one of a crowd and the turn
    /// of that worker has come. False if it starts here.
    #[cold]
    #[inline(never)]
    pub(super) fn deals(&self, task: &Runnable) -> bool {
        // What a model does is to depend on fewer choices; placing has models of its own.
        if cfg!(lisle_loom) || self.team.is_alone() || self.shutting_down.get() {
            return false;
        }
        let is_crowd = !task.is_tied() && self.has_waited_at_once(task.spawned_at);
        let mut deal = self.crowd.deal.borrow_mut();
        if !deal.as_mut().is_some_and(|deal| deal.goes_on_with(task.spawned_at)) {
            *deal = if is_crowd { self.begin_deal(task.spawned_at) } else { None };
        }
        let watches = deal.is_some() || self.team.idle.is_any();
        let target = deal.as_mut().filter(|_| is_crowd).and_then(Deal::next);
        drop(deal);
        if target.is_some_and(|target| self.hand_over(task, target)) {
            // The one that is watched is still the last that has started.
            self.crowd.started.set(usize::MAX);
            return true;
        }
        self.watch_first_turn(task, watches);
        false
    }

    /// Whether the last task that has started comes from this place too, and has done nothing but
    /// wait for something to do.
    fn has_waited_at_once(&self, place: &Location<'_>) -> bool {
        let watched = self.crowd.watched.get();
        self.queue.pushes() == self.crowd.pushes.get()
            && self.started.newest().is_some_and(|newest| {
                watched == Some(NonNull::from(newest))
                    && ptr::eq(newest.spawned_at, place)
                    && newest.phase.get() == Phase::Parked
                    && newest.park_record().is_some_and(|record| record.awaits_work())
            })
    }

    /// The task that is about to start is the second of a crowd, whose others wait in the backlog.
    fn begin_deal(&self, place: &'static Location<'static>) -> Option<Deal> {
        let others = self.queue.backlog_len();
        let workers = if others > 0 { self.team.find_idle(self.index) } else { Vec::new() };
        let share = (others + 2).div_ceil(workers.len() + 1);
        let block = share.min(LONGEST_BLOCK);
        (!workers.is_empty()).then_some(Deal { place, workers, block, dealt: 0, left: others })
    }

    /// False if the worker cannot be had.
    fn hand_over(&self, task: &Runnable, target: usize) -> bool {
        // SAFETY: the task is not tied, so closure and result are `Send`, and the caller, which has
        // taken it out of the queue, gives it up if it is taken here.
        let task = unsafe { NewTask::new(NonNull::from(&**task)) };
        let is_taken = Team::place_on(&self.team, target, task).is_ok();
        if is_taken {
            self.cancel_reservation();
        }
        is_taken
    }

    /// Watches whether a task that starts now does nothing but wait: its first operation that need
    /// not wait ends its allowance.
    fn watch_first_turn(&self, task: &Runnable, watches: bool) {
        self.crowd.watched.set(watches.then(|| NonNull::from(&**task)));
        self.crowd.pushes.set(self.queue.pushes());
        if watches {
            with_allowance(Allowance::postpone);
        }
    }
}

impl Deal {
    /// Whether a task that comes to its turn is one of those that are dealt.
    fn goes_on_with(&mut self, place: &Location<'_>) -> bool {
        let goes_on = self.left > 0 && ptr::eq(self.place, place);
        self.left = self.left.saturating_sub(1);
        goes_on
    }

    /// Which worker gets the next task; `None` for the one that deals.
    fn next(&mut self) -> Option<usize> {
        let round = (self.workers.len() + 1) * self.block;
        let turn = self.dealt % round / self.block;
        self.dealt += 1;
        self.workers.get(turn).copied()
    }
}

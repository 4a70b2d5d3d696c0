//! Cancelling tasks of this worker, and regions of them.

use std::ptr::NonNull;

use super::{Worker, locals};
use crate::cancel::{Region, RegionLink, Struck};
use crate::park::Place;
use crate::task::{CancelledBy, Control, Phase, Whereabouts};

impl Worker {
    /// Cancels every task but the spared one: each unwinds at its next turn, from where it waits.
    /// Tasks that have not started yet are cancelled when they begin.
    pub(crate) fn shut_down(&self, spared: Option<NonNull<Control>>) {
        self.shutting_down.set(true);
        self.births_differ.set(true);
        self.started.for_each(|task| {
            if Some(NonNull::from(task)) != spared {
                task.cancel(CancelledBy::Runtime);
                self.end_wait_if_exposed(task);
            }
        });
    }

    /// Cancels a task as it was requested, if it has started here and has not ended. If it has not
    /// started, the worker that starts it sees the request.
    pub(super) fn cancel(&self, task: &Control) {
        let is_here = task.whereabouts() == Whereabouts::StartedOn(&raw const *self.post);
        if is_here
            && !task.has_ended()
            && let Some(by) = task.requested_cancel()
        {
            task.cancel(by);
            self.end_wait_if_exposed(task);
        }
    }

    /// Cancels a task that is about to start here: so it does not run.
    #[cold]
    #[inline(never)]
    pub(super) fn cancel_at_start(&self, task: &Control) {
        if let Some(by) = task.requested_cancel() {
            task.cancel(by);
        }
        if self.shutting_down.get() {
            task.cancel(CancelledBy::Runtime);
        }
    }

    /// Cancels the region of a task of this worker's, if it is still open.
    pub(super) fn cancel_region(&self, link: &RegionLink) {
        // SAFETY: the task has its region open, or had, on this worker, which looks at it in its
        // own thread.
        if let Some(region) = unsafe { link.region() } {
            self.strike_region(region);
        }
    }

    /// Cancels what runs in a region.
    pub(super) fn strike_region(&self, region: &Region) {
        region.cancel();
        let task = region.task();
        task.find_exposure();
        self.end_wait_if_exposed(task);
    }

    fn end_wait_if_exposed(&self, task: &Control) {
        if task.is_exposed() {
            self.interrupt(task, Phase::Cancelled);
        }
    }

    /// See [`check_cancelled`](crate::cancel::check_cancelled).
    #[cold]
    pub(crate) fn check_cancelled(&self, place: Place) {
        let Some(me) = self.running_task() else { return };
        me.look_for_cancel();
        if !me.is_exposed() || me.unwinds_below() || std::thread::panicking() || locals::are_gone()
        {
            return;
        }
        // Where nothing can be unwound, waits fail instead in a region whose time is over, and in a
        // task that is cancelled and has borrowed from a scope: it could not be left behind.
        let may_leave = |me: &Control| me.bond().is_none() || me.meets_the_end();
        match me.struck() {
            Some(Struck::Task) if cfg!(panic = "unwind") || may_leave(me) => self.strike(place),
            Some(Struck::Region(region)) if cfg!(panic = "unwind") => {
                self.strike_in_region(region, place)
            }
            _ => {}
        }
    }
}

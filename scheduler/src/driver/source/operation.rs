//! An operation under way: what it knows of its descriptor, and how it waits.

use std::cell::Cell;
use std::io;
#[cfg(not(lisle_loom))]
use std::time::Duration;
use std::time::Instant;

use super::block::Block;
use super::waiters::{Alarm, Waiter};
use super::{Direction, Patience};
use crate::cancel::cannot_wait;
#[cfg(not(lisle_loom))]
use crate::cancel::{check_thread, first_deadline, is_struck, may_be_struck};
use crate::driver::CountedWait;
use crate::driver::poller::Descriptor;
#[cfg(not(lisle_loom))]
use crate::driver::poller::{ThreadBell, Waited};
use crate::park::{Reason, Wake, park};
use crate::{turn, worker};

/// How long a plain thread waits until it looks whether a region of its was cancelled.
#[cfg(not(lisle_loom))]
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// An operation under way.
pub(super) struct Operation {
    block: &'static Block,
    direction: Direction,
    /// The edges before the last attempt.
    pub(super) edges: u32,
    has_baton: bool,
    /// The descriptor itself must be asked, whatever the edges say.
    insists: bool,
    /// A plain thread has seen the end of the descriptor, and its attempt has not.
    #[cfg(not(lisle_loom))]
    saw_end: bool,
    /// Known from the first wait on.
    limit: Option<(Patience, Option<Instant>)>,
}

impl Operation {
    #[inline]
    pub(super) fn new(block: &'static Block, direction: Direction) -> Self {
        Self {
            block,
            direction,
            edges: 0,
            has_baton: false,
            insists: false,
            #[cfg(not(lisle_loom))]
            saw_end: false,
            limit: None,
        }
    }

    /// Whether an attempt would find nothing.
    #[inline]
    pub(super) fn knows_better(&self) -> bool {
        self.direction == Direction::Read && self.block.was_drained_at(self.edges) && !self.insists
    }

    /// Waits after an attempt that has failed with `would_block`, or instead of one that would,
    /// and returns when it is time for the next one.
    #[cold]
    #[track_caller]
    pub(super) fn wait<T: Descriptor>(
        &mut self,
        descriptor: &T,
        reason: Reason,
        patience: &dyn Fn() -> Patience,
        would_block: Option<io::Error>,
    ) -> io::Result<()> {
        // The attempt has found nothing that it could have left to others.
        self.has_baton = false;
        let (patience, deadline) = *self.limit.get_or_insert_with(|| {
            let patience = patience();
            (patience, patience.deadline())
        });
        if patience != Patience::None && self.wait_until(descriptor, reason, deadline)? {
            return Ok(());
        }
        self.insists = true;
        match (would_block, patience) {
            (None, _) => Ok(()),
            (_, Patience::Until(_)) => Err(io::ErrorKind::TimedOut.into()),
            (Some(error), _) => {
                if patience == Patience::None {
                    turn::fail();
                }
                Err(error)
            }
        }
    }

    /// False if the deadline has passed.
    #[track_caller]
    fn wait_until<T: Descriptor>(
        &mut self,
        descriptor: &T,
        reason: Reason,
        deadline: Option<Instant>,
    ) -> io::Result<bool> {
        // SAFETY: the reference is used in this call alone.
        let Some(worker) = (unsafe { worker::current() }) else {
            return self.wait_on_thread(descriptor, reason, deadline);
        };
        let driver = worker.driver();
        self.block.register(driver.poller()?, descriptor)?;
        self.park(reason, deadline, || Some(driver.begin_wait()))
    }

    /// Parks until an edge has come. `count` is called once nothing can keep the wait from
    /// beginning. False if the deadline has passed.
    #[track_caller]
    fn park<'a>(
        &mut self,
        reason: Reason,
        deadline: Option<Instant>,
        count: impl FnOnce() -> Option<CountedWait<'a>>,
    ) -> io::Result<bool> {
        let (waiter, counted) = (Waiter::new(), Cell::new(None));
        let wake = park(
            reason,
            deadline,
            |unparker| {
                counted.set(count());
                self.enqueue(&waiter, Alarm::Task(unparker));
            },
            || match self.dequeue(&waiter)? {
                Alarm::Task(unparker) => {
                    counted.take();
                    Some(unparker)
                }
                #[cfg(not(lisle_loom))]
                Alarm::Thread(_) => unreachable!("the waiter is a task's"),
            },
        );
        drop(counted);
        self.has_baton = waiter.has_baton.get();
        match wake {
            Wake::Unparked => Ok(true),
            Wake::TimedOut => Ok(false),
            Wake::Failed => Err(cannot_wait()),
        }
    }

    /// In a model a plain thread waits as a task does. The model itself reports what becomes
    /// possible.
    #[cfg(lisle_loom)]
    fn wait_on_thread<T: Descriptor>(
        &mut self,
        _: &T,
        reason: Reason,
        deadline: Option<Instant>,
    ) -> io::Result<bool> {
        self.park(reason, deadline, || None)
    }

    /// A plain thread waits in the system, and links a waiter all the same: it may be the first one
    /// to whom an edge is reported, and a [`Source::close`](super::Source::close) must reach it.
    #[cfg(not(lisle_loom))]
    fn wait_on_thread<T: Descriptor>(
        &mut self,
        descriptor: &T,
        _: Reason,
        deadline: Option<Instant>,
    ) -> io::Result<bool> {
        if is_struck() {
            check_thread();
            return Err(cannot_wait());
        }
        // The system does not hear of a region that is cancelled, so such a thread looks itself.
        let look = may_be_struck().then(|| Instant::now() + LOOK_INTERVAL);
        let end = deadline.into_iter().chain(first_deadline()).chain(look).min();
        let (waiter, bell) = (Waiter::new(), ThreadBell::of_this_thread()?);
        self.enqueue(&waiter, Alarm::Thread(bell.clone()));
        let waited = match self.saw_end {
            // It would see the end again at once.
            true => bell.nap(end),
            false => bell.wait_beside(descriptor.fd(), self.direction, end),
        };
        let is_rung = matches!(waited, Ok(Waited::Rung));
        if self.dequeue(&waiter).is_none() && !is_rung {
            // The waiter stays until its alarm is used.
            bell.await_ring();
        }
        self.has_baton = waiter.has_baton.get();
        let waited = waited?;
        // The system may say again and again that the descriptor is ready, to no avail.
        let may_be_late = self.insists || waited == Waited::TimedOut;
        let is_late = may_be_late && deadline.is_some_and(|deadline| deadline <= Instant::now());
        // What the system says of the descriptor need not have come by an edge.
        self.insists = true;
        self.saw_end = waited == Waited::Ended;
        Ok(!is_late)
    }

    fn enqueue(&self, waiter: &Waiter, alarm: Alarm) {
        self.block.enqueue(self.direction, self.edges, waiter, alarm);
    }

    fn dequeue(&self, waiter: &Waiter) -> Option<Alarm> {
        self.block.dequeue(self.direction, waiter)
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if self.has_baton {
            self.block.pass_baton(self.direction);
        }
    }
}

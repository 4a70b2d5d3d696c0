//! [`Barrier`]: a point at which a number of parties wait for each other.

use std::panic::Location;
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::BriefMutex;
use lisle_scheduler::internal::{WaitQueue, Waiter, shield_unwinding};
use lisle_scheduler::park::{Object, Place, Reason, Wait, Wake, park};

use crate::waiting::{cannot_wait, deadline_in, spend_at};

/// Lets parties wait until a certain number of them have come.
///
/// The interface is that of `std::sync::Barrier`. It begins anew with each group of parties that
/// has come together.
///
/// **Cancellation.** A wait is a cancellation point, but not in a destructor that unwinds. A party
/// that leaves before the group is complete, because it is cancelled or its time is over, does not
/// count: the others wait for another one.
///
/// # Examples
///
/// ```
/// use lisle::sync::Barrier;
///
/// static BARRIER: Barrier = Barrier::new(3);
///
/// lisle::run(|| {
///     let tasks = [(); 3].map(|()| {
///         lisle::spawn(|| {
///             // first part
///             BARRIER.wait();
///             // second part, when all have done the first
///         })
///     });
///     tasks.into_iter().for_each(|task| task.join().unwrap());
/// });
/// ```
#[derive(Debug)]
pub struct Barrier {
    size: usize,
    state: BriefMutex<State>,
}

#[derive(Debug)]
struct State {
    /// How many wait; less than the size.
    arrived: usize,
    queue: WaitQueue,
}

/// What a party learns when its group is complete.
#[derive(Debug, PartialEq, Eq)]
pub struct BarrierWaitResult {
    is_leader: bool,
}

impl BarrierWaitResult {
    /// True for one of the group, the one that came last.
    pub fn is_leader(&self) -> bool {
        self.is_leader
    }
}

impl Barrier {
    const_fn! {
        /// A barrier for groups of `size` parties. With 0 or 1 nobody ever waits.
        pub fn new(size: usize) -> Self {
            let state = State { arrived: 0, queue: WaitQueue::new() };
            Self { size, state: BriefMutex::new(state) }
        }
    }

    /// Waits until the group is complete.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is cancelled. Panics if it has to wait inside
    /// [`no_suspend`](fn@lisle_runtime::no_suspend).
    #[track_caller]
    pub fn wait(&self) -> BarrierWaitResult {
        match self.wait_at(None, Location::caller()) {
            Some(result) => result,
            None => cannot_wait("a barrier"),
        }
    }

    /// As [`wait`](Self::wait), but no longer than `timeout`.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::Barrier;
    /// use std::time::Duration;
    ///
    /// let barrier = Barrier::new(2);
    /// assert!(barrier.wait_timeout(Duration::from_millis(1)).is_none());
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Option<BarrierWaitResult> {
        self.wait_at(deadline_in(timeout), Location::caller())
    }

    /// As [`wait`](Self::wait), but not beyond `deadline`.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_until(&self, deadline: Instant) -> Option<BarrierWaitResult> {
        self.wait_at(Some(deadline), Location::caller())
    }

    fn wait_at(&self, deadline: Option<Instant>, place: Place) -> Option<BarrierWaitResult> {
        spend_at(place);
        let mut is_leader = false;
        let waiter = Waiter::new(());
        let wake = shield_unwinding(|| {
            park(
                Wait::on(self).at(place),
                deadline,
                |unparker| {
                    let mut state = self.state.lock();
                    state.arrived += 1;
                    is_leader = state.arrived >= self.size;
                    if !is_leader {
                        // SAFETY: the waiter stays until `park` has returned, after which the
                        // unparker is used up or was taken back.
                        return unsafe { state.queue.push(&waiter, unparker) };
                    }
                    state.arrived = 0;
                    let others = state.queue.take_all();
                    drop(state);
                    others.wake();
                    unparker.unpark();
                },
                || {
                    let mut state = self.state.lock();
                    // SAFETY: the waiter is in this queue or was never in one.
                    let unparker = unsafe { state.queue.remove(&waiter) }?;
                    state.arrived -= 1;
                    Some(unparker)
                },
            )
        });
        (wake == Wake::Unparked).then_some(BarrierWaitResult { is_leader })
    }
}

unwind_safe!(Barrier);

impl Object for Barrier {
    fn reason(&self) -> Reason {
        Reason::new("waiting at a barrier")
    }
}

//! A sign of a task's end for other parties than the joiner: a value that is dropped when the task
//! has ended. A receiver, say, is disconnected by that.
//!
//! The sign stands in the cell of the join state, as a party that waits there in place of the
//! handle; so a task without a sign pays nothing. A joiner waits in a cell of the sign. If the
//! handle lets go first, it takes the sign out of the cell: the task finds that it is detached, and
//! drops the value itself.

use std::any::Any;
use std::sync::Arc;
use std::task::Wake;

use lisle_runtime::internal::primitive::Mutex;

use super::{Control, JoinHandle};
use crate::future::FutureWait;
use crate::wait_cell::{Event, WaitCell};

/// What a task has whose end is to be seen. Its [`Extras`](super::Extras) keep it.
pub(crate) struct EndSign {
    /// The party in the cell of the join state.
    wait: FutureWait,
    ending: Arc<Ending>,
    kept: Box<dyn Any + Send + Sync>,
}

struct Ending {
    /// Dropped at the end of the task.
    sign: Mutex<Option<Box<dyn Any + Send>>>,
    /// Where the handle waits.
    joiner: WaitCell,
}

const ENDED: Event = Event::new(0);

/// The two values of a sign: the one that is dropped, and what its maker wants to find again.
pub type Sign = (Box<dyn Any + Send>, Box<dyn Any + Send + Sync>);

/// A handle of a task, of whatever kind.
pub trait AnyHandle {
    /// Gives the task a sign, unless it has one. The first value is dropped when the task has
    /// ended, by its worker, which must not wait for anything in that. Returns the second one.
    fn end_sign(&self, make: fn() -> Sign) -> &(dyn Any + Send + Sync);
}

impl<T> AnyHandle for JoinHandle<T> {
    fn end_sign(&self, make: fn() -> Sign) -> &(dyn Any + Send + Sync) {
        end_sign(self.control(), make)
    }
}

/// The caller has the task's handle.
fn end_sign(control: &Control, make: fn() -> Sign) -> &(dyn Any + Send + Sync) {
    let slot = &control.extras_or_new().end_sign;
    let mut is_new = false;
    let sign = slot.get_or_init(|| {
        is_new = true;
        let (sign, kept) = make();
        let ending = Ending { sign: Mutex::new(Some(sign)), joiner: WaitCell::new() };
        EndSign { wait: FutureWait::new(), ending: Arc::new(ending), kept }
    });
    if is_new {
        let waker = sign.ending.clone().into();
        // SAFETY: nobody else arms it. The extras, where it lies, stay as long as the handle, which
        // lets go after a `settle` or a `withdraw`.
        control.join_cell().announce(unsafe { sign.wait.arm(waker) });
    }
    &*sign.kept
}

impl EndSign {
    /// Where the handle waits for the end.
    pub(super) fn joiner(&self) -> &WaitCell {
        &self.ending.joiner
    }

    /// The task has ended and has used what stood in the cell, or is about to.
    pub(super) fn settle(&self) {
        self.wait.settle();
    }

    /// Takes the sign out of `cell`, which is that of the join state, if the task has not.
    pub(super) fn withdraw(&self, cell: &WaitCell) {
        if self.wait.is_over() {
            return;
        }
        match cell.retract() {
            Some(unparker) => drop(unparker),
            None => self.settle(),
        }
    }

    /// The task has ended.
    pub(super) fn end(&self) {
        self.ending.end();
    }
}

impl Ending {
    fn end(&self) {
        let sign = self.sign.lock().take();
        drop(sign);
        self.joiner.notify(ENDED);
    }
}

impl Wake for Ending {
    fn wake(self: Arc<Self>) {
        self.end();
    }
}

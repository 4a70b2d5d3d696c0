//! What the wakers of one `block_on` ring.
//!
//! A waker may outlive the call, so an alarm is shared by count. When a call ends and no waker is
//! left, the next call on the thread takes the alarm over, and need not allocate.

use std::cell::Cell;
use std::sync::Arc;
use std::task::{Wake, Waker};

use lisle_runtime::internal::last_words::abort_with;

use crate::cancel::{check_cancelled_at, shield_unwinding};
use crate::park::{Place, Reason, Wait, Wake as Ending, in_task, park};
use crate::wait_cell::{Event, WaitCell};
use crate::worker::yield_now;

/// The alarm of the party that made it.
pub(super) struct Alarm(Arc<Bell>);

struct Bell(WaitCell);

const RUNG: Event = Event::new(0);

thread_local! {
    /// One that no waker knows.
    static SPARE: Cell<Option<Arc<Bell>>> = const { Cell::new(None) };
}

impl Alarm {
    pub(super) fn new() -> Self {
        let spare = match cfg!(lisle_loom) {
            // What is made in one run of a model does not exist in the next.
            true => None,
            // The thread may be at its end.
            false => SPARE.try_with(Cell::take).ok().flatten(),
        };
        Self(spare.unwrap_or_else(|| Arc::new(Bell(WaitCell::new()))))
    }

    /// A waker that rings it.
    pub(super) fn waker(&self) -> Waker {
        self.0.clone().into()
    }

    /// Forgets that it was rung. What was done before that is visible afterwards.
    pub(super) fn silence(&self) {
        self.0.0.clear();
    }

    /// Waits until it is rung, if it has not been since it was silenced; if it has, a task lets the
    /// others have a turn.
    pub(super) fn wait(&self, place: Place) {
        const REASON: Reason = Reason::new("waiting for a future");
        let cell = &self.0.0;
        if cell.event().is_some() {
            return match in_task() {
                true => shield_unwinding(yield_now),
                false => check_cancelled_at(place),
            };
        }
        let ending = shield_unwinding(|| {
            let wait = Wait::on(&REASON).at(place);
            park(wait, None, |unparker| cell.announce(unparker), || cell.retract())
        });
        if ending != Ending::Unparked {
            abort_with(format_args!(
                "a destructor has to wait for a future, and cannot: it belongs to a thread-local \
                 of a thread that ends, or runs amid a panic for which there is no memory"
            ));
        }
    }

    /// Leaves it to the next call, if no waker is left that could ring it.
    pub(super) fn recycle(mut self) {
        if !cfg!(lisle_loom) && Arc::get_mut(&mut self.0).is_some() {
            // The thread may be at its end.
            let _ = SPARE.try_with(|spare| spare.set(Some(self.0)));
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // The party may go on and leave at once, but the cell is this waker's, too.
        self.0.notify(RUNG);
    }
}

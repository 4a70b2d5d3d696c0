//! `tracing`'s current span, for each task its own.
//!
//! A subscriber knows by thread which spans are entered. The tasks of a worker share its thread:
//! what one of them logs would be told as part of a span that another one has entered before it
//! waited, and new spans would become its children. [`PerTask`] around the subscriber puts that
//! right:
//!
//! ```
//! use lisle_tracing::PerTask;
//! use tracing_subscriber::util::SubscriberInitExt;
//!
//! PerTask::new(tracing_subscriber::fmt().with_test_writer().finish()).init();
//!
//! lisle::run(|| {
//!     let tasks: Vec<_> = (0..3)
//!         .map(|number| {
//!             lisle::spawn(move || {
//!                 let _entered = tracing::info_span!("request", number).entered();
//!                 tracing::info!("begins");
//!                 lisle::yield_now(); // the others begin
//!                 tracing::info!("ends"); // in its own span
//!             })
//!         })
//!         .collect();
//!     tasks.into_iter().for_each(|task| task.join().unwrap());
//! });
//! ```
//!
//! # How
//!
//! Nothing is done when tasks switch, and nothing is asked of the scheduler. A call to the
//! subscriber finds that another task than last time makes it on this thread. Then, before the call
//! goes on, the spans of that other task are exited and those of this one entered. To the
//! subscriber it is as if one thread had left the ones and entered the others, as it is for `async`
//! code, so this works with all of them: with layers, filters by span, and those that write
//! profiles. A program whose tasks do not log pays nothing, and one whose tasks are in no span a
//! comparison for each call.
//!
//! # What to know
//!
//! - It has to be the outermost subscriber, the one that is installed.
//! - A span counts as entered until another task of the thread logs. So the time that a task waits
//!   inside its span counts as busy, if meanwhile no other one logs.
//! - A task that is spawned is in no span, as a thread would be. Give it one:
//!   `let span = Span::current(); spawn(move || span.in_scope(|| …))`. The same goes for what
//!   `blocking` runs, which is another thread's.
//! - `tracing::subscriber::set_default` and `with_default` set the subscriber of the thread, for
//!   all its tasks. Use them around the runtime, not in a task that waits.
//! - What writes the log must not wait as a task does, in the middle of a call to the subscriber:
//!   use std's standard output and files, or a channel that is not waited for.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem;

use lisle::task::{self, TaskId};
use std::any::TypeId;
use thread_local::ThreadLocal;
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::subscriber::Interest;
use tracing_core::{Dispatch, Event, LevelFilter, Metadata, Subscriber};

/// A subscriber for which each task, and each thread that runs none, has entered spans of its own.
#[derive(Debug)]
pub struct PerTask<S> {
    subscriber: S,
    threads: ThreadLocal<RefCell<Spans>>,
}

/// Those that are entered on one thread.
#[derive(Debug, Default)]
struct Spans {
    /// By whose calls the subscriber was last reached; by the thread itself, if by no task's.
    present: Option<TaskId>,
    /// Of the present task, and so of the subscriber.
    entered: Vec<Id>,
    /// Of those that are not present and have any. A task never changes its thread.
    absent: HashMap<Option<TaskId>, Vec<Id>>,
}

impl<S: Subscriber> PerTask<S> {
    /// Has a subscriber tell tasks apart. It must be the outermost one.
    pub fn new(subscriber: S) -> Self {
        Self { subscriber, threads: ThreadLocal::new() }
    }

    /// The subscriber, which from here on takes the caller's spans for entered, and no others.
    fn present(&self) -> &S {
        self.spans();
        &self.subscriber
    }

    fn spans(&self) -> &RefCell<Spans> {
        let spans = self.threads.get_or_default();
        let caller = task::current().map(|task| task.id());
        if spans.borrow().present != caller {
            self.hand_over(spans, caller);
        }
        spans
    }

    /// Nothing is borrowed while the subscriber is called: a layer may ask for the current span.
    #[cold]
    fn hand_over(&self, spans: &RefCell<Spans>, caller: Option<TaskId>) {
        let (before, left, mut entered) = {
            let mut spans = spans.borrow_mut();
            let entered = spans.absent.remove(&caller).unwrap_or_default();
            let before = mem::replace(&mut spans.present, caller);
            (before, mem::take(&mut spans.entered), entered)
        };
        left.iter().rev().for_each(|id| self.subscriber.exit(id));
        entered.iter().for_each(|id| self.subscriber.enter(id));
        let mut spans = spans.borrow_mut();
        if !left.is_empty() {
            spans.absent.insert(before, left);
        }
        entered.append(&mut spans.entered);
        spans.entered = entered;
    }
}

impl<S: Subscriber> Subscriber for PerTask<S> {
    fn enter(&self, id: &Id) {
        self.spans().borrow_mut().entered.push(id.clone());
        self.subscriber.enter(id);
    }

    fn exit(&self, id: &Id) {
        let spans = self.spans();
        {
            // The last one, but guards may be dropped in any order.
            let entered = &mut spans.borrow_mut().entered;
            if let Some(place) = entered.iter().rposition(|entered| entered == id) {
                entered.remove(place);
            }
        }
        self.subscriber.exit(id);
    }

    fn current_span(&self) -> Current {
        self.present().current_span()
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        self.present().new_span(attributes)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.present().enabled(metadata)
    }

    fn event_enabled(&self, event: &Event<'_>) -> bool {
        self.present().event_enabled(event)
    }

    fn event(&self, event: &Event<'_>) {
        self.present().event(event);
    }

    // These have nothing to do with which spans are entered.

    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.subscriber.on_register_dispatch(dispatch);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.subscriber.register_callsite(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.subscriber.max_level_hint()
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        self.subscriber.record(id, values);
    }

    fn record_follows_from(&self, id: &Id, follows: &Id) {
        self.subscriber.record_follows_from(id, follows);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.subscriber.clone_span(id)
    }

    #[allow(deprecated)]
    fn drop_span(&self, id: Id) {
        self.subscriber.drop_span(id);
    }

    fn try_close(&self, id: Id) -> bool {
        self.subscriber.try_close(id)
    }

    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        if id == TypeId::of::<Self>() {
            return Some(std::ptr::from_ref(self).cast());
        }
        // SAFETY: the caller takes what it gets for a `Self`, or for what the other one has of
        // `id`.
        unsafe { self.subscriber.downcast_raw(id) }
    }
}

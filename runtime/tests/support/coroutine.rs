//! What the tests of coroutines share: witnesses of destructors, and places on stacks.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use lisle_runtime::Yielder;

/// Writes down what happens, in order.
#[derive(Clone, Default)]
pub struct Log(Rc<RefCell<Vec<&'static str>>>);

impl Log {
    pub fn note(&self, event: &'static str) {
        self.0.borrow_mut().push(event);
    }

    /// A value that notes `event` when it is dropped.
    pub fn on_drop(&self, event: &'static str) -> OnDrop<impl FnOnce() + use<>> {
        let log = self.clone();
        OnDrop::new(move || log.note(event))
    }

    /// What was noted since the last call.
    pub fn take(&self) -> Vec<&'static str> {
        self.0.take()
    }
}

/// Calls a function when it is dropped.
pub struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub fn new(action: F) -> Self {
        Self(Some(action))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(action) = self.0.take() {
            action();
        }
    }
}

/// Counts the values that are alive.
#[derive(Clone, Default)]
pub struct Census(Rc<Cell<usize>>);

/// A value that is counted. Dropping it twice makes the count wrong.
pub struct Counted(Census);

impl Census {
    pub fn member(&self) -> Counted {
        self.0.set(self.0.get() + 1);
        Counted(self.clone())
    }

    pub fn count(&self) -> usize {
        self.0.get()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get().checked_sub(1).expect("dropped twice"));
    }
}

/// An address in the caller's part of the stack.
#[inline(never)]
pub fn address_here() -> usize {
    let local = 0u8;
    black_box(&raw const local).addr()
}

/// The text of a panic of `action`, which must panic.
#[track_caller]
pub fn panic_text<R>(action: impl FnOnce() -> R) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(action)) else {
        panic!("there was no panic");
    };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("a text")).to_string(),
    }
}

/// Suspends from the bottom of `depth` calls.
#[inline(never)]
pub fn suspend_below<I, Y, R>(depth: u32, yielder: &Yielder<I, Y, R>, value: Y) -> I {
    let frame = black_box([depth; 16]);
    if frame[15] == 0 {
        return yielder.suspend(value);
    }
    let input = suspend_below(depth - 1, yielder, value);
    black_box(frame);
    input
}

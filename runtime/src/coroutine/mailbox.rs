//! Where a coroutine leaves its answer for whoever has resumed it.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::mem::ManuallyDrop;

use super::State;

pub(super) type Answer<Yield, Return> = Result<State<Yield, Return>, Box<dyn Any + Send>>;

/// An answer between the moment when it is put in and the next, when it is taken out.
///
/// An empty mailbox is one for a yield, so that a yield is put in with a single store.
pub(super) struct Mailbox<Yield, Return> {
    kind: Cell<Kind>,
    value: UnsafeCell<Value<Yield, Return>>,
}

#[derive(Clone, Copy)]
enum Kind {
    Yielded,
    Returned,
    Panicked,
}

union Value<Yield, Return> {
    none: (),
    yielded: ManuallyDrop<Yield>,
    returned: ManuallyDrop<Return>,
    panicked: ManuallyDrop<Box<dyn Any + Send>>,
}

impl<Yield, Return> Mailbox<Yield, Return> {
    #[inline]
    pub(super) fn new() -> Self {
        Self { kind: Cell::new(Kind::Yielded), value: UnsafeCell::new(Value { none: () }) }
    }

    /// Puts in what a coroutine has yielded.
    ///
    /// # Safety
    ///
    /// The mailbox is empty, and nobody else uses it at the same time.
    #[inline]
    pub(super) unsafe fn put_yield(&self, value: Yield) {
        // SAFETY: the caller's promise.
        unsafe { (*self.value.get()).yielded = ManuallyDrop::new(value) };
    }

    /// Puts in how the body of a coroutine has ended.
    ///
    /// # Safety
    ///
    /// As for [`put_yield`](Self::put_yield).
    #[inline]
    pub(super) unsafe fn put_end(&self, end: Result<Return, Box<dyn Any + Send>>) {
        // SAFETY: the caller's promise.
        let value = unsafe { &mut *self.value.get() };
        match end {
            Ok(returned) => {
                self.kind.set(Kind::Returned);
                value.returned = ManuallyDrop::new(returned);
            }
            Err(panicked) => {
                self.kind.set(Kind::Panicked);
                value.panicked = ManuallyDrop::new(panicked);
            }
        }
    }

    /// Takes the answer out.
    ///
    /// # Safety
    ///
    /// An answer was put in, and not yet taken.
    #[inline]
    pub(super) unsafe fn take(&self) -> Answer<Yield, Return> {
        // SAFETY: the kind says what was put in last; it is taken once.
        unsafe {
            let value = &mut *self.value.get();
            match self.kind.get() {
                Kind::Yielded => Ok(State::Yielded(ManuallyDrop::take(&mut value.yielded))),
                Kind::Returned => {
                    self.kind.set(Kind::Yielded);
                    Ok(State::Returned(ManuallyDrop::take(&mut value.returned)))
                }
                Kind::Panicked => {
                    self.kind.set(Kind::Yielded);
                    Err(ManuallyDrop::take(&mut value.panicked))
                }
            }
        }
    }
}

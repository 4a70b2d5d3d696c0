//! What few tasks have, behind one pointer of their control block: so it costs the others nothing.

use std::cell::Cell;
use std::ptr;
use std::sync::{Arc, OnceLock};
// Std's even in a model: a party that sees the pointer sees what is behind it, and nobody waits for
// it.
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::end_sign::EndSign;
use crate::cancel::Region;
use crate::local::{self, Locals};

/// What few tasks have.
pub(crate) struct Extras {
    /// Written before the task runs.
    pub(super) name: Option<Arc<str>>,
    /// The parties that keep the control block: 1 for the task and its join handle together, and 1
    /// for each [`Share`](super::Share).
    pub(super) shares: AtomicUsize,
    /// The innermost region that the task is in; null if it is in none. Home.
    pub(crate) region: Cell<*const Region>,
    /// The task-local values. Home; before the start of the holder of the task.
    pub(crate) locals: Cell<Locals>,
    /// What shows others that the task has ended.
    pub(super) end_sign: OnceLock<EndSign>,
}

impl Extras {
    #[cold]
    fn new(name: Option<Arc<str>>, locals: Locals) -> *mut Self {
        Box::into_raw(Box::new(Self {
            name,
            shares: AtomicUsize::new(1),
            region: Cell::new(ptr::null()),
            locals: Cell::new(locals),
            end_sign: OnceLock::new(),
        }))
    }
}

/// Where a control block has its extras, which any party may add that keeps the block.
pub(crate) struct Slot(AtomicPtr<Extras>);

impl Slot {
    /// The slot of a task that is spawned by the caller.
    #[inline(always)]
    pub(crate) fn new(name: Option<Arc<str>>, inherits: bool) -> Self {
        Self(AtomicPtr::new(if inherits && local::are_any_set() {
            Extras::new(name, local::current())
        } else if name.is_some() {
            Extras::new(name, None)
        } else {
            ptr::null_mut()
        }))
    }

    #[inline]
    pub(super) fn get(&self) -> Option<&Extras> {
        // SAFETY: what was stored stays until the slot is dropped.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    #[inline]
    pub(super) fn get_or_new(&self) -> &Extras {
        self.get().unwrap_or_else(|| self.add())
    }

    #[cold]
    fn add(&self) -> &Extras {
        let made = Extras::new(None, None);
        let (release, acquire) = (Ordering::AcqRel, Ordering::Acquire);
        match self.0.compare_exchange(ptr::null_mut(), made, release, acquire) {
            // SAFETY: it was just made, and stays until the slot is dropped.
            Ok(_) => unsafe { &*made },
            Err(others) => {
                // SAFETY: nobody else has seen the one, and the other stays as this one would.
                unsafe {
                    drop(Box::from_raw(made));
                    &*others
                }
            }
        }
    }
}

impl Drop for Slot {
    #[inline]
    fn drop(&mut self) {
        let extras = *self.0.get_mut();
        if !extras.is_null() {
            // SAFETY: the slot was the only way to them.
            drop(unsafe { Box::from_raw(extras) });
        }
    }
}

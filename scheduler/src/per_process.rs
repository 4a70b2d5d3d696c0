//! Values that a fork child makes anew: what its parent had in them belongs to threads that the
//! child has not got, and a lock may be held by one of them for ever.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use lisle_runtime::internal::fork::watched_generation;

/// A value of which each process has one, made when it is first wanted and never dropped.
pub(crate) struct PerProcess<T: 'static>(AtomicPtr<Entry<T>>);

struct Entry<T> {
    /// The process whose value it is.
    generation: u32,
    value: T,
}

impl<T: Send + Sync> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// The value, if there is one.
    pub(crate) fn get(&'static self) -> Option<&'static T> {
        Self::of(self.0.load(Ordering::Acquire), watched_generation())
    }

    /// The value, which `make` makes if there is none yet. If several threads make one at the same
    /// time, one of them is taken.
    pub(crate) fn get_or_try<E>(
        &'static self,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<&'static T, E> {
        let generation = watched_generation();
        let found = self.0.load(Ordering::Acquire);
        if let Some(value) = Self::of(found, generation) {
            return Ok(value);
        }
        let made = Box::into_raw(Box::new(Entry { generation, value: make()? }));
        match self.0.compare_exchange(found, made, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: it was just made, and is never freed from now on.
            Ok(_) => Ok(unsafe { &(*made).value }),
            Err(others) => {
                // SAFETY: nobody else has seen it.
                drop(unsafe { Box::from_raw(made) });
                Ok(Self::of(others, generation).expect("only threads of this process make one"))
            }
        }
    }

    pub(crate) fn get_or(&'static self, make: impl FnOnce() -> T) -> &'static T {
        let Ok(value) = self.get_or_try(|| Ok::<_, std::convert::Infallible>(make()));
        value
    }

    fn of(entry: *mut Entry<T>, generation: u32) -> Option<&'static T> {
        // SAFETY: what was stored is never freed.
        let entry = unsafe { entry.as_ref() }?;
        (entry.generation == generation).then_some(&entry.value)
    }
}

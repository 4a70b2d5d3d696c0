//! Task-local values: what belongs to a task, and not to its thread, for the time of a call.
//!
//! The values that are set are a list, newest first, of which a task has the head. It never changes
//! and is shared, so that to inherit all of it is to clone one pointer.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;

use lisle_runtime::internal::attached;

use crate::worker::{self, Worker};

/// The values that are set, newest first.
pub(crate) type Locals = Option<Arc<Binding>>;

pub(crate) struct Binding {
    key: *const (),
    value: Box<dyn Any + Send + Sync>,
    outer: Locals,
}

// SAFETY: the key is an address to compare with.
unsafe impl Send for Binding {}
// SAFETY: as above.
unsafe impl Sync for Binding {}

impl Drop for Binding {
    fn drop(&mut self) {
        // Not one in the other: the list may be long.
        let mut outer = self.outer.take();
        while let Some(mut last) = outer.and_then(Arc::into_inner) {
            outer = last.outer.take();
        }
    }
}

std::thread_local! {
    /// Those of a plain thread. When the thread ends none is set.
    static OF_THREAD: ManuallyDrop<Cell<Locals>> = const { ManuallyDrop::new(Cell::new(None)) };
}

/// Calls `look` with the place of the caller's values, if it has one.
#[inline(always)]
fn with_place<R>(look: impl FnOnce(Option<&Cell<Locals>>) -> R) -> R {
    worker::with_current(|worker| match worker {
        Some(worker) => {
            let extras = worker.running_task().and_then(|task| task.extras());
            look(extras.map(|extras| &extras.locals))
        }
        None => OF_THREAD.with(|place| look(Some(place))),
    })
}

fn read<R>(place: &Cell<Locals>, look: impl FnOnce(&Locals) -> R) -> R {
    let locals = place.take();
    let result = look(&locals);
    place.set(locals);
    result
}

/// Whether the caller has any values to bequeath.
#[inline(always)]
pub(crate) fn are_any_set() -> bool {
    // SAFETY: nobody changes the place meanwhile: it is the caller's.
    with_place(|place| place.is_some_and(|place| unsafe { (*place.as_ptr()).is_some() }))
}

/// The values that the caller would bequeath.
#[inline(never)]
pub(crate) fn current() -> Locals {
    with_place(|place| read(place?, Clone::clone))
}

/// A task-local value, which [`task_local!`](crate::task_local) declares.
///
/// It is set for the time of a call, by [`scope`](Self::scope), and seen by all that is called
/// there. Tasks of a [`scope`](fn@crate::scope) see what is set where they are spawned, and other
/// tasks only if they [inherit](crate::Builder::inherit) it. So the value is shared, and has to be
/// `Send` and `Sync`. A plain thread has values of its own.
pub struct LocalKey<T: 'static> {
    /// Makes each key a place of its own.
    _place: AtomicU8,
    value: PhantomData<fn() -> T>,
}

/// The error of [`LocalKey::try_with`]: the value is not set here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSet(());

impl<T: Send + Sync + 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn new() -> Self {
        Self { _place: AtomicU8::new(0), value: PhantomData }
    }

    fn key(&'static self) -> *const () {
        ptr::from_ref(self).cast()
    }

    /// Runs `body`, for which the value is set. Afterwards it is again what it was before.
    ///
    /// # Panics
    ///
    /// With the panic of `body`. A coroutine that has entered it cannot be suspended inside, which
    /// panics.
    ///
    /// # Examples
    ///
    /// ```
    /// lisle::task_local! {
    ///     static DEPTH: u32;
    /// }
    ///
    /// lisle::run(|| {
    ///     DEPTH.scope(1, || {
    ///         DEPTH.scope(2, || assert_eq!(DEPTH.get(), 2));
    ///         assert_eq!(DEPTH.get(), 1);
    ///         lisle::scope(|s| {
    ///             s.spawn(|| assert_eq!(DEPTH.get(), 1));
    ///         });
    ///     });
    /// });
    /// ```
    pub fn scope<R>(&'static self, value: T, body: impl FnOnce() -> R) -> R {
        let key = self.key();
        worker::with_current(|worker| {
            let task = worker.and_then(Worker::running_task);
            match task {
                Some(task) => {
                    let place = &task.extras_or_new().locals;
                    let body = || bind(place, key, Box::new(value), body);
                    let here = 0_u8;
                    // On its own stack the task cannot leave the scope but by its end.
                    if task.owns((&raw const here).addr()) { body() } else { attached(body) }
                }
                None => {
                    attached(|| OF_THREAD.with(|place| bind(place, key, Box::new(value), body)))
                }
            }
        })
    }

    /// Calls `look` with the value.
    ///
    /// # Panics
    ///
    /// If the value is not set.
    #[track_caller]
    pub fn with<R>(&'static self, look: impl FnOnce(&T) -> R) -> R {
        match self.try_with(look) {
            Ok(result) => result,
            Err(error) => panic!("{error}"),
        }
    }

    /// Calls `look` with the value, if it is set.
    ///
    /// # Errors
    ///
    /// [`NotSet`], if it is not.
    ///
    /// # Examples
    ///
    /// ```
    /// lisle::task_local! {
    ///     static USER: String;
    /// }
    ///
    /// let name = || USER.try_with(String::clone).unwrap_or("nobody".into());
    /// lisle::run(|| {
    ///     assert_eq!(name(), "nobody");
    ///     USER.scope("Ann".into(), || assert_eq!(name(), "Ann"));
    /// });
    /// ```
    pub fn try_with<R>(&'static self, look: impl FnOnce(&T) -> R) -> Result<R, NotSet> {
        // The list is kept while the user's code looks at it.
        let locals = current();
        let bindings = std::iter::successors(locals.as_deref(), |binding| binding.outer.as_deref());
        let mut bindings = bindings;
        let binding = bindings.find(|binding| binding.key == self.key()).ok_or(NotSet(()))?;
        Ok(look(binding.value.downcast_ref().expect("a key has values of one type")))
    }

    /// A copy of the value.
    ///
    /// # Panics
    ///
    /// If the value is not set.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }
}

fn bind<R>(
    place: &Cell<Locals>,
    key: *const (),
    value: Box<dyn Any + Send + Sync>,
    body: impl FnOnce() -> R,
) -> R {
    struct Restore<'a>(&'a Cell<Locals>);
    impl Drop for Restore<'_> {
        fn drop(&mut self) {
            let bound = self.0.take();
            self.0.set(bound.as_ref().and_then(|binding| binding.outer.clone()));
            // The value's destructor is user code.
            drop(bound);
        }
    }
    let outer = place.take();
    place.set(Some(Arc::new(Binding { key, value, outer })));
    let _restore = Restore(place);
    body()
}

impl<T> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

impl fmt::Display for NotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task-local value is not set here: set it by its `scope`")
    }
}

impl std::error::Error for NotSet {}

/// Declares task-local values: see
/// [`LocalKey`](https://docs.rs/lisle/latest/lisle/task/struct.LocalKey.html).
///
/// # Examples
///
/// ```
/// lisle::task_local! {
///     /// The user for whom the task works.
///     pub static USER: String;
///     static REQUEST: u64;
/// }
///
/// lisle::run(|| {
///     USER.scope("Ann".to_owned(), || {
///         assert_eq!(USER.with(|user| user.len()), 3);
///         assert!(REQUEST.try_with(|_| ()).is_err()); // not set
///     });
/// });
/// ```
#[macro_export]
macro_rules! task_local {
    ($($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty);* $(;)?) => {
        $(
            $(#[$attribute])*
            $visibility static $name: $crate::LocalKey<$type> = $crate::LocalKey::new();
        )*
    };
}

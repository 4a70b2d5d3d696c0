//! A scope whose first failure ends it.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

use lisle_runtime::internal::primitive::BriefMutex;

use super::{Bonds, ScopedJoinHandle, expect};
use crate::cancel::{CancelToken, check_cancelled_at, in_region_of};
use crate::spawn::Builder;
use crate::task::{AnyHandle, Cancelled, Sign};

/// As [`scope`](fn@crate::scope), but the first error or panic, of the body or of a task, cancels
/// all others, the body too.
///
/// All are waited for. Then it returns what the body has returned, if nothing has failed.
///
/// # Errors
///
/// The first error.
///
/// # Panics
///
/// With the first panic, if there was one.
///
/// # Examples
///
/// ```
/// use std::num::ParseIntError;
///
/// fn parse(words: &[&str]) -> Result<u32, ParseIntError> {
///     lisle::try_scope(|s| {
///         let numbers: Vec<_> =
///             words.iter().map(|word| s.spawn(move || word.parse::<u32>())).collect();
///         Ok(numbers.into_iter().map(|number| number.join().unwrap()).sum())
///     })
/// }
///
/// lisle::run(|| {
///     assert_eq!(parse(&["1", "2", "3"]), Ok(6));
///     assert!(parse(&["1", "two", "3"]).is_err());
/// });
/// ```
#[track_caller]
pub fn try_scope<'env, F, T, E>(body: F) -> Result<T, E>
where
    F: for<'scope> FnOnce(&'scope TryScope<'scope, 'env, E>) -> Result<T, E>,
    E: Send,
{
    let scope = TryScope {
        bonds: Bonds::new(),
        error: BriefMutex::new(None),
        body: CancelToken::new(),
        scope: PhantomData,
        env: PhantomData,
    };
    let outcome = scope.bonds.run(Location::caller(), || {
        let outcome = in_region_of(&scope.body, || body(&scope));
        outcome.and_then(|outcome| outcome.map_err(|error| scope.fail(error)).ok())
    });
    let error = scope.error.lock().take();
    match (error, outcome) {
        (Some(error), _) => Err(error),
        (None, Some(value)) => Ok(value),
        (None, None) => unreachable!("what cancels the body has failed"),
    }
}

/// A scope in which tasks are spawned that may fail: see [`try_scope`].
pub struct TryScope<'scope, 'env: 'scope, E> {
    bonds: Bonds,
    error: BriefMutex<Option<E>>,
    /// Cancels the body.
    body: CancelToken,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope, E: Send> TryScope<'scope, '_, E> {
    /// Spawns a task that the scope awaits. Its error or panic cancels the scope.
    ///
    /// # Panics
    ///
    /// As [`spawn`](fn@crate::spawn).
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, body: F) -> TryJoinHandle<'scope, T>
    where
        F: FnOnce() -> Result<T, E> + Send + 'scope,
        T: Send + 'scope,
    {
        let place = Location::caller();
        let body = || self.watch(body);
        // SAFETY: what the closure and the result borrow lives until the scope ends, which waits
        // for the task; both are `Send`.
        let handle = unsafe { Builder::new().inherit().spawn_bound(&self.bonds, place, body) };
        TryJoinHandle(ScopedJoinHandle::new(expect(handle), &self.bonds))
    }

    fn watch<T>(&self, body: impl FnOnce() -> Result<T, E>) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(value)) => Some(value),
            Ok(Err(error)) => {
                self.fail(error);
                None
            }
            Err(payload) if payload.is::<Cancelled>() => resume_unwind(payload),
            Err(payload) => {
                self.bonds.note_panic(payload);
                self.cancel();
                None
            }
        }
    }

    fn fail(&self, error: E) {
        let mut first = self.error.lock();
        let refused = if first.is_none() {
            *first = Some(error);
            None
        } else {
            Some(error)
        };
        drop(first);
        self.cancel();
        drop(refused);
    }

    fn cancel(&self) {
        self.bonds.cancel();
        self.body.cancel();
    }
}

/// The right to wait for a task of a [`try_scope`] and to have its value.
pub struct TryJoinHandle<'scope, T>(ScopedJoinHandle<'scope, Option<T>>);

impl<T> TryJoinHandle<'_, T> {
    /// Waits until the task has ended, and returns its value.
    ///
    /// If the task has failed, has panicked or was cancelled, the whole scope is: this unwinds the
    /// caller, the body or a task of the scope, and the scope returns the error. So `unwrap`
    /// is right. `None` is for callers that are not unwound: in a [`shield`](fn@crate::shield), in
    /// a destructor that runs amid an unwinding, outside of the scope, and in a program built with
    /// `panic = "abort"`.
    ///
    /// # Examples
    ///
    /// ```
    /// lisle::run(|| {
    ///     let outcome: Result<u32, &str> = lisle::try_scope(|s| {
    ///         let good = s.spawn(|| Ok(1));
    ///         let bad = s.spawn(|| Err::<u32, _>("no luck"));
    ///         let sum = good.join().unwrap() + bad.join().unwrap(); // unwinds to the scope
    ///         Ok(sum)
    ///     });
    ///     assert_eq!(outcome, Err("no luck"));
    /// });
    /// ```
    #[track_caller]
    pub fn join(self) -> Option<T> {
        let bonds = self.0.bonds;
        let value = self.0.join().ok().flatten();
        if value.is_none() {
            bonds.cancel_caller();
            check_cancelled_at(Location::caller());
        }
        value
    }

    /// Whether `join` would return at once.
    #[track_caller]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> AnyHandle for TryJoinHandle<'_, T> {
    fn end_sign(&self, make: fn() -> Sign) -> &(dyn Any + Send + Sync) {
        self.0.end_sign(make)
    }
}

impl<E> fmt::Debug for TryScope<'_, '_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryScope").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for TryJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TryJoinHandle").field(&self.0).finish()
    }
}

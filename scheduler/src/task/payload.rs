//! Where a control block keeps the closure and later the result, whatever their types.
//!
//! Small values live in the control block itself, so that a typical spawn allocates nothing beyond
//! it. The types are erased behind a vtable.

use std::any::Any;
use std::mem::needs_drop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use lisle_runtime::internal::Erased;

use crate::task::{Cancelled, CancelledBy};
use crate::worker::{self, MOST_STRIKES};

/// The room of a closure or a result.
#[repr(C, align(16))]
pub(crate) struct Room([usize; 6]);

pub(crate) type Payload = Erased<Room>;

/// The payload of a panic.
type Panic = Box<dyn Any + Send>;

/// What can be done with a payload whose types are forgotten.
pub(crate) struct Vtable {
    /// Replaces the closure by its result.
    pub(crate) run: unsafe fn(*mut Payload),
    /// Does not run the closure: drops it or, after too many `strikes`, forgets it, and puts the
    /// cause in its place.
    pub(crate) get_rid: unsafe fn(*mut Payload, strikes: u8, cause: CancelledBy),
    /// Whether a result that is no panic has nothing to drop.
    pub(crate) is_plain: bool,
    /// Drops the result, or returns the payload of a panic.
    pub(crate) drop_result: unsafe fn(*mut Payload) -> Option<Panic>,
    /// The same for a task that its home counts as one of those that serve what was accepted.
    pub(crate) of_accepted: Option<&'static Self>,
}

impl Vtable {
    pub(crate) fn of<F, T>() -> &'static Self
    where
        F: FnOnce() -> T,
    {
        const {
            &Vtable {
                run: run::<F, T>,
                get_rid: get_rid::<F, T>,
                is_plain: !needs_drop::<T>(),
                drop_result: drop_result::<T>,
                of_accepted: Some(&Vtable {
                    run: run_accepted::<F, T>,
                    get_rid: get_rid_of_accepted::<F, T>,
                    is_plain: !needs_drop::<T>(),
                    drop_result: drop_result::<T>,
                    of_accepted: None,
                }),
            }
        }
    }
}

/// # Safety
///
/// The payload holds an `F`.
unsafe fn run<F, T>(payload: *mut Payload)
where
    F: FnOnce() -> T,
{
    // The closure is not used after a panic, and its captures are gone with it. It is taken there
    // and not before: a debug build would copy a large one once more for each call.
    // SAFETY: the caller's promise.
    let result: thread::Result<T> =
        catch_unwind(AssertUnwindSafe(|| unsafe { Payload::take::<F>(payload) }()));
    // SAFETY: the closure was taken out above.
    unsafe { Payload::put(payload, result) };
}

/// # Safety
///
/// The payload holds an `F`.
unsafe fn run_accepted<F, T>(payload: *mut Payload)
where
    F: FnOnce() -> T,
{
    // SAFETY: the caller's promise.
    unsafe { run::<F, T>(payload) };
    worker::note_end_of_accepted();
}

/// # Safety
///
/// The payload holds an `F`.
#[cold]
unsafe fn get_rid<F, T>(payload: *mut Payload, strikes: u8, cause: CancelledBy)
where
    F: FnOnce() -> T,
{
    // SAFETY: the caller's promise; the closure is gone afterwards.
    unsafe {
        let result: thread::Result<T> = Err(get_rid_of::<F>(payload, strikes, cause));
        Payload::put(payload, result);
    }
}

/// # Safety
///
/// The payload holds an `F`.
#[cold]
unsafe fn get_rid_of_accepted<F, T>(payload: *mut Payload, strikes: u8, cause: CancelledBy)
where
    F: FnOnce() -> T,
{
    // SAFETY: the caller's promise.
    unsafe { get_rid::<F, T>(payload, strikes, cause) };
    worker::note_end_of_accepted();
}

/// Drops or forgets the closure of a task that is cancelled before it has begun, and says what its
/// joiner gets: the panic of a destructor, if there is one.
///
/// # Safety
///
/// The payload holds an `F`.
unsafe fn get_rid_of<F>(payload: *mut Payload, strikes: u8, cause: CancelledBy) -> Panic {
    let cancelled = || Box::new(Cancelled::task(cause));
    if strikes >= MOST_STRIKES {
        return cancelled();
    }
    // SAFETY: the caller's promise.
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Payload::take::<F>(payload) })));
    dropped.err().unwrap_or_else(|| cancelled())
}

/// # Safety
///
/// The payload holds the result of a task that returns `T`.
unsafe fn drop_result<T>(payload: *mut Payload) -> Option<Panic> {
    // SAFETY: the caller's promise.
    match unsafe { Payload::take::<thread::Result<T>>(payload) } {
        Ok(value) => {
            discard(value);
            None
        }
        Err(panic) => Some(panic),
    }
}

/// Drops the payload of a panic that nobody wants.
pub(crate) fn discard_panic(panic: Panic) {
    discard(panic);
}

/// Drops the result of a task without a joiner. A panic in its destructor has nowhere to go: it has
/// been printed by the panic hook, and it must not harm the task that happens to run next.
fn discard<T>(value: T) {
    let outcome = catch_unwind(AssertUnwindSafe(|| drop(value)));
    if let Err(panic) = outcome {
        // Dropping a panic's payload may panic in turn, so it is leaked.
        std::mem::forget(panic);
    }
}

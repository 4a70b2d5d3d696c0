//! Where a control block keeps the closure and later the result, whatever their types.
//!
//! Small values live in the control block itself, so that a typical spawn allocates nothing beyond
//! it. Larger ones are boxed. The types are erased behind a vtable of two functions.

use std::any::Any;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crate::task::Cancelled;
use crate::worker::MOST_STRIKES;

const WORDS: usize = 6;

/// Room for a value, or for a box that holds it.
#[repr(C, align(16))]
pub(crate) struct Payload(MaybeUninit<[usize; WORDS]>);

/// What can be done with a payload whose types are forgotten.
pub(crate) struct Vtable {
    /// Replaces the closure by its result. With any `strikes` the closure is not run: it is dropped
    /// or, if there are too many, forgotten.
    pub(crate) run: unsafe fn(*mut Payload, strikes: u8),
    pub(crate) drop_result: unsafe fn(*mut Payload),
}

impl Vtable {
    pub(crate) fn of<F, T>() -> &'static Self
    where
        F: FnOnce() -> T,
    {
        const { &Vtable { run: run::<F, T>, drop_result: drop_result::<T> } }
    }
}

impl Payload {
    pub(crate) fn empty() -> Self {
        Self(MaybeUninit::uninit())
    }

    /// # Safety
    ///
    /// `payload` is valid and holds nothing that is still wanted.
    #[inline]
    pub(crate) unsafe fn put<V>(payload: *mut Payload, value: V) {
        // SAFETY: `is_inline` compares the size and the alignment with the payload's own; a box
        // always fits.
        unsafe {
            if is_inline::<V>() {
                payload.cast::<V>().write(value);
            } else {
                payload.cast::<Box<V>>().write(Box::new(value));
            }
        }
    }

    /// # Safety
    ///
    /// `payload` holds a `V` by `put`, which this call takes out.
    #[inline]
    pub(crate) unsafe fn take<V>(payload: *mut Payload) -> V {
        // SAFETY: `put::<V>` has made the same choice.
        unsafe {
            if is_inline::<V>() {
                payload.cast::<V>().read()
            } else {
                *payload.cast::<Box<V>>().read()
            }
        }
    }
}

const fn is_inline<V>() -> bool {
    size_of::<V>() <= size_of::<Payload>() && align_of::<V>() <= align_of::<Payload>()
}

/// # Safety
///
/// The payload holds an `F`.
unsafe fn run<F, T>(payload: *mut Payload, strikes: u8)
where
    F: FnOnce() -> T,
{
    let result: thread::Result<T> = if strikes == 0 {
        // The closure is not used after a panic, and its captures are gone with it. It is taken
        // there and not before: a debug build would copy a large one once more for each call.
        // SAFETY: the caller's promise.
        catch_unwind(AssertUnwindSafe(|| unsafe { Payload::take::<F>(payload) }()))
    } else {
        // SAFETY: the caller's promise.
        Err(unsafe { get_rid_of::<F>(payload, strikes) })
    };
    // SAFETY: the closure was taken out above.
    unsafe { Payload::put(payload, result) };
}

/// Drops or forgets the closure of a task that is cancelled before it has begun, and says what its
/// joiner gets: the panic of a destructor, if there is one.
///
/// # Safety
///
/// The payload holds an `F`.
#[cold]
unsafe fn get_rid_of<F>(payload: *mut Payload, strikes: u8) -> Box<dyn Any + Send> {
    if strikes >= MOST_STRIKES {
        return Box::new(Cancelled);
    }
    // SAFETY: the caller's promise.
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Payload::take::<F>(payload) })));
    dropped.err().unwrap_or_else(|| Box::new(Cancelled))
}

/// # Safety
///
/// The payload holds the result of a task that returns `T`.
unsafe fn drop_result<T>(payload: *mut Payload) {
    // SAFETY: the caller's promise.
    let result = unsafe { Payload::take::<thread::Result<T>>(payload) };
    discard(result);
}

/// Drops the result of a task that nobody joins. A panic in its destructor has nowhere to go: it
/// has been printed by the panic hook, and it must not harm the task that happens to run next.
fn discard<T>(result: thread::Result<T>) {
    let outcome = catch_unwind(AssertUnwindSafe(|| drop(result)));
    if let Err(panic) = outcome {
        forget_panic(panic);
    }
}

/// Dropping a panic's payload may panic in turn, so it is leaked.
fn forget_panic(panic: Box<dyn Any + Send>) {
    std::mem::forget(panic);
}

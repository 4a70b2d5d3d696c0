//! The first and the last steps of a coroutine: how it comes to lie on its stack, how its body is
//! run, and how it is ended.

use std::mem::{ManuallyDrop, offset_of};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};

use super::core::Core;
use super::stacks::{self, Placed};
use super::{CoroutineState, CoroutineStatus, Yielder, weak};
use crate::switch::{prepare, switch_for_good};

/// The captures of a body may take this part of a stack. They are copied into the base frame when
/// the body begins, and again where the compiler does not see through the copy.
const CAPTURES_SHARE: usize = 16;

/// A core with the body that it has not begun.
#[repr(C)]
struct Fresh<F, Input, Yield, Return> {
    body: ManuallyDrop<F>,
    core: Core<Input, Yield, Return>,
}

impl<F, Input, Yield, Return> Fresh<F, Input, Yield, Return> {
    /// How a place for it is aligned: as a stack, at least.
    const ALIGN: usize = if align_of::<Self>() > 16 { align_of::<Self>() } else { 16 };

    fn body_of(core: NonNull<Core<Input, Yield, Return>>) -> *mut F {
        core.as_ptr().wrapping_byte_sub(offset_of!(Self, core)).cast()
    }
}

impl<Input, Yield, Return> Core<Input, Yield, Return> {
    #[inline]
    pub(super) fn create<F>(stack: Placed, body: F) -> NonNull<Self>
    where
        F: FnOnce(&Yielder<Input, Yield, Return>, Input) -> Return,
    {
        let size = size_of::<Fresh<F, Input, Yield, Return>>();
        let align = Fresh::<F, Input, Yield, Return>::ALIGN;
        if size + align > stack.size().bytes() / CAPTURES_SHARE {
            refuse(size, &stack);
        }
        let place = stack.top().map_addr(|top| (top - size) & !(align - 1));
        let place = place.cast::<Fresh<F, Input, Yield, Return>>();
        let core = place.wrapping_byte_add(offset_of!(Fresh<F, Input, Yield, Return>, core));
        let core = core.cast::<Self>();
        let room = stack.room_below(core.cast());
        // SAFETY: the place is aligned, at the top of a stack that is far larger and that nobody
        // uses but this coroutine, which keeps it. What is below the place is left to the base
        // frame.
        unsafe {
            let context = prepare(place.cast(), base::<F, Input, Yield, Return>, core.cast());
            let drop_body = drop_body::<F, Input, Yield, Return>;
            place.write(Fresh {
                body: ManuallyDrop::new(body),
                core: Core::new(context, stack, room, drop_body),
            });
            NonNull::new_unchecked(core)
        }
    }

    /// Ends the coroutine, unwinding or dropping what is suspended in it. Returns its stack, unless
    /// the coroutine goes on or cannot be unwound, as in a program built with `panic = "abort"`:
    /// then its stack must be left alone for ever.
    ///
    /// # Panics
    ///
    /// With the panic of a destructor, when the stack has been released.
    ///
    /// # Safety
    ///
    /// The handle is not used any more.
    #[inline]
    pub(super) unsafe fn close(this: NonNull<Self>) -> Option<Placed> {
        // SAFETY: the core is alive until its stack is given away, at the end.
        let core = unsafe { this.as_ref() };
        if let Some(tag) = core.tag.take() {
            weak::forget(tag);
        }
        if core.is_finished() {
            // SAFETY: the body has ended.
            return Some(unsafe { Self::release(this) });
        }
        // SAFETY: the caller's promise.
        unsafe { Self::end(this) }
    }

    /// Closes a coroutine that is not finished.
    ///
    /// # Safety
    ///
    /// As for [`close`](Self::close).
    #[cold]
    unsafe fn end(this: NonNull<Self>) -> Option<Placed> {
        // SAFETY: the core is alive until `release`.
        let core = unsafe { this.as_ref() };
        if core.status() != CoroutineStatus::Suspended || core.gives_up_panics() {
            return None;
        }
        if !cfg!(panic = "unwind") && core.begun.get() {
            return None;
        }
        let panic = if core.begun.get() {
            // SAFETY: that is what was just asked; `close` has emptied the tag of the weak handles.
            unsafe { core.unwind_stack() }
        } else {
            core.finish();
            // SAFETY: the body has not begun, so its captures are in place.
            catch_unwind(AssertUnwindSafe(|| unsafe { (core.drop_body)(this) })).err()
        };
        // SAFETY: its body has ended: a coroutine that is closing does not suspend.
        let stack = unsafe { Self::release(this) };
        if let Some(panic) = panic {
            stacks::put(stack);
            resume_unwind(panic);
        }
        Some(stack)
    }

    /// Takes the stack out of a core, which is gone with it.
    ///
    /// # Safety
    ///
    /// The body has ended, and nobody uses the core any more.
    #[inline]
    unsafe fn release(this: NonNull<Self>) -> Placed {
        // SAFETY: the caller's promise. `close` has taken the tag, so that no field is left to
        // drop.
        unsafe { ManuallyDrop::take(&mut (*this.as_ptr()).stack) }
    }
}

#[cold]
#[inline(never)]
fn refuse(size: usize, stack: &Placed) -> ! {
    panic!(
        "the body of a coroutine captures too much for its stack of {} bytes: {size} bytes with \
         what the coroutine needs itself, and a {CAPTURES_SHARE}th of the stack is allowed. Box \
         the captures or use a larger stack",
        stack.size().bytes(),
    )
}

/// # Safety
///
/// The core was created for an `F`, which has neither begun nor been dropped.
unsafe fn drop_body<F, Input, Yield, Return>(core: NonNull<Core<Input, Yield, Return>>) {
    // SAFETY: the caller's promise.
    unsafe { ptr::drop_in_place(Fresh::<F, Input, Yield, Return>::body_of(core)) };
}

/// The base of a coroutine's stack.
///
/// # Safety
///
/// `data` is a core, created for an `F` and entered for the first time.
unsafe extern "C" fn base<F, Input, Yield, Return>(data: *mut ()) -> !
where
    F: FnOnce(&Yielder<Input, Yield, Return>, Input) -> Return,
{
    // SAFETY: `create` passed the core, which stays at the top of this stack.
    let this = unsafe { NonNull::new_unchecked(data.cast::<Core<Input, Yield, Return>>()) };
    // SAFETY: as above.
    let core = unsafe { this.as_ref() };
    core.begun.set(true);
    // SAFETY: the body is taken once, here; the argument was given by the resume that entered it.
    let (body, input) = unsafe {
        let body = Fresh::<F, Input, Yield, Return>::body_of(this).read();
        (body, core.first_argument())
    };
    let yielder = Yielder::new(core);
    let result = catch_unwind(AssertUnwindSafe(|| body(&yielder, input)));
    let (resumer, mailbox) = core.finish();
    // SAFETY: this coroutine executes, so its resumer waits for the answer. Nothing on this stack
    // has a destructor left.
    unsafe {
        (*mailbox).put(result.map(CoroutineState::Returned));
        switch_for_good(resumer)
    }
}

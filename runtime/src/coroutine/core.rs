//! The administration of one coroutine, at the top of its stack, and its first and last steps.
//!
//! ```text
//!   top of the stack  +----------------------+
//!                     |  Core                |  status, context, argument, link
//!                     |  the body's captures |  until the body begins
//!                     +----------------------+  aligned down
//!                     |  the base frame      |
//!                     |  the body's frames   |
//!                     |          |           |
//! ```
//!
//! A resumer keeps a [`Link`] in its own frame: where it continues, and where it wants the answer.
//! The coroutine that runs holds a pointer to it. A symmetric transfer passes the pointer on, and so
//! the answer comes from whichever coroutine of the group suspends or returns first.

use std::any::Any;
use std::cell::{Cell, OnceCell, UnsafeCell};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};
use std::thread;

use super::name::{self, Name};
use super::{State, Status, Yielder};
use crate::no_suspend_depth;
use crate::stack::Stack;
use crate::switch::{Context, prepare, switch};

/// The panic payload by which a suspended coroutine is unwound.
struct Unwind;

type Answer<Yield, Return> = Result<State<Yield, Return>, Box<dyn Any + Send>>;

/// The resumer's side of a resume, in its frame.
pub(super) struct Link<Yield, Return> {
    context: Context,
    answer: MaybeUninit<Answer<Yield, Return>>,
}

impl<Yield, Return> Link<Yield, Return> {
    #[inline]
    pub(super) fn new() -> Self {
        Self { context: Context::NONE, answer: MaybeUninit::uninit() }
    }

    /// # Safety
    ///
    /// A coroutine has answered.
    #[inline]
    pub(super) unsafe fn answer(self) -> Answer<Yield, Return> {
        // SAFETY: the caller's promise.
        unsafe { self.answer.assume_init() }
    }
}

pub(super) struct Core<Input, Yield, Return> {
    /// Where the coroutine continues, while it is suspended.
    context: Cell<Context>,
    /// Whom to answer, while it runs.
    link: Cell<*mut Link<Yield, Return>>,
    /// Holds a value between a resume and the moment when the body takes it.
    input: UnsafeCell<MaybeUninit<Input>>,
    status: Cell<Status>,
    /// The body has begun, so that its captures are no longer below this core.
    begun: Cell<bool>,
    /// The handle is being dropped: every suspension unwinds.
    closing: Cell<bool>,
    /// It was suspended by a destructor while a panic of its own unwound it.
    unwinding: Cell<bool>,
    /// Whether the thread was unwinding when the coroutine was entered.
    resumer_unwinding: Cell<bool>,
    /// Sections of `no_suspend` around the resumer.
    depth: Cell<u32>,
    drop_body: unsafe fn(NonNull<Self>),
    tag: OnceCell<name::Tag<Input, Yield, Return>>,
    stack: ManuallyDrop<Stack>,
}

/// A core with the body that it has not begun.
#[repr(C)]
struct Fresh<F, Input, Yield, Return> {
    body: ManuallyDrop<F>,
    core: Core<Input, Yield, Return>,
}

impl<F, Input, Yield, Return> Fresh<F, Input, Yield, Return> {
    fn body_of(core: NonNull<Core<Input, Yield, Return>>) -> *mut F {
        let offset = std::mem::offset_of!(Self, core);
        core.as_ptr().wrapping_byte_sub(offset).cast()
    }
}

impl<Input, Yield, Return> Core<Input, Yield, Return> {
    pub(super) fn create<F>(stack: Stack, body: F) -> NonNull<Self>
    where
        F: FnOnce(&Yielder<Input, Yield, Return>, Input) -> Return,
    {
        let align = align_of::<Fresh<F, Input, Yield, Return>>().max(16);
        let size = size_of::<Fresh<F, Input, Yield, Return>>() + align;
        assert!(
            size <= stack.size().bytes() / 2,
            "the body of a coroutine captures {size} bytes, too many for its stack of {}: \
             box them or use a larger stack",
            stack.size().bytes(),
        );
        let place = stack.top().map_addr(|top| (top - size + align) & !(align - 1));
        let place = place.wrapping_sub(align).cast::<Fresh<F, Input, Yield, Return>>();
        let fresh = Fresh {
            body: ManuallyDrop::new(body),
            core: Core {
                context: Cell::new(Context::NONE),
                link: Cell::new(ptr::null_mut()),
                input: UnsafeCell::new(MaybeUninit::uninit()),
                status: Cell::new(Status::Suspended),
                begun: Cell::new(false),
                closing: Cell::new(false),
                unwinding: Cell::new(false),
                resumer_unwinding: Cell::new(false),
                depth: Cell::new(0),
                drop_body: drop_body::<F, Input, Yield, Return>,
                tag: OnceCell::new(),
                stack: ManuallyDrop::new(stack),
            },
        };
        // SAFETY: the place is aligned, inside the upper half of the stack, and nobody uses the stack
        // but this coroutine, which keeps it. What is below the place is left to the base frame.
        unsafe {
            place.write(fresh);
            let core = NonNull::new_unchecked(&raw mut (*place).core);
            let entry = base::<F, Input, Yield, Return>;
            let context = prepare(place.cast(), entry, core.as_ptr().cast());
            core.as_ref().context.set(context);
            core
        }
    }

    #[inline]
    pub(super) fn status(&self) -> Status {
        self.status.get()
    }

    /// Stores the argument of a resume.
    ///
    /// # Safety
    ///
    /// The coroutine is suspended and will be entered.
    #[inline]
    pub(super) unsafe fn give(&self, input: Input) {
        // SAFETY: the body, which alone reads the argument, is suspended.
        unsafe { (*self.input.get()).write(input) };
    }

    /// # Safety
    ///
    /// The body was entered with an argument that it has not taken.
    #[inline]
    unsafe fn take_input(&self) -> Input {
        // SAFETY: the caller's promise.
        unsafe { (*self.input.get()).assume_init_read() }
    }

    /// Runs the coroutine until it, or another to which it has transferred, answers `link`.
    ///
    /// # Safety
    ///
    /// The coroutine is suspended, its argument given, unless it is closing. `link` stays valid until
    /// this returns.
    #[inline]
    pub(super) unsafe fn enter(&self, link: *mut Link<Yield, Return>) {
        self.take_over(link);
        // SAFETY: the context belongs to a suspended coroutine of this thread, since coroutines are
        // not `Send`, and is continued once, since the coroutine is now marked as running.
        unsafe { switch(&raw mut (*link).context, self.context.get()) };
    }

    /// Marks the coroutine as the one that answers `link`.
    #[inline]
    fn take_over(&self, link: *mut Link<Yield, Return>) {
        self.link.set(link);
        self.status.set(Status::Running);
        self.depth.set(no_suspend_depth());
        self.resumer_unwinding.set(thread::panicking());
    }

    /// Suspends the running coroutine with a value for its resumer, and returns the argument of the
    /// next resume.
    ///
    /// # Safety
    ///
    /// The caller runs on this coroutine's stack or on that of a coroutine which it has resumed,
    /// directly or not.
    #[inline]
    pub(super) unsafe fn suspend(&self, value: Yield) -> Input {
        self.leave();
        let link = self.link.get();
        // SAFETY: the resumer waits in its frame for the answer; its context is good for one
        // continuation, and this is the only coroutine that holds the link.
        unsafe {
            (*link).answer.write(Ok(State::Yielded(value)));
            switch(self.context.as_ptr(), (*link).context);
            self.arrive()
        }
    }

    /// Suspends the running coroutine and continues `next`, which answers to the same resumer.
    ///
    /// # Safety
    ///
    /// As for [`suspend`](Self::suspend); `next` is alive and suspended.
    #[inline]
    pub(super) unsafe fn transfer<Other>(
        &self,
        next: &Core<Other, Yield, Return>,
        input: Other,
    ) -> Input {
        self.leave();
        // SAFETY: `next` is suspended, says the caller, on this thread.
        unsafe {
            next.give(input);
            next.take_over(self.link.get());
            next.resumer_unwinding.set(self.resumer_unwinding.get());
            next.depth.set(self.depth.get());
            switch(self.context.as_ptr(), next.context.get());
            self.arrive()
        }
    }

    /// What precedes every suspension.
    #[inline]
    fn leave(&self) {
        if self.depth.get() != no_suspend_depth() {
            forbidden();
        }
        if self.closing.get() {
            unwind();
        }
        self.status.set(Status::Suspended);
        self.unwinding.set(thread::panicking() && !self.resumer_unwinding.get());
    }

    /// What follows every suspension.
    ///
    /// # Safety
    ///
    /// The coroutine was entered again.
    #[inline]
    unsafe fn arrive(&self) -> Input {
        if self.closing.get() {
            unwind();
        }
        // SAFETY: a coroutine that is entered and not closing was given an argument.
        unsafe { self.take_input() }
    }

    /// Ends the coroutine, unwinding or dropping what is suspended in it. Returns its stack if it can
    /// be used again.
    ///
    /// # Safety
    ///
    /// The handle is not used any more.
    pub(super) unsafe fn close(this: NonNull<Self>) -> Option<Stack> {
        // SAFETY: the core is alive until its stack is given away, at the end.
        let core = unsafe { this.as_ref() };
        if let Some(tag) = core.tag.get() {
            name::forget(tag);
        }
        match core.status.get() {
            Status::Finished => {}
            Status::Suspended if !core.begun.get() => {
                // Marked first: if the destructor of the captures panics, the stack is leaked.
                core.status.set(Status::Finished);
                // SAFETY: the body has not begun, so its captures are in place.
                unsafe { (core.drop_body)(this) };
            }
            Status::Suspended if !core.unwinding.get() => {
                core.closing.set(true);
                let mut link = Link::new();
                // SAFETY: the coroutine is suspended, and closing.
                let answer = unsafe {
                    core.enter(&mut link);
                    link.answer()
                };
                // A panic of a destructor goes on here; a value that the body returned is dropped.
                if let Err(panic) = answer
                    && !panic.is::<Unwind>()
                {
                    resume_unwind(panic);
                }
            }
            // It drops its own handle, or is unwinding already.
            Status::Running | Status::Suspended => return None,
        }
        // SAFETY: the body has ended and nothing will run on the stack; the core is not used again.
        unsafe {
            ptr::drop_in_place(&raw mut (*this.as_ptr()).tag);
            Some(ManuallyDrop::take(&mut (*this.as_ptr()).stack))
        }
    }

    pub(super) fn name(&self) -> Name<Input, Yield, Return> {
        Name::of(self.tag.get_or_init(|| name::tag(NonNull::from(self))))
    }
}

/// # Safety
///
/// The core was created for an `F`, which has neither begun nor been dropped.
unsafe fn drop_body<F, Input, Yield, Return>(core: NonNull<Core<Input, Yield, Return>>) {
    // SAFETY: the caller's promise.
    unsafe { ptr::drop_in_place(Fresh::<F, Input, Yield, Return>::body_of(core)) };
}

/// The bottom of a coroutine's stack.
///
/// # Safety
///
/// `data` is a core, created for an `F` and entered for the first time.
unsafe extern "C" fn base<F, Input, Yield, Return>(data: *mut ()) -> !
where
    F: FnOnce(&Yielder<Input, Yield, Return>, Input) -> Return,
{
    // SAFETY: `create` passed the core, which stays at the top of this stack.
    let core = unsafe { NonNull::new_unchecked(data.cast::<Core<Input, Yield, Return>>()).as_ref() };
    core.begun.set(true);
    // SAFETY: the body is taken once, here; the argument was given by the resume that entered it.
    let (body, input) = unsafe {
        let body = Fresh::<F, Input, Yield, Return>::body_of(NonNull::from(core)).read();
        (body, core.take_input())
    };
    let yielder = Yielder::new(core);
    let result = catch_unwind(AssertUnwindSafe(|| body(&yielder, input)));
    core.status.set(Status::Finished);
    let link = core.link.get();
    let mut nowhere = Context::NONE;
    // SAFETY: the resumer waits for the answer. Nothing on this stack has a destructor left, and
    // nobody continues `nowhere`.
    unsafe {
        (*link).answer.write(result.map(State::Returned));
        switch(&mut nowhere, (*link).context);
    }
    unreachable!("nobody resumes a finished coroutine");
}

#[cold]
#[inline(never)]
fn unwind() -> ! {
    resume_unwind(Box::new(Unwind))
}

#[cold]
#[inline(never)]
fn forbidden() -> ! {
    panic!(
        "a coroutine cannot be suspended inside no_suspend: the section holds something of the \
         thread's that other code must not see"
    )
}

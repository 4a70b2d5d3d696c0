//! The administration of one coroutine, at the top of its stack, and how it takes turns with others.
//!
//! ```text
//!   top of the stack  +----------------------+
//!                     |  Core                |  status, contexts, argument
//!                     |  the body's captures |  until the body begins
//!                     +----------------------+  aligned down
//!                     |  the base frame      |
//!                     |  the body's frames   |
//!                     |          |           |
//! ```
//!
//! A resume has an *answer*: what the coroutine yields or returns, or the panic that ended it. The
//! resumer keeps a place for it in its own frame. The coroutine that runs knows that place, and where
//! the resumer continues. A symmetric transfer passes both on, and so the answer comes from whichever
//! coroutine of the group suspends or returns first.
//!
//! Invariants:
//!
//! - A coroutine suspends only while its own stack is the one that executes. So what runs is always
//!   the last of a chain of coroutines, each of which waits for the next, and a place for an answer
//!   is alive until it is used.
//! - One that is suspended is in no such chain; its `context` is good for one continuation.

use std::any::Any;
use std::cell::{Cell, OnceCell, UnsafeCell};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::resume_unwind;
use std::ptr;
use std::ptr::NonNull;
use std::thread;

use super::name::{self, Name};
use super::{State, Status};
use crate::no_suspend::{innermost_section, no_suspend_depth};
use crate::stack::Stack;
use crate::stack_pointer::stack_pointer;
use crate::switch::{Context, switch};

/// The panic payload by which a suspended coroutine is unwound.
pub(super) struct Unwind;

pub(super) type Answer<Yield, Return> = Result<State<Yield, Return>, Box<dyn Any + Send>>;

pub(super) struct Core<Input, Yield, Return> {
    /// Where the coroutine continues, while it is suspended. `NONE` otherwise.
    pub(super) context: Cell<Context>,
    /// Where its resumer continues, while it runs.
    pub(super) resumer: Cell<Context>,
    /// Where the resumer wants the answer, while it runs.
    pub(super) answer: Cell<*mut MaybeUninit<Answer<Yield, Return>>>,
    /// Holds a value between a resume and the moment when the body takes it.
    input: UnsafeCell<MaybeUninit<Input>>,
    /// How far below this core the stack pointer may be for an ordinary suspension: `room`, or 0 if
    /// one of the next three fields is true.
    reach: Cell<usize>,
    /// The handle is being dropped: every suspension unwinds.
    closing: Cell<bool>,
    /// Somebody else's panic was unwinding the thread when the coroutine was entered.
    entered_amid_panic: Cell<bool>,
    /// It was suspended by a destructor while a panic of its own unwound it.
    unwinding: Cell<bool>,
    /// The body has begun, so that its captures are no longer below this core.
    pub(super) begun: Cell<bool>,
    finished: Cell<bool>,
    /// The bytes of the stack below this core.
    room: usize,
    pub(super) drop_body: unsafe fn(NonNull<Self>),
    pub(super) tag: OnceCell<name::Tag<Input, Yield, Return>>,
    pub(super) stack: ManuallyDrop<Stack>,
}

impl<Input, Yield, Return> Core<Input, Yield, Return> {
    /// The core of a coroutine that has not begun, with `room` bytes of `stack` below it. Its context
    /// is still missing.
    #[inline]
    pub(super) fn new(stack: Stack, room: usize, drop_body: unsafe fn(NonNull<Self>)) -> Self {
        Self {
            context: Cell::new(Context::NONE),
            resumer: Cell::new(Context::NONE),
            answer: Cell::new(ptr::null_mut()),
            input: UnsafeCell::new(MaybeUninit::uninit()),
            reach: Cell::new(room),
            closing: Cell::new(false),
            entered_amid_panic: Cell::new(false),
            unwinding: Cell::new(false),
            begun: Cell::new(false),
            finished: Cell::new(false),
            room,
            drop_body,
            tag: OnceCell::new(),
            stack: ManuallyDrop::new(stack),
        }
    }

    #[inline]
    pub(super) fn is_suspended(&self) -> bool {
        self.context.get() != Context::NONE
    }

    #[inline]
    pub(super) fn is_finished(&self) -> bool {
        self.finished.get()
    }

    /// Nothing will run on the stack any more.
    #[inline]
    pub(super) fn finish(&self) {
        self.context.set(Context::NONE);
        self.finished.set(true);
    }

    #[inline]
    pub(super) fn status(&self) -> Status {
        if self.is_suspended() {
            Status::Suspended
        } else if self.is_finished() {
            Status::Finished
        } else {
            Status::Running
        }
    }

    pub(super) fn name(&self) -> Name<Input, Yield, Return> {
        Name::of(self.tag.get_or_init(|| name::tag(NonNull::from(self))))
    }

    /// It is in the middle of a panic of its own, in a destructor that has suspended it. A thread that
    /// does not unwind proves the opposite: what was seen then was the panic of another task.
    pub(super) fn is_unwinding(&self) -> bool {
        self.unwinding.get() && thread::panicking()
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
    pub(super) unsafe fn take_input(&self) -> Input {
        // SAFETY: the caller's promise.
        unsafe { (*self.input.get()).assume_init_read() }
    }

    /// Runs the coroutine until it, or another to which it has transferred, answers.
    ///
    /// # Safety
    ///
    /// The coroutine is suspended, its argument given, unless it is closing.
    #[inline]
    pub(super) unsafe fn enter(&self) -> Answer<Yield, Return> {
        let mut answer = MaybeUninit::uninit();
        // SAFETY: the coroutine is suspended, so its context belongs to a stack of this thread, since
        // coroutines are not `Send`, and nobody has continued it. Whoever continues this frame has
        // written the answer first.
        unsafe {
            let context = self.take_over(&mut answer);
            switch(self.resumer.as_ptr(), context);
            answer.assume_init()
        }
    }

    /// Makes the coroutine the one that runs and will give the answer. Returns where it continues.
    #[inline]
    fn take_over(&self, answer: *mut MaybeUninit<Answer<Yield, Return>>) -> Context {
        self.answer.set(answer);
        if thread::panicking() {
            self.enter_amid_panic();
        }
        self.context.replace(Context::NONE)
    }

    /// Suspends the running coroutine with a value for its resumer, and returns the argument of the
    /// next resume.
    #[inline]
    pub(super) fn suspend(&self, value: Yield) -> Input {
        self.leave();
        // SAFETY: `leave` has made sure that this coroutine executes. So its resumer waits in its frame
        // for the answer, and no other coroutine knows that resumer's context.
        unsafe {
            (*self.answer.get()).write(Ok(State::Yielded(value)));
            switch(self.context.as_ptr(), self.resumer.get());
            self.arrive()
        }
    }

    /// Suspends the running coroutine and continues `next`, which answers to the same resumer.
    ///
    /// # Safety
    ///
    /// `next` is alive and suspended.
    #[inline]
    pub(super) unsafe fn transfer<Other>(
        &self,
        next: &Core<Other, Yield, Return>,
        input: Other,
    ) -> Input {
        self.leave();
        // SAFETY: `leave` has made sure that this coroutine executes, so that the resumer whom it hands
        // on waits. `next` is suspended, says the caller, and of this thread.
        unsafe {
            next.give(input);
            let context = next.take_over(self.answer.get());
            next.resumer.set(self.resumer.get());
            switch(self.context.as_ptr(), context);
            self.arrive()
        }
    }

    /// What precedes every suspension: returns only if this coroutine executes and may be suspended.
    #[inline]
    fn leave(&self) {
        if self.distance_to(stack_pointer()) > self.reach.get()
            || no_suspend_depth() != 0
            || thread::panicking()
        {
            self.leave_specially();
        }
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

    /// Unwinds what is on the stack. Returns the panic of a destructor, if it was none of ours.
    ///
    /// # Safety
    ///
    /// The coroutine is suspended, has begun and is not in the middle of a panic. It has no name.
    pub(super) unsafe fn unwind_stack(&self) -> Option<Box<dyn Any + Send>> {
        self.closing.set(true);
        self.reach.set(0);
        // SAFETY: the coroutine is suspended, and closing.
        unsafe { self.enter() }.err().filter(|panic| !panic.is::<Unwind>())
    }

    /// How far `address` is below this core. Something enormous if it is above.
    #[inline]
    fn distance_to(&self, address: usize) -> usize {
        ptr::from_ref(self).addr().wrapping_sub(address)
    }

    #[cold]
    #[inline(never)]
    fn enter_amid_panic(&self) {
        if !self.unwinding.take() {
            self.entered_amid_panic.set(true);
        }
        self.reach.set(0);
    }

    #[cold]
    #[inline(never)]
    fn leave_specially(&self) {
        if self.distance_to(stack_pointer()) > self.room {
            panic!(
                "a coroutine was told to suspend by code that runs on another stack: only the body, \
                 and what it calls, can suspend it"
            );
        }
        // Sections of the resumer may be open, but they are on other stacks.
        if no_suspend_depth() != 0 && self.distance_to(innermost_section()) <= self.room {
            panic!(
                "a coroutine cannot be suspended inside no_suspend: the section holds something of \
                 the thread's that other code must not see"
            );
        }
        if self.closing.get() {
            unwind();
        }
        let unwinding = !self.entered_amid_panic.take() && thread::panicking();
        self.unwinding.set(unwinding);
        self.reach.set(if unwinding { 0 } else { self.room });
    }
}

#[cold]
#[inline(never)]
fn unwind() -> ! {
    resume_unwind(Box::new(Unwind))
}

//! The administration of one coroutine, at the top of its stack, and how it takes turns with others.
//!
//! ```text
//!   top of the stack  +----------------------+
//!                     |  Stack               |  the stack's own description
//!                     +----------------------+  aligned down
//!                     |  Core                |  status, contexts, argument
//!                     |  the body's captures |  until the body begins
//!                     +----------------------+  aligned down
//!                     |  the base frame      |
//!                     |  the body's frames   |
//!                     |          |           |
//! ```
//!
//! A resume has an *answer*: what the coroutine yields or returns, or the panic that ended it. It is
//! put into the [`Mailbox`] of the coroutine that was resumed, right before the switch to the resumer,
//! who takes it out at once. A symmetric transfer passes on who waits and in which mailbox, and so the
//! answer comes from whichever coroutine of the group suspends or returns first.
//!
//! Invariants:
//!
//! - A coroutine suspends only while its own stack is the one that executes. So what runs is always
//!   the last of a chain of coroutines, each of which waits for the next.
//! - One that is suspended is in no such chain, and its context is good for one continuation.
//!
//! A resume and a suspension together take some thirteen processor cycles, eight of them for the two
//! switches, and every store or comparison shows. Hence the thrift: one cell for both sides of the
//! switch, no flag for what other fields tell, and one limit, `reach`, that stands for all that is
//! unusual about a suspension.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::resume_unwind;
use std::ptr::{self, NonNull};
use std::thread;

use super::mailbox::{Answer, Mailbox};
use super::name::{self, Name};
use super::stacks::Placed;
use super::{State, Status};
use crate::no_suspend::{innermost_section, no_suspend_depth};
use crate::stack_pointer::stack_pointer;
use crate::switch::{Context, switch};

/// The panic payload by which a suspended coroutine is unwound.
struct Unwind;

pub(super) struct Core<Input, Yield, Return> {
    /// While the coroutine is suspended, where it continues: an address on its own stack. While it
    /// runs, where its resumer continues.
    pub(super) context: Cell<Context>,
    /// Holds a value between a resume and the moment when the body takes it.
    input: UnsafeCell<MaybeUninit<Input>>,
    mailbox: Mailbox<Yield, Return>,
    /// The bytes of the stack below this core.
    room: usize,
    /// How far below this core the stack pointer may be for an ordinary suspension: `room`, or 0 if
    /// one of the next four fields says that this one is not ordinary.
    reach: Cell<usize>,
    /// The mailbox in which the resumer waits for the answer, if it is that of another coroutine.
    elsewhere: Cell<*const Mailbox<Yield, Return>>,
    /// The handle is being dropped: every suspension unwinds.
    closing: Cell<bool>,
    /// Somebody else's panic was unwinding the thread when the coroutine was entered.
    entered_amid_panic: Cell<bool>,
    /// It was suspended by a destructor while a panic of its own unwound it.
    unwinding: Cell<bool>,
    /// The body has begun, so that its captures are no longer below this core.
    pub(super) begun: Cell<bool>,
    finished: Cell<bool>,
    pub(super) drop_body: unsafe fn(NonNull<Self>),
    /// What the names of the coroutine share, if it has any.
    pub(super) tag: Cell<Option<name::Tag<Input, Yield, Return>>>,
    pub(super) stack: ManuallyDrop<Placed>,
}

impl<Input, Yield, Return> Core<Input, Yield, Return> {
    /// The core of a coroutine that has not begun, with `room` bytes of `stack` below it, where
    /// `context` is.
    #[inline]
    pub(super) fn new(
        context: Context,
        stack: Placed,
        room: usize,
        drop_body: unsafe fn(NonNull<Self>),
    ) -> Self {
        Self {
            context: Cell::new(context),
            input: UnsafeCell::new(MaybeUninit::uninit()),
            mailbox: Mailbox::new(),
            room,
            reach: Cell::new(room),
            elsewhere: Cell::new(ptr::null()),
            closing: Cell::new(false),
            entered_amid_panic: Cell::new(false),
            unwinding: Cell::new(false),
            begun: Cell::new(false),
            finished: Cell::new(false),
            drop_body,
            tag: Cell::new(None),
            stack: ManuallyDrop::new(stack),
        }
    }

    #[inline]
    pub(super) fn is_suspended(&self) -> bool {
        self.distance_to(self.context.get().frame().addr()) <= self.room
    }

    #[inline]
    pub(super) fn is_finished(&self) -> bool {
        self.finished.get()
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

    /// It is in the middle of a panic of its own, in a destructor that has suspended it. A thread that
    /// does not unwind proves the opposite: what was seen then was the panic of another task.
    pub(super) fn is_unwinding(&self) -> bool {
        self.unwinding.get() && thread::panicking()
    }

    pub(super) fn name(&self) -> Name<Input, Yield, Return> {
        let tag = self.tag.take().unwrap_or_else(|| name::tag(NonNull::from(self)));
        let name = Name::of(&tag);
        self.tag.set(Some(tag));
        name
    }

    /// How far `address` is below this core. Something enormous if it is above.
    #[inline]
    fn distance_to(&self, address: usize) -> usize {
        ptr::from_ref(self).addr().wrapping_sub(address)
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
    /// The coroutine is suspended, its argument given, unless it is closing. The core outlives the
    /// call.
    #[inline]
    pub(super) unsafe fn enter(&self) -> Answer<Yield, Return> {
        self.note_panic();
        // SAFETY: the coroutine is suspended, so its context belongs to a stack of this thread, since
        // coroutines are not `Send`; and it is continued once, since the switch replaces it. Whoever
        // continues this frame has put an answer into the mailbox.
        unsafe {
            switch(self.context.as_ptr(), self.context.get());
            self.mailbox.take()
        }
    }

    /// Suspends the running coroutine with a value for its resumer, and returns the argument of the
    /// next resume.
    #[inline]
    pub(super) fn suspend(&self, value: Yield) -> Input {
        let mailbox = self.leave();
        // SAFETY: `leave` has made sure that this coroutine executes. So its resumer waits, whose
        // context nobody else has, and will take the answer at once.
        unsafe {
            (*mailbox).put_yield(value);
            switch(self.context.as_ptr(), self.context.get());
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
        let mailbox = self.leave();
        next.note_panic();
        next.elsewhere.set(mailbox);
        next.reach.set(0);
        // SAFETY: `leave` has made sure that this coroutine executes, so that the resumer whom it hands
        // on waits. `next` is suspended, says the caller, and of this thread.
        unsafe {
            next.give(input);
            let context = next.context.replace(self.context.get());
            switch(self.context.as_ptr(), context);
            self.arrive()
        }
    }

    /// Says for the last time where the resumer waits and in which mailbox: the body has ended.
    pub(super) fn finish(&self) -> (Context, *const Mailbox<Yield, Return>) {
        self.finished.set(true);
        (self.context.replace(Context::NONE), self.take_addressee())
    }

    /// What precedes every suspension: returns only if this coroutine executes and may be suspended.
    /// The result is the mailbox in which the resumer waits.
    #[inline]
    fn leave(&self) -> *const Mailbox<Yield, Return> {
        if self.distance_to(stack_pointer()) > self.reach.get() {
            return self.leave_specially();
        }
        if no_suspend_depth() != 0 {
            return self.leave_specially();
        }
        if thread::panicking() {
            return self.leave_specially();
        }
        &self.mailbox
    }

    /// The mailbox in which the resumer waits. It is alive: the handle to which it belongs is borrowed
    /// by that resumer.
    fn take_addressee(&self) -> *const Mailbox<Yield, Return> {
        let elsewhere = self.elsewhere.replace(ptr::null());
        if elsewhere.is_null() { &self.mailbox } else { elsewhere }
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
        let answer: Result<State<_, _>, _> = unsafe { self.enter() };
        answer.err().filter(|panic| !panic.is::<Unwind>())
    }

    /// Precedes every entry: remembers whether a panic is under way that is not the coroutine's own.
    #[inline]
    fn note_panic(&self) {
        if thread::panicking() {
            self.enter_amid_panic();
        }
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
    fn leave_specially(&self) -> *const Mailbox<Yield, Return> {
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
        self.take_addressee()
    }
}

#[cold]
#[inline(never)]
fn unwind() -> ! {
    resume_unwind(Box::new(Unwind))
}

//! The administration of one coroutine, at the top of its stack, and how it takes turns with
//! others.
//!
//! ```text
//!   top of the stack  +----------------------+
//!                     |  Stack               |  the stack's own description
//!                     +----------------------+  aligned down
//!                     |  Core                |  contexts, argument, status
//!                     |  the body's captures |  until the body begins
//!                     +----------------------+  aligned down
//!                     |  the base frame      |
//!                     |  the body's frames   |
//!                     |          |           |
//! ```
//!
//! A resume has an *answer*: what the coroutine yields or returns, or the panic that ended it. A
//! plain yield goes to the resumer with the switch, which also tells where the coroutine continues.
//! Any other answer is put into the [`Mailbox`] of the coroutine that was resumed, right before the
//! switch to the resumer, which takes it out at once. A symmetric transfer passes on the waiting
//! resumer and its mailbox, so the answer comes from the first coroutine of the group that suspends
//! or returns.
//!
//! Invariants:
//!
//! - A coroutine suspends only while its own stack is the one that executes. So what runs is always
//!   the last of a chain of coroutines, each of which waits for the next.
//! - One that is suspended is in no such chain, and its context is good for one continuation.
//!
//! A resume and a suspension together take some ten processor cycles, seven of them for the two
//! switches, and every store or comparison shows. Hence values go through registers, no flag
//! repeats what other fields tell, one limit, `reach`, stands for most of what can be unusual about
//! a suspension, and the unusual cases are handled out of line.

use std::any::Any;
use std::cell::Cell;
use std::hint::cold_path;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};

use super::mailbox::{Argument, Mailbox};
use super::stacks::Placed;
use super::weak::{self, WeakCoroutine};
use super::{CoroutineState, CoroutineStatus};
use crate::attached::{is_attached, last_attached};
use crate::no_suspend::{in_section, innermost_section};
use crate::panics::{self, Aside};
use crate::stack_pointer::distance_below;
use crate::switch::{Context, Word, answer, call};

/// The panic payload by which a suspended coroutine is unwound.
struct Unwind;

/// What a switch uses comes first: no offset has to be added to its address.
#[repr(C)]
pub(super) struct Core<Input, Yield, Return> {
    /// Before the body has begun, where it begins. While it runs, where the resumer continues.
    opposite: Cell<Context>,
    /// While the coroutine is suspended in its body, where it continues. Otherwise `NONE`.
    pub(super) context: Cell<Context>,
    /// How far below this core the stack pointer may be for an ordinary suspension: `room`, or 0 if
    /// `elsewhere` or `closing` says that this one is not ordinary.
    reach: Cell<usize>,
    /// The bytes of the stack below this core.
    room: usize,
    argument: Argument<Input>,
    mailbox: Mailbox<Yield, Return>,
    /// The mailbox in which the resumer waits for the answer, if it is that of another coroutine.
    elsewhere: Cell<*const Mailbox<Yield, Return>>,
    /// The handle is being dropped: every suspension unwinds.
    closing: Cell<bool>,
    /// Its panics, set aside while a destructor that they have called suspends it.
    panics: Cell<Option<Aside>>,
    /// The body has begun, so that its captures are no longer below this core.
    pub(super) begun: Cell<bool>,
    finished: Cell<bool>,
    pub(super) drop_body: unsafe fn(NonNull<Self>),
    /// What the weak handles of the coroutine share, if there are any.
    pub(super) tag: Cell<Option<weak::Tag<Input, Yield, Return>>>,
    pub(super) stack: ManuallyDrop<Placed>,
}

impl<Input, Yield, Return> Core<Input, Yield, Return> {
    /// The core of a coroutine that will begin at `context`, with `room` bytes of `stack` below it.
    #[inline]
    pub(super) fn new(
        context: Context,
        stack: Placed,
        room: usize,
        drop_body: unsafe fn(NonNull<Self>),
    ) -> Self {
        Self {
            context: Cell::new(Context::NONE),
            opposite: Cell::new(context),
            reach: Cell::new(room),
            room,
            argument: Argument::new(),
            mailbox: Mailbox::new(),
            elsewhere: Cell::new(ptr::null()),
            closing: Cell::new(false),
            panics: Cell::new(None),
            begun: Cell::new(false),
            finished: Cell::new(false),
            drop_body,
            tag: Cell::new(None),
            stack: ManuallyDrop::new(stack),
        }
    }

    #[inline]
    pub(super) fn is_finished(&self) -> bool {
        self.finished.get()
    }

    #[inline]
    pub(super) fn status(&self) -> CoroutineStatus {
        if self.context.get() != Context::NONE {
            CoroutineStatus::Suspended
        } else if self.is_finished() {
            CoroutineStatus::Finished
        } else if self.begun.get() {
            CoroutineStatus::Running
        } else {
            CoroutineStatus::Suspended
        }
    }

    /// Whether a destructor has suspended it in the middle of a panic. If so, that will never go
    /// on.
    pub(super) fn gives_up_panics(&self) -> bool {
        self.panics.take().is_some()
    }

    /// Whether others may have a [weak handle](Self::downgrade), as for a coroutine that owns all
    /// that it uses.
    pub(super) fn has_weak_handles(&self) -> bool {
        let tag = self.tag.take();
        let has = tag.is_some();
        self.tag.set(tag);
        has
    }

    pub(super) fn downgrade(&self) -> WeakCoroutine<Input, Yield, Return> {
        let tag = self.tag.take().unwrap_or_else(|| weak::tag(NonNull::from(self)));
        let weak = WeakCoroutine::of(&tag);
        self.tag.set(Some(tag));
        weak
    }

    /// Runs the coroutine until it, or another to which it has transferred, answers. Returns the
    /// argument if it is not suspended. A panic of the body goes on here.
    #[inline]
    pub(super) fn resume(&self, input: Input) -> Result<CoroutineState<Yield, Return>, Input> {
        let context = self.context.get();
        if context == Context::NONE {
            return self.begin(input);
        }
        // SAFETY: the coroutine waits in its body, for an argument.
        let (word, context) = unsafe { self.enter(context, self.argument.send(input)) };
        if context == Context::NONE {
            cold_path();
            return Ok(self.last_answer());
        }
        self.context.set(context);
        // SAFETY: an answer that says where the coroutine continues is a yield.
        Ok(CoroutineState::Yielded(unsafe { self.mailbox.receive_yield(word) }))
    }

    /// The first resume. Inlined for coroutines that never suspend.
    #[inline]
    fn begin(&self, input: Input) -> Result<CoroutineState<Yield, Return>, Input> {
        if self.status() != CoroutineStatus::Suspended {
            return Err(input);
        }
        // SAFETY: the coroutine waits to begin, and takes the argument then.
        let (word, context) = unsafe {
            self.argument.put(input);
            self.enter(self.opposite.get(), Word::uninit())
        };
        if context == Context::NONE {
            return Ok(self.open_answer());
        }
        self.context.set(context);
        // SAFETY: as in `resume`.
        Ok(CoroutineState::Yielded(unsafe { self.mailbox.receive_yield(word) }))
    }

    /// The answer to a resume that is not the first. Usually the coroutine was resumed many times
    /// before.
    #[inline(never)]
    fn last_answer(&self) -> CoroutineState<Yield, Return> {
        self.open_answer()
    }

    /// An answer that is not a plain yield.
    #[inline(always)]
    fn open_answer(&self) -> CoroutineState<Yield, Return> {
        // SAFETY: a coroutine that answers and does not say where it continues has put the answer
        // there.
        match unsafe { self.mailbox.take() } {
            Ok(state) => state,
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Lets the coroutine go on until it, or another to which it has transferred, answers. Returns
    /// what the answer brought along: a word, and where the coroutine continues if it has sent a
    /// yield.
    ///
    /// # Safety
    ///
    /// The coroutine is suspended at `context`. Its argument was sent with `word` or, if it has not
    /// begun, put in its place; if it is closing, it needs none. The core outlives the call.
    #[inline(always)]
    unsafe fn enter(&self, context: Context, word: Word) -> (Word, Context) {
        if panics::under_way() {
            // SAFETY: the caller's promise.
            return unsafe { self.enter_amid_panic(context, word) };
        }
        // SAFETY: the caller's promise.
        unsafe { self.enter_as_is(context, word) }
    }

    /// The resumer's stack unwinds, and the coroutine has nothing to do with that.
    ///
    /// # Safety
    ///
    /// As for [`enter`](Self::enter).
    #[cold]
    #[inline(never)]
    unsafe fn enter_amid_panic(&self, context: Context, word: Word) -> (Word, Context) {
        // SAFETY: the caller's promise.
        let answer = panics::amid_panic(|| unsafe { self.enter_as_is(context, word) });
        answer.unwrap_or_else(|| refuse_amid_panic("resumed by"))
    }

    /// # Safety
    ///
    /// As for [`enter`](Self::enter).
    #[inline(always)]
    unsafe fn enter_as_is(&self, context: Context, word: Word) -> (Word, Context) {
        self.context.set(Context::NONE);
        // SAFETY: the coroutine is suspended, so its context belongs to a stack of this thread,
        // since coroutines are not `Send`; and it is continued once, since the core does not have
        // it any more. This frame is continued by `answer`, `call` or `switch_for_good` alone.
        unsafe { call(self.opposite.as_ptr(), context, word) }
    }

    /// Suspends the running coroutine with a value for its resumer, and returns the argument of the
    /// next resume.
    #[inline]
    pub(super) fn suspend(&self, value: Yield) -> Input {
        if self.is_special() || panics::under_way() {
            return self.suspend_specially(value);
        }
        // SAFETY: this coroutine executes, as nothing is special, and so its resumer waits in
        // `enter` for its own answer.
        unsafe {
            let word = answer(self.opposite.get(), self.mailbox.send_yield(value));
            self.arrive(word)
        }
    }

    #[cold]
    #[inline(never)]
    fn suspend_specially(&self, value: Yield) -> Input {
        let mailbox = self.leave_specially();
        // SAFETY: `leave_specially` has made sure that this coroutine executes. So its resumer
        // waits, whose context nobody else has, and will take the answer at once.
        unsafe {
            (*mailbox).put(Ok(CoroutineState::Yielded(value)));
            let (word, _) = call(self.context.as_ptr(), self.opposite.get(), Word::uninit());
            self.arrive_specially(word)
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
        if panics::under_way() {
            // SAFETY: the caller's promise.
            return unsafe { self.transfer_amid_panic(next, input) };
        }
        // Special, most often, is only that this coroutine was transferred to as well.
        let mailbox =
            if self.is_special() { self.leave_specially() } else { &raw const self.mailbox };
        // SAFETY: this coroutine executes, and the caller's promise.
        unsafe {
            let word = self.hand_over(next, input, mailbox);
            self.arrive(word)
        }
    }

    /// # Safety
    ///
    /// As for [`transfer`](Self::transfer).
    #[cold]
    #[inline(never)]
    unsafe fn transfer_amid_panic<Other>(
        &self,
        next: &Core<Other, Yield, Return>,
        input: Other,
    ) -> Input {
        let mailbox = self.leave_specially();
        // SAFETY: `leave_specially` has made sure that this coroutine executes; and the caller's
        // promise.
        unsafe {
            let word = self.hand_over(next, input, mailbox);
            self.arrive_specially(word)
        }
    }

    /// Continues `next` for the resumer, which waits in `mailbox`. Returns the word with which this
    /// coroutine is entered again.
    ///
    /// # Safety
    ///
    /// This coroutine executes, and `next` is alive and suspended.
    #[inline(always)]
    unsafe fn hand_over<Other>(
        &self,
        next: &Core<Other, Yield, Return>,
        input: Other,
        mailbox: *const Mailbox<Yield, Return>,
    ) -> Word {
        next.elsewhere.set(mailbox);
        next.reach.set(0);
        // SAFETY: this coroutine executes, so the resumer that it hands on is waiting. `next` is
        // suspended, and of this thread.
        unsafe {
            let (context, word) = next.give(input);
            next.opposite.set(self.opposite.get());
            call(self.context.as_ptr(), context, word).0
        }
    }

    /// Gives a suspended coroutine its argument and takes its context.
    ///
    /// # Safety
    ///
    /// The coroutine is suspended, and will be continued with the word.
    #[inline]
    unsafe fn give(&self, input: Input) -> (Context, Word) {
        let context = self.context.replace(Context::NONE);
        // SAFETY: the coroutine waits for an argument, or to begin, and takes it then.
        unsafe {
            if context != Context::NONE {
                return (context, self.argument.send(input));
            }
            self.argument.put(input);
            (self.opposite.get(), Word::uninit())
        }
    }

    /// Says for the last time where the resumer waits and in which mailbox: the body has ended.
    pub(super) fn finish(&self) -> (Context, *const Mailbox<Yield, Return>) {
        self.finished.set(true);
        (self.opposite.replace(Context::NONE), self.take_addressee())
    }

    /// The argument of the first resume.
    ///
    /// # Safety
    ///
    /// The body has just been entered for the first time.
    #[inline]
    pub(super) unsafe fn first_argument(&self) -> Input {
        // SAFETY: the resume or transfer that enters a body for the first time puts its argument
        // there.
        unsafe { self.argument.take() }
    }

    /// Whether a suspension by the running code needs a closer look, or is not allowed. The same
    /// holds amid a panic, which the caller looks for itself.
    #[inline]
    fn is_special(&self) -> bool {
        // In one comparison: it precedes each suspension.
        if innermost_section() | last_attached() != 0 {
            cold_path();
            return true;
        }
        if distance_below(ptr::from_ref(self)) > self.reach.get() {
            cold_path();
            return true;
        }
        false
    }

    /// The mailbox in which the resumer waits. It is alive: the handle to which it belongs is
    /// borrowed by that resumer.
    fn take_addressee(&self) -> *const Mailbox<Yield, Return> {
        let elsewhere = self.elsewhere.replace(ptr::null());
        if elsewhere.is_null() { &self.mailbox } else { elsewhere }
    }

    /// What follows every suspension.
    ///
    /// # Safety
    ///
    /// The coroutine was entered again, with this word.
    #[inline]
    unsafe fn arrive(&self, word: Word) -> Input {
        if self.closing.get() {
            unwind();
        }
        // SAFETY: a coroutine that is entered in its body and not closing was sent an argument.
        unsafe { self.argument.receive(word) }
    }

    /// What follows a suspension that was not ordinary.
    ///
    /// # Safety
    ///
    /// As for [`arrive`](Self::arrive).
    unsafe fn arrive_specially(&self, word: Word) -> Input {
        if let Some(panics) = self.panics.take() {
            panics.restore();
        }
        // SAFETY: the caller's promise.
        unsafe { self.arrive(word) }
    }

    /// Unwinds what is on the stack. Returns the panic of a destructor, if there was one.
    ///
    /// # Safety
    ///
    /// The coroutine is suspended, has begun and is not in the middle of a panic. No weak handle
    /// leads to it.
    pub(super) unsafe fn unwind_stack(&self) -> Option<Box<dyn Any + Send>> {
        self.closing.set(true);
        self.reach.set(0);
        // If the caller unwinds, then this is a part of that. SAFETY: the coroutine is suspended in
        // its body, and closing. So it does not yield, but ends.
        let answer = unsafe {
            self.enter_as_is(self.context.get(), Word::uninit());
            self.mailbox.take()
        };
        match answer {
            // The body has caught the unwinding and returned.
            Ok(state) => catch_unwind(AssertUnwindSafe(|| drop(state))).err(),
            Err(panic) => Some(panic).filter(|panic| !panic.is::<Unwind>()),
        }
    }

    /// What precedes a suspension that is not ordinary: returns only if this coroutine executes and
    /// may be suspended. The result is the mailbox in which the resumer waits.
    #[cold]
    #[inline(never)]
    fn leave_specially(&self) -> *const Mailbox<Yield, Return> {
        if distance_below(ptr::from_ref(self)) > self.room {
            panic!(
                "a coroutine was told to suspend by code that runs on another stack: only the \
                 body, and what it calls, can suspend it"
            );
        }
        // Sections of the resumer may be open, but they are on other stacks.
        let to_section = ptr::from_ref(self).addr().wrapping_sub(innermost_section());
        if in_section() && to_section <= self.room {
            panic!(
                "a coroutine cannot be suspended inside no_suspend: the section holds something of \
                 the thread's that other code must not see"
            );
        }
        if self.closing.get() {
            unwind();
        }
        if is_attached(ptr::from_ref(self), self.room) {
            panic!(
                "a coroutine cannot be suspended inside a shield that it has entered: the shield \
                 belongs to the task, which would go on outside of it"
            );
        }
        if panics::under_way() {
            let panics = panics::set_aside().unwrap_or_else(|| refuse_amid_panic("suspended by"));
            self.panics.set(Some(panics));
        }
        self.reach.set(self.room);
        self.take_addressee()
    }
}

#[cold]
#[inline(never)]
fn unwind() -> ! {
    resume_unwind(Box::new(Unwind))
}

#[cold]
#[inline(never)]
fn refuse_amid_panic(what: &str) -> ! {
    panic!(
        "a coroutine cannot be {what} a destructor in the middle of a panic: that takes a thread \
         and some stacks, and the system has none left"
    )
}

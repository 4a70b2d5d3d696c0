//! The body's view of its coroutine.

use std::marker::PhantomData;

use super::core::Core;
use super::{CoroutineState, ScopedCoroutine, WeakCoroutine};
use crate::here::{Hidden, StaysHere};

/// How a coroutine's body suspends. Every body gets one.
pub struct Yielder<Input, Yield, Return> {
    core: Hidden<*const Core<Input, Yield, Return>>,
    _stays_here: StaysHere,
}

impl<Input, Yield, Return> Yielder<Input, Yield, Return> {
    pub(super) fn new(core: &Core<Input, Yield, Return>) -> Self {
        // SAFETY: `_stays_here` is beside it, and it stays where it is.
        Self { core: unsafe { Hidden::new(core) }, _stays_here: PhantomData }
    }

    #[inline]
    fn core(&self) -> &Core<Input, Yield, Return> {
        // SAFETY: a yielder is lent to the body for its run and lies on its stack, below the core.
        unsafe { &**self.core }
    }

    /// Suspends the coroutine: `value` is the result of the resume that let it run, and the
    /// argument of the next resume is the result of this call.
    ///
    /// It may be called at any depth of calls, but on the coroutine's own stack: not by a coroutine
    /// or a task that the body runs inside, and not inside a function that has moved its caller to
    /// a larger stack, such as `grow` and `maybe_grow` of the crate `stacker`. Give such a
    /// coroutine a large stack from the start, by
    /// [`with_stack_size`](crate::Coroutine::with_stack_size): only what is touched of it costs
    /// memory.
    ///
    /// # Panics
    ///
    /// Unwinds the body if the coroutine is dropped meanwhile. Panics inside
    /// [`no_suspend`](fn@crate::no_suspend), and on another stack.
    ///
    /// ```
    /// use lisle::coroutine::{Coroutine, CoroutineState, Yielder};
    ///
    /// fn ask(yielder: &Yielder<u32, &'static str, u32>, question: &'static str) -> u32 {
    ///     yielder.suspend(question)
    /// }
    ///
    /// let sum = Coroutine::new(|yielder: &Yielder<u32, &'static str, u32>, first| {
    ///     first + ask(yielder, "and then?")
    /// });
    /// assert_eq!(sum.resume(2), CoroutineState::Yielded("and then?"));
    /// assert_eq!(sum.resume(3), CoroutineState::Returned(5));
    /// ```
    #[inline]
    pub fn suspend(&self, value: Yield) -> Input {
        self.core().suspend(value)
    }

    /// Suspends the coroutine and continues `next`, in one step: the body of `next` gets `input`,
    /// as from a resume. Returns when this coroutine is resumed or transferred to.
    ///
    /// `next` takes this coroutine's place: when it suspends or returns, its value goes to the
    /// resumer of this one. No stack deepens, however often coroutines transfer to each other.
    ///
    /// # Panics
    ///
    /// If `next` is not suspended or was dropped. Otherwise as [`suspend`](Self::suspend).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::coroutine::{Coroutine, CoroutineState};
    ///
    /// let pong = Coroutine::new(|yielder, n| yielder.suspend(n + 1));
    /// let weak = pong.downgrade();
    /// let ping = Coroutine::new(move |yielder, n: u32| yielder.transfer(&weak, n * 10));
    /// assert_eq!(ping.resume(4), CoroutineState::Yielded(41)); // pong answers for ping
    /// assert_eq!(ping.resume(7), CoroutineState::Returned(7));
    /// ```
    #[inline]
    #[track_caller]
    pub fn transfer<Other>(
        &self,
        next: &WeakCoroutine<Other, Yield, Return>,
        input: Other,
    ) -> Input {
        let next = next.suspended_core();
        // SAFETY: `suspended_core` has looked at `next`, and no other code runs before it is
        // entered.
        unsafe { self.core().transfer(next.as_ref(), input) }
    }

    /// Calls another coroutine as if its body were part of this one: runs it to its end and returns
    /// its result. Each of its yields becomes a yield of this coroutine, and what this one is
    /// resumed with is passed on.
    ///
    /// # Panics
    ///
    /// With a panic of the other body; if the other coroutine is finished or running. Otherwise as
    /// [`suspend`](Self::suspend).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::coroutine::{Coroutine, CoroutineState};
    ///
    /// let outer = Coroutine::new(|yielder, ()| {
    ///     let inner = Coroutine::new(|yielder, ()| {
    ///         yielder.suspend("from the inner one");
    ///         42
    ///     });
    ///     yielder.call(&inner, ()) + 1
    /// });
    /// assert_eq!(outer.resume(()), CoroutineState::Yielded("from the inner one"));
    /// assert_eq!(outer.resume(()), CoroutineState::Returned(43));
    /// ```
    #[track_caller]
    pub fn call<Output>(
        &self,
        callee: &ScopedCoroutine<'_, Input, Yield, Output>,
        mut input: Input,
    ) -> Output {
        loop {
            match callee.resume(input) {
                CoroutineState::Yielded(value) => input = self.suspend(value),
                CoroutineState::Returned(result) => return result,
            }
        }
    }
}

impl<Input, Yield, Return> std::fmt::Debug for Yielder<Input, Yield, Return> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Yielder").finish_non_exhaustive()
    }
}

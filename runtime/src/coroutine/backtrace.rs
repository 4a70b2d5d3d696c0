//! Where a coroutine is suspended.

use std::backtrace::Backtrace;

use super::ScopedCoroutine;
use crate::switch::{Context, on_top_of};

impl<Input, Yield, Return> ScopedCoroutine<'_, Input, Yield, Return> {
    /// The calls by which the coroutine has come to its suspension, innermost first, down to its
    /// body. It is not resumed for that, and goes on later as if nothing had happened.
    ///
    /// It is captured whatever `RUST_BACKTRACE` says, in some microseconds; most of the work,
    /// finding the names, is done when it is printed.
    ///
    /// `None` if the coroutine is not suspended or has not begun, if less than 16 KiB of
    /// its stack is left, or if the switch backend is `ucontext`.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::coroutine::{Coroutine, Yielder};
    /// use lisle_runtime::switch;
    ///
    /// fn wait_for_more(yielder: &Yielder<(), (), ()>) {
    ///     yielder.suspend(());
    /// }
    ///
    /// let coroutine = Coroutine::new(|yielder, ()| wait_for_more(yielder));
    /// assert!(coroutine.backtrace().is_none()); // it has not begun
    /// coroutine.resume(());
    /// if let Some(backtrace) = coroutine.backtrace() {
    ///     assert!(backtrace.to_string().contains("wait_for_more"));
    /// } else {
    ///     assert_eq!(switch::BACKEND, "ucontext");
    /// }
    /// ```
    pub fn backtrace(&self) -> Option<Backtrace> {
        let core = self.core();
        let context = core.context.get();
        if context == Context::NONE {
            return None;
        }
        // SAFETY: a switch has told this context. Capturing calls none of our code, and only this
        // thread could resume the coroutine.
        unsafe { on_top_of(context, core.stack.bottom(), Backtrace::force_capture) }
    }
}

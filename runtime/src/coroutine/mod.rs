//! Coroutines: functions that can be suspended from any depth of calls, and resumed.
//!
//! A coroutine runs on a stack of its own but in turn with its caller: it runs while the caller is
//! in [`resume`](ScopedCoroutine::resume), and the caller runs while the coroutine is in
//! [`suspend`](Yielder::suspend). It needs no scheduler. Inside a task, a coroutine whose body
//! blocks parks the whole task.
//!
//! A coroutine's administration ([`core`]) lies at the top of its stack, so that making one
//! allocates nothing when a warm stack is at hand.

mod backtrace;
mod core;
mod ends;
mod mailbox;
mod stacks;
mod weak;
mod yielder;

pub(crate) use stacks::default_size_in_use;
pub use weak::WeakCoroutine;
pub use yielder::Yielder;

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use self::core::Core;
use self::stacks::Placed;
use crate::here::{Hidden, StaysHere};
use crate::last_words::abort_with;
use crate::stack::Stack;

/// A coroutine that owns all that it uses. See [`ScopedCoroutine`] for what it can do.
///
/// # Examples
///
/// ```
/// use lisle::coroutine::{Coroutine, CoroutineState};
///
/// let adder = Coroutine::new(|yielder, first: i32| {
///     let mut sum = first;
///     while sum < 10 {
///         sum += yielder.suspend(sum); // gives `sum` to the caller, gets the next argument
///     }
///     "enough"
/// });
/// assert_eq!(adder.resume(1), CoroutineState::Yielded(1));
/// assert_eq!(adder.resume(5), CoroutineState::Yielded(6));
/// assert_eq!(adder.resume(7), CoroutineState::Returned("enough"));
/// ```
pub type Coroutine<Input, Yield, Return> = ScopedCoroutine<'static, Input, Yield, Return>;

/// A coroutine whose body may borrow what lives for `'scope`.
///
/// `Input` is what each resume gives to the body, `Yield` what each suspension gives to the
/// resumer, `Return` what the body returns.
///
/// A new coroutine is suspended at the beginning of its body. The first [`resume`](Self::resume)
/// gives the body its argument; the argument of a later one becomes the value of the
/// [`suspend`](Yielder::suspend) in which the body waits. A panic of the body continues in its
/// resumer.
///
/// # The end
///
/// Dropping a suspended coroutine unwinds its stack on the spot, so that the destructors run; no
/// panic message is printed. In detail:
///
/// - A destructor that suspends during this unwinding panics, which aborts the process.
/// - A coroutine that was suspended by a destructor while it unwound from a panic cannot be unwound
///   a second time. Dropping it leaks its stack with all that is on it; if it borrows, the process
///   is aborted.
/// - A coroutine that was transferred to can drop its own handle, or let another task end the scope
///   that lent it, while it runs. It goes on, and its stack is leaked.
/// - A program that is built with `panic = "abort"` cannot unwind. There, dropping a suspended
///   coroutine leaks its stack with all that is on it, and no destructor runs. A
///   [`scope`](Self::scope) whose coroutine is suspended when it ends aborts the process, since
///   what the body borrows may go away.
///
/// # Panics of others
///
/// `std::thread::panicking()` tells a coroutine whether it unwinds itself. A destructor that a
/// panic has called may resume coroutines, which do not take part in the panic, and a coroutine may
/// be suspended in the middle of its own, which others do not notice. Each time this takes some
/// microseconds and, the first time in the process, a thread that stays. If there is no memory for
/// that, the resume or the suspension panics.
///
/// # Borrowing
///
/// What a coroutine borrows must not go away while anything on its stack can still use it. So one
/// that borrows is lent for a [`scope`](Self::scope), which ends it; only a [`Coroutine`], which
/// owns all that it uses, is handed out, and may be forgotten.
///
/// ```compile_fail,E0373
/// # use lisle::coroutine::{Coroutine, Yielder};
/// let words = vec!["alpha"];
/// let lengths = Coroutine::new(|_: &Yielder<(), (), usize>, ()| words.len());
/// ```
///
/// ```compile_fail,E0597
/// # use lisle::coroutine::{Coroutine, Yielder};
/// let length = Coroutine::new(|_: &Yielder<&str, (), usize>, text: &str| text.len());
/// let text = String::from("alpha");
/// length.resume(&text);
/// ```
///
/// ```compile_fail,E0521
/// # use lisle::coroutine::{ScopedCoroutine, Yielder};
/// let (number, mut escaped) = (1, None);
/// ScopedCoroutine::scope(
///     |_: &Yielder<(), (), i32>, ()| number,
///     |coroutine| { escaped = Some(coroutine); },
/// );
/// ```
///
/// A coroutine stays on the thread that made it, and a yielder with its body:
///
/// ```compile_fail,E0277
/// # use lisle::coroutine::{Coroutine, Yielder};
/// let coroutine = Coroutine::new(|_: &Yielder<(), (), ()>, ()| ());
/// std::thread::spawn(move || coroutine.resume(()));
/// ```
///
/// ```compile_fail,E0277
/// # use lisle::coroutine::{Coroutine, Yielder};
/// let coroutine = Coroutine::new(|yielder: &Yielder<(), (), ()>, ()| {
///     std::thread::scope(|threads| { threads.spawn(|| yielder.suspend(())); });
/// });
/// ```
///
/// ```compile_fail,E0521
/// # use lisle::coroutine::{ScopedCoroutine, Yielder};
/// let mut escaped: Option<&'static Yielder<(), (), ()>> = None;
/// ScopedCoroutine::scope(|yielder, ()| escaped = Some(yielder), |coroutine| coroutine.resume(()));
/// ```
pub struct ScopedCoroutine<'scope, Input, Yield, Return> {
    core: Hidden<NonNull<Core<Input, Yield, Return>>>,
    _body: Hidden<PhantomData<Box<Body<'scope, Input, Yield, Return>>>>,
    _stays_here: StaysHere,
}

/// Like a body: it may hold what lives for `'scope`, and no type can be exchanged for another.
type Body<'scope, Input, Yield, Return> = dyn FnOnce(Input) -> (Yield, Return) + 'scope;

/// What a resume has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoroutineState<Yield, Return> {
    /// The body has suspended with this value.
    Yielded(Yield),
    /// The body has returned this value, and the coroutine is finished.
    Returned(Return),
}

/// Where a coroutine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoroutineStatus {
    /// It can be resumed; perhaps it has not begun.
    Suspended,
    /// It runs, or has resumed another coroutine that runs.
    Running,
    /// Its body has returned or panicked.
    Finished,
}

/// A coroutine could not be resumed. Gives the argument back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ResumeError<Input> {
    /// What should have been passed to the body.
    pub input: Input,
    /// What the coroutine was instead of suspended.
    pub status: CoroutineStatus,
}

impl<Input: 'static, Yield: 'static, Return: 'static> Coroutine<Input, Yield, Return> {
    /// A coroutine that will run `body`, on a stack of the default size.
    ///
    /// The body gets a [`Yielder`], by which it suspends, and the argument of the first resume.
    ///
    /// # Panics
    ///
    /// If there is no memory for a stack, if the variable `LISLE_STACK_SIZE` is set and is not a
    /// size, or if `body` captures more than a 16th of the stack: box large captures.
    ///
    /// ```
    /// use lisle::coroutine::{Coroutine, CoroutineState, Yielder};
    ///
    /// let sum = Coroutine::new(|yielder: &Yielder<u32, u32, ()>, first| {
    ///     let mut total = first;
    ///     loop {
    ///         total += yielder.suspend(total);
    ///     }
    /// });
    /// let totals = [1, 2, 3].map(|n| sum.resume(n));
    /// assert_eq!(totals, [1, 3, 6].map(CoroutineState::Yielded));
    /// ```
    #[inline]
    pub fn new<F>(body: F) -> Self
    where
        F: FnOnce(&Yielder<Input, Yield, Return>, Input) -> Return + 'static,
    {
        Self::make(stacks::take(), body)
    }

    /// A coroutine that will run `body`, on a stack of at least `bytes` bytes. See
    /// [`StackSize`](crate::stack::StackSize).
    ///
    /// Stacks of the default size are kept by the thread when a coroutine ends; one of another size
    /// goes back to the process, which costs some microseconds. Use
    /// [`with_stack`](Self::with_stack) and [`into_stack`](Self::into_stack) to keep it.
    ///
    /// # Panics
    ///
    /// If there is no memory for the stack, or if `body` captures more than a 16th of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::coroutine::{Coroutine, CoroutineState, Yielder};
    ///
    /// fn depth(n: u64) -> u64 {
    ///     if n == 0 { 0 } else { depth(n - 1) + 1 }
    /// }
    ///
    /// let deep = Coroutine::with_stack_size(64 << 20, |_: &Yielder<_, (), _>, n| depth(n));
    /// assert_eq!(deep.resume(100_000), CoroutineState::Returned(100_000));
    /// ```
    pub fn with_stack_size<F>(bytes: usize, body: F) -> Self
    where
        F: FnOnce(&Yielder<Input, Yield, Return>, Input) -> Return + 'static,
    {
        Self::make(stacks::allocate(bytes), body)
    }

    /// A coroutine that will run `body` on `stack`.
    ///
    /// # Panics
    ///
    /// If `body` captures more than a 16th of the stack.
    ///
    /// ```
    /// use lisle::coroutine::{Coroutine, CoroutineState};
    /// use lisle::coroutine::{Stack, StackSize};
    ///
    /// let stack = Stack::allocate(StackSize::new(1024 * 1024))?;
    /// let deep = Coroutine::with_stack(stack, |_: &lisle::coroutine::Yielder<_, (), _>, n| n + 1);
    /// assert_eq!(deep.resume(1), CoroutineState::Returned(2));
    /// # Ok::<_, std::io::Error>(())
    /// ```
    #[inline]
    pub fn with_stack<F>(stack: Stack, body: F) -> Self
    where
        F: FnOnce(&Yielder<Input, Yield, Return>, Input) -> Return + 'static,
    {
        Self::make(stacks::place(stack), body)
    }

    /// A weak handle, by which other coroutines can [transfer](Yielder::transfer) to this one. It
    /// does not keep the coroutine alive.
    ///
    /// A coroutine that borrows has none: it could be left for another while its scope ends.
    ///
    /// ```compile_fail,E0597
    /// # use lisle::coroutine::ScopedCoroutine;
    /// let number = 1;
    /// ScopedCoroutine::scope(
    ///     |_, ()| number,
    ///     |one: &ScopedCoroutine<'_, (), (), i32>| one.downgrade(),
    /// );
    /// ```
    pub fn downgrade(&self) -> WeakCoroutine<Input, Yield, Return> {
        self.core().downgrade()
    }
}

impl<'scope, Input, Yield, Return> ScopedCoroutine<'scope, Input, Yield, Return> {
    /// Calls `user` with a coroutine that will run `body`, on a stack of the default size. Ends the
    /// coroutine before it returns, as if it were dropped.
    ///
    /// # Panics
    ///
    /// With a panic of `user`. Otherwise as [`Coroutine::new`](Self::new).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::coroutine::{CoroutineState, ScopedCoroutine};
    ///
    /// let words = ["alpha".to_string(), "beta".to_string()];
    /// let mut total = 0;
    /// ScopedCoroutine::scope(
    ///     |yielder, ()| {
    ///         for word in &words {
    ///             yielder.suspend(word.as_str());
    ///             total += word.len();
    ///         }
    ///     },
    ///     |coroutine| {
    ///         assert_eq!(coroutine.resume(()), CoroutineState::Yielded("alpha"));
    ///         assert_eq!(coroutine.resume(()), CoroutineState::Yielded("beta"));
    ///         assert_eq!(coroutine.resume(()), CoroutineState::Returned(()));
    ///     },
    /// );
    /// assert_eq!(total, 9);
    /// ```
    pub fn scope<F, U>(body: F, user: impl FnOnce(&Self) -> U) -> U
    where
        F: FnOnce(&Yielder<Input, Yield, Return>, Input) -> Return + 'scope,
    {
        Self::lend(stacks::take(), body, user)
    }

    /// [`scope`](Self::scope), on a stack of at least `bytes` bytes.
    ///
    /// # Panics
    ///
    /// With a panic of `user`. Otherwise as [`with_stack_size`](Coroutine::with_stack_size).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::coroutine::{CoroutineState, ScopedCoroutine, Yielder};
    ///
    /// let numbers: Vec<u64> = (0..1000).collect();
    /// let sum = ScopedCoroutine::scope_with_stack_size(
    ///     4 << 20,
    ///     |_: &Yielder<(), (), u64>, ()| numbers.iter().sum(),
    ///     |coroutine| coroutine.resume(()),
    /// );
    /// assert_eq!(sum, CoroutineState::Returned(499_500));
    /// ```
    pub fn scope_with_stack_size<F, U>(bytes: usize, body: F, user: impl FnOnce(&Self) -> U) -> U
    where
        F: FnOnce(&Yielder<Input, Yield, Return>, Input) -> Return + 'scope,
    {
        Self::lend(stacks::allocate(bytes), body, user)
    }

    fn lend<F, U>(stack: Placed, body: F, user: impl FnOnce(&Self) -> U) -> U
    where
        F: FnOnce(&Yielder<Input, Yield, Return>, Input) -> Return + 'scope,
    {
        let lent = Lent(ManuallyDrop::new(Self::make(stack, body)));
        user(&lent.0)
    }

    #[inline]
    fn make<F>(stack: Placed, body: F) -> Self
    where
        F: FnOnce(&Yielder<Input, Yield, Return>, Input) -> Return + 'scope,
    {
        let core = Core::create(stack, body);
        // SAFETY: `_stays_here` is beside them, and they stay where they are.
        let (core, _body) = unsafe { (Hidden::new(core), Hidden::new(PhantomData)) };
        Self { core, _body, _stays_here: PhantomData }
    }

    fn core(&self) -> &Core<Input, Yield, Return> {
        // SAFETY: the core lies at the top of a stack that this handle keeps.
        unsafe { self.core.as_ref() }
    }

    /// Where the coroutine stands.
    ///
    /// ```
    /// use lisle::coroutine::{Coroutine, CoroutineStatus, Yielder};
    ///
    /// let once = Coroutine::new(|_: &Yielder<(), (), ()>, ()| ());
    /// assert_eq!(once.status(), CoroutineStatus::Suspended);
    /// once.resume(());
    /// assert_eq!(once.status(), CoroutineStatus::Finished);
    /// ```
    #[inline]
    pub fn status(&self) -> CoroutineStatus {
        self.core().status()
    }

    /// Lets the body run until it suspends or returns.
    ///
    /// # Panics
    ///
    /// With the panic of the body. If the coroutine is finished or is running already; see
    /// [`try_resume`](Self::try_resume).
    ///
    /// ```
    /// use lisle::coroutine::{Coroutine, CoroutineState, Yielder};
    ///
    /// let greeter = Coroutine::new(|yielder: &Yielder<&str, String, usize>, first| {
    ///     let second = yielder.suspend(format!("hello, {first}"));
    ///     first.len() + second.len()
    /// });
    /// assert_eq!(greeter.resume("Ann"), CoroutineState::Yielded("hello, Ann".to_owned()));
    /// assert_eq!(greeter.resume("Bob"), CoroutineState::Returned(6));
    /// ```
    #[inline]
    #[track_caller]
    pub fn resume(&self, input: Input) -> CoroutineState<Yield, Return> {
        match self.try_resume(input) {
            Ok(state) => state,
            Err(error) => panic!("{error}"),
        }
    }

    /// Like [`resume`](Self::resume), but returns an error if the coroutine is not suspended.
    ///
    /// # Errors
    ///
    /// The argument, if the coroutine is finished or is running already.
    ///
    /// ```
    /// use lisle::coroutine::{Coroutine, CoroutineStatus};
    ///
    /// let once = Coroutine::new(|_: &lisle::coroutine::Yielder<_, (), _>, n| n);
    /// assert!(once.try_resume(1).is_ok());
    /// let error = once.try_resume(2).unwrap_err();
    /// assert_eq!((error.input, error.status), (2, CoroutineStatus::Finished));
    /// ```
    #[inline]
    pub fn try_resume(
        &self,
        input: Input,
    ) -> Result<CoroutineState<Yield, Return>, ResumeError<Input>> {
        let core = self.core();
        core.resume(input).map_err(|input| ResumeError { input, status: core.status() })
    }

    /// Ends the coroutine and gives its stack back for another use. A suspended coroutine is
    /// unwound, as if it were dropped.
    ///
    /// `None` if the stack had to be leaked; see [`ScopedCoroutine`].
    ///
    /// ```
    /// use lisle::coroutine::{Coroutine, StackSize, Yielder};
    ///
    /// let body = |_: &Yielder<(), (), u32>, ()| 7;
    /// let first = Coroutine::with_stack_size(1 << 20, body);
    /// first.resume(());
    /// let stack = first.into_stack().expect("it has finished");
    /// assert_eq!(stack.size(), StackSize::new(1 << 20));
    /// Coroutine::with_stack(stack, body).resume(()); // the same memory
    /// ```
    pub fn into_stack(self) -> Option<Stack> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the handle is not used or dropped any more.
        let stack = unsafe { Core::close(*this.core) };
        stack.map(Placed::into_stack)
    }
}

impl<Input, Yield, Return> Drop for ScopedCoroutine<'_, Input, Yield, Return> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the handle is not used any more.
        if let Some(stack) = unsafe { Core::close(*self.core) } {
            stacks::put(stack);
        }
    }
}

/// A coroutine for the time of its scope. In contrast to one that owns all that it uses, it must
/// have come to an end when the scope is left. Only one that owns all has weak
/// handles.
struct Lent<'scope, Input, Yield, Return>(
    ManuallyDrop<ScopedCoroutine<'scope, Input, Yield, Return>>,
);

impl<Input, Yield, Return> Drop for Lent<'_, Input, Yield, Return> {
    fn drop(&mut self) {
        let owns_all = self.0.core().has_weak_handles();
        // SAFETY: the handle is not used any more.
        match unsafe { Core::close(*self.0.core) } {
            Some(stack) => stacks::put(stack),
            None if owns_all => {}
            None if cfg!(panic = "unwind") => abort_with(format_args!(
                "a coroutine that borrows cannot be ended: a destructor has suspended it in the \
                 middle of a panic"
            )),
            None => abort_with(format_args!(
                "a coroutine that borrows is suspended where its scope ends, and cannot be unwound \
                 since the program is built with panic = \"abort\": let its body return before"
            )),
        }
    }
}

impl<Input, Yield, Return> fmt::Debug for ScopedCoroutine<'_, Input, Yield, Return> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coroutine").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl<Input> fmt::Display for ResumeError<Input> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.status {
            CoroutineStatus::Finished => "the coroutine cannot be resumed: it is finished",
            _ => "the coroutine cannot be resumed: it is running already",
        })
    }
}

impl<Input> fmt::Debug for ResumeError<Input> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResumeError").field("status", &self.status).finish_non_exhaustive()
    }
}

impl<Input> std::error::Error for ResumeError<Input> {}

//! Coroutines and generators, with and without tasks: functions that are suspended and resumed.
//!
//! A [`Generator`] is an iterator written as a function. A [`Coroutine`] runs in turn with its
//! caller, and gets and gives a value each time. Both suspend from any depth of calls by the
//! [`Yielder`] that their body gets. A [`ScopedCoroutine`] may borrow.
//!
//! Inside a task they are part of it: when the body waits, for a message say, the whole task waits.
//!
//! ```
//! use lisle::coroutine::Generator;
//!
//! let squares = Generator::new(|yielder| {
//!     for n in 1..=3 {
//!         yielder.suspend(n * n);
//!     }
//! });
//! assert_eq!(squares.collect::<Vec<_>>(), [1, 4, 9]);
//! ```
//!
//! A coroutine that is told a letter at a time, and answers how long the run of equal letters is:
//!
//! ```
//! use lisle::coroutine::{Coroutine, CoroutineState, Yielder};
//!
//! let runs = Coroutine::new(|yielder: &Yielder<char, usize, ()>, mut letter| {
//!     loop {
//!         let (first, mut length) = (letter, 0);
//!         while letter == first {
//!             length += 1;
//!             letter = yielder.suspend(length);
//!         }
//!     }
//! });
//! let lengths = "aabbb".chars().map(|letter| runs.resume(letter));
//! assert!(lengths.eq([1, 2, 1, 2, 3].map(CoroutineState::Yielded)));
//! ```

#[doc(inline)]
pub use lisle_runtime::stack::{Stack, StackSize};
#[doc(inline)]
pub use lisle_runtime::{
    Coroutine, CoroutineState, CoroutineStatus, Generator, Items, ResumeError, ScopedCoroutine,
    WeakCoroutine, Yielder,
};

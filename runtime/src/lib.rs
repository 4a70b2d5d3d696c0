//! How a thread of execution stops and continues: coroutines, generators, and the stack switching
//! and guarded stacks beneath them.
//!
//! - [`Coroutine`] and [`Generator`] are complete and need no scheduler.
//! - [`switch`] moves a thread of execution from one stack to another; [`stack`] hands out the
//!   stacks, each with a guard. Both are public for those who build a scheduler of their own, as
//!   `lisle-scheduler` is one.
//!
//! This crate knows no queues and no policy. Users of coroutines come by `lisle::coroutine`.

#![cfg_attr(not(lisle_loom), warn(unreachable_pub))]

mod attached;
mod chained;
mod coroutine;
mod erased;
mod generator;
mod here;
#[doc(hidden)]
pub mod internal;
mod last_words;
mod no_suspend;
mod once;
mod panics;
mod prefetch;
mod primitive;
mod sanitizer;
pub mod stack;
mod stack_pointer;
pub mod switch;

pub use coroutine::{
    Coroutine, CoroutineState, CoroutineStatus, ResumeError, ScopedCoroutine, WeakCoroutine,
    Yielder,
};
pub use generator::{Generator, Items};
pub use no_suspend::no_suspend;

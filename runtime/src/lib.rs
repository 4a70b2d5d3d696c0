//! How a task stops and continues: stack switching and guarded stacks.
//!
//! This crate knows no queues and no policy. [`switch`] moves a thread of execution from one stack
//! to another; [`stack`] hands out the stacks, each with a guard. Schedulers are built on top; see
//! `lisle-scheduler`.

#[doc(hidden)]
pub mod primitive;
mod prefetch;
pub mod stack;
pub mod switch;

pub use prefetch::prefetch;

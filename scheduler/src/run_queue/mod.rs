//! The run queue of a worker: which task has its turn next.
//!
//! The ready [`ring`] holds the tasks in the order of their arrival; the [`backlog`] those that
//! have not started, which thieves may take; [`behind`] are those that let deferred tasks go first.

pub(crate) mod backlog;
pub(crate) mod behind;
mod deferred;
mod front;
pub(crate) mod ring;

//! Tasks: functions that run on stacks of their own and take turns on the threads of a runtime.
//!
//! [`spawn`] starts one, as `std::thread::spawn` starts a thread, and gives a [`JoinHandle`]. A
//! [`Builder`] starts one that has a name, or a stack of another size. [`current`] says which task
//! runs. A [`scope`] has tasks that borrow, [`try_scope`] ends with the first error, [`race`] with
//! the first value, and a [`TaskSet`] gives results as they come.
//!
//! A task is cancelled by its handle, and a part of it by [`timeout`](crate::timeout), by
//! [`cancellable`], or by a [`Context`]: see [the guide](crate::guide::cancelling).
//!
//! ```
//! use lisle::task::Builder;
//!
//! lisle::run(|| {
//!     let parser = Builder::new().name("parser").spawn(|| "42".parse::<u32>())?;
//!     // A panic of the task would be the error of `join`.
//!     assert_eq!(parser.join().unwrap(), Ok(42));
//!     Ok::<_, std::io::Error>(())
//! })
//! # .unwrap();
//! ```

pub use crate::context::{Context, ContextError};
#[doc(inline)]
pub use lisle_scheduler::{
    Builder, CancelHandle, CancelOnDrop, CancelToken, Cancelled, CancelledBy, Detached, JobHandle,
    JoinHandle, LocalKey, NotSet, Scope, ScopedJoinHandle, Task, TaskId, TaskSet, TryJoinHandle,
    TryScope, cancellable, check_cancelled, current, is_cancelled, race, scope, shield, spawn,
    spawn_blocking, spawn_local, try_scope, yield_now,
};

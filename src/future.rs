//! Futures: how tasks wait for them.
//!
//! Tasks have no `async`: they simply wait. Where a crate offers only futures, [`block_on`] waits
//! for one and lets other tasks run meanwhile. [`BlockOn`] does so for futures that need the
//! context of another runtime, such as tokio's, which has its threads beside Lisle's.
//!
//! The other way, `async` code waits for tasks: a [`JoinHandle`](crate::task::JoinHandle) can be
//! awaited, and channels have [`recv_async`](crate::channel::Receiver::recv_async) and
//! [`send_async`](crate::channel::Sender::send_async). So do [`Notify`](crate::sync::Notify), whose
//! `notified()` can be awaited, and [`Semaphore`](crate::sync::Semaphore::acquire_async). Any
//! executor may poll these, on any thread.
//!
//! ```
//! use std::future::ready;
//!
//! lisle::run(|| {
//!     let sum = lisle::spawn(|| lisle::block_on(async { ready(40).await + ready(2).await }));
//!     assert_eq!(lisle::block_on(sum).unwrap(), 42); // or `sum.await` in async code
//! });
//! ```

#[doc(inline)]
pub use lisle_scheduler::{BlockOn, JoinFuture, block_on};

//! Futures: how tasks wait for them.
//!
//! Tasks have no `async`: they simply wait. Where a crate offers only futures, [`block_on`] waits
//! for one and lets other tasks run meanwhile. [`BlockOn`] does so for futures that need the
//! context of another runtime, such as tokio's, which has its threads beside Lisle's.
//!
//! ```
//! use std::future::ready;
//!
//! lisle::run(|| {
//!     let sum = lisle::spawn(|| lisle::block_on(async { ready(40).await + ready(2).await }));
//!     assert_eq!(sum.join().unwrap(), 42);
//! });
//! ```

#[doc(inline)]
pub use lisle_scheduler::{BlockOn, block_on};

//! Counters: what the workers of a runtime have done until now, and what they have to do.
//!
//! [`metrics()`](crate::metrics()) has those of the calling task's runtime, and
//! [`Runtime::metrics`](crate::Runtime::metrics) and [`Handle::metrics`](crate::Handle::metrics)
//! those of another. Counting costs nothing that could be measured, except that of
//! [`QueueDelays`], which has to be [asked for](crate::RuntimeBuilder::queue_delays).
//!
//! ```
//! lisle::run(|| {
//!     let tasks: Vec<_> = (0..100).map(|_| lisle::spawn(|| ())).collect();
//!     tasks.into_iter().for_each(|task| task.join().unwrap());
//!     let metrics = lisle::metrics().unwrap();
//!     println!("{:?} in all, {:?}", metrics.total(), metrics.stacks());
//! });
//! ```

#[doc(inline)]
pub use lisle_scheduler::{BlockingMetrics, Metrics, QueueDelays, StackMetrics, WorkerMetrics};

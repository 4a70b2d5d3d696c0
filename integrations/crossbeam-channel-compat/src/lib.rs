//! Lisle's channels under the name of crossbeam-channel.
//!
//! One line in a program's `Cargo.toml` makes everything in it that depends on crossbeam-channel
//! 0.5, the crate `crossbeam` among others, run over Lisle: then a library that waits for a channel
//! parks its task, and lets others run, if it is called in one.
//!
//! ```toml
//! [patch.crates-io]
//! crossbeam-channel = { path = "…/lisle/integrations/crossbeam-channel-compat" }
//! ```
//!
//! Plain threads are blocked as before, with the same results. What differs from the original is
//! said in the guide of `lisle`, on the page on coming from threads and channels.

pub use lisle::channel::{
    IntoIter, Iter, ReadyTimeoutError, Receiver, RecvError, RecvTimeoutError, Select,
    SelectTimeoutError, SelectedOperation, SendError, SendTimeoutError, Sender, TryIter,
    TryReadyError, TryRecvError, TrySelectError, TrySendError, after, at, bounded, never, select,
    select_biased, tick, unbounded,
};

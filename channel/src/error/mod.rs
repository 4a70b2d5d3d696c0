//! The errors of the operations on one channel.

mod recv;
mod send;

pub use recv::{RecvError, RecvTimeoutError, TryRecvError};
pub use send::{SendError, SendTimeoutError, TrySendError};

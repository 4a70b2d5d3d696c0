//! Descriptors whose operations wait by parking their task.

#[cfg(feature = "futures-io")]
mod asynchronous;
mod object;
mod settings;
mod standard;
mod system;
mod traits;

#[cfg(feature = "futures-io")]
pub use asynchronous::{Async, Stream};
pub use object::Io;
pub(crate) use settings::Settings;
pub use standard::{Lines, Stderr, Stdin, Stdout, stderr, stdin, stdout};

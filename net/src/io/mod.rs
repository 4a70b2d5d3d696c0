//! Descriptors whose operations wait by parking their task.

mod object;
mod settings;
mod standard;
mod system;

pub use object::Io;
pub(crate) use settings::Settings;
pub use standard::{Lines, Stderr, Stdin, Stdout, stderr, stdin, stdout};

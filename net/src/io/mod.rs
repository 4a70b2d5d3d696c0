//! Descriptors whose operations wait by parking their task.

mod object;
mod settings;
mod system;

pub use object::Io;
pub(crate) use settings::Settings;

//! Descriptors whose operations wait by parking their task: [`Io`] makes one of anything that has a
//! descriptor.

#[doc(inline)]
pub use lisle_net::io::Io;

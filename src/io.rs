//! Descriptors whose operations wait by parking their task: [`Io`] makes one of anything that has a
//! descriptor. The standard streams, by [`stdin`], [`stdout`] and [`stderr`].

#[doc(inline)]
pub use lisle_net::io::{Io, Lines, Stderr, Stdin, Stdout, stderr, stdin, stdout};

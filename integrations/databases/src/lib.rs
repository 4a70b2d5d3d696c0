//! What the examples of this package share: adapters to copy, and servers to talk to.

pub mod pool;
pub mod redis;
pub mod servers;

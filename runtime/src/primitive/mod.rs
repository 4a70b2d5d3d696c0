//! The shim that lets loom see every shared access of a modelled protocol.
//!
//! Code on a modelled path takes its atomics, cells, locks and thread functions from here and from
//! nowhere else. A normal build maps them to std and parking_lot; `--cfg lisle_loom` maps them to
//! loom. Both sides export the same names, so no other file mentions the cfg to choose a type.

#[cfg(any(not(lisle_loom), test))]
mod brief;
#[cfg(lisle_loom)]
mod loom;
#[cfg(not(lisle_loom))]
mod std;

#[cfg(not(lisle_loom))]
pub use self::brief::{BriefMutex, BriefMutexGuard};
#[cfg(lisle_loom)]
pub use self::loom::*;
#[cfg(not(lisle_loom))]
pub use self::std::*;

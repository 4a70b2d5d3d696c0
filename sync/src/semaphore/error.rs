//! Why there are no permits.

use std::error::Error;
use std::fmt;

/// The semaphore is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcquireError(pub(super) ());

/// Why permits could not be had at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// The semaphore is closed.
    Closed,
    /// There are not enough, or others wait for them.
    NoPermits,
}

/// Why permits could not be had in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcquireTimeoutError {
    /// The semaphore is closed.
    Closed,
    /// There were not enough in time.
    Timeout,
}

impl From<AcquireError> for TryAcquireError {
    fn from(AcquireError(()): AcquireError) -> Self {
        Self::Closed
    }
}

impl From<AcquireError> for AcquireTimeoutError {
    fn from(AcquireError(()): AcquireError) -> Self {
        Self::Closed
    }
}

const CLOSED: &str = "the semaphore is closed";

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(CLOSED)
    }
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Closed => CLOSED,
            Self::NoPermits => "the semaphore has too few permits left",
        })
    }
}

impl fmt::Display for AcquireTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Closed => CLOSED,
            Self::Timeout => "the semaphore had too few permits in time",
        })
    }
}

impl Error for AcquireError {}
impl Error for TryAcquireError {}
impl Error for AcquireTimeoutError {}

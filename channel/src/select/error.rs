//! The errors of selects.

use std::error::Error;
use std::fmt;

/// [`Select::try_select`](crate::Select::try_select) failed because no operation was possible.
///
/// # Examples
///
/// ```
/// use lisle::channel::{Select, TrySelectError};
///
/// lisle::run(|| {
///     assert_eq!(Select::new().try_select().unwrap_err(), TrySelectError);
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrySelectError;

/// [`Select::select_timeout`](crate::Select::select_timeout) or
/// [`Select::select_deadline`](crate::Select::select_deadline) failed because no operation became
/// possible in time.
///
/// # Examples
///
/// ```
/// use lisle::channel::{Select, SelectTimeoutError};
/// use std::time::Duration;
///
/// lisle::run(|| {
///     let result = Select::new().select_timeout(Duration::from_millis(1));
///     assert_eq!(result.unwrap_err(), SelectTimeoutError);
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectTimeoutError;

/// [`Select::try_ready`](crate::Select::try_ready) failed because no operation seemed possible.
///
/// # Examples
///
/// ```
/// use lisle::channel::{Select, TryReadyError};
///
/// lisle::run(|| assert_eq!(Select::new().try_ready(), Err(TryReadyError)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryReadyError;

/// [`Select::ready_timeout`](crate::Select::ready_timeout) or
/// [`Select::ready_deadline`](crate::Select::ready_deadline) failed because no operation seemed
/// possible in time.
///
/// # Examples
///
/// ```
/// use lisle::channel::{ReadyTimeoutError, Select};
/// use std::time::Duration;
///
/// lisle::run(|| {
///     let result = Select::new().ready_timeout(Duration::from_millis(1));
///     assert_eq!(result, Err(ReadyTimeoutError));
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadyTimeoutError;

impl fmt::Display for TrySelectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("all operations in select would block")
    }
}

impl fmt::Display for SelectTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("timed out waiting on select")
    }
}

impl fmt::Display for TryReadyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("no operation in select is ready")
    }
}

impl fmt::Display for ReadyTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("timed out waiting for an operation in select to be ready")
    }
}

impl Error for TrySelectError {}
impl Error for SelectTimeoutError {}
impl Error for TryReadyError {}
impl Error for ReadyTimeoutError {}

//! The runtime of tasks that are spawned by plain threads.

use std::io;
use std::sync::{Mutex, PoisonError};

use super::Runtime;
use crate::per_process::PerProcess;

/// The runtime of tasks that are spawned outside of any other, started at first use. It lasts as
/// long as the process; a fork child has one of its own.
pub(crate) fn default_runtime() -> io::Result<&'static Runtime> {
    static DEFAULT: PerProcess<Runtime> = PerProcess::new();
    static STARTING: PerProcess<Mutex<()>> = PerProcess::new();
    if let Some(runtime) = DEFAULT.get() {
        return Ok(runtime);
    }
    // So that no thread is started for one that is not taken.
    let starting = STARTING.get_or(Mutex::default);
    let _one_at_a_time = starting.lock().unwrap_or_else(PoisonError::into_inner);
    DEFAULT.get_or_try(|| Runtime::builder().start())
}

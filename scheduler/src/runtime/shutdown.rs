//! Ending a runtime within a time, and saying which tasks have not ended by then.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive;

use crate::dump::{RuntimeDump, dump_of};
use crate::team::Team;
use crate::worker;

/// The error of [`Runtime::shutdown_timeout`](crate::Runtime::shutdown_timeout): tasks that had not
/// ended in time. The runtime goes on ending.
#[derive(Clone, Debug)]
pub struct ShutdownTimeout {
    dump: RuntimeDump,
}

impl ShutdownTimeout {
    /// What the tasks did that had not ended, and which workers are too busy to say it.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use lisle::task::shield;
    ///
    /// let runtime = lisle::Runtime::builder().start()?;
    /// let (begun, begins) = lisle::channel::bounded(1);
    /// let (end, ends) = lisle::channel::bounded::<()>(1);
    /// let task = runtime.spawn(move || {
    ///     begun.send(()).unwrap();
    ///     shield(|| ends.recv())
    /// });
    /// begins.recv().unwrap();
    /// let late = runtime.shutdown_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(late.dump().task_count(), 1);
    /// drop(end);
    /// # drop(task);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn dump(&self) -> &RuntimeDump {
        &self.dump
    }
}

impl Display for ShutdownTimeout {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "the runtime '{}' has not ended in time", self.dump.name())?;
        self.dump.write_rest(f)
    }
}

impl std::error::Error for ShutdownTimeout {}

/// Ends a team, and waits for that no longer than `timeout`.
pub(super) fn shut_down(
    team: &primitive::Arc<Team>,
    timeout: Duration,
) -> Result<(), ShutdownTimeout> {
    team.stop();
    if worker::current_team_is(team) {
        // It would wait for itself.
        return Err(ShutdownTimeout { dump: dump_of(team) });
    }
    // A deadline that cannot be expressed never comes.
    let deadline = Instant::now().checked_add(timeout);
    if Team::join_threads_until(team, deadline) {
        return Ok(());
    }
    let dump = dump_of(team);
    if dump.task_count() == 0 && dump.busy_workers().is_empty() {
        return Ok(());
    }
    Err(ShutdownTimeout { dump })
}

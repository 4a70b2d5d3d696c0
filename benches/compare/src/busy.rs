//! Processes that compute all the time, beside which the systems are measured.

use std::fmt;
use std::io;
use std::os::unix::process::parent_id;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Set for such a process.
const ROLE: &str = "LISLE_COMPARE_BUSY";

/// How often it looks whether it is still wanted.
const GLANCE: Duration = Duration::from_millis(100);

/// Some of them, until this is dropped.
pub struct Busy(Vec<Child>);

impl Busy {
    /// # Errors
    ///
    /// If one cannot be started.
    pub fn start(count: usize) -> io::Result<Self> {
        let mut busy = Self(Vec::new());
        let program = std::env::current_exe()?;
        for _ in 0..count {
            let mut command = Command::new(&program);
            command.env(ROLE, "1").stdin(Stdio::null()).stdout(Stdio::null());
            busy.0.push(command.spawn()?);
        }
        Ok(busy)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // One that has ended already is no longer busy either.
            let _ = child.kill().and_then(|()| child.wait());
        }
    }
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            0 => f.write_str("nothing else computes"),
            count => write!(f, "beside {count} processes that compute"),
        }
    }
}

/// Whether this process is one of them.
pub fn is_one() -> bool {
    std::env::var_os(ROLE).is_some()
}

/// Computes until the process that wanted it is gone.
pub fn compute() {
    let parent = parent_id();
    while parent_id() == parent {
        let start = Instant::now();
        while start.elapsed() < GLANCE {
            std::hint::spin_loop();
        }
    }
}

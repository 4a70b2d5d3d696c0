//! How a [`Command`] starts its program.

use std::io;
use std::process::{ExitStatus, Output, Stdio};

use lisle_scheduler::blocking;

use super::{Child, Command};

impl Command {
    /// Starts the program. Streams that are not set are those of this process.
    ///
    /// # Errors
    ///
    /// Those of [`std::process::Command::spawn`].
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::Command;
    ///
    /// lisle::run(|| {
    ///     let mut child = Command::new("sleep").arg("1000").spawn()?;
    ///     child.kill()?;
    ///     assert!(!child.wait()?.success());
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn spawn(&mut self) -> io::Result<Child> {
        Child::of(blocking(|| self.inner.spawn())?, self.kill_on_drop)
    }

    /// Runs the program to its end. Streams that are not set are those of this process.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn) and [`Child::wait`].
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::Command;
    ///
    /// lisle::run(|| {
    ///     let status = Command::new("sh").args(["-c", "exit 3"]).status()?;
    ///     assert_eq!(status.code(), Some(3));
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Runs the program to its end, and returns what it has written. It reads nothing, if nothing
    /// else was set.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn) and [`Child::wait_with_output`].
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::Command;
    ///
    /// lisle::run(|| {
    ///     let output = Command::new("sort").args(["-r", "/dev/null"]).output()?;
    ///     assert_eq!(output.stdout, b"");
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn output(&mut self) -> io::Result<Output> {
        if !self.stdin {
            self.inner.stdin(Stdio::null());
        }
        if !self.stdout {
            self.inner.stdout(Stdio::piped());
        }
        if !self.stderr {
            self.inner.stderr(Stdio::piped());
        }
        let child = self.spawn();
        if !self.stdin {
            self.inner.stdin(Stdio::inherit());
        }
        if !self.stdout {
            self.inner.stdout(Stdio::inherit());
        }
        if !self.stderr {
            self.inner.stderr(Stdio::inherit());
        }
        child?.wait_with_output()
    }
}

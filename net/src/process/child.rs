//! [`Child`]: a program under way, and the wait for its end.

use std::fmt;
use std::io::{self, Read};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::process::{self, ExitStatus, Output};
use std::thread;
use std::time::Duration;

use lisle_scheduler::internal::{Direction, Patience, Source};
use lisle_scheduler::park::{Reason, in_task};
use lisle_scheduler::{Builder, blocking, now, sleep, spawn_blocking};

use super::{ChildStderr, ChildStdin, ChildStdout};
use crate::io::Io;

/// A program that was started. Dropping it lets it go on, unless it was told to
/// [kill](super::Command::kill_on_drop).
pub struct Child {
    /// What is written here the child reads, if that was piped.
    pub stdin: Option<ChildStdin>,
    /// What the child writes, if that was piped.
    pub stdout: Option<ChildStdout>,
    /// What the child writes as errors, if that was piped.
    pub stderr: Option<ChildStderr>,
    process: Process,
}

struct Process {
    inner: process::Child,
    kill_on_drop: bool,
    /// Is readable when the process has ended. Made at the first wait.
    source: Option<Source<OwnedFd>>,
}

impl Child {
    /// Takes over a child that has just been started.
    pub(super) fn of(mut inner: process::Child, kill_on_drop: bool) -> io::Result<Self> {
        let (stdin, stdout) = (inner.stdin.take(), inner.stdout.take());
        let stderr = inner.stderr.take();
        Ok(Self {
            stdin: stdin.map(Io::new).transpose()?,
            stdout: stdout.map(Io::new).transpose()?,
            stderr: stderr.map(Io::new).transpose()?,
            process: Process { inner, kill_on_drop, source: None },
        })
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.process.inner.id()
    }

    /// Kills the process. Nothing happens if it has ended and was waited for.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::Command;
    /// use std::os::unix::process::ExitStatusExt;
    ///
    /// lisle::run(|| {
    ///     let mut child = Command::new("sleep").arg("1000").spawn()?;
    ///     child.kill()?;
    ///     assert_eq!(child.wait()?.signal(), Some(9));
    ///     child.kill() // it has ended
    /// })
    /// # .unwrap();
    /// ```
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.inner.kill()
    }

    /// The end of the process, if it has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::Command;
    ///
    /// lisle::run(|| {
    ///     let mut child = Command::new("sleep").arg("1000").spawn()?;
    ///     assert_eq!(child.try_wait()?, None);
    ///     child.kill()?;
    ///     child.wait()?;
    ///     assert!(child.try_wait()?.is_some());
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.inner.try_wait()
    }

    /// Waits for the end of the process. Closes `stdin` first, for which it may wait.
    ///
    /// Where the system has no descriptor for a process, a thread for blocking calls waits, and a
    /// task that is cancelled with it.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is cancelled. The process goes on, if it is not [to be
    /// killed](super::Command::kill_on_drop).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::Command;
    ///
    /// lisle::run(|| {
    ///     let mut child = Command::new("true").spawn()?;
    ///     assert!(child.wait()?.success()); // other tasks run meanwhile
    ///     assert!(child.wait()?.success());
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        self.process.wait(Patience::Endless)
    }

    /// As [`wait`](Self::wait), with the error `TimedOut` when `timeout` has passed.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::Command;
    /// use std::io::ErrorKind;
    /// use std::time::Duration;
    ///
    /// lisle::run(|| {
    ///     let mut child = Command::new("sleep").arg("1000").spawn()?;
    ///     let error = child.wait_timeout(Duration::from_millis(2)).unwrap_err();
    ///     assert_eq!(error.kind(), ErrorKind::TimedOut);
    ///     child.kill()?;
    ///     child.wait()
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn wait_timeout(&mut self, timeout: Duration) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        let deadline = now().checked_add(timeout);
        self.process.wait(deadline.map_or(Patience::Endless, Patience::Until))
    }

    /// Reads all that the child writes to its pipes, and waits for its end. Closes `stdin` first.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::{Command, Stdio};
    ///
    /// lisle::run(|| {
    ///     let child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
    ///     assert_eq!(child.wait_with_output()?.stdout, b"hello\n");
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        match (self.stdout.take(), self.stderr.take()) {
            (None, None) => {}
            (Some(mut stdout), None) => drop(stdout.read_to_end(&mut out)?),
            (None, Some(mut stderr)) => drop(stderr.read_to_end(&mut err)?),
            // The child may fill either pipe while it waits for room in it.
            (Some(mut stdout), Some(mut stderr)) => {
                let errors = besides(move || stderr.read_to_end(&mut err).map(|_| err))?;
                stdout.read_to_end(&mut out)?;
                err = errors()?;
            }
        }
        let status = self.wait()?;
        Ok(Output { status, stdout: out, stderr: err })
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl Process {
    #[track_caller]
    fn wait(&mut self, patience: Patience) -> io::Result<ExitStatus> {
        const REASON: Reason = Reason::new("waiting for a process");
        if let Some(status) = self.inner.try_wait()? {
            return Ok(status);
        }
        if self.source.is_none() {
            match descriptor_of(self.inner.id()) {
                Ok(descriptor) => self.source = Some(Source::new(descriptor)),
                Err(_) => return self.wait_without_descriptor(patience),
            }
        }
        let Self { inner, source: Some(source), .. } = self else { unreachable!("made above") };
        let attempt = |_: &OwnedFd| inner.try_wait()?.ok_or(io::ErrorKind::WouldBlock.into());
        source.attempt(Direction::Read, REASON, || patience, attempt)
    }

    #[cold]
    fn wait_without_descriptor(&mut self, patience: Patience) -> io::Result<ExitStatus> {
        const LAST_PAUSE: Duration = Duration::from_millis(20);
        let Patience::Until(deadline) = patience else { return blocking(|| self.inner.wait()) };
        let mut pause = Duration::from_millis(1);
        while now() < deadline {
            sleep(pause);
            pause = (pause * 2).min(LAST_PAUSE);
            if let Some(status) = self.inner.try_wait()? {
                return Ok(status);
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.kill_on_drop && matches!(self.inner.try_wait(), Ok(None)) {
            let _ = self.inner.kill();
            // Nobody else waits for it: it would stay in the system's list of processes. Its end is
            // near.
            let id = self.inner.id().cast_signed();
            drop(spawn_blocking(move || {
                // SAFETY: the call writes nothing. The process was not waited for, so the number is
                // its own.
                unsafe { libc::waitpid(id, std::ptr::null_mut(), 0) }
            }));
        }
    }
}

/// A descriptor of a child that was not waited for, so that the number is its own.
fn descriptor_of(id: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call touches no memory.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, id, 0) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just opened it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as RawFd) })
}

/// Has `read` run while the caller goes on, in another task or on another thread. The result waits
/// for it.
fn besides(
    read: impl FnOnce() -> io::Result<Vec<u8>> + Send + 'static,
) -> io::Result<Box<dyn FnOnce() -> io::Result<Vec<u8>>>> {
    let gone = |_| io::Error::other("reading the errors of a process was cut short");
    if in_task() {
        let task = Builder::new().spawn(read)?;
        return Ok(Box::new(move || task.join().map_err(gone)?));
    }
    let thread = thread::Builder::new().spawn(read)?;
    Ok(Box::new(move || thread.join().map_err(gone)?))
}

//! Other programs: [`std::process`], and to wait for one lets other tasks run.
//!
//! ```
//! use lisle::process::Command;
//!
//! lisle::run(|| {
//!     let output = Command::new("echo").arg("hello").output()?;
//!     assert!(output.status.success());
//!     assert_eq!(output.stdout, b"hello\n");
//!     Ok::<_, std::io::Error>(())
//! })
//! # .unwrap();
//! ```

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process;
use std::thread;
use std::time::Duration;

use lisle_scheduler::internal::{Direction, Patience, Source};
use lisle_scheduler::park::{Reason, in_task};
use lisle_scheduler::{Builder, blocking, now, sleep, spawn_blocking};

use crate::io::Io;

pub use std::process::{ExitStatus, Output, Stdio};

/// What is written for a child to read. See [`Child::stdin`].
pub type ChildStdin = Io<process::ChildStdin>;
/// What a child writes. See [`Child::stdout`].
pub type ChildStdout = Io<process::ChildStdout>;
/// What a child writes as errors. See [`Child::stderr`].
pub type ChildStderr = Io<process::ChildStderr>;

/// Starts a program: [`std::process::Command`], whose children are waited for without blocking the
/// worker. What is not here can be set by [`as_std_mut`](Self::as_std_mut), or before
/// [`from`](From::from).
///
/// # Examples
///
/// ```
/// use lisle::process::{Command, Stdio};
/// use std::io::{Read, Write};
///
/// lisle::run(|| {
///     let mut sort = Command::new("sort").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
///     sort.stdin.take().unwrap().write_all(b"pear\napple\n")?;
///     let mut sorted = String::new();
///     sort.stdout.take().unwrap().read_to_string(&mut sorted)?; // other tasks run meanwhile
///     assert_eq!(sorted, "apple\npear\n");
///     assert!(sort.wait()?.success());
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap();
/// ```
#[derive(Debug)]
pub struct Command {
    inner: process::Command,
    /// Whether a stream was set by the user.
    stdin: bool,
    stdout: bool,
    stderr: bool,
    kill_on_drop: bool,
}

impl Command {
    /// Starts `program`, looked for as std does.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::Command;
    ///
    /// lisle::run(|| {
    ///     assert!(Command::new("true").status()?.success());
    ///     assert!(Command::new("/no/such/program").status().is_err());
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        process::Command::new(program).into()
    }

    /// Adds an argument.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::Command;
    ///
    /// lisle::run(|| {
    ///     let output = Command::new("echo").arg("one argument").output()?;
    ///     assert_eq!(output.stdout, b"one argument\n");
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.inner.arg(argument);
        self
    }

    /// Adds arguments.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::Command;
    ///
    /// lisle::run(|| {
    ///     let output = Command::new("echo").args(["one", "two"]).output()?;
    ///     assert_eq!(output.stdout, b"one two\n");
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn args<S: AsRef<OsStr>>(&mut self, arguments: impl IntoIterator<Item = S>) -> &mut Self {
        self.inner.args(arguments);
        self
    }

    /// Sets a variable of the environment.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::Command;
    ///
    /// lisle::run(|| {
    ///     let output = Command::new("sh").args(["-c", "echo $HUE"]).env("HUE", "red").output()?;
    ///     assert_eq!(output.stdout, b"red\n");
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.inner.env(name, value);
        self
    }

    /// Sets variables of the environment.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::Command;
    ///
    /// lisle::run(|| {
    ///     let mut echo = Command::new("sh");
    ///     let output = echo.args(["-c", "echo $A$B"]).envs([("A", "1"), ("B", "2")]).output()?;
    ///     assert_eq!(output.stdout, b"12\n");
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        &mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> &mut Self {
        self.inner.envs(variables);
        self
    }

    /// Leaves a variable of the environment out.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::Command;
    ///
    /// lisle::run(|| {
    ///     let output = Command::new("sh").args(["-c", "echo $HOME"]).env_remove("HOME").output()?;
    ///     assert_eq!(output.stdout, b"\n");
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.inner.env_remove(name);
        self
    }

    /// Leaves all variables of this process out.
    pub fn env_clear(&mut self) -> &mut Self {
        self.inner.env_clear();
        self
    }

    /// Sets the directory in which the program runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::Command;
    ///
    /// lisle::run(|| {
    ///     let output = Command::new("pwd").current_dir("/").output()?;
    ///     assert_eq!(output.stdout, b"/\n");
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn current_dir(&mut self, path: impl AsRef<Path>) -> &mut Self {
        self.inner.current_dir(path);
        self
    }

    /// Where the program reads from.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::fs::File;
    /// use lisle::process::Command;
    ///
    /// lisle::run(|| {
    ///     let output = Command::new("cat").stdin(File::open("Cargo.toml")?).output()?;
    ///     assert_eq!(output.stdout, lisle::fs::read("Cargo.toml")?);
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn stdin(&mut self, stream: impl Into<Stdio>) -> &mut Self {
        self.inner.stdin(stream);
        self.stdin = true;
        self
    }

    /// Where the program writes to.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::{Command, Stdio};
    /// use std::io::{BufRead, BufReader};
    ///
    /// lisle::run(|| {
    ///     let mut child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
    ///     let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    ///     assert_eq!(lines.collect::<Result<Vec<_>, _>>()?, ["hello"]);
    ///     child.wait()
    /// })
    /// # .unwrap();
    /// ```
    pub fn stdout(&mut self, stream: impl Into<Stdio>) -> &mut Self {
        self.inner.stdout(stream);
        self.stdout = true;
        self
    }

    /// Where the program writes errors to.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::{Command, Stdio};
    ///
    /// lisle::run(|| {
    ///     let mut quiet = Command::new("sh");
    ///     quiet.args(["-c", "echo noise >&2"]).stderr(Stdio::null());
    ///     quiet.status()
    /// })
    /// # .unwrap();
    /// ```
    pub fn stderr(&mut self, stream: impl Into<Stdio>) -> &mut Self {
        self.inner.stderr(stream);
        self.stderr = true;
        self
    }

    /// Whether a [`Child`] that is dropped is killed: also if its task is cancelled. At first it
    /// goes on, as std's does.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::Command;
    /// use std::time::Duration;
    ///
    /// lisle::run(|| {
    ///     let outcome = lisle::timeout(Duration::from_millis(5), || {
    ///         Command::new("sleep").arg("1000").kill_on_drop(true).status()
    ///     });
    ///     assert!(outcome.is_err()); // and nobody sleeps on
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.kill_on_drop = kill;
        self
    }

    /// Sets the user as whom the program runs. See [`CommandExt::uid`].
    pub fn uid(&mut self, id: u32) -> &mut Self {
        self.inner.uid(id);
        self
    }

    /// Sets the group as which the program runs.
    pub fn gid(&mut self, id: u32) -> &mut Self {
        self.inner.gid(id);
        self
    }

    /// Sets what the program sees as its own name, instead of the one by which it was found.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::Command;
    ///
    /// lisle::run(|| {
    ///     let output = Command::new("sh").arg0("shell").args(["-c", "echo $0"]).output()?;
    ///     assert_eq!(output.stdout, b"shell\n");
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn arg0(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.inner.arg0(name);
        self
    }

    /// Puts the program into the process group with that number, or with 0 into one of its own: a
    /// signal of the terminal, such as that of Ctrl-C, does not reach it then.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::process::Command;
    ///
    /// lisle::run(|| {
    ///     Command::new("true").process_group(0).status() // Ctrl-C would not end it
    /// })
    /// # .unwrap();
    /// ```
    pub fn process_group(&mut self, group: i32) -> &mut Self {
        self.inner.process_group(group);
        self
    }

    /// Has `body` called in the child before the program begins.
    ///
    /// # Safety
    ///
    /// As for [`CommandExt::pre_exec`]: the child has one thread, whatever locks others held. No
    /// task can wait there.
    pub unsafe fn pre_exec(
        &mut self,
        body: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
    ) -> &mut Self {
        // SAFETY: passed on to the caller.
        unsafe { self.inner.pre_exec(body) };
        self
    }

    /// Replaces this process by the program: all threads and tasks end where they are. Returns only
    /// if that fails.
    pub fn exec(&mut self) -> io::Error {
        self.inner.exec()
    }

    /// The program that was given to [`new`](Self::new).
    ///
    /// # Examples
    ///
    /// ```
    /// let command = lisle::process::Command::new("echo");
    /// assert_eq!(command.get_program(), "echo");
    /// ```
    pub fn get_program(&self) -> &OsStr {
        self.inner.get_program()
    }

    /// The arguments that were added, without the program.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut command = lisle::process::Command::new("echo");
    /// command.args(["one", "two"]);
    /// assert!(command.get_args().eq(["one", "two"]));
    /// ```
    pub fn get_args(&self) -> process::CommandArgs<'_> {
        self.inner.get_args()
    }

    /// The variables of the environment that were set, or left out if the value is `None`.
    pub fn get_envs(&self) -> process::CommandEnvs<'_> {
        self.inner.get_envs()
    }

    /// The directory that was set.
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.inner.get_current_dir()
    }

    /// std's command, for what is set more rarely. Streams that are set there are not seen by
    /// [`output`](Self::output).
    pub fn as_std_mut(&mut self) -> &mut process::Command {
        &mut self.inner
    }

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
        let mut inner = blocking(|| self.inner.spawn())?;
        let (stdin, stdout) = (inner.stdin.take(), inner.stdout.take());
        let stderr = inner.stderr.take();
        Ok(Child {
            stdin: stdin.map(Io::new).transpose()?,
            stdout: stdout.map(Io::new).transpose()?,
            stderr: stderr.map(Io::new).transpose()?,
            process: Process { inner, kill_on_drop: self.kill_on_drop, source: None },
        })
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

impl From<process::Command> for Command {
    fn from(inner: process::Command) -> Self {
        Self { inner, stdin: false, stdout: false, stderr: false, kill_on_drop: false }
    }
}

/// A program that was started. Dropping it lets it go on, unless it was told to
/// [kill](Command::kill_on_drop).
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
    /// killed](Command::kill_on_drop).
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

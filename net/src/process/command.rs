//! [`Command`]: which program is started, and with what.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, CommandArgs, CommandEnvs, Stdio};

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
    pub(super) inner: process::Command,
    /// Whether a stream was set by the user.
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    pub(super) kill_on_drop: bool,
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

    /// Whether a [`Child`](super::Child) that is dropped is killed: also if its task is cancelled.
    /// At first it goes on, as std's does.
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
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.inner.get_args()
    }

    /// The variables of the environment that were set, or left out if the value is `None`.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
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
}

impl From<process::Command> for Command {
    fn from(inner: process::Command) -> Self {
        Self { inner, stdin: false, stdout: false, stderr: false, kill_on_drop: false }
    }
}

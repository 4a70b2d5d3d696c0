//! Signals of the system, such as Ctrl-C: a task waits for one as it does for a message.
//!
//! `lisle::signal` explains them to users.
//!
//! The handler of a signal does no more than to write its number to a socket, which is waited for
//! as any other.

use std::borrow::Borrow;
use std::fmt;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use lisle_runtime::internal::fork::{generation, watched_generation};
use lisle_scheduler::internal::{Direction, Patience, Source};
use lisle_scheduler::now;
use lisle_scheduler::park::Reason;
use signal_hook::SigId;
use signal_hook::consts::FORBIDDEN;
use signal_hook::low_level::{register, unregister};

pub use signal_hook::consts::{
    SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,
    SIGWINCH,
};

/// Waits for the next Ctrl-C, SIGINT.
///
/// Each caller that waits hears of it. One that comes between two calls is lost: to miss none, keep
/// a [`Signals`].
///
/// # Errors
///
/// As [`Signals::new`] and [`Signals::recv`].
///
/// # Panics
///
/// Unwinds a task that is cancelled.
#[track_caller]
pub fn ctrl_c() -> io::Result<()> {
    Signals::new([SIGINT])?.recv().map(drop)
}

/// Receives signals, from its making on.
///
/// Several may exist for one signal, and each has it. Several tasks and threads may wait at one,
/// and one of them has each. Signals come in their order; of some hundreds that nobody has received
/// the later ones are lost.
///
/// # Examples
///
/// ```
/// use lisle::signal::{SIGHUP, SIGTERM, Signals};
///
/// lisle::run(|| {
///     let signals = Signals::new([SIGHUP, SIGTERM])?;
///     # let _ = std::process::Command::new("kill")
///     #     .args(["-HUP", &std::process::id().to_string()]).status();
///     # let _ = std::process::Command::new("kill")
///     #     .args(["-TERM", &std::process::id().to_string()]).status();
///     for signal in &signals {
///         match signal {
///             SIGHUP => println!("reading the configuration anew"),
///             _ => break,
///         }
///     }
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap();
/// ```
pub struct Signals {
    source: Source<UnixStream>,
    registered: Registered,
}

/// Takes the handlers away again.
struct Registered(Vec<SigId>);

impl Drop for Registered {
    fn drop(&mut self) {
        for &id in &self.0 {
            unregister(id);
        }
    }
}

impl Signals {
    /// Begins to receive these signals.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a number that is no signal's, and for SIGKILL, SIGSTOP, SIGILL, SIGFPE
    /// and SIGSEGV, which cannot be received so. If the process has no descriptor left.
    pub fn new<S: Borrow<i32>>(signals: impl IntoIterator<Item = S>) -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let (writer, process) = (Arc::new(writer), watched_generation());
        let mut registered = Registered(Vec::new());
        for signal in signals {
            let signal = *signal.borrow();
            let number = u8::try_from(signal).ok().filter(|_| !FORBIDDEN.contains(&signal));
            let Some(number) = number else {
                let message = format!("signal {signal} cannot be received");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            };
            let writer = writer.clone();
            let note = move || {
                // A fork child has the parent's socket, and signals of its own.
                if generation() == process {
                    send_number(&writer, number);
                }
            };
            // SAFETY: the closure reads an atomic and calls `send`, which a handler may do.
            registered.0.push(unsafe { register(signal, note) }?);
        }
        Ok(Self { source: Source::new(reader), registered })
    }

    /// Waits for the next signal, and returns its number.
    ///
    /// # Errors
    ///
    /// In a destructor of a task that is being cancelled, which does not wait any more; if the
    /// process has no descriptor left for what a worker waits with.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is cancelled.
    #[track_caller]
    pub fn recv(&self) -> io::Result<i32> {
        self.receive(Patience::Endless)
    }

    /// As [`recv`](Self::recv), with the error `TimedOut` when `timeout` has passed.
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> io::Result<i32> {
        match now().checked_add(timeout) {
            Some(deadline) => self.receive(Patience::Until(deadline)),
            None => self.recv(),
        }
    }

    /// The next signal, if one has come.
    #[track_caller]
    pub fn try_recv(&self) -> Option<i32> {
        self.receive(Patience::None).ok()
    }

    #[track_caller]
    fn receive(&self, patience: Patience) -> io::Result<i32> {
        const REASON: Reason = Reason::new("waiting for a signal");
        self.source.attempt(
            Direction::Read,
            REASON,
            || patience,
            |mut reader| {
                let mut number = [0];
                reader.read_exact(&mut number).map(|()| number[0].into())
            },
        )
    }
}

/// The signals as they come. It ends where [`recv`](Signals::recv) fails.
impl Iterator for &Signals {
    type Item = i32;

    #[track_caller]
    fn next(&mut self) -> Option<i32> {
        self.recv().ok()
    }
}

/// The signals as they come. It ends where [`recv`](Signals::recv) fails.
impl Iterator for Signals {
    type Item = i32;

    #[track_caller]
    fn next(&mut self) -> Option<i32> {
        self.recv().ok()
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").field("signals", &self.registered.0.len()).finish_non_exhaustive()
    }
}

/// Called in a handler.
fn send_number(writer: &UnixStream, number: u8) {
    // SAFETY: `send` reads one byte. The code that was interrupted may yet want its `errno`.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        libc::send(writer.as_raw_fd(), (&raw const number).cast(), 1, libc::MSG_DONTWAIT);
        *errno = before;
    }
}

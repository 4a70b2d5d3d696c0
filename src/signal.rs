//! Signals of the system, such as Ctrl-C: a task waits for one as it does for a message.
//!
//! [`ctrl_c`] waits for one Ctrl-C, [`Signals`] notes all that come, and [`receiver`] gives them to
//! a [`select!`](crate::channel::select).
//!
//! The first wait for a signal changes what that does to the process: it does not end it any more,
//! from then on and for good. A signal that comes while nothing of these is there for it has no
//! effect then.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! lisle::run(|| {
//!     lisle::spawn(|| {
//!         loop {
//!             lisle::sleep(Duration::from_secs(1));
//!             println!("working");
//!         }
//!     });
//!     lisle::signal::ctrl_c()?;
//!     println!("ending"); // and with main the runtime does
//!     Ok::<_, std::io::Error>(())
//! })
//! # .unwrap();
//! ```

use std::borrow::Borrow;
use std::io;

use crate::channel::{Receiver, unbounded};
use crate::task::Builder;

#[doc(inline)]
pub use lisle_net::signal::{
    SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,
    SIGWINCH, Signals, ctrl_c,
};

/// A channel of the signals that come from now on. A task passes them on, which ends with the
/// runtime; then the channel is disconnected.
///
/// # Errors
///
/// As [`Signals::new`] and [`Builder::spawn`].
///
/// # Examples
///
/// ```
/// use lisle::channel::{select, unbounded};
/// use lisle::signal::{self, SIGTERM};
///
/// lisle::run(|| {
///     let (_jobs, job) = unbounded::<u32>();
///     let end = signal::receiver([SIGTERM])?;
///     # let _ = std::process::Command::new("kill")
///     #     .args(["-TERM", &std::process::id().to_string()]).status();
///     loop {
///         select! {
///             recv(job) -> job => println!("job {job:?}"),
///             recv(end) -> _ => break,
///         }
///     }
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap();
/// ```
pub fn receiver<S: Borrow<i32>>(signals: impl IntoIterator<Item = S>) -> io::Result<Receiver<i32>> {
    let signals = Signals::new(signals)?;
    let (sender, receiver) = unbounded();
    Builder::new().name("signals").spawn(move || {
        for signal in signals {
            if sender.send(signal).is_err() {
                break;
            }
        }
    })?;
    Ok(receiver)
}

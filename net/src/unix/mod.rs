//! Sockets within a host.
//!
//! What differs from sockets of other kinds is a peer whose queue is full: the system does not tell
//! when there is room again, unless the two are connected. So [`connect`](UnixStream::connect) to a
//! listener that lags behind, and [`send_to`](UnixDatagram::send_to), ask again after a pause,
//! which grows from 50 µs to 5 ms. Where time is virtual such a wait holds the clock, as all waits
//! for descriptors do: the pauses are real ones.

mod datagram;
mod listener;
mod stream;

use std::time::Duration;
use std::{io, thread};

use lisle_scheduler::internal::{Patience, cannot_wait, park_until};
use lisle_scheduler::park::{Reason, Wake};
use lisle_scheduler::{blocking, hold, now};

pub use datagram::UnixDatagram;
pub use listener::{Incoming, UnixListener};
pub use stream::UnixStream;

const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// Calls `operation` until it does something else than to fail with `WouldBlock`, with pauses in
/// between. When the patience is at an end it fails as its last attempt has.
#[track_caller]
fn repeat<R>(
    reason: Reason,
    patience: impl FnOnce() -> Patience,
    mut operation: impl FnMut() -> io::Result<R>,
) -> io::Result<R> {
    let mut patience = Some(patience);
    let mut end = None;
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match operation() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => error,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => return result,
        };
        match patience.take().map(|patience| patience()) {
            Some(Patience::None) => return Err(error),
            Some(Patience::For(time)) => end = now().checked_add(time),
            Some(Patience::Until(deadline)) => end = Some(deadline),
            Some(Patience::Endless) | None => {}
        }
        let now = now();
        if end.is_some_and(|end| end <= now) {
            return Err(error);
        }
        let is_virtual = hold().is_some();
        let next = if is_virtual { now } else { now + pause };
        if park_until(reason, Some(end.map_or(next, |end| end.min(next)))) == Wake::Failed {
            return Err(cannot_wait());
        }
        if is_virtual {
            blocking(|| thread::sleep(pause));
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

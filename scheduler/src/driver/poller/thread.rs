//! How a plain thread waits for a descriptor: in `poll(2)`, beside a bell of its own.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lisle_runtime::internal::fork::watched_generation;

use super::Fd;
use super::epoll::{in_milliseconds, ring_descriptor, write_ring};
use crate::driver::Direction;

/// Calls a plain thread back. A ring is kept until the thread has heard it.
#[derive(Clone)]
pub(in crate::driver) struct ThreadBell(Arc<OwnedFd>);

/// What has ended the wait of a plain thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::driver) enum Waited {
    Ready,
    /// The descriptor has come to its end in another way than the one that was waited for. An
    /// attempt need not see it: a terminal whose other side is gone may still be full.
    Ended,
    Rung,
    TimedOut,
}

thread_local! {
    /// With the process that has made it: a fork child would share it with its parent.
    static BELL: RefCell<Option<(u32, ThreadBell)>> = const { RefCell::new(None) };
}

impl ThreadBell {
    /// The bell of the calling thread, which the first call makes.
    pub(in crate::driver) fn of_this_thread() -> io::Result<Self> {
        let generation = watched_generation();
        let kept = BELL.try_with(|bell| bell.borrow().clone()).ok().flatten();
        if let Some((made_in, bell)) = kept
            && made_in == generation
        {
            return Ok(bell);
        }
        let bell = Self(Arc::new(ring_descriptor()?));
        // It fails in destructors of other thread-locals, where the bell is for this wait alone.
        let _ = BELL.try_with(|kept| kept.replace(Some((generation, bell.clone()))));
        Ok(bell)
    }

    pub(in crate::driver) fn ring(&self) {
        write_ring(&self.0);
    }

    /// Blocks until the bell is rung.
    pub(in crate::driver) fn await_ring(&self) {
        while !self.was_rung() {
            // An error is that of a signal: the bell is a good descriptor.
            let _ = poll(&mut [self.entry()], None);
        }
    }

    /// Blocks until `direction` is possible for `fd`, the bell is rung, or `deadline` has passed.
    pub(in crate::driver) fn wait_beside(
        &self,
        fd: Fd<'_>,
        direction: Direction,
        deadline: Option<Instant>,
    ) -> io::Result<Waited> {
        // Not POLLPRI: an attempt to read does not find what it tells of, which stays.
        let events = match direction {
            Direction::Read => libc::POLLIN,
            Direction::Write => libc::POLLOUT,
        };
        let asked = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
        let mut entries = [self.entry(), asked];
        let any = poll(&mut entries, deadline)?;
        Ok(match entries[1].revents {
            _ if entries[0].revents != 0 && self.was_rung() => Waited::Rung,
            _ if !any => Waited::TimedOut,
            libc::POLLNVAL => return Err(io::Error::from_raw_os_error(libc::EBADF)),
            revents if revents & events != 0 => Waited::Ready,
            _ => Waited::Ended,
        })
    }

    /// Waits a little, or until the bell is rung or `deadline` has passed.
    pub(in crate::driver) fn nap(&self, deadline: Option<Instant>) -> io::Result<Waited> {
        const NAP: Duration = Duration::from_millis(1);
        let end = Instant::now() + NAP;
        let is_last = deadline.is_some_and(|deadline| deadline <= end);
        poll(&mut [self.entry()], if is_last { deadline } else { Some(end) })?;
        Ok(match is_last {
            _ if self.was_rung() => Waited::Rung,
            true => Waited::TimedOut,
            false => Waited::Ended,
        })
    }

    fn entry(&self) -> libc::pollfd {
        libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 }
    }

    /// Hears all rings until now.
    fn was_rung(&self) -> bool {
        let mut rings = 0_u64;
        // SAFETY: eight bytes are written to a local.
        let count =
            unsafe { libc::read(self.0.as_raw_fd(), (&raw mut rings).cast(), size_of::<u64>()) };
        count == size_of::<u64>() as isize
    }
}

/// False if the deadline has passed.
fn poll(entries: &mut [libc::pollfd], deadline: Option<Instant>) -> io::Result<bool> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.map_or(-1, in_milliseconds);
        // SAFETY: the entries are read and written during the call.
        match unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, timeout) } {
            // The longest time-out there is may be shorter than what is left.
            0 if timeout == i32::MAX => {}
            0 => return Ok(false),
            1.. => return Ok(true),
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_thread_waits_for_a_descriptor() {
        let bell = ThreadBell::of_this_thread().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let wait = |direction, deadline| bell.wait_beside(ours.as_fd(), direction, deadline);
        let soon = Some(Instant::now() + Duration::from_millis(1));
        assert_eq!(wait(Direction::Read, soon).unwrap(), Waited::TimedOut);
        assert_eq!(wait(Direction::Write, None).unwrap(), Waited::Ready);
        theirs.write_all(b"x").unwrap();
        assert_eq!(wait(Direction::Read, None).unwrap(), Waited::Ready);
    }

    #[test]
    fn a_ring_is_kept_and_heard_once() {
        let bell = ThreadBell::of_this_thread().unwrap();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let wait = |deadline| bell.wait_beside(ours.as_fd(), Direction::Read, deadline).unwrap();
        for _ in 0..2 {
            ThreadBell::of_this_thread().unwrap().ring();
            assert_eq!(wait(None), Waited::Rung);
            assert_eq!(wait(Some(Instant::now())), Waited::TimedOut);
            bell.ring();
            bell.await_ring();
            assert_eq!(bell.nap(Some(Instant::now())).unwrap(), Waited::TimedOut);
            bell.ring();
            assert_eq!(bell.nap(None).unwrap(), Waited::Rung);
            assert_eq!(bell.nap(None).unwrap(), Waited::Ended);
        }
    }

    #[test]
    fn an_end_that_was_not_waited_for_is_told_from_readiness() {
        let bell = ThreadBell::of_this_thread().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        drop(writer);
        let waited = bell.wait_beside(reader.as_fd(), Direction::Write, None);
        assert_eq!(waited.unwrap(), Waited::Ended);
    }
}

//! Linux's epoll.
//!
//! A ring is a write to an eventfd that is registered edge-triggered and never read: each write is
//! a new edge. `epoll_pwait2` takes time-outs in nanoseconds; where it is missing or forbidden they
//! are rounded up to milliseconds.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Distance, Readiness};

/// What a source is made of.
pub trait Descriptor {
    /// The descriptor itself.
    fn fd(&self) -> Fd<'_>;
}

impl<T: AsFd> Descriptor for T {
    fn fd(&self) -> Fd<'_> {
        self.as_fd()
    }
}

pub(crate) type Fd<'a> = BorrowedFd<'a>;

/// Tells a ring from the tokens of sources, which are addresses.
const RING: u64 = 0;

/// How many reports one look takes.
const BATCH: usize = 256;

const ALL: u32 =
    (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLPRI | libc::EPOLLET) as u32;

pub(in crate::driver) struct Queue {
    epoll: OwnedFd,
    ring: OwnedFd,
}

impl Queue {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: the call makes a descriptor, which nobody else owns, or fails.
        let epoll = unsafe { owned(libc::epoll_create1(libc::EPOLL_CLOEXEC))? };
        let queue = Self { epoll, ring: ring_descriptor()? };
        queue.control(libc::EPOLL_CTL_ADD, queue.ring.as_fd(), RING)?;
        Ok(queue)
    }

    pub(super) fn add(&self, fd: Fd<'_>, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token)
    }

    pub(super) fn remove(&self, fd: Fd<'_>) {
        // It fails if the file behind the number was closed elsewhere, and then there is nothing to
        // do.
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0);
    }

    pub(super) fn ring(&self) {
        write_ring(&self.ring);
    }

    /// Waits once. What is reported is announced before, at each [`Distance`].
    pub(super) fn wait(
        &self,
        timeout: Option<Duration>,
        announce: impl Fn(u64, Distance),
        mut report: impl FnMut(u64, Readiness),
    ) {
        let mut events = [const { MaybeUninit::<libc::epoll_event>::uninit() }; BATCH];
        // An interrupted wait has waited for nothing, as has one that has failed.
        let count = usize::try_from(self.wait_once(timeout, &mut events)).unwrap_or(0);
        // SAFETY: the system has written as many as it says.
        let events = unsafe { events[..count].assume_init_ref() };
        for (place, event) in events.iter().enumerate() {
            for distance in [Distance::Far, Distance::Near] {
                if let Some(coming) = events.get(place + distance as usize)
                    && coming.u64 != RING
                {
                    announce(coming.u64, distance);
                }
            }
            let (token, flags) = (event.u64, event.events as i32);
            if token != RING {
                report(token, readiness(flags));
            }
        }
    }

    fn wait_once(
        &self,
        timeout: Option<Duration>,
        events: &mut [MaybeUninit<libc::epoll_event>; BATCH],
    ) -> i32 {
        static COARSE: AtomicBool = AtomicBool::new(false);
        let (epoll, room) = (self.epoll.as_raw_fd(), BATCH as i32);
        let buffer = events.as_mut_ptr().cast::<libc::epoll_event>();
        let whole = match timeout {
            None => -1,
            Some(Duration::ZERO) => 0,
            Some(timeout) if COARSE.load(Ordering::Relaxed) => in_milliseconds(timeout),
            Some(timeout) => {
                let time = libc::timespec {
                    tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
                    tv_nsec: timeout.subsec_nanos().into(),
                };
                let no_mask = ptr::null::<libc::sigset_t>();
                // SAFETY: the buffer has that much room, and the time is read during the call.
                let count = unsafe {
                    libc::syscall(
                        libc::SYS_epoll_pwait2,
                        epoll,
                        buffer,
                        room,
                        &raw const time,
                        no_mask,
                        size_of::<libc::sigset_t>(),
                    )
                };
                let error = (count < 0).then(|| io::Error::last_os_error().raw_os_error());
                if !matches!(error, Some(Some(libc::ENOSYS | libc::EPERM))) {
                    return count as i32;
                }
                COARSE.store(true, Ordering::Relaxed);
                in_milliseconds(timeout)
            }
        };
        // SAFETY: the buffer has that much room.
        unsafe { libc::epoll_wait(epoll, buffer, room, whole) }
    }

    fn control(&self, operation: i32, fd: Fd<'_>, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: ALL, u64: token };
        // SAFETY: the event is read during the call.
        let result = unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd.as_raw_fd(), &raw mut event)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// A descriptor to be rung.
pub(super) fn ring_descriptor() -> io::Result<OwnedFd> {
    // SAFETY: the call makes a descriptor, which nobody else owns, or fails.
    unsafe { owned(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK)) }
}

pub(super) fn write_ring(ring: &OwnedFd) {
    let one = 1_u64;
    // SAFETY: eight bytes are read from a local. It fails only if the counter is full, after
    // 2^64 - 2 rings.
    unsafe { libc::write(ring.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
}

/// # Safety
///
/// `fd` is a new descriptor that nobody owns, or -1 after a failure.
unsafe fn owned(fd: i32) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn readiness(flags: i32) -> Readiness {
    let is = |what| flags & what != 0;
    let ended = is(libc::EPOLLHUP | libc::EPOLLERR);
    Readiness {
        readable: ended || is(libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLPRI),
        writable: ended || is(libc::EPOLLOUT),
        ended: ended || is(libc::EPOLLRDHUP),
        irregular: ended || is(libc::EPOLLRDHUP | libc::EPOLLPRI),
    }
}

/// Rounded up, so that no wait is too short.
pub(super) fn in_milliseconds(timeout: Duration) -> i32 {
    timeout.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;
    use std::time::Instant;

    fn collect(queue: &Queue, timeout: Option<Duration>) -> Vec<(u64, Readiness)> {
        let mut reports = Vec::new();
        queue.wait(timeout, |_, _| (), |token, readiness| reports.push((token, readiness)));
        reports
    }

    #[test]
    fn a_ring_ends_every_wait_that_begins_later_once() {
        let queue = Queue::new().unwrap();
        for _ in 0..3 {
            queue.ring();
            queue.ring();
            assert!(collect(&queue, None).is_empty(), "it returns, and reports nothing");
        }
        let start = Instant::now();
        assert!(collect(&queue, Some(Duration::from_micros(300))).is_empty());
        assert!(start.elapsed() >= Duration::from_micros(300), "no ring is left over");
    }

    #[test]
    fn what_is_possible_already_is_reported_and_then_only_what_is_new() {
        let queue = Queue::new().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        queue.add(ours.as_fd(), 64).unwrap();
        let writable = Readiness { writable: true, ..Readiness::default() };
        assert_eq!(collect(&queue, None), [(64, writable)]);
        assert!(collect(&queue, Some(Duration::ZERO)).is_empty());
        io::Write::write_all(&mut &theirs, b"x").unwrap();
        assert_eq!(collect(&queue, None), [(64, Readiness { readable: true, ..writable })]);
        drop(theirs);
        let ended = Readiness { readable: true, writable: true, ended: true, irregular: true };
        assert_eq!(collect(&queue, None), [(64, ended)]);
        queue.remove(ours.as_fd());
        queue.remove(ours.as_fd());
    }

    #[test]
    fn a_regular_file_is_refused() {
        let queue = Queue::new().unwrap();
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let error = queue.add(file.as_fd(), 64).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn timeouts_are_rounded_up() {
        assert_eq!(in_milliseconds(Duration::from_nanos(1)), 1);
        assert_eq!(in_milliseconds(Duration::from_millis(2)), 2);
        assert_eq!(in_milliseconds(Duration::MAX), i32::MAX);
    }
}

//! The calls of the system that work on any descriptor.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd};

use lisle_scheduler::internal::Direction;

/// What a call has returned: a count, or -1.
fn counted(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The system takes no more slices at once than this.
const MOST_SLICES: usize = libc::UIO_MAXIOV as usize;

pub(super) fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is written during the call, up to its length.
    counted(unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) })
}

pub(super) fn read_vectored(
    fd: BorrowedFd<'_>,
    buffers: &mut [IoSliceMut<'_>],
) -> io::Result<usize> {
    let count = buffers.len().min(MOST_SLICES) as i32;
    // SAFETY: an `IoSliceMut` has the layout of an `iovec`; the buffers are written during the
    // call.
    counted(unsafe { libc::readv(fd.as_raw_fd(), buffers.as_mut_ptr().cast(), count) })
}

pub(super) fn write(fd: BorrowedFd<'_>, buffer: &[u8]) -> io::Result<usize> {
    // SAFETY: the buffer is read during the call.
    counted(unsafe { libc::write(fd.as_raw_fd(), buffer.as_ptr().cast(), buffer.len()) })
}

pub(super) fn write_vectored(fd: BorrowedFd<'_>, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    let count = buffers.len().min(MOST_SLICES) as i32;
    // SAFETY: an `IoSlice` has the layout of an `iovec`; the buffers are read during the call.
    counted(unsafe { libc::writev(fd.as_raw_fd(), buffers.as_ptr().cast(), count) })
}

/// Succeeds if `direction` is possible now, or fails with `WouldBlock`.
pub(super) fn ready(fd: BorrowedFd<'_>, direction: Direction) -> io::Result<()> {
    let events = match direction {
        Direction::Read => libc::POLLIN,
        Direction::Write => libc::POLLOUT,
    };
    let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    // SAFETY: there is one entry, which is read and written during the call.
    match checked(unsafe { libc::poll(&raw mut entry, 1, 0) })? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

/// Sets or clears O_NONBLOCK. Returns whether it was set before.
pub(super) fn set_nonblocking(fd: BorrowedFd<'_>, nonblocking: bool) -> io::Result<bool> {
    // SAFETY: neither call touches memory.
    unsafe {
        let before = checked(libc::fcntl(fd.as_raw_fd(), libc::F_GETFL))?;
        let flags = match nonblocking {
            true => before | libc::O_NONBLOCK,
            false => before & !libc::O_NONBLOCK,
        };
        if flags != before {
            checked(libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags))?;
        }
        Ok(before & libc::O_NONBLOCK != 0)
    }
}

/// Whether the descriptor is of a kind whose operations never wait for anything but a disk.
pub(super) fn never_waits(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut about = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the call fills in the structure, unless it fails.
    let mode = unsafe {
        checked(libc::fstat(fd.as_raw_fd(), about.as_mut_ptr()))?;
        about.assume_init_ref().st_mode
    };
    Ok(matches!(mode & libc::S_IFMT, libc::S_IFREG | libc::S_IFDIR | libc::S_IFBLK))
}

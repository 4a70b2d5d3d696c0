//! `madvise` for many ranges in one call.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// The most ranges that the kernel takes in one call (`UIO_MAXIOV`).
const MOST: usize = 1024;

/// Below this, opening the descriptor that a vectored call needs costs more than it saves.
const WORTH_A_VECTOR: usize = 4;

/// An advice that the kernel refused midway.
#[derive(Debug)]
pub(super) struct Refused {
    /// How many ranges, counted from the first, were advised.
    pub done: usize,
    /// What the kernel said of the next one.
    pub source: io::Error,
}

/// Gives the kernel the same advice for each range, in order.
///
/// # Safety
///
/// The ranges are page-aligned, mapped, and hold nothing that the advice could destroy.
pub(super) unsafe fn advise(ranges: &[libc::iovec], advice: libc::c_int) -> Result<(), Refused> {
    let process = if ranges.len() < WORTH_A_VECTOR { None } else { open_self() };
    let mut done = 0;
    for chunk in ranges.chunks(MOST) {
        let vectored = match &process {
            // SAFETY: the caller vouches for the ranges.
            Some(process) => unsafe { advise_chunk(process, chunk, advice) },
            None => 0,
        };
        done += vectored;
        for range in &chunk[vectored..] {
            // SAFETY: the caller vouches for the ranges.
            if unsafe { libc::madvise(range.iov_base, range.iov_len, advice) } != 0 {
                let source = io::Error::last_os_error();
                return Err(Refused { done, source });
            }
            done += 1;
        }
    }
    Ok(())
}

/// A descriptor of this process. It is opened for each use: that costs little beside the call that
/// follows, and a descriptor kept over a `fork` would name the parent.
fn open_self() -> Option<OwnedFd> {
    // SAFETY: the call takes two integers and returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the kernel has just returned this descriptor, so nobody else owns it.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Advises as many ranges as one vectored call does; fewer than all (none, where the kernel does
/// not offer the call or the advice) means that the rest is to be done one by one.
///
/// # Safety
///
/// As for [`advise`].
unsafe fn advise_chunk(process: &OwnedFd, chunk: &[libc::iovec], advice: libc::c_int) -> usize {
    // SAFETY: the kernel reads the `chunk.len()` range descriptions; the caller vouches for the
    // ranges themselves.
    let advised = unsafe {
        libc::syscall(
            libc::SYS_process_madvise,
            process.as_raw_fd(),
            chunk.as_ptr(),
            chunk.len(),
            advice,
            0,
        )
    };
    let mut left = usize::try_from(advised).unwrap_or(0);
    chunk
        .iter()
        .take_while(|range| {
            let whole = range.iov_len <= left;
            left = left.saturating_sub(range.iov_len);
            whole
        })
        .count()
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::super::size::page_size;
    use super::*;

    /// A page that holds a mark.
    fn page() -> libc::iovec {
        // SAFETY: a new mapping, into which one byte is then written.
        unsafe {
            let base = libc::mmap(
                ptr::null_mut(),
                page_size(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(base, libc::MAP_FAILED);
            base.cast::<u8>().write(1);
            libc::iovec { iov_base: base, iov_len: page_size() }
        }
    }

    fn mark(page: libc::iovec) -> u8 {
        // SAFETY: the tests read only pages that are mapped.
        unsafe { page.iov_base.cast::<u8>().read() }
    }

    #[test]
    fn every_range_is_advised_however_many_there_are() {
        for count in [1, WORTH_A_VECTOR, MOST + 1] {
            let pages: Vec<_> = (0..count).map(|_| page()).collect();
            // SAFETY: the pages are mapped, and their contents are not needed.
            assert!(unsafe { advise(&pages, libc::MADV_DONTNEED) }.is_ok());
            assert!(pages.iter().all(|page| mark(*page) == 0), "{count} ranges");
        }
    }

    #[test]
    fn a_refusal_says_how_far_it_went() {
        for before in [1, 6] {
            let mut pages: Vec<_> = (0..10).map(|_| page()).collect();
            // The kernel takes no address that is not aligned to the page.
            pages[before].iov_base = pages[before].iov_base.wrapping_byte_add(1);
            // SAFETY: the pages are mapped, and their contents are not needed.
            let refused = unsafe { advise(&pages, libc::MADV_DONTNEED) }.unwrap_err();
            assert_eq!(refused.done, before);
            assert_eq!(refused.source.raw_os_error(), Some(libc::EINVAL));
            assert_eq!((mark(pages[before - 1]), mark(pages[before + 1])), (0, 1));
        }
    }
}

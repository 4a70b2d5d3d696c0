//! Messages to standard error where a panic is not allowed: before the process is aborted, and on
//! paths that must run to their end.
//!
//! `eprintln!` panics when standard error is closed or full, locks, and may be captured. This
//! writes to the descriptor itself, and ignores failures.

use std::fmt::{self, Write};
use std::io;
use std::process::abort;

/// Writes `lisle: `, the message and a newline to standard error, or nothing if that fails.
///
/// It neither panics nor allocates nor waits for a lock, provided that formatting the arguments of
/// the message does not.
#[cold]
pub fn complain(message: fmt::Arguments<'_>) {
    let mut line = Line::new();
    // A line never fails: only the formatting of an argument could.
    let _ = writeln!(line, "lisle: {message}");
    line.flush();
}

/// Like [`complain`], and then aborts the process, whatever becomes of the message.
#[cold]
pub fn abort_with(message: fmt::Arguments<'_>) -> ! {
    let _bomb = AbortOnDrop;
    complain(message);
    abort()
}

/// Calls `section`, which must not unwind: a panic that leaves it aborts the process with
/// `message`.
#[inline]
pub fn abort_on_unwind<R>(message: &'static str, section: impl FnOnce() -> R) -> R {
    let bomb = AbortOnUnwind::new(message);
    let result = section();
    bomb.defuse();
    result
}

/// The same as a value, for paths on which every call counts: aborts the process with its message
/// when it is dropped.
#[must_use = "it aborts the process when it is dropped"]
pub struct AbortOnUnwind(&'static str);

impl AbortOnUnwind {
    /// A guard that says `message`.
    #[inline(always)]
    pub fn new(message: &'static str) -> Self {
        Self(message)
    }

    /// Nothing has panicked.
    #[inline(always)]
    pub fn defuse(self) {
        std::mem::forget(self);
    }
}

impl Drop for AbortOnUnwind {
    #[cold]
    fn drop(&mut self) {
        abort_with(format_args!("{}", self.0));
    }
}

/// Aborts silently: formatting the message has panicked.
struct AbortOnDrop;

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        abort();
    }
}

/// Text for standard error, written in few pieces so that other output rarely comes in between.
struct Line {
    bytes: [u8; 512],
    length: usize,
}

impl Line {
    fn new() -> Self {
        Self { bytes: [0; 512], length: 0 }
    }

    fn flush(&mut self) {
        write_to_stderr(&self.bytes[..self.length]);
        self.length = 0;
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.as_bytes().chunks(self.bytes.len()) {
            if part.len() > self.bytes.len() - self.length {
                self.flush();
            }
            self.bytes[self.length..][..part.len()].copy_from_slice(part);
            self.length += part.len();
        }
        Ok(())
    }
}

/// Writes all of it, or as much as can be written. Safe in a signal handler.
pub(crate) fn write_to_stderr(mut rest: &[u8]) {
    while !rest.is_empty() {
        // SAFETY: `rest` is that many readable bytes.
        let written = unsafe { libc::write(libc::STDERR_FILENO, rest.as_ptr().cast(), rest.len()) };
        match usize::try_from(written) {
            Ok(0) => return,
            Ok(written) => rest = &rest[written..],
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

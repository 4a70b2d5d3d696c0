//! The standard streams.
//!
//! They are shared with other processes, the shell say, so they are never set to non-blocking mode.
//! What is written goes through std's own handles, on the threads for blocking calls.
//!
//! A read may have to wait for a person, and a task that waits must be able to unwind. So a task
//! first waits until there is something to read, as for any descriptor, and only then has a thread
//! read it. What was read ahead lies in one buffer, from which several tasks and threads may take.
//!
//! **No reader sleeps beside a full buffer.** A task sleeps only after it has found, under the lock
//! of the buffer, that this has nothing for it, that no party *reads*, and that there is nothing to
//! be read. A party that reads says so under the same lock before it does, and until what it has
//! read is in the buffer. So if the descriptor is empty because of a read, the task sees that read,
//! or what it has brought. A task that sees it goes to a thread and waits for its end there.

use std::io::{self, IoSlice, IsTerminal, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use lisle_runtime::internal::fork::watched_generation;
use lisle_scheduler::blocking;
use lisle_scheduler::internal::{Direction, Patience, Source};
use lisle_scheduler::park::{Reason, in_task};

use super::system;

/// How much is read at a time.
const CHUNK: usize = 8 * 1024;

/// Standard input of the process: see [`Stdin`].
pub fn stdin() -> Stdin {
    Stdin(())
}

/// Standard input of the process, which all handles share. A task that waits for input lets others
/// run, and is unwound from there if it is cancelled.
///
/// What is typed while nobody reads stays with the system. Do not read by [`std::io::stdin`] too:
/// each of the two has a buffer of its own. Lines go to one reader each, whole.
///
/// ```no_run
/// lisle::run(|| {
///     for line in lisle::io::stdin().lines() {
///         println!("you said {}", line?);
///     }
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap();
/// ```
#[derive(Debug)]
pub struct Stdin(());

impl Stdin {
    /// Adds the next line to `line`, with its end. Returns its length, which is 0 at the end of the
    /// input.
    ///
    /// # Errors
    ///
    /// Those of the system; `InvalidData` if the line is no UTF-8, which is lost then.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is cancelled.
    #[track_caller]
    pub fn read_line(&self, line: &mut String) -> io::Result<usize> {
        let input = Input::of_this_process();
        let bytes = loop {
            if let Some(bytes) = input.lock().take_line() {
                break bytes;
            }
            if input.fetch(Buffer::has_line)? == Fetched::End {
                break input.lock().take(usize::MAX);
            }
        };
        let text = String::from_utf8(bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))?;
        line.push_str(&text);
        Ok(text.len())
    }

    /// The lines that are to come, without their ends.
    pub fn lines(self) -> Lines {
        Lines(self)
    }
}

impl Read for &Stdin {
    #[track_caller]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let input = Input::of_this_process();
        loop {
            let bytes = input.lock().take(buffer.len());
            if !bytes.is_empty() {
                buffer[..bytes.len()].copy_from_slice(&bytes);
                return Ok(bytes.len());
            }
            if input.fetch(|buffer| !buffer.bytes.is_empty())? == Fetched::End {
                return Ok(0);
            }
        }
    }
}

impl Read for Stdin {
    #[track_caller]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Stdin {
    /// Whether the input comes from a terminal.
    pub fn is_terminal(&self) -> bool {
        io::stdin().is_terminal()
    }
}

impl AsRawFd for Stdin {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsFd for Stdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        Input::of_this_process().source.get_ref().as_fd()
    }
}

/// The lines of standard input, which [`Stdin::lines`] returns.
#[derive(Debug)]
pub struct Lines(Stdin);

impl Iterator for Lines {
    type Item = io::Result<String>;

    #[track_caller]
    fn next(&mut self) -> Option<Self::Item> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => return Some(Err(error)),
        }
        if line.ends_with('\n') {
            line.pop();
            if line.ends_with('\r') {
                line.pop();
            }
        }
        Some(Ok(line))
    }
}

struct Input {
    source: Source<io::Stdin>,
    /// The process that the source belongs to.
    generation: u32,
    buffer: Mutex<Buffer>,
    /// Held by the party that reads from the system, which may be a thread that waits.
    reading: Mutex<()>,
}

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// Whether a party reads, and has not yet added what it gets.
    is_being_filled: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fetched {
    /// There may be something in the buffer now.
    Something,
    End,
}

impl Buffer {
    fn has_line(&self) -> bool {
        self.bytes.contains(&b'\n')
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let end = self.bytes.iter().position(|&byte| byte == b'\n')?;
        Some(self.take(end + 1))
    }

    /// Takes the first bytes, `most` at most.
    fn take(&mut self, most: usize) -> Vec<u8> {
        let count = self.bytes.len().min(most);
        self.bytes.drain(..count).collect()
    }
}

impl Input {
    fn of_this_process() -> &'static Self {
        static INPUT: OnceLock<Input> = OnceLock::new();
        INPUT.get_or_init(|| Self {
            source: Source::new(io::stdin()),
            generation: watched_generation(),
            buffer: Mutex::default(),
            reading: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the buffer has what `is_enough`, or for something that is added to it.
    #[track_caller]
    fn fetch(&self, is_enough: impl Fn(&Buffer) -> bool + Sync) -> io::Result<Fetched> {
        // What a fork child has inherited is registered with a worker of its parent.
        let waits_first = in_task() && self.generation == watched_generation();
        if waits_first {
            const REASON: Reason = Reason::new("waiting for standard input");
            let look = |stdin: &io::Stdin| {
                let buffer = self.lock();
                match is_enough(&buffer) || buffer.is_being_filled {
                    true => Ok(()),
                    false => system::ready(stdin.as_fd(), Direction::Read),
                }
            };
            self.source.attempt(Direction::Read, REASON, || Patience::Endless, look)?;
        }
        blocking(|| self.read(&is_enough, waits_first))
    }

    /// Reads from the system what there is. With `only_if_ready` it does not wait for more.
    fn read(
        &self,
        is_enough: impl Fn(&Buffer) -> bool,
        only_if_ready: bool,
    ) -> io::Result<Fetched> {
        let _one_at_a_time = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let stdin = self.source.get_ref().as_fd();
        {
            let mut buffer = self.lock();
            let is_taken = || only_if_ready && system::ready(stdin, Direction::Read).is_err();
            if is_enough(&buffer) || is_taken() {
                return Ok(Fetched::Something);
            }
            buffer.is_being_filled = true;
        }
        let mut chunk = vec![0; CHUNK];
        let result = loop {
            match system::read(stdin, &mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // As the standard library has it: a stream that was closed is empty.
                Err(error) if error.raw_os_error() == Some(libc::EBADF) => break Ok(0),
                result => break result,
            }
        };
        let mut buffer = self.lock();
        buffer.is_being_filled = false;
        let count = result?;
        buffer.bytes.extend_from_slice(&chunk[..count]);
        Ok(if count == 0 { Fetched::End } else { Fetched::Something })
    }
}

/// Makes a handle to one of the streams for output.
macro_rules! output {
    ($function:ident, $name:ident, $std:path, $title:literal) => {
        #[doc = concat!($title, " of the process: see [`", stringify!($name), "`].")]
        pub fn $function() -> $name {
            $name(())
        }

        #[doc = concat!($title, " of the process. A write that has to wait lets other tasks run.")]
        ///
        #[doc = concat!("It goes through [`std::io::", stringify!($function), "`], with which it")]
        /// can be mixed: what one call writes is not torn apart. `println!` and `eprintln!` do the
        /// same without letting others run, which is best where the stream is never slow.
        ///
        /// # Examples
        ///
        /// ```
        /// use std::io::Write;
        #[doc = concat!("use lisle::io::", stringify!($function), ";")]
        ///
        #[doc = concat!("lisle::run(|| writeln!(", stringify!($function), "(), \"a line\"))?;")]
        /// # Ok::<_, std::io::Error>(())
        /// ```
        #[derive(Debug)]
        pub struct $name(());

        impl Write for &$name {
            #[track_caller]
            fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
                blocking(|| $std().write(buffer))
            }

            #[track_caller]
            fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
                blocking(|| $std().write_vectored(buffers))
            }

            #[track_caller]
            fn write_all(&mut self, buffer: &[u8]) -> io::Result<()> {
                blocking(|| $std().write_all(buffer))
            }

            #[track_caller]
            fn write_fmt(&mut self, text: std::fmt::Arguments<'_>) -> io::Result<()> {
                // What is formatted may belong to this thread.
                self.write_all(text.to_string().as_bytes())
            }

            #[track_caller]
            fn flush(&mut self) -> io::Result<()> {
                blocking(|| $std().flush())
            }
        }

        impl Write for $name {
            #[track_caller]
            fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
                (&*self).write(buffer)
            }

            #[track_caller]
            fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
                (&*self).write_vectored(buffers)
            }

            #[track_caller]
            fn write_all(&mut self, buffer: &[u8]) -> io::Result<()> {
                (&*self).write_all(buffer)
            }

            #[track_caller]
            fn write_fmt(&mut self, text: std::fmt::Arguments<'_>) -> io::Result<()> {
                (&*self).write_fmt(text)
            }

            #[track_caller]
            fn flush(&mut self) -> io::Result<()> {
                (&*self).flush()
            }
        }

        impl $name {
            /// Whether it goes to a terminal.
            pub fn is_terminal(&self) -> bool {
                $std().is_terminal()
            }
        }

        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                // SAFETY: std's handles live as long as the process, and so do their descriptors.
                unsafe { BorrowedFd::borrow_raw(self.as_raw_fd()) }
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                $std().as_raw_fd()
            }
        }

        /// For a program that is started, whose output goes where this process's goes.
        impl From<$name> for Stdio {
            fn from(_: $name) -> Self {
                $std().into()
            }
        }
    };
}

output!(stdout, Stdout, std::io::stdout, "Standard output");
output!(stderr, Stderr, std::io::stderr, "Standard error");

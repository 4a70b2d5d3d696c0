//! [`Io`]: any descriptor that can be waited for.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use lisle_scheduler::internal::{Direction, Patience, Source};
use lisle_scheduler::park::Reason;

use super::{Settings, system};

const READING: Reason = Reason::new("reading from a descriptor");
const WRITING: Reason = Reason::new("writing to a descriptor");
const READABLE: Reason = Reason::new("waiting until a descriptor is readable");
const WRITABLE: Reason = Reason::new("waiting until a descriptor is writable");

/// A descriptor whose operations wait by parking their task: a pipe, an eventfd, a terminal, what a
/// C library has opened.
///
/// Reading and writing work on `Io<T>` and on `&Io<T>`. Several tasks, and plain threads, may use
/// one object at the same time; a plain thread that waits is blocked.
///
/// # Examples
///
/// ```
/// use lisle::io::Io;
/// use std::io::{Read, Write};
///
/// lisle::run(|| {
///     let (reader, writer) = std::io::pipe()?;
///     let (mut reader, mut writer) = (Io::new(reader)?, Io::new(writer)?);
///     let greeting = lisle::spawn(move || {
///         let mut text = String::new();
///         reader.read_to_string(&mut text).map(|_| text) // other tasks run meanwhile
///     });
///     writer.write_all(b"hello")?;
///     drop(writer);
///     assert_eq!(greeting.join().unwrap()?, "hello");
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap();
/// ```
pub struct Io<T: AsFd> {
    source: Source<T>,
    pub(crate) settings: Settings,
    /// Whether the descriptor was in non-blocking mode when it was taken over.
    was_nonblocking: bool,
}

impl<T: AsFd> Io<T> {
    /// Takes over a descriptor, and sets it to non-blocking mode.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a regular file, a directory or a disk, which are always ready: use
    /// `blocking` for those. Others if the descriptor is not an open one.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::io::Io;
    ///
    /// lisle::run(|| {
    ///     let (reader, writer) = std::io::pipe()?;
    ///     let (_reader, _writer) = (Io::new(reader)?, Io::new(writer)?);
    ///     assert!(Io::new(std::fs::File::open("Cargo.toml")?).is_err()); // it never waits
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn new(inner: T) -> io::Result<Self> {
        if system::never_waits(inner.as_fd())? {
            let message = "regular files never wait: use blocking";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let was_nonblocking = system::set_nonblocking(inner.as_fd(), true)?;
        Ok(Self { was_nonblocking, ..Self::of(inner, Settings::default()) })
    }

    /// Takes over a descriptor of a kind that can wait, which is in non-blocking mode already and
    /// is set to blocking mode in the end.
    pub(crate) fn of(inner: T, settings: Settings) -> Self {
        Self { source: Source::new(inner), settings, was_nonblocking: false }
    }

    /// Takes over a socket in either mode. One that cannot be set to non-blocking mode is none, and
    /// its operations will say so.
    pub(crate) fn of_socket(inner: T) -> Self {
        let was_nonblocking = system::set_nonblocking(inner.as_fd(), true).unwrap_or(false);
        Self { was_nonblocking, ..Self::of(inner, Settings::default()) }
    }

    /// Gives the descriptor back, in the mode in which it was taken over. It could be set to
    /// another one before, so this does not fail; what is no socket was never set, see `of_socket`.
    pub(crate) fn into_original_mode(self) -> T {
        let inner = self.source.into_inner();
        let _ = system::set_nonblocking(inner.as_fd(), self.was_nonblocking);
        inner
    }

    /// What the object was made of. Do not read or write by it what others wait for here.
    pub fn get_ref(&self) -> &T {
        self.source.get_ref()
    }

    /// Gives the descriptor back, in the mode in which it was taken over.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::io::Io;
    ///
    /// lisle::run(|| {
    ///     let (reader, _writer) = std::io::pipe()?;
    ///     let reader: std::io::PipeReader = Io::new(reader)?.into_inner()?; // blocking, as before
    ///     drop(reader);
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn into_inner(self) -> io::Result<T> {
        let inner = self.source.into_inner();
        system::set_nonblocking(inner.as_fd(), self.was_nonblocking)?;
        Ok(inner)
    }

    /// Makes operations that would have to wait fail with `WouldBlock` instead, or not so.
    ///
    /// This is a flag of this object. The descriptor is in non-blocking mode anyway.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::io::Io;
    /// use std::io::{ErrorKind, Read};
    ///
    /// lisle::run(|| {
    ///     let (reader, _writer) = std::io::pipe()?;
    ///     let mut reader = Io::new(reader)?;
    ///     reader.set_nonblocking(true);
    ///     assert_eq!(reader.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn set_nonblocking(&self, nonblocking: bool) {
        self.settings.set_nonblocking(nonblocking);
    }

    /// How long a read waits; `None` is for ever.
    pub fn read_timeout(&self) -> Option<Duration> {
        self.settings.timeout(Direction::Read)
    }

    /// How long a write waits; `None` is for ever.
    pub fn write_timeout(&self) -> Option<Duration> {
        self.settings.timeout(Direction::Write)
    }

    /// Sets how long a read waits until it fails with `WouldBlock`; `None` is for ever, as at
    /// first.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the time is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::io::Io;
    /// use std::io::{ErrorKind, Read};
    /// use std::time::Duration;
    ///
    /// lisle::run(|| {
    ///     let (reader, _writer) = std::io::pipe()?;
    ///     let mut reader = Io::new(reader)?;
    ///     reader.set_read_timeout(Some(Duration::from_millis(1)))?;
    ///     assert_eq!(reader.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.settings.set_timeout(Direction::Read, timeout)
    }

    /// Sets how long a write waits until it fails with `WouldBlock`; `None` is for ever, as at
    /// first.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the time is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::io::Io;
    /// use std::io::{ErrorKind, Write};
    /// use std::time::Duration;
    ///
    /// lisle::run(|| {
    ///     let (_reader, writer) = std::io::pipe()?; // nobody reads
    ///     let mut writer = Io::new(writer)?;
    ///     writer.set_write_timeout(Some(Duration::from_millis(1)))?;
    ///     let error = writer.write_all(&[0; 1 << 20]).unwrap_err();
    ///     assert_eq!(error.kind(), ErrorKind::WouldBlock);
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.settings.set_timeout(Direction::Write, timeout)
    }

    /// Waits until something can be read, or reading would fail at once. It reads nothing itself: a
    /// C library can do that.
    ///
    /// # Errors
    ///
    /// `TimedOut` when `deadline` has passed.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::io::Io;
    /// use std::io::{ErrorKind, Write};
    /// use std::time::{Duration, Instant};
    ///
    /// lisle::run(|| {
    ///     let (reader, mut writer) = std::io::pipe()?;
    ///     let reader = Io::new(reader)?;
    ///     let soon = Instant::now() + Duration::from_millis(1);
    ///     assert_eq!(reader.readable(Some(soon)).unwrap_err().kind(), ErrorKind::TimedOut);
    ///     writer.write_all(b"x")?;
    ///     reader.readable(None)
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn readable(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.wait_ready(Direction::Read, READABLE, deadline)
    }

    /// Waits until something can be written, or writing would fail at once.
    ///
    /// # Errors
    ///
    /// `TimedOut` when `deadline` has passed.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::io::Io;
    ///
    /// lisle::run(|| {
    ///     let (_reader, writer) = std::io::pipe()?;
    ///     Io::new(writer)?.writable(None) // there is room
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn writable(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.wait_ready(Direction::Write, WRITABLE, deadline)
    }

    #[track_caller]
    fn wait_ready(
        &self,
        direction: Direction,
        reason: Reason,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        let patience = deadline.map_or(Patience::Endless, Patience::Until);
        let ready = |inner: &T| system::ready(inner.as_fd(), direction);
        self.attempt_for(direction, reason, patience, ready)
    }

    /// Calls `operation` until it does something else than to fail with `WouldBlock`, and waits in
    /// between until something can be read.
    ///
    /// # Errors
    ///
    /// Those of `operation`. `WouldBlock` when the [time](Self::set_read_timeout) for a read is
    /// over, or [nothing is waited for](Self::set_nonblocking).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::io::Io;
    /// use std::net::UdpSocket;
    ///
    /// lisle::run(|| {
    ///     let socket = Io::new(UdpSocket::bind("127.0.0.1:0")?)?;
    ///     socket.get_ref().send_to(b"to myself", socket.get_ref().local_addr()?)?;
    ///     let mut buffer = [0; 20];
    ///     let (length, _) = socket.read_with(|socket| socket.recv_from(&mut buffer))?;
    ///     assert_eq!(&buffer[..length], b"to myself");
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn read_with<R>(&self, operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.attempt(Direction::Read, READING, operation)
    }

    /// Calls `operation` until it does something else than to fail with `WouldBlock`, and waits in
    /// between until something can be written.
    ///
    /// # Errors
    ///
    /// Those of `operation`. `WouldBlock` when the [time](Self::set_write_timeout) for a write is
    /// over, or [nothing is waited for](Self::set_nonblocking).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::io::Io;
    /// use std::net::UdpSocket;
    ///
    /// lisle::run(|| {
    ///     let socket = Io::new(UdpSocket::bind("127.0.0.1:0")?)?;
    ///     let address = socket.get_ref().local_addr()?;
    ///     let length = socket.write_with(|socket| socket.send_to(b"to myself", address))?;
    ///     assert_eq!(length, 9);
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn write_with<R>(&self, operation: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.attempt(Direction::Write, WRITING, operation)
    }

    /// Ends all waits of this object, and all its operations to come, with `ConnectionAborted`. The
    /// descriptor stays open until the object is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::io::Io;
    /// use std::io::ErrorKind;
    /// use std::sync::Arc;
    ///
    /// lisle::run(|| {
    ///     let (reader, _writer) = std::io::pipe()?;
    ///     let reader = Arc::new(Io::new(reader)?);
    ///     let waiter = lisle::spawn({
    ///         let reader = reader.clone();
    ///         move || reader.readable(None)
    ///     });
    ///     lisle::yield_now(); // it waits
    ///     reader.close();
    ///     assert_eq!(waiter.join().unwrap().unwrap_err().kind(), ErrorKind::ConnectionAborted);
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn close(&self) {
        self.source.close();
    }

    #[inline]
    #[track_caller]
    pub(crate) fn attempt<R>(
        &self,
        direction: Direction,
        reason: Reason,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.source.attempt(direction, reason, || self.settings.patience(direction), operation)
    }

    /// See [`Source::attempt_to_drain`].
    #[inline]
    #[track_caller]
    pub(crate) fn attempt_to_drain(
        &self,
        reason: Reason,
        room: usize,
        read: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let patience = || self.settings.patience(Direction::Read);
        self.source.attempt_to_drain(reason, patience, room, read)
    }

    /// An operation that waits as long as it says itself, whatever the settings.
    #[track_caller]
    pub(crate) fn attempt_for<R>(
        &self,
        direction: Direction,
        reason: Reason,
        patience: Patience,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.source.attempt(direction, reason, || patience, operation)
    }
}

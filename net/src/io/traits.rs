//! The traits of an [`Io`]: reading, writing, and ways to its descriptor.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, IsTerminal, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::process::Stdio;

use super::{Io, system};

impl<T: AsFd> Read for &Io<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_with(|inner| system::read(inner.as_fd(), buffer))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.read_with(|inner| system::read_vectored(inner.as_fd(), buffers))
    }
}

impl<T: AsFd> Write for &Io<T> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.write_with(|inner| system::write(inner.as_fd(), buffer))
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_with(|inner| system::write_vectored(inner.as_fd(), buffers))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T: AsFd> Read for Io<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }
}

impl<T: AsFd> Write for Io<T> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        (&*self).write(buffer)
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T: AsFd> AsFd for Io<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsFd> AsRawFd for Io<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// In the mode in which the descriptor was taken over.
impl<T: AsFd + Into<OwnedFd>> From<Io<T>> for OwnedFd {
    fn from(io: Io<T>) -> Self {
        io.into_original_mode().into()
    }
}

/// In the mode in which the descriptor was taken over.
impl<T: AsFd + IntoRawFd> IntoRawFd for Io<T> {
    fn into_raw_fd(self) -> RawFd {
        self.into_original_mode().into_raw_fd()
    }
}

/// For a program that is started: a pipe from one to another, say. In the mode in which the
/// descriptor was taken over.
impl<T: AsFd + Into<Stdio>> From<Io<T>> for Stdio {
    fn from(io: Io<T>) -> Self {
        io.into_original_mode().into()
    }
}

impl<T: AsFd + IsTerminal> Io<T> {
    /// Whether the descriptor is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.get_ref().is_terminal()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Io<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Io").field(self.get_ref()).finish()
    }
}

//! What all sockets have in common.
//!
//! A socket is an `Io` of std's type, which makes the system calls. So each type here only says
//! which call it is and in which direction it waits; what does not differ at all is written once,
//! below.

/// The methods that each socket has, and the ways from and to std's type and descriptors. The
/// socket has a field `io`.
macro_rules! socket {
    ($socket:ident, $std:ty, $address:ty) => {
        impl $socket {
            /// The socket's own address.
            ///
            /// # Errors
            ///
            /// If the system refuses to tell.
            pub fn local_addr(&self) -> std::io::Result<$address> {
                self.io.get_ref().local_addr()
            }

            /// Takes over a socket in blocking mode that was just made, and sets it to
            /// non-blocking mode.
            #[allow(dead_code, reason = "some are made by the system in that mode")]
            pub(crate) fn of(inner: $std) -> std::io::Result<Self> {
                inner.set_nonblocking(true)?;
                Ok(Self { io: crate::io::Io::of(inner, crate::io::Settings::default()) })
            }

            /// A second object for the same socket, with a descriptor of its own. What is sent to
            /// the socket comes to whichever of the two asks first, and the system's options of the
            /// socket are those of both.
            ///
            /// The clone takes over the time-outs and whether it waits, and from then on both have
            /// their own; std's share them. The socket's descriptors all are in non-blocking mode
            /// until one of them is turned into std's type, which sets this for all: the other
            /// objects would block their thread from then on.
            ///
            /// # Errors
            ///
            /// If the process has no descriptors left.
            pub fn try_clone(&self) -> std::io::Result<Self> {
                let settings = self.io.settings.clone();
                Ok(Self { io: crate::io::Io::of(self.io.get_ref().try_clone()?, settings) })
            }

            /// Takes the error that the system has kept for the socket, if there is one.
            ///
            /// # Errors
            ///
            /// If the system refuses to tell.
            pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
                self.io.get_ref().take_error()
            }

            /// Makes operations that would have to wait fail with `WouldBlock` instead, or not so.
            ///
            /// This is a flag of this object. The descriptor is in non-blocking mode anyway.
            ///
            /// # Errors
            ///
            /// None. It has std's signature.
            pub fn set_nonblocking(&self, nonblocking: bool) -> std::io::Result<()> {
                self.io.set_nonblocking(nonblocking);
                Ok(())
            }

            /// Ends all waits of this object, and all its operations to come, with
            /// `ConnectionAborted`. The descriptor stays open until the object is dropped, and the
            /// other side hears nothing before.
            pub fn close(&self) {
                self.io.close();
            }

            /// Waits until something can be read or accepted, or an attempt would fail at once. It
            /// takes nothing itself: a C library can do that.
            ///
            /// # Errors
            ///
            /// `TimedOut` when `deadline` has passed.
            #[track_caller]
            pub fn readable(&self, deadline: Option<std::time::Instant>) -> std::io::Result<()> {
                self.io.readable(deadline)
            }

            /// Waits until something can be sent, or sending would fail at once.
            ///
            /// # Errors
            ///
            /// `TimedOut` when `deadline` has passed.
            #[track_caller]
            pub fn writable(&self, deadline: Option<std::time::Instant>) -> std::io::Result<()> {
                self.io.writable(deadline)
            }
        }

        impl std::fmt::Debug for $socket {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.io.get_ref().fmt(f)
            }
        }

        /// Sets the descriptor to non-blocking mode.
        impl From<$std> for $socket {
            fn from(socket: $std) -> Self {
                Self { io: crate::io::Io::of_socket(socket) }
            }
        }

        /// Sets the descriptor to the mode in which it was taken over; to blocking mode, if it was
        /// made here.
        impl From<$socket> for $std {
            fn from(socket: $socket) -> Self {
                socket.io.into_original_mode()
            }
        }

        /// Sets the descriptor to non-blocking mode.
        impl From<std::os::fd::OwnedFd> for $socket {
            fn from(fd: std::os::fd::OwnedFd) -> Self {
                <$std>::from(fd).into()
            }
        }

        /// Sets the descriptor to the mode in which it was taken over; to blocking mode, if it was
        /// made here.
        impl From<$socket> for std::os::fd::OwnedFd {
            fn from(socket: $socket) -> Self {
                <$std>::from(socket).into()
            }
        }

        impl std::os::fd::FromRawFd for $socket {
            unsafe fn from_raw_fd(fd: std::os::fd::RawFd) -> Self {
                // SAFETY: the caller gives an open descriptor away, as it would to an `OwnedFd`.
                unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) }.into()
            }
        }

        impl std::os::fd::IntoRawFd for $socket {
            fn into_raw_fd(self) -> std::os::fd::RawFd {
                std::os::fd::OwnedFd::from(self).into_raw_fd()
            }
        }

        impl std::os::fd::AsFd for $socket {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.io.as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $socket {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.io.as_raw_fd()
            }
        }
    };
}

/// The other end of a socket that can be connected.
macro_rules! peer {
    ($socket:ident, $address:ty) => {
        impl $socket {
            /// The address of the other end, to which the socket is connected.
            ///
            /// # Errors
            ///
            /// `NotConnected`.
            pub fn peer_addr(&self) -> std::io::Result<$address> {
                self.io.get_ref().peer_addr()
            }
        }
    };
}

/// How long a socket waits when it sends and receives.
macro_rules! timeouts {
    ($socket:ident) => {
        impl $socket {
            /// How long receiving waits; `None` is for ever.
            ///
            /// # Errors
            ///
            /// None. It has std's signature.
            pub fn read_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                Ok(self.io.read_timeout())
            }

            /// How long sending waits; `None` is for ever.
            ///
            /// # Errors
            ///
            /// None. It has std's signature.
            pub fn write_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                Ok(self.io.write_timeout())
            }

            /// Sets how long receiving waits until it fails with `WouldBlock`; `None` is for ever,
            /// as at first. It is a setting of this object.
            ///
            /// # Errors
            ///
            /// `InvalidInput` if the time is zero.
            pub fn set_read_timeout(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.io.set_read_timeout(timeout)
            }

            /// Sets how long sending waits until it fails with `WouldBlock`; `None` is for ever, as
            /// at first. It is a setting of this object.
            ///
            /// # Errors
            ///
            /// `InvalidInput` if the time is zero.
            pub fn set_write_timeout(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.io.set_write_timeout(timeout)
            }
        }
    };
}

/// Reading and writing, by a socket and by a reference to one, and the end of that. std's type
/// makes the calls. The socket says by its methods `read_by` and `write_by` how they wait.
macro_rules! stream {
    ($socket:ident) => {
        impl $socket {
            /// Ends one direction of the connection, or both. Tasks that wait for that are woken:
            /// they read what is left and then the end, and fail to write.
            ///
            /// # Errors
            ///
            /// If the system refuses.
            pub fn shutdown(&self, how: std::net::Shutdown) -> std::io::Result<()> {
                self.io.get_ref().shutdown(how)
            }
        }

        impl std::io::Read for &$socket {
            #[inline]
            #[track_caller]
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                self.read_by(buffer.len(), |mut socket| socket.read(buffer))
            }

            #[inline]
            #[track_caller]
            fn read_vectored(
                &mut self,
                buffers: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                let room = buffers.iter().map(|buffer| buffer.len()).sum();
                self.read_by(room, |mut socket| socket.read_vectored(buffers))
            }
        }

        impl std::io::Write for &$socket {
            #[inline]
            #[track_caller]
            fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
                self.write_by(|mut socket| socket.write(buffer))
            }

            #[inline]
            #[track_caller]
            fn write_vectored(
                &mut self,
                buffers: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                self.write_by(|mut socket| socket.write_vectored(buffers))
            }

            #[inline]
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        impl std::io::Read for $socket {
            #[inline]
            #[track_caller]
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                (&*self).read(buffer)
            }

            #[inline]
            #[track_caller]
            fn read_vectored(
                &mut self,
                buffers: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                (&*self).read_vectored(buffers)
            }
        }

        impl std::io::Write for $socket {
            #[inline]
            #[track_caller]
            fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
                (&*self).write(buffer)
            }

            #[inline]
            #[track_caller]
            fn write_vectored(
                &mut self,
                buffers: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                (&*self).write_vectored(buffers)
            }

            #[inline]
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
    };
}

/// Options of the system. They are the socket's, and not those of one object alone.
macro_rules! options {
    ($socket:ident: $($what:literal $get:ident $set:ident $value:ty,)+) => {
        impl $socket {$(
            #[doc = concat!("Tells ", $what, ".")]
            ///
            /// # Errors
            ///
            /// If the system refuses to tell.
            pub fn $get(&self) -> std::io::Result<$value> {
                self.io.get_ref().$get()
            }

            #[doc = concat!("Sets ", $what, ".")]
            ///
            /// # Errors
            ///
            /// If the system refuses.
            pub fn $set(&self, value: $value) -> std::io::Result<()> {
                self.io.get_ref().$set(value)
            }
        )+}
    };
}

pub(crate) use {options, peer, socket, stream, timeouts};

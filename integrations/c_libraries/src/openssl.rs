//! OpenSSL over Lisle's sockets.

use std::io::{self, Read, Write};

use lisle::net::TcpStream;
use lisle::no_suspend;
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{self, ErrorCode, ShutdownState, Ssl, SslContext, SslStream};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509NameBuilder};

/// A TLS connection that one task at a time reads from and writes to.
pub struct TlsStream {
    ssl: SslStream<TcpStream>,
}

impl TlsStream {
    /// Does the server's part of the handshake.
    pub fn accept(context: &SslContext, stream: TcpStream) -> io::Result<Self> {
        let mut new = Self::new(Ssl::new(context)?, stream)?;
        new.attempt(SslStream::accept)?;
        Ok(new)
    }

    /// Does the client's part, for a server of this name.
    pub fn connect(context: &SslContext, name: &str, stream: TcpStream) -> io::Result<Self> {
        let mut ssl = Ssl::new(context)?;
        ssl.set_hostname(name)?;
        ssl.param_mut().set_host(name)?;
        let mut new = Self::new(ssl, stream)?;
        new.attempt(SslStream::connect)?;
        Ok(new)
    }

    fn new(ssl: Ssl, stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { ssl: SslStream::new(ssl, stream)? })
    }

    /// Tells the other side that nothing more comes, and waits until it says the same.
    pub fn close(mut self) -> io::Result<()> {
        self.attempt(SslStream::shutdown)?;
        if !self.ssl.get_shutdown().contains(ShutdownState::RECEIVED) {
            self.attempt(SslStream::shutdown)?;
        }
        Ok(())
    }

    /// Waits between attempts, and never inside one: even a read that succeeds would let others run
    /// at the end of a long turn.
    fn attempt<R>(
        &mut self,
        mut operation: impl FnMut(&mut SslStream<TcpStream>) -> Result<R, ssl::Error>,
    ) -> io::Result<R> {
        loop {
            let error = match no_suspend(|| operation(&mut self.ssl)) {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            match error.code() {
                ErrorCode::WANT_READ => self.ssl.get_ref().readable(None)?,
                ErrorCode::WANT_WRITE => self.ssl.get_ref().writable(None)?,
                _ => return Err(error.into_io_error().unwrap_or_else(io::Error::other)),
            }
        }
    }
}

impl Read for TlsStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.attempt(|ssl| match ssl.ssl_read(buffer) {
            // The other side has said that it is done.
            Err(error) if error.code() == ErrorCode::ZERO_RETURN => Ok(0),
            result => result,
        })
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|ssl| if bytes.is_empty() { Ok(0) } else { ssl.ssl_write(bytes) })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A certificate for `localhost` that its own key has signed.
pub fn certificate() -> Result<(X509, PKey<Private>), ErrorStack> {
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&curve)?)?;
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", "localhost")?;
    let name = name.build();
    let mut made = X509::builder()?;
    made.set_version(2)?;
    made.set_subject_name(&name)?;
    made.set_issuer_name(&name)?;
    made.set_pubkey(&key)?;
    made.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    made.set_not_after(&*Asn1Time::days_from_now(1)?)?;
    let names =
        SubjectAlternativeName::new().dns("localhost").build(&made.x509v3_context(None, None))?;
    made.append_extension(names)?;
    made.sign(&key, MessageDigest::sha256())?;
    Ok((made.build(), key))
}

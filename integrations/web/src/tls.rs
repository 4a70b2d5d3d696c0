//! A certificate for `localhost`, and what both sides make of it.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};

use lisle::net::TcpStream;

/// A server that has just made its certificate, and clients that trust it and no other.
#[derive(Clone)]
pub struct Identity {
    pub certificate: CertificateDer<'static>,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Identity {
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])
            .expect("the name is a valid one");
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())
            .expect("a new key can be read");
        let server = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("the key belongs to the certificate");
        let mut trusted = RootCertStore::empty();
        trusted.add(certificate.clone()).expect("a new certificate can be read");
        let client = ClientConfig::builder().with_root_certificates(trusted).with_no_client_auth();
        Self { certificate, server: Arc::new(server), client: Arc::new(client) }
    }

    /// The server's side of a connection. The handshake is done by the first read or write.
    pub fn accept(&self, stream: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
        let connection = ServerConnection::new(self.server.clone());
        StreamOwned::new(connection.expect("the settings are complete"), stream)
    }

    /// The client's side of a connection to `localhost`.
    pub fn connect(&self, stream: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from("localhost").expect("it is a name");
        let connection = ClientConnection::new(self.client.clone(), name);
        StreamOwned::new(connection.expect("the settings are complete"), stream)
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self::new()
    }
}

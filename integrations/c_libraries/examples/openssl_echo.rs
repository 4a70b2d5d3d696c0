//! A server that sends back what it gets, over OpenSSL's TLS, and clients on the same thread.
//!
//! Their tasks call one library in turn, and none of them waits inside it.

use std::error::Error;
use std::io::{self, Read, Write};

use lisle::net::{TcpListener, TcpStream};
use lisle_c_library_examples::openssl::{TlsStream, certificate};
use openssl::ssl::{SslContext, SslMethod, SslVerifyMode};
use openssl::x509::store::X509StoreBuilder;

const CLIENTS: usize = 20;
const MESSAGES: usize = 10;

#[lisle::main(workers = 1)]
pub fn main() -> Result<(), Box<dyn Error>> {
    let (certificate, key) = certificate()?;
    let mut server = SslContext::builder(SslMethod::tls_server())?;
    server.set_certificate(&certificate)?;
    server.set_private_key(&key)?;
    let server = server.build();
    let mut trusted = X509StoreBuilder::new()?;
    trusted.add_cert(certificate)?;
    let mut client = SslContext::builder(SslMethod::tls_client())?;
    client.set_cert_store(trusted.build());
    client.set_verify(SslVerifyMode::PEER);
    let client = client.build();

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    lisle::spawn(move || {
        listener.serve(move |stream, peer| {
            if let Err(error) = echo(&server, stream) {
                eprintln!("{peer}: {error}");
            }
        })
    });

    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let client = client.clone();
            lisle::spawn(move || -> io::Result<()> {
                let stream = TcpStream::connect(address)?;
                let mut stream = TlsStream::connect(&client, "localhost", stream)?;
                for n in 0..MESSAGES {
                    let message = format!("message {n} of client {number}");
                    stream.write_all(message.as_bytes())?;
                    let mut echo = vec![0; message.len()];
                    stream.read_exact(&mut echo)?;
                    assert_eq!(echo, message.as_bytes());
                }
                stream.close()
            })
        })
        .collect();
    for client in clients {
        client.join().expect("the client gets what it has sent")?;
    }
    println!("{CLIENTS} clients had {MESSAGES} messages each sent back by OpenSSL");
    Ok(())
}

/// Sends back what comes until the client says that it is done.
fn echo(server: &SslContext, stream: TcpStream) -> io::Result<()> {
    let mut stream = TlsStream::accept(server, stream)?;
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return stream.close(),
            length => stream.write_all(&buffer[..length])?,
        }
    }
}

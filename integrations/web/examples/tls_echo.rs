//! A server that sends back what it gets, over TLS, and clients that look at what comes back.
//!
//! rustls does no input or output of its own: its `StreamOwned` reads from and writes to any
//! stream, and Lisle's `TcpStream` is one. A task that waits for the other side of a handshake lets
//! others run.

use std::io::{self, Read, Write};

use lisle::net::{TcpListener, TcpStream};
use lisle_web_examples::tls::Identity;

const CLIENTS: usize = 20;
const MESSAGES: usize = 10;

#[lisle::main]
pub fn main() -> io::Result<()> {
    let identity = Identity::new();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = identity.clone();
    lisle::spawn(move || {
        listener.serve(move |stream, peer| {
            if let Err(error) = echo(&server, stream) {
                eprintln!("{peer}: {error}");
            }
        })
    });

    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let identity = identity.clone();
            lisle::spawn(move || -> io::Result<()> {
                let mut stream = identity.connect(TcpStream::connect(address)?);
                for n in 0..MESSAGES {
                    let message = format!("message {n} of client {client}");
                    stream.write_all(message.as_bytes())?;
                    let mut echo = vec![0; message.len()];
                    stream.read_exact(&mut echo)?;
                    assert_eq!(echo, message.as_bytes());
                }
                stream.conn.send_close_notify();
                stream.flush()?;
                assert_eq!(stream.read(&mut [0])?, 0, "the server says that it ends");
                Ok(())
            })
        })
        .collect();
    for client in clients {
        client.join().expect("the client gets what it has sent")?;
    }
    println!("{CLIENTS} clients had {MESSAGES} messages each sent back over TLS");
    Ok(())
}

/// Sends back what comes until the client says that it is done.
fn echo(server: &Identity, stream: TcpStream) -> io::Result<()> {
    let mut stream = server.accept(stream);
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            length => stream.write_all(&buffer[..length])?,
        }
    }
    stream.conn.send_close_notify();
    stream.flush()
}

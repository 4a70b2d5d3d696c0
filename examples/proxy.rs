//! A proxy for TCP: what comes from one side goes to the other, in both directions.
//!
//! Each connection has two tasks, one for each direction, since both may have something to say at
//! the same time. They share the two sockets. When one side has said its last word, the proxy tells
//! the other side so, and goes on in the other direction: a client that sends its request, ends its
//! half of the connection and waits for the answer gets it. If one direction breaks, both end.
//!
//! Without `--to` it has a server and clients of its own, and ends.
//!
//! ```text
//! cargo run --release --example proxy -- --port 8000 --to 127.0.0.1:8080
//! ```

mod support;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;

use lisle::net::{TcpListener, TcpStream};
use support::{Args, grouped};

/// How much each client of the demonstration sends.
const BYTES: usize = 1_000_000;

fn main() -> io::Result<()> {
    let mut args = Args::new("proxy", "[CLIENTS] [--port PORT] [--to ADDRESS]");
    let port = args.port("--port");
    let target = args.text("--to");
    let clients = args.count("CLIENTS", 4);
    args.finish();

    lisle::run(|| {
        let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(0)))?;
        let address = listener.local_addr()?;
        if let Some(target) = target {
            println!("from {address} to {target}; Ctrl-C ends it");
            return serve(listener, target);
        }
        let server = TcpListener::bind(("127.0.0.1", 0))?;
        let target = server.local_addr()?.to_string();
        lisle::spawn(|| server.serve(|stream, _| add_up(&stream).expect("the client listens")));
        lisle::spawn(|| serve(listener, target));
        let clients: Vec<_> = (0..clients).map(|n| lisle::spawn(move || ask(address, n))).collect();
        for (number, client) in (1..).zip(clients) {
            let (sent, sum) = client.join().expect("the client has its answer")?;
            println!(
                "client {number} sent {} bytes, and heard that they add up to {sum}",
                grouped(sent)
            );
        }
        Ok(())
    })
}

/// Takes clients on and has each speak with the target.
fn serve(listener: TcpListener, target: String) -> io::Result<()> {
    listener.serve(move |client, peer| {
        let result = TcpStream::connect(&target).and_then(|server| relay(client, server));
        if let Err(problem) = result {
            eprintln!("{peer} to {target}: {problem}");
        }
    })
}

/// Passes everything on, both ways, until both sides have said their last word.
fn relay(client: TcpStream, server: TcpStream) -> io::Result<()> {
    let (client, server) = (Arc::new(client), Arc::new(server));
    let (from, to) = (server.clone(), client.clone());
    let answers = lisle::spawn(move || pass_on(&from, &to));
    let requests = pass_on(&client, &server);
    answers.join().expect("the copying does not panic").and(requests)
}

/// Passes on one direction to its end.
fn pass_on(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    let copied = io::copy(&mut from, &mut to);
    if copied.is_ok() {
        let _ = to.shutdown(Shutdown::Write); // it may have gone already
    } else {
        // The task of the other direction is woken, and finds the end.
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
    copied.map(drop)
}

/// The server of the demonstration: it answers when the client has said its last word.
fn add_up(mut stream: &TcpStream) -> io::Result<()> {
    let (mut buffer, mut sum) = ([0; 4096], 0);
    loop {
        match stream.read(&mut buffer)? {
            0 => return write!(stream, "{sum}"),
            n => sum += buffer[..n].iter().map(|byte| u64::from(*byte)).sum::<u64>(),
        }
    }
}

/// A client of the demonstration: how much it has sent, and what it was told.
fn ask(address: SocketAddr, number: usize) -> io::Result<(usize, u64)> {
    let mut stream = TcpStream::connect(address)?;
    let bytes: Vec<_> = (0..BYTES).map(|place| (place * (number + 1)) as u8).collect();
    stream.write_all(&bytes)?;
    stream.shutdown(Shutdown::Write)?;
    let sum = io::read_to_string(&mut stream)?;
    let sum = sum.parse().expect("the server answers with a number");
    assert_eq!(sum, bytes.iter().map(|byte| u64::from(*byte)).sum());
    Ok((bytes.len(), sum))
}

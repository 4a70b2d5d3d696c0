//! A server that says everything again: the smallest one there is.
//!
//! A loop accepts connections, and each has a task of its own, which reads and writes as if it were
//! alone in the world. Where it would block, other tasks run.
//!
//! Without `--port` it has clients of its own, and ends.
//!
//! ```text
//! cargo run --release --example echo_server -- --port 8000
//! ```

mod support;

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use lisle::net::{TcpListener, TcpStream};
use support::{Args, grouped};

/// How often each client of the demonstration is answered.
const ROUNDS: usize = 100;

fn main() -> io::Result<()> {
    let mut args = Args::new("echo_server", "[CLIENTS] [--port PORT]");
    let port = args.port("--port");
    let clients = args.count("CLIENTS", 100);
    args.finish();

    lisle::run(|| {
        let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(0)))?;
        let address = listener.local_addr()?;
        if port.is_some() {
            println!("listening at {address}; Ctrl-C ends it");
            return serve(&listener);
        }
        lisle::spawn(move || serve(&listener));
        let start = Instant::now();
        let clients: Vec<_> = (0..clients).map(|n| lisle::spawn(move || ask(address, n))).collect();
        let mut answers = 0;
        for client in clients {
            answers += client.join().expect("every answer is right")?;
        }
        println!("{} answers in {:.1?}", grouped(answers), start.elapsed());
        Ok(())
    })
}

fn serve(listener: &TcpListener) -> io::Result<()> {
    loop {
        let (stream, peer) = listener.accept()?;
        lisle::spawn(move || {
            if let Err(problem) = echo(&stream) {
                eprintln!("{peer}: {problem}");
            }
        });
    }
}

/// Says everything again that the client says, up to its end.
fn echo(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?; // small answers do not wait for others
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n])?,
        }
    }
}

/// A client of the demonstration: how often it was answered.
fn ask(address: SocketAddr, number: usize) -> io::Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    for round in 0..ROUNDS {
        let question = format!("{number} asks for the {round}th time");
        let mut answer = vec![0; question.len()];
        stream.write_all(question.as_bytes())?;
        stream.read_exact(&mut answer)?;
        assert_eq!(answer, question.as_bytes());
    }
    Ok(ROUNDS)
}

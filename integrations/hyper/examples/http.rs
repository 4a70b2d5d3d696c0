//! hyper's http1 server and client, both in tasks.
//!
//! Each connection is a task, which drives hyper's future. The handler is a plain closure that may
//! wait: here it asks another task over a channel, and hyper does not notice.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response};
use lisle::channel::{Sender, bounded};
use lisle::net::{TcpListener, TcpStream};
use lisle_hyper::{Clock, Stream};

/// A number to be doubled, and where the answer goes.
type Question = (u64, Sender<u64>);

/// Serves connections until `listener` is closed.
fn serve(listener: TcpListener, questions: Sender<Question>) {
    while let Ok((socket, _)) = listener.accept() {
        let questions = questions.clone();
        lisle::spawn(move || {
            let handler = service_fn(|request: Request<Incoming>| {
                let number = request.uri().path().trim_start_matches('/').parse();
                let answer = number.map_or("not a number".into(), |number| {
                    let (answer, answered) = bounded(1);
                    questions.send((number, answer)).unwrap();
                    answered.recv().unwrap().to_string() // waits: other tasks run
                });
                async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(answer)))) }
            });
            let connection =
                server::Builder::new().timer(Clock).serve_connection(Stream::new(socket), handler);
            lisle::block_on(connection)
        });
    }
}

/// Asks for several paths over one connection.
fn ask(address: SocketAddr, paths: &[&str]) -> io::Result<Vec<String>> {
    let socket = Stream::new(TcpStream::connect(address)?);
    lisle::block_on(async {
        let (mut sender, connection) = client::handshake(socket).await?;
        lisle::spawn(|| lisle::block_on(connection)); // reads and writes for the requests
        let mut answers = Vec::new();
        for path in paths {
            let request = Request::get(*path).header("host", "here").body(Full::<Bytes>::default());
            let response = sender.send_request(request.expect("it is well formed")).await?;
            let body = response.into_body().collect().await?.to_bytes();
            answers.push(String::from_utf8_lossy(&body).into_owned());
        }
        Ok::<_, hyper::Error>(answers)
    })
    .map_err(io::Error::other)
}

#[lisle::main]
pub fn main() -> io::Result<()> {
    let (questions, asked) = bounded::<Question>(0);
    lisle::spawn(move || {
        for (number, answer) in asked {
            answer.send(2 * number).unwrap();
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    lisle::spawn(move || serve(listener, questions));

    let clients: Vec<_> =
        (0..3).map(|_| lisle::spawn(move || ask(address, &["/20", "/21", "/nothing"]))).collect();
    for client in clients {
        let answers = client.join().unwrap()?;
        println!("{answers:?}");
        assert_eq!(answers, ["40", "42", "not a number"]);
    }
    Ok(())
}

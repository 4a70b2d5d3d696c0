//! may_minihttp: `/plaintext` at a port, with as many workers as asked.

use std::env::args;
use std::io;

use may_minihttp::{HttpServer, HttpService, Request, Response};

#[derive(Clone)]
struct Plaintext;

impl HttpService for Plaintext {
    fn call(&mut self, _: Request, response: &mut Response) -> io::Result<()> {
        response.header("Content-Type: text/plain").body("Hello, World!");
        Ok(())
    }
}

fn main() {
    let numbers: Vec<usize> = args().skip(1).map(|arg| arg.parse().unwrap()).collect();
    let [port, workers] = numbers[..] else { panic!("PORT WORKERS") };
    may::config().set_workers(workers);
    let server = HttpServer(Plaintext).start(("127.0.0.1", port as u16)).unwrap();
    server.join().unwrap();
}

//! A server that says everything again.

use std::io::{Read, Write};
use std::thread;

use harness::{Outcome, Params, echo};
use may::net::{TcpListener, TcpStream};

pub fn echo(params: &Params) -> Outcome {
    may::config().set_workers(params.workers());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    may::go!(move || {
        loop {
            let (stream, _) = listener.accept().unwrap();
            may::go!(move || serve(stream));
        }
    });
    let params = params.clone();
    thread::spawn(move || echo::clients(&params, port)).join().unwrap()
}

fn serve(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = [0; echo::ROOM];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

//! A server that says everything again.

use std::io::{Read, Write};

use harness::{Outcome, Params, echo};
use lisle::net::{TcpListener, TcpStream};

use crate::run;

pub fn echo(params: &Params) -> Outcome {
    run(params, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        lisle::spawn(move || {
            loop {
                let (stream, _) = listener.accept().unwrap();
                lisle::spawn(move || serve(stream));
            }
        });
        lisle::blocking(|| echo::clients(params, port))
    })
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

//! What a connection costs a server that waits for its next request: `idle PID PORT CONNECTIONS`.
//!
//! Each connection asks once. Then all are open, and what the process has more than before,
//! resident memory and page tables, is divided among them.

use std::env::args;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

fn main() {
    let numbers: Vec<usize> = args().skip(1).map(|arg| arg.parse().unwrap()).collect();
    let [process, port, connections] = numbers[..] else { panic!("PID PORT CONNECTIONS") };
    let before = memory(process);
    let open: Vec<_> = (0..connections)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", port as u16)).unwrap();
            stream.write_all(b"GET /plaintext HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
            let (mut answer, mut length) = ([0; 1024], 0);
            while !answer[..length].ends_with(b"Hello, World!") {
                length += stream.read(&mut answer[length..]).unwrap();
            }
            stream
        })
        .collect();
    println!("{}", (memory(process) - before) / open.len());
}

/// The bytes of resident memory and page tables of a process.
fn memory(process: usize) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let kilobytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
    };
    1024 * (kilobytes("VmRSS:") + kilobytes("VmPTE:"))
}

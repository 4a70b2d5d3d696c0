//! [`Server`]: how it serves, pauses and ends.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use lisle::Runtime;
use lisle::channel::bounded;
use lisle::net::{Server, TcpListener, TcpStream};

use crate::support::{everywhere, take_all_descriptors};

const LONG: Duration = Duration::from_secs(100);

fn server() -> (Server, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (Server::new(listener), address)
}

fn echo(mut stream: TcpStream, _: SocketAddr) {
    let mut buffer = [0; 100];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

fn ask(stream: &mut TcpStream, byte: u8) -> io::Result<()> {
    let mut answer = [0];
    stream.write_all(&[byte])?;
    stream.read_exact(&mut answer)?;
    assert_eq!(answer, [byte]);
    Ok(())
}

#[test]
fn a_server_serves_until_it_is_told_to_end_and_then_those_that_are_there() {
    everywhere(|parties| {
        // An address of its own: nobody else gets the port once it is free.
        let listener = TcpListener::bind("127.13.0.1:0")?;
        let address = listener.local_addr()?;
        let server = Server::new(listener);
        let handle = server.handle();
        let serving = parties.spawn(move || server.serve(echo));
        let mut streams: Vec<_> =
            (0..5).map(|_| TcpStream::connect(address)).collect::<io::Result<_>>()?;
        for (byte, stream) in streams.iter_mut().enumerate() {
            ask(stream, byte as u8)?;
        }
        assert!(!handle.is_shutting_down());
        handle.shut_down(LONG);
        handle.shut_down(Duration::ZERO); // too late
        assert!(handle.is_shutting_down());
        for stream in &mut streams {
            ask(stream, 7)?;
        }
        assert!(!serving.is_finished());
        drop(streams);
        serving.join()?;
        let error = TcpStream::connect(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "the handle does not keep it open");
        Ok(())
    });
}

#[test]
fn a_server_does_not_wait_longer_than_it_was_told() {
    everywhere(|parties| {
        let (server, address) = server();
        let handle = server.handle();
        let serving = parties.spawn(move || server.serve(echo));
        let mut stream = TcpStream::connect(address)?;
        ask(&mut stream, 1)?;
        handle.shut_down(Duration::from_millis(1));
        let error = serving.join().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains('1'), "{error}");
        ask(&mut stream, 2) // it goes on
    });
}

#[test]
fn a_server_that_is_told_to_end_before_it_begins() {
    everywhere(|_| {
        let (server, _) = server();
        server.handle().shut_down(LONG);
        server.serve(|_, _| unreachable!("nobody has connected"))
    });
}

#[test]
fn a_handler_that_panics_ends_its_connection_alone() {
    everywhere(|parties| {
        let (server, address) = server();
        let handle = server.handle();
        let serving = parties.spawn(move || {
            server.serve(|stream, peer| {
                echo(stream, peer);
                // Without a message, which would only disturb the readers of the tests' output.
                std::panic::resume_unwind(Box::new("the handler has failed"));
            })
        });
        for byte in 0..3 {
            ask(&mut TcpStream::connect(address)?, byte)?;
        }
        handle.shut_down(LONG);
        serving.join()
    });
}

#[test]
fn the_plain_loop_of_a_listener() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    Runtime::builder()
        .workers(2)
        .run(|| {
            // The end of main ends it.
            drop(lisle::spawn(move || listener.serve(echo)));
            ask(&mut TcpStream::connect(address).unwrap(), 3).unwrap();
        })
        .unwrap();
}

/// The plain loop keeps all workers busy, although a task stays where it starts.
#[test]
fn connections_are_spread_over_the_workers() {
    const CONNECTIONS: usize = 64;
    Runtime::builder()
        .workers(2)
        .run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let (say, threads) = bounded(CONNECTIONS);
            drop(lisle::spawn(move || {
                loop {
                    let (stream, peer) = listener.accept().unwrap();
                    let say = say.clone();
                    drop(lisle::spawn(move || {
                        say.send(std::thread::current().id()).unwrap();
                        echo(stream, peer);
                    }));
                }
            }));
            let mut streams = Vec::new();
            for _ in 0..CONNECTIONS {
                let mut stream = TcpStream::connect(address).unwrap();
                ask(&mut stream, 1).unwrap();
                streams.push(stream);
            }
            let threads: Vec<_> = threads.iter().take(CONNECTIONS).collect();
            let here = threads.iter().filter(|&&thread| thread == threads[0]).count();
            assert!((24..=40).contains(&here), "{here} of {CONNECTIONS}");
        })
        .unwrap();
}

/// The process has no descriptors left: the server says so, pauses longer and longer, and goes on
/// when there are some.
#[test]
fn a_server_waits_for_descriptors() {
    crate::support::in_child("servers::a_server_waits_for_descriptors", || {
        let one_worker = Runtime::builder().workers(1);
        let done = one_worker.run(|| {
            let (server, address) = server();
            let (say, failures) = bounded(100);
            let server = server.on_failure(move |error, pause| {
                assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                say.send(pause).unwrap();
            });
            let handle = server.handle();
            let serving = lisle::spawn(move || server.serve(echo));
            // For this one the worker makes all that it needs.
            let mut first = TcpStream::connect(address).unwrap();
            ask(&mut first, 1).unwrap();

            let mut taken = take_all_descriptors();
            taken.pop(); // for the client
            let mut second = TcpStream::connect(address).unwrap();
            let pauses: Vec<_> = (0..3).map(|_| failures.recv().unwrap()).collect();
            assert_eq!(pauses, [5, 10, 20].map(Duration::from_millis));
            drop(taken);
            ask(&mut second, 2).unwrap();
            drop((first, second));
            handle.shut_down(LONG);
            serving.join().unwrap().unwrap();
        });
        done.unwrap();
    });
}

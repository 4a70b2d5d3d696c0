//! The examples, and what they do not show: much at once in both directions, errors, cancelling.

#[path = "../examples/openssl_echo.rs"]
mod openssl_echo;
#[path = "../examples/ssh.rs"]
mod ssh;

use std::io::{self, Read, Write};
use std::time::Duration;

use lisle::net::{TcpListener, TcpStream};
use lisle::task::JoinHandle;
use lisle_c_library_examples::openssl::{TlsStream, certificate};
use lisle_c_library_examples::ssh::{Server, Ssh};
use openssl::ssl::{SslContext, SslMethod, SslVerifyMode};

#[test]
fn openssl_echo() {
    openssl_echo::main().unwrap();
}

#[test]
fn ssh() {
    ssh::main().unwrap();
}

/// Two connected sockets.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// A client that trusts everyone or no one, and a server that does `work`.
fn connect<R: Send + 'static>(
    trust: SslVerifyMode,
    work: impl FnOnce(TlsStream) -> io::Result<R> + Send + 'static,
) -> (io::Result<TlsStream>, JoinHandle<io::Result<R>>) {
    let (certificate, key) = certificate().unwrap();
    let mut server = SslContext::builder(SslMethod::tls_server()).unwrap();
    server.set_certificate(&certificate).unwrap();
    server.set_private_key(&key).unwrap();
    let server = server.build();
    let mut client = SslContext::builder(SslMethod::tls_client()).unwrap();
    client.set_verify(trust);
    let (near, far) = pair();
    let server = lisle::spawn(move || work(TlsStream::accept(&server, far)?));
    (TlsStream::connect(&client.build(), "localhost", near), server)
}

/// More than the sockets hold, so that both sides wait to write, in the middle of a record.
#[lisle::test(workers = 1)]
fn much_goes_over_openssl_while_nothing_is_read() {
    const LENGTH: usize = 8 << 20;
    let (client, server) = connect(SslVerifyMode::NONE, |mut stream| {
        let mut all = vec![0; LENGTH];
        lisle::sleep(Duration::from_millis(1));
        stream.read_exact(&mut all)?;
        stream.write_all(&all)?;
        stream.close()
    });
    let (mut client, sent) = (client.unwrap(), vec![7; LENGTH]);
    client.write_all(&sent).unwrap();
    let mut back = Vec::new();
    client.read_to_end(&mut back).unwrap();
    assert!(back == sent);
    client.close().unwrap();
    server.join().unwrap().unwrap();
}

/// Its error is its own: the other side's call, on the same thread, finds none in OpenSSL's queue.
#[lisle::test(workers = 1)]
fn a_certificate_of_nobody_known_is_refused() {
    let (client, server) = connect(SslVerifyMode::PEER, |mut stream| stream.read(&mut [0]));
    let error = client.map(drop).unwrap_err();
    assert!(error.to_string().contains("certificate verify failed"), "{error}");
    let error = server.join().unwrap().unwrap_err();
    assert!(error.to_string().contains("alert"), "{error}");
}

#[lisle::test(workers = 1)]
fn a_task_that_waits_in_openssl_is_cancelled_and_its_peer_told() {
    let (client, server) = connect(SslVerifyMode::NONE, |mut stream| stream.read(&mut [0]));
    let mut client = client.unwrap();
    lisle::yield_now();
    server.cancel();
    assert!(server.join().is_err());
    // The connection ends without a word.
    assert!(client.read(&mut [0]).is_err());
}

#[lisle::test(workers = 1)]
fn a_key_that_is_not_known_is_refused_by_ssh() {
    let (Some(server), Some(other)) = (Server::new().unwrap(), Server::new().unwrap()) else {
        return;
    };
    let (near, far) = pair();
    let task = lisle::spawn(move || server.serve(far));
    let error = Ssh::connect(near, "root", &other.key()).map(drop).unwrap_err();
    assert!(error.to_string().contains("combination invalid"), "{error}");
    task.join().unwrap().unwrap();
}

//! A site that is served over HTTPS, and ureq, which asks it from many tasks at once.
//!
//! The server is rustls and httparse over Lisle's sockets. ureq connects by an adapter and keeps
//! its pool of connections and its TLS.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lisle::net::{TcpListener, TcpStream};
use lisle_web_examples::http::{Request, answer};
use lisle_web_examples::{client, tls::Identity};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

const TASKS: usize = 8;
const REQUESTS: usize = 5;

#[lisle::main]
pub fn main() -> Result<(), Box<dyn Error>> {
    let identity = Identity::new();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let connections = Arc::new(AtomicUsize::new(0));
    let (server, accepted) = (identity.clone(), connections.clone());
    lisle::spawn(move || {
        listener.serve(move |stream, _| {
            accepted.fetch_add(1, Ordering::Relaxed);
            // The client drops its pool without a word when it is done.
            let _ = serve(&server, stream);
        })
    });

    let agent = agent(&identity);
    let page = url(address, "/hello");
    assert_eq!(agent.get(&page).call()?.body_mut().read_to_string()?, "Hello over TLS.\n");
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (agent, page) = (agent.clone(), url(address, "/reverse"));
            lisle::spawn(move || -> Result<(), ureq::Error> {
                for n in 0..REQUESTS {
                    let mut answer = agent.post(&page).send(format!("{task}+{n}"))?;
                    assert_eq!(answer.body_mut().read_to_string()?, format!("{n}+{task}"));
                }
                Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.join().expect("the task is answered")?;
    }
    let connections = connections.load(Ordering::Relaxed);
    assert!(connections <= 1 + TASKS, "a connection is used for more than one request");
    println!("{} requests over {connections} connections", 1 + TASKS * REQUESTS);
    Ok(())
}

/// A client that trusts this server.
fn agent(identity: &Identity) -> Agent {
    let trusted = Certificate::from_der(&identity.certificate).to_owned();
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[trusted]));
    let config = Agent::config_builder()
        .tls_config(tls.build())
        .max_idle_connections_per_host(TASKS)
        .max_idle_connections(TASKS)
        .timeout_global(Some(Duration::from_secs(30)));
    client::agent(config.build())
}

fn url(address: SocketAddr, path: &str) -> String {
    format!("https://localhost:{}{path}", address.port())
}

/// Answers the requests of one connection.
fn serve(identity: &Identity, stream: TcpStream) -> std::io::Result<()> {
    let (mut stream, mut input) = (identity.accept(stream), Vec::new());
    while let Some(mut request) = Request::read(&mut stream, &mut input)? {
        match request.path.as_str() {
            "/reverse" => {
                request.body.reverse();
                answer(&mut stream, "text/plain", &request.body)?;
            }
            _ => answer(&mut stream, "text/plain", b"Hello over TLS.\n")?,
        }
    }
    Ok(())
}

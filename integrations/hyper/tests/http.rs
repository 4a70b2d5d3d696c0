//! hyper's client and server over the adapters.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1 as client;
use hyper::rt::{Executor, Timer};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response};
use lisle::net::UnixStream;
use lisle_hyper::{Clock, Stream, Tasks};

#[path = "../examples/http.rs"]
mod example;

#[test]
fn the_example_runs() {
    example::main().unwrap();
}

/// Answers each request with its own body.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    Ok(Response::new(Full::new(request.into_body().collect().await?.to_bytes())))
}

/// Larger than all buffers, so that both sides wait for each other in the middle of a body.
#[test]
fn a_large_body_goes_there_and_comes_back() {
    for workers in [1, 2, 4] {
        let echoed = lisle::Runtime::builder().workers(workers).run(|| {
            let (near, far) = UnixStream::pair().unwrap();
            lisle::spawn(|| {
                let serving =
                    server::Builder::new().serve_connection(Stream::new(far), service_fn(echo));
                lisle::block_on(serving).unwrap();
            });
            lisle::block_on(async {
                let (mut sender, connection) = client::handshake(Stream::new(near)).await.unwrap();
                lisle::spawn(|| lisle::block_on(connection));
                let body: Bytes = (0..3_000_000u32).map(|n| n as u8).collect();
                let request = Request::post("/").body(Full::new(body.clone())).unwrap();
                let response = sender.send_request(request).await.unwrap();
                response.into_body().collect().await.unwrap().to_bytes() == body
            })
        });
        assert!(echoed.unwrap());
    }
}

/// The client says half a header, and no more.
#[test]
fn a_timer_ends_a_connection_that_says_nothing() {
    lisle::run(|| {
        let (mut near, far) = UnixStream::pair().unwrap();
        let served = lisle::spawn(|| {
            let answer = service_fn(|_: Request<Incoming>| async {
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            });
            let mut builder = server::Builder::new();
            builder.timer(Clock).header_read_timeout(Duration::from_millis(20));
            lisle::block_on(builder.serve_connection(Stream::new(far), answer))
        });
        near.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        assert!(served.join().unwrap().unwrap_err().is_timeout());
        let _ = near.read_to_end(&mut Vec::new()); // its end
    });
}

#[test]
fn the_clock_is_awaited_and_called_off() {
    lisle::run(|| {
        let begin = Instant::now();
        lisle::block_on(Clock.sleep(Duration::from_millis(5)));
        lisle::block_on(Clock.sleep_until(begin));
        assert!(begin.elapsed() >= Duration::from_millis(5));
        drop(Clock.sleep(Duration::MAX));
    });
    // On a thread that is no worker's.
    lisle::block_on(Clock.sleep(Duration::from_millis(1)));
}

#[test]
fn futures_are_run_as_tasks() {
    lisle::run(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let (done, all) = lisle::channel::bounded(0);
        for _ in 0..10 {
            let (count, done) = (count.clone(), done.clone());
            Tasks.execute(async move {
                count.fetch_add(1, SeqCst);
                done.send_async(()).await.unwrap();
            });
        }
        drop(done);
        assert_eq!(all.iter().count(), 10);
        assert_eq!(count.load(SeqCst), 10);
    });
}

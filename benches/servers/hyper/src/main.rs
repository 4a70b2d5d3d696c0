//! hyper on tokio: `/plaintext` at a port, with as many workers as asked.

use std::convert::Infallible;
use std::env::args;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, body, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

fn main() {
    let numbers: Vec<usize> = args().skip(1).map(|arg| arg.parse().unwrap()).collect();
    let [port, workers] = numbers[..] else { panic!("PORT WORKERS") };
    let runtime = match workers {
        1 => Builder::new_current_thread().enable_io().build(),
        _ => Builder::new_multi_thread().worker_threads(workers).enable_io().build(),
    };
    runtime.unwrap().block_on(async {
        let serve = tokio::spawn(serve(port as u16));
        serve.await.unwrap();
    });
}

async fn serve(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(async {
            let mut builder = http1::Builder::new();
            builder.pipeline_flush(true);
            let _ = builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}

async fn answer(_: Request<body::Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = Full::new(Bytes::from_static(b"Hello, World!"));
    let response = Response::builder().header(header::CONTENT_TYPE, "text/plain").body(body);
    Ok(response.unwrap())
}

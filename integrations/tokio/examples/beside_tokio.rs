//! A runtime of tokio's beside Lisle: each has its threads, and values go both ways.
//!
//! An echo server runs in tokio. Tasks of Lisle's talk to it by tokio's own sockets, whose futures
//! they wait for, and pass on what they hear; a task of tokio's receives that by `recv_async`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use lisle::channel::bounded;
use lisle::future::BlockOn;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn echo(listener: TcpListener) -> io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let (mut reader, mut writer) = stream.split();
            tokio::io::copy(&mut reader, &mut writer).await
        });
    }
}

async fn talk(address: SocketAddr, text: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    tokio::time::sleep(Duration::from_millis(1)).await; // its timers, too
    Ok(answer)
}

pub fn main() -> io::Result<()> {
    let tokio =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let handle = tokio.handle();
    let listener = tokio.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    tokio.spawn(echo(listener));

    let (sender, receiver) = bounded(2);
    let listening = tokio.spawn(async move {
        let mut answers = Vec::new();
        while let Ok(answer) = receiver.recv_async().await {
            answers.push(answer); // while tokio's thread does other things
        }
        answers.sort();
        answers
    });
    let answers = lisle::run(|| {
        for word in ["one", "two", "three"] {
            let (sender, handle) = (sender.clone(), handle.clone());
            lisle::spawn(move || {
                let answer = BlockOn::in_tokio(&handle).run(talk(address, word));
                sender.send(answer.unwrap()).unwrap();
            });
        }
        drop(sender);
        lisle::block_on(listening) // a handle of tokio's needs no context
    })
    .unwrap();
    println!("{answers:?}");
    assert_eq!(answers, ["one", "three", "two"]);
    Ok(())
}

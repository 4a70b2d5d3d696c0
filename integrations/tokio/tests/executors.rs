//! Lisle's futures in the executors of others, and the futures of others in tasks.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
use lisle::channel::{RecvError, bounded};
use lisle::future::BlockOn;
use lisle::io::{Async, Io};
use lisle::net::{TcpListener, TcpStream, UnixStream};
use lisle::sync::{Notify, Semaphore};
use tokio::runtime::{Builder, Handle, Runtime};

#[path = "../examples/beside_tokio.rs"]
mod example;

fn tokio_of_its_own() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn the_example_runs() {
    example::main().unwrap();
}

/// Each side has its channel for the way there, and waits for the other one's answer.
#[test]
fn values_go_both_ways() {
    const ROUNDS: u32 = 1_000;
    let tokio = tokio_of_its_own();
    for capacity in [0, 1] {
        let (questions, asked) = bounded(capacity);
        let (mut answers, mut answered) = tokio::sync::mpsc::channel(1);
        let server = tokio.spawn(async move {
            while let Ok(n) = asked.recv_async().await {
                let _: &mut tokio::sync::mpsc::Sender<u32> = &mut answers;
                answers.send(n + 1).await.unwrap();
            }
        });
        lisle::run(|| {
            for n in 0..ROUNDS {
                questions.send(n).unwrap();
                assert_eq!(lisle::block_on(answered.recv()), Some(n + 1));
            }
            drop(questions);
            lisle::block_on(server).unwrap();
            assert_eq!(lisle::block_on(answered.recv()), None);
        });
    }
}

#[test]
fn tokio_awaits_tasks_and_what_they_send() {
    let tokio = tokio_of_its_own();
    let (sender, receiver) = bounded(0);
    let task = lisle::spawn(move || (0..100u32).map(|n| sender.send(n).map(|()| n)).sum());
    let (sum, result) = tokio.block_on(async {
        let mut sum = 0;
        let mut stream = pin!(receiver.stream());
        while let Some(n) = stream.next().await {
            sum += n;
        }
        (sum, task.await)
    });
    let result: Result<u32, _> = result.unwrap();
    assert_eq!((sum, result), (4950, Ok(4950)));
    assert_eq!(tokio.block_on(receiver.recv_async()), Err(RecvError));
    let panicked =
        tokio.block_on(lisle::spawn(|| panic!("a panic that is expected")).into_future());
    assert!(panicked.is_err());
}

/// The losers of tokio's `timeout` and of a race are dropped while others wake them.
#[test]
fn futures_that_lose_a_race_lose_nothing() {
    const ROUNDS: usize = 300;
    let tokio = tokio_of_its_own();
    let shared = Arc::new((Notify::new(), Semaphore::new(0)));
    let theirs = shared.clone();
    let taking = tokio.spawn(async move {
        let (mut notified, mut permits) = (0, 0);
        while notified < ROUNDS || permits < ROUNDS {
            futures_lite::future::or(
                async {
                    theirs.0.notified().await;
                    notified += 1;
                },
                async {
                    theirs.1.acquire_async().await.unwrap().forget();
                    permits += 1;
                },
            )
            .await;
        }
        (notified, permits)
    });
    let giving = lisle::spawn(move || {
        for _ in 0..ROUNDS {
            shared.1.add_permits(1);
            shared.0.notify_one();
            lisle::yield_now();
        }
        // Of notifications only one is kept.
        while !taking.is_finished() {
            shared.0.notify_one();
            lisle::yield_now();
        }
        (lisle::block_on(taking).unwrap(), shared.1.available_permits())
    });
    let ((_, permits), left) = giving.join().unwrap();
    assert_eq!((permits, left), (ROUNDS, 0));
}

#[test]
fn async_channel_joins_tasks_and_futures() {
    let tokio = tokio_of_its_own();
    for capacity in [1, 100] {
        let (sender, receiver) = async_channel::bounded(capacity);
        let (back, answers) = async_channel::unbounded();
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let (receiver, back) = (receiver.clone(), back.clone());
                lisle::spawn(move || {
                    while let Ok(n) = lisle::block_on(receiver.recv()) {
                        lisle::block_on(back.send(2 * n)).unwrap();
                    }
                })
            })
            .collect();
        drop((receiver, back));
        let sum: u32 = tokio.block_on(async move {
            let sending = tokio::spawn(async move {
                for n in 0..500u32 {
                    sender.send(n).await.unwrap();
                }
            });
            let sum = answers.fold(0, |sum, n| sum + n).await;
            sending.await.unwrap();
            sum
        });
        assert_eq!(sum, 499 * 500);
        tasks.into_iter().for_each(|task| task.join().unwrap());
    }
}

/// The context is there in each poll and in the drop, and for no other task in between.
#[test]
fn the_context_of_tokio_is_entered_around_polls_alone() {
    let tokio = tokio_of_its_own();
    let handle = tokio.handle();
    lisle::Runtime::builder()
        .workers(1)
        .run(|| {
            let inside = |handle: &Handle| {
                let handle = handle.clone();
                lisle::spawn(move || {
                    BlockOn::in_tokio(&handle).run(async {
                        for _ in 0..3 {
                            tokio::time::sleep(Duration::from_millis(1)).await;
                            assert!(Handle::try_current().is_ok());
                        }
                        tokio::spawn(async { 7 }).await.unwrap()
                    })
                })
            };
            let tasks = [inside(handle), inside(handle)];
            while !tasks.iter().all(|task| task.is_finished()) {
                assert!(Handle::try_current().is_err());
                lisle::yield_now();
            }
            tasks.into_iter().for_each(|task| assert_eq!(task.join().unwrap(), 7));
        })
        .unwrap();
}

#[test]
fn a_cancelled_task_drops_a_future_of_tokios_in_its_context() {
    let tokio = tokio_of_its_own();
    lisle::run(|| {
        let handle = tokio.handle().clone();
        let task = lisle::spawn(move || {
            BlockOn::in_tokio(&handle).run(tokio::time::sleep(Duration::from_secs(3600)))
        });
        lisle::yield_now();
        task.cancel();
        assert!(task.join().is_err());
    });
}

/// What is written goes round over sockets of Lisle's, in whichever executor.
async fn talk(address: std::net::SocketAddr, length: usize) -> io::Result<usize> {
    let stream = Async::new(TcpStream::connect(address)?);
    let text: Vec<u8> = (0..length).map(|n| n as u8).collect();
    let writing = async {
        (&stream).write_all(&text).await?;
        (&stream).close().await
    };
    let mut answer = Vec::new();
    let mut reader = &stream;
    let reading = reader.read_to_end(&mut answer);
    let (written, read) = futures_lite::future::zip(writing, reading).await;
    written?;
    read?;
    assert!(answer == text);
    Ok(answer.len())
}

/// Reads and writes at the same time, with more than all buffers hold.
#[test]
fn sockets_are_read_and_written_in_any_executor() {
    const LENGTH: usize = 2_000_000;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = lisle::spawn(move || {
        for _ in 0..4 {
            let (stream, _) = listener.accept().unwrap();
            lisle::spawn(move || {
                io::copy(&mut &stream, &mut &stream).unwrap();
            });
        }
    });
    // A task, a plain thread, tokio's thread, another executor's.
    assert_eq!(lisle::run(|| lisle::block_on(talk(address, LENGTH))).unwrap(), LENGTH);
    assert_eq!(lisle::block_on(talk(address, LENGTH)).unwrap(), LENGTH);
    let tokio = tokio_of_its_own();
    assert_eq!(tokio.block_on(talk(address, LENGTH)).unwrap(), LENGTH);
    assert_eq!(futures_lite::future::block_on(talk(address, LENGTH)).unwrap(), LENGTH);
    server.join().unwrap();
}

#[test]
fn a_socket_that_is_dropped_while_it_waits_is_closed() {
    lisle::run(|| {
        let (near, far) = UnixStream::pair().unwrap();
        let mut near = Async::new(near);
        let mut buffer = [0; 8];
        let poll = |near: &mut Async<UnixStream>, buffer: &mut [u8], context: &mut Context<'_>| {
            futures_lite::AsyncRead::poll_read(Pin::new(near), context, buffer)
        };
        lisle::block_on(poll_fn(|context| {
            assert!(poll(&mut near, &mut buffer, context).is_pending());
            assert!(poll(&mut near, &mut buffer, context).is_pending(), "it may be polled again");
            Poll::Ready(())
        }));
        lisle::yield_now(); // the watcher waits
        drop(near);
        assert_eq!(io::Read::read(&mut &far, &mut buffer).unwrap(), 0, "its end is seen");
    });
}

#[test]
fn a_pipe_is_one_more_stream() {
    let (reader, writer) = io::pipe().unwrap();
    let (reader, writer) = (Io::new(reader).unwrap(), Io::new(writer).unwrap());
    let writing = lisle::spawn(|| {
        lisle::block_on(async {
            let mut writer = Async::new(writer);
            writer.write_all(&[7; 200_000]).await.unwrap();
            writer.close().await.unwrap();
        });
    });
    let read = futures_lite::future::block_on(async {
        let mut bytes = Vec::new();
        Async::new(reader).read_to_end(&mut bytes).await.map(|_| bytes)
    });
    assert_eq!(read.unwrap(), [7; 200_000]);
    writing.join().unwrap();
}

/// A future of Lisle's whose polls come from two threads by turns.
#[test]
fn a_future_goes_from_executor_to_executor() {
    let tokio = tokio_of_its_own();
    let (sender, receiver) = bounded::<u32>(0);
    let receiver = Box::leak(Box::new(receiver));
    let polls = AtomicUsize::new(0);
    let mut receive = receiver.recv_async();
    for runs in 0..4 {
        let poll_once = poll_fn(|context| {
            polls.fetch_add(1, SeqCst);
            assert!(Pin::new(&mut receive).poll(context).is_pending());
            Poll::Ready(())
        });
        match runs % 2 {
            0 => lisle::block_on(poll_once),
            _ => tokio.block_on(poll_once),
        }
    }
    let receiving = tokio.spawn(receive);
    lisle::run(|| sender.send(5)).unwrap();
    assert_eq!(tokio.block_on(receiving).unwrap(), Ok(5));
    assert_eq!(polls.load(SeqCst), 4);
}

//! Crates that depend on crossbeam-channel, and know nothing of Lisle, in tasks: where they wait
//! for a channel, other tasks run. One worker has all of a test's tasks, so that a wait which
//! blocked the thread would never end.

use std::fs;
use std::time::Duration;

use lisle::Runtime;
use lsp_server::{Connection, Message, Notification, Request, RequestId, Response};
use notify::{RecursiveMode, Watcher};

fn on_one_worker<R>(body: impl FnOnce() -> R) -> R {
    Runtime::builder().workers(1).run(body).expect("nothing hangs")
}

#[test]
fn it_is_lisle_that_is_called() {
    let (sender, receiver): (lisle::channel::Sender<u32>, _) = crossbeam::channel::bounded(1);
    sender.send(1).unwrap();
    assert_eq!(receiver.recv(), Ok(1));
}

/// A pipeline of crossbeam's: stages that meet at channels without room, and a `select!` over them.
#[test]
fn crossbeam() {
    use crossbeam::channel::{after, bounded, never, tick};
    use crossbeam::select;

    on_one_worker(|| {
        let (numbers, halves) = (bounded::<u32>(0), bounded::<u32>(0));
        let source = numbers.0;
        lisle::spawn(move || (0..100).for_each(|n| source.send(n).unwrap()));
        let (numbers, sink) = (numbers.1, halves.0);
        lisle::spawn(move || numbers.iter().for_each(|n| sink.send(n / 2).unwrap()));

        let (ticker, end, silent) =
            (tick(Duration::from_millis(1)), after(Duration::from_secs(60)), never::<()>());
        let (mut halves, mut sum, mut ticks) = (halves.1, 0, 0);
        loop {
            select! {
                recv(halves) -> half => match half {
                    Ok(half) => sum += half,
                    Err(_) => halves = never(),
                },
                recv(ticker) -> _ => ticks += 1,
                recv(silent) -> _ => unreachable!("nobody sends there"),
                recv(end) -> _ => panic!("it takes no minute"),
            }
            if sum == 2450 && ticks > 2 {
                break;
            }
        }
    });

    // Threads of its own, which borrow.
    let (sender, receiver) = bounded(0);
    let received = crossbeam::scope(|scope| {
        for n in 0..4 {
            let sender = sender.clone();
            scope.spawn(move |_| sender.send(n).unwrap());
        }
        (0..4).map(|_| receiver.recv().unwrap()).sum::<u32>()
    });
    assert_eq!(received.unwrap(), 6);
}

/// A language server and its client, which wait for each other's messages.
#[test]
fn lsp_server() {
    fn serve(connection: Connection) {
        connection.initialize(serde_json::json!({ "hoverProvider": true })).unwrap();
        for message in &connection.receiver {
            let Message::Request(request) = message else { continue };
            if connection.handle_shutdown(&request).unwrap() {
                break;
            }
            let answer = format!("{} is a word", request.params.as_str().unwrap());
            connection.sender.send(Response::new_ok(request.id, answer).into()).unwrap();
        }
    }

    on_one_worker(|| {
        let (server, client) = Connection::memory();
        let serving = lisle::spawn(|| serve(server));
        let ask = |id: i32, method: &str, params: serde_json::Value| {
            let request = Request::new(RequestId::from(id), method.into(), params);
            client.sender.send(request.into()).unwrap();
            match client.receiver.recv().unwrap() {
                Message::Response(response) => response.result.unwrap(),
                other => panic!("{other:?}"),
            }
        };
        let say = |method: &str| {
            let notification = Notification::new(method.into(), serde_json::Value::Null);
            client.sender.send(notification.into()).unwrap();
        };
        let greeting = ask(1, "initialize", serde_json::json!({ "capabilities": {} }));
        assert_eq!(greeting["capabilities"]["hoverProvider"], true);
        say("initialized");
        assert_eq!(ask(2, "textDocument/hover", "lisle".into()), "lisle is a word");
        assert!(ask(3, "shutdown", serde_json::Value::Null).is_null());
        say("exit");
        serving.join().unwrap();
    });
}

/// The thread of a file watcher sends to a task.
#[test]
fn notify() {
    let folder = std::env::temp_dir().join(format!("lisle-compat-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    on_one_worker(|| {
        let (events, changes) = lisle::channel::unbounded::<notify::Result<notify::Event>>();
        let mut watcher = notify::recommended_watcher(events).unwrap();
        watcher.watch(&folder, RecursiveMode::NonRecursive).unwrap();
        let seen = lisle::spawn(move || {
            changes.iter().find(|event| {
                let event = event.as_ref().unwrap();
                event.paths.iter().any(|path| path.ends_with("news.txt"))
            })
        });
        lisle::yield_now(); // it waits
        fs::write(folder.join("news.txt"), "hello").unwrap();
        let seen = seen.join_timeout(Duration::from_secs(60)).expect("it takes no minute");
        assert!(seen.unwrap().is_some());
    });
    fs::remove_dir_all(&folder).unwrap();
}

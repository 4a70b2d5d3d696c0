//! The examples, and what they do not show: time-outs, ends without a word, cancelling, a browser.

#[path = "../examples/https.rs"]
mod https;
#[path = "../examples/tls_echo.rs"]
mod tls_echo;
#[path = "../examples/websocket_chat.rs"]
#[expect(dead_code, reason = "its `main` reads the arguments")]
mod websocket_chat;

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, io};

use lisle::net::{TcpListener, TcpStream};
use lisle::process::Command;
use lisle_web_examples::client;
use lisle_web_examples::http::{Request, answer};
use lisle_web_examples::tls::Identity;
use lisle_web_examples::websocket::SharedWebSocket;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};
use ureq::Agent;

#[test]
fn tls_echo() {
    tls_echo::main().unwrap();
}

#[test]
fn https() {
    https::main().unwrap();
}

#[test]
fn websocket_chat() {
    websocket_chat::demonstrate().unwrap();
}

/// Two connected sockets.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

#[lisle::test(workers = 1)]
fn much_goes_over_rustls_while_nothing_is_read() {
    const LENGTH: usize = 4 << 20;
    let (identity, (near, far)) = (Identity::new(), pair());
    let server = identity.clone();
    let server = lisle::spawn(move || -> io::Result<()> {
        let (mut stream, mut all) = (server.accept(far), vec![0; LENGTH]);
        stream.read_exact(&mut all)?;
        stream.write_all(&all)?;
        stream.conn.send_close_notify();
        stream.flush()
    });
    let (mut client, sent) = (identity.connect(near), vec![7; LENGTH]);
    client.write_all(&sent).unwrap();
    let mut back = Vec::new();
    client.read_to_end(&mut back).unwrap();
    assert!(back == sent);
    server.join().unwrap().unwrap();
}

#[lisle::test(workers = 1)]
fn a_read_over_rustls_that_is_out_of_time_may_be_tried_again() {
    let (identity, (near, far)) = (Identity::new(), pair());
    near.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let (mut client, mut server) = (identity.connect(near), identity.accept(far));
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    client.sock.set_read_timeout(None).unwrap();
    let server = lisle::spawn(move || server.write_all(b"late"));
    let mut late = [0; 4];
    client.read_exact(&mut late).unwrap();
    assert_eq!(&late, b"late");
    server.join().unwrap().unwrap();
}

#[lisle::test(workers = 1)]
fn a_cancelled_task_leaves_its_rustls_connection_without_a_word() {
    let (identity, (near, far)) = (Identity::new(), pair());
    let server = identity.clone();
    let server = lisle::spawn(move || {
        let mut stream = server.accept(far);
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
    });
    let mut client = identity.connect(near);
    client.read_exact(&mut [0]).unwrap();
    server.cancel();
    assert!(server.join().is_err());
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[lisle::test(workers = 1)]
fn ureq_does_not_use_a_connection_that_has_ended() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (closed, is_closed) = lisle::channel::bounded(1);
    lisle::spawn(move || {
        for mut stream in listener.incoming().map(Result::unwrap) {
            Request::read(&mut stream, &mut Vec::new()).unwrap();
            answer(&mut stream, "text/plain", b"once").unwrap();
            drop(stream);
            closed.send(()).unwrap();
        }
    });
    let agent = client::agent(Agent::config_builder().build());
    for _ in 0..3 {
        assert_eq!(agent.get(&url).call().unwrap().body_mut().read_to_string().unwrap(), "once");
        is_closed.recv().unwrap();
    }
}

#[lisle::test(workers = 1)]
fn a_request_of_ureq_that_is_out_of_time_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let config = Agent::config_builder().timeout_recv_response(Some(Duration::from_millis(5)));
    let error = client::agent(config.build()).get(&url).call().map(drop).unwrap_err();
    assert!(matches!(error, ureq::Error::Timeout(ureq::Timeout::RecvResponse)), "{error}");
}

#[lisle::test(workers = 1)]
fn ureq_tells_why_it_cannot_connect() {
    // An address of its own: nobody else gets the port once it is free.
    let listener = TcpListener::bind("127.13.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let agent = client::agent(Agent::config_builder().build());
    let error = agent.get(format!("http://{address}/")).call().map(drop).unwrap_err();
    let ureq::Error::Io(error) = error else { panic!("{error}") };
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

/// Each side writes more than the sockets hold while it is written to, and answers pings meanwhile.
#[lisle::test(workers = 1)]
fn both_ends_of_a_websocket_read_and_write_at_once() {
    const MESSAGES: usize = 40;
    let (near, far) = pair();
    let sides = [(near, Role::Client), (far, Role::Server)].map(|(stream, role)| {
        let socket = WebSocket::from_raw_socket(stream, role, None);
        Arc::new(SharedWebSocket::new(socket).unwrap())
    });
    // Both stay until all has been read.
    let tasks = sides.clone().map(|socket| {
        let sender = socket.clone();
        let sends = lisle::spawn(move || {
            for n in 0..MESSAGES {
                sender.send(Message::Ping(vec![n as u8].into())).unwrap();
                sender.send(Message::binary(vec![n as u8; 200_000])).unwrap();
            }
        });
        let receives = lisle::spawn(move || {
            let mut data = 0;
            while data < MESSAGES {
                match socket.receive().unwrap() {
                    Message::Binary(bytes) => {
                        assert!(bytes.len() == 200_000 && bytes.iter().all(|n| *n == data as u8));
                        data += 1;
                    }
                    other => assert!(other.is_ping() || other.is_pong(), "{other}"),
                }
            }
        });
        (sends, receives)
    });
    for (sends, receives) in tasks {
        sends.join().unwrap();
        receives.join().unwrap();
    }
}

/// What a person does, and then says what is seen.
const USER: &str = r#"<script>
new MutationObserver(() => {
  const seen = [...lines.children].map(item => item.textContent);
  if (seen.at(-1) === "hello from a task") {
    line.value = "seen: " + seen.join("; ");
    document.getElementById("form").requestSubmit();
  }
}).observe(lines, { childList: true });
</script>"#;

#[lisle::test]
fn a_browser_chats_with_a_task() {
    let page = include_str!("../examples/websocket_chat.html").to_owned() + USER;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    lisle::spawn(move || websocket_chat::serve(listener, page));

    let stream = TcpStream::connect(address).unwrap();
    let (mut member, _) = tungstenite::client(format!("ws://{address}/chat"), stream).unwrap();
    let mut hear = |wanted: &str| loop {
        let heard = member.read().unwrap().into_text().unwrap();
        if heard.starts_with(wanted) {
            member.send("hello from a task".into()).unwrap();
            return heard;
        }
    };
    hear("* 1 are here");

    let profile = env::temp_dir().join(format!("lisle-browser-{}", std::process::id()));
    let browser = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"])
        .args(["--remote-debugging-port=0", "--no-first-run"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("http://{address}/"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let browser = match browser {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            assert!(env::var("CI").is_err(), "chromium is not installed");
            return println!("skipped: no chromium");
        }
        result => result.unwrap(),
    };
    hear("* 2 are here");
    let seen = hear("seen: ");
    assert_eq!(seen, "seen: * you enter; * 2 are here; hello from a task");
    drop(browser);
    let _ = fs::remove_dir_all(profile); // processes of the browser may be about to end
}

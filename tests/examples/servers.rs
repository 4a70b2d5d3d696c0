//! The examples that have sockets.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Stdio};

use super::{command, path_of, run};

/// An example that serves until it is killed.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// Starts one at a port that is free, and waits until it says where that is.
    #[track_caller]
    fn start(example: &str, args: &[&str]) -> Self {
        let mut command = command(path_of(example));
        let command = command.args(["--port", "0"]).args(args).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.split([' ', '/', ';']).find(|word| word.starts_with("127.0.0.1:"));
        let address = address.unwrap_or_else(|| panic!("no address in '{line}'")).to_owned();
        Self { process, address }
    }

    /// Sends it Ctrl-C, and gives all that it has said since its start.
    fn interrupt(mut self) -> String {
        // SAFETY: the process has not been waited for, so the number is its own.
        assert_eq!(unsafe { libc::kill(self.process.id() as i32, libc::SIGINT) }, 0);
        let said = io::read_to_string(self.process.stdout.take().unwrap()).unwrap();
        assert!(self.process.wait().unwrap().success(), "{said}");
        said
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends `question`, and expects to read `answer`.
#[track_caller]
fn ask(mut stream: &TcpStream, question: &str, answer: &str) {
    stream.write_all(question.as_bytes()).unwrap();
    let mut read = vec![0; answer.len()];
    stream.read_exact(&mut read).unwrap();
    assert_eq!(String::from_utf8_lossy(&read), answer, "to {question}");
}

#[test]
fn echo_server_answers() {
    let run = run("echo_server", &["7"]);
    assert_eq!(run.number("", " answers in"), 700);
    let server = Server::start("echo_server", &[]);
    let mut client = server.connect();
    client.write_all(b"again").unwrap();
    let mut answer = [0; 5];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"again");
}

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\
                     Connection: keep-alive\r\n\r\nHello, World!";

#[test]
fn chat_has_everybody_hear_all_others() {
    assert_eq!(run("chat", &["7"]).number("", " messages were heard"), 42);
    assert_eq!(run("chat", &["1"]).number("", " messages were heard"), 0);
}

#[test]
fn chat_shows_lines_to_others() {
    let room = Server::start("chat", &[]);
    let (ann, bob) = (room.connect(), room.connect());
    ask(&ann, "Ann\n", "What is your name?\n* 0 others are here\n");
    ask(&bob, "Bob\r\n", "What is your name?\n* 1 others are here\n");
    ask(&ann, "hello\n", "* Bob enters\n");
    ask(&bob, "hi Ann\n", "Ann: hello\n");
    bob.shutdown(Shutdown::Write).unwrap();
    ask(&ann, "", "Bob: hi Ann\n* Bob leaves\n");
    ask(&bob, "", "");
    ask(&ann, &"too long".repeat(100), "");
    assert_eq!(io::read_to_string(&ann).unwrap_or_default(), "", "a line without an end");
}

#[test]
fn crawl_reads_what_can_be_read_and_ends_early() {
    for pages in [1, 8, 60] {
        let run = run("crawl", &[&pages.to_string()]);
        let read = run.number("", &format!(" of {pages} pages were read, "));
        let too_long = run.stdout.split(" took too long").next().unwrap().rsplit(' ').next();
        let too_long: usize = too_long.unwrap().parse().unwrap();
        let (broken, silent) = ((pages + 6) / 10, (pages + 2) / 10);
        // On a machine that is very busy others may take too long, too.
        assert!(too_long >= silent, "{}", run.stdout);
        if too_long == silent {
            assert_eq!(read, pages - broken - silent, "{}", run.stdout);
            assert!(run.stdout.contains(&format!(" {broken} broke off\n")), "{}", run.stdout);
        }
        let most = run.number("no more than ", " connections were open at a time");
        assert!((1..=16).contains(&most), "{}", run.stdout);
        assert!(run.stdout.contains(" tasks were cancelled"), "{}", run.stdout);
    }
}

#[test]
fn http_server_answers_its_own_questions() {
    assert_eq!(run("http_server", &["3"]).number("", " requests were answered"), 12);
}

#[test]
fn http_server_keeps_connections_and_takes_requests_in_any_pieces() {
    let server = Server::start("http_server", &[]);
    let stream = server.connect();
    let question = "GET /plaintext HTTP/1.1\r\nHost: here\r\n\r\n";
    ask(&stream, question, HELLO);
    ask(&stream, &question.repeat(100), &HELLO.repeat(100));
    for piece in ["GET /plain", "text HTTP/1.1\r", "\nHost: here\r\n"] {
        ask(&stream, piece, "");
    }
    ask(&stream, "\r\n", HELLO);

    let body = "x".repeat(60_000);
    let head =
        format!("POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: {}\r\n\r\n", body.len());
    let answer = HELLO.replace("13", "60000").replace("Hello, World!", &body);
    ask(&stream, &format!("{head}{body}{question}"), &format!("{answer}{HELLO}"));

    // HTTP/1.0, and no more than it wants.
    (&stream).write_all(b"HEAD /plaintext HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\n\r\n").unwrap();
    let head = HELLO.replace("keep-alive", "close").replace("Hello, World!", "");
    assert_eq!(io::read_to_string(&stream).unwrap(), head);
}

#[test]
fn http_server_refuses_what_it_does_not_understand() {
    let server = Server::start("http_server", &[]);
    let long = format!("GET / HTTP/1.1\r\nHost: here\r\nCookie: {}\r\n\r\n", "x".repeat(9000));
    for (question, status) in [
        ("nonsense\r\n\r\n", "400 Bad Request"),
        ("GET  / HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("get / HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: here\r\nno colon\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost : here\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\n\n", "400 Bad Request"),
        ("POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: +1\r\n\r\n", "400 Bad Request"),
        (
            "POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "400 Bad Request",
        ),
        ("GET / HTTP/2.0\r\nHost: here\r\n\r\n", "505 HTTP Version Not Supported"),
        (
            "POST /echo HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n",
            "501 Not Implemented",
        ),
        (
            "POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 99999\r\n\r\n",
            "413 Content Too Large",
        ),
        (&long, "431 Request Header Fields Too Large"),
    ] {
        let stream = server.connect();
        (&stream).write_all(question.as_bytes()).unwrap();
        let answer = io::read_to_string(&stream).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{question}: {answer}");
        assert!(answer.contains("Connection: close\r\n"), "{answer}");
    }
    for (question, status) in [
        ("GET /nothing HTTP/1.1\r\nHost: here\r\n\r\n", "404 Not Found"),
        ("BREW / HTTP/1.1\r\nHost: here\r\n\r\n", "501 Not Implemented"),
    ] {
        ask(&server.connect(), question, &format!("HTTP/1.1 {status}\r\n"));
    }
}

#[test]
fn http_server_ends_well() {
    let server = Server::start("http_server", &[]);
    let question = "GET /plaintext HTTP/1.1\r\nHost: here\r\n\r\n";
    let (idle, busy) = (server.connect(), server.connect());
    ask(&idle, question, HELLO);
    ask(&busy, question, HELLO);
    ask(&busy, question.split_at(10).0, "");
    let said = server.interrupt();
    assert!(said.ends_with("2 requests were answered\n"), "{said}");
    for stream in [idle, busy] {
        assert_eq!(io::read_to_string(stream).unwrap_or_default(), "");
    }
}

#[test]
fn key_value_finds_what_was_put() {
    let run = run("key_value", &["3"]);
    assert_eq!(run.number("3 clients found ", " keys"), 300);
}

#[test]
fn key_value_speaks_the_protocol() {
    let server = Server::start("key_value", &[]);
    let stream = server.connect();
    for (question, answer) in [
        ("PING\r\n", "+PONG\r\n"),
        ("*2\r\n$4\r\nping\r\n$5\r\nhello\r\n", "$5\r\nhello\r\n"),
        ("get a\n", "$-1\r\n"),
        ("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4\r\n\r\n:1\r\n", "+OK\r\n"),
        ("GET a\r\n", "$4\r\n\r\n:1\r\n"),
        ("INCR a\r\n", "-ERR value is not an integer or out of range\r\n"),
        ("INCR n\r\nINCR n\r\nGET n\r\n", ":1\r\n:2\r\n$1\r\n2\r\n"),
        ("SET n 9223372036854775807\r\n", "+OK\r\n"),
        ("INCR n\r\n", "-ERR value is not an integer or out of range\r\n"),
        ("MGET n x a\r\n", "*3\r\n$19\r\n9223372036854775807\r\n$-1\r\n$4\r\n\r\n:1\r\n"),
        ("TTL a\r\nTTL x\r\n", ":-1\r\n:-2\r\n"),
        ("EXPIRE a 100\r\nTTL a\r\nEXPIRE x 1\r\n", ":1\r\n:100\r\n:0\r\n"),
        ("EXPIRE a 0\r\nGET a\r\n", ":1\r\n$-1\r\n"),
        ("SET n 1 EX 100\r\nTTL n\r\nSET n 1\r\nTTL n\r\n", "+OK\r\n:100\r\n+OK\r\n:-1\r\n"),
        ("SET n 1 EX 0\r\nSET n 1 EX\r\n", "-ERR invalid expire time\r\n-ERR syntax error\r\n"),
        ("SET b 1\r\nDEL n b n\r\n\r\n", "+OK\r\n:2\r\n"),
        ("GET\r\n", "-ERR wrong number of arguments\r\n"),
        ("FLY me\r\n", "-ERR unknown command 'FLY'\r\n"),
        ("QUIT\r\n", "+OK\r\n"),
    ] {
        ask(&stream, question, answer);
    }
    assert_eq!((&stream).read(&mut [0]).unwrap(), 0);

    // In pieces, with its end in another one.
    let stream = server.connect();
    for piece in ["*2\r", "\n$3\r\nGE", "T\r\n$1\r\na", "\r"] {
        ask(&stream, piece, "");
    }
    ask(&stream, "\n", "$-1\r\n");
    ask(&stream, "SET brief 1 PX 1\r\n", "+OK\r\n");
    let mut is_gone = false;
    while !is_gone {
        (&stream).write_all(b"MGET brief\r\n").unwrap();
        let mut answer = [0; 9];
        (&stream).read_exact(&mut answer).unwrap();
        is_gone = answer == *b"*1\r\n$-1\r\n";
        if !is_gone {
            (&stream).read_exact(&mut [0; 2]).unwrap();
        }
    }

    for nonsense in ["*x\r\n", "*1\r\nPING\r\n", "*1\r\n$-1\r\n", "*1\r\n$1\r\nabc", "*99999\r\n"] {
        let stream = server.connect();
        (&stream).write_all(nonsense.as_bytes()).unwrap();
        let answer = io::read_to_string(&stream).unwrap();
        assert!(answer.starts_with("-ERR Protocol error: "), "{nonsense}: {answer}");
    }
}

#[test]
fn proxy_passes_both_ways() {
    let run = run("proxy", &["3"]);
    for (client, sum) in [(1, 127_493_856), (2, 126_995_904), (3, 127_497_888)] {
        let before =
            format!("client {client} sent 1,000,000 bytes, and heard that they add up to ");
        assert_eq!(run.number(&before, ""), sum);
    }
}

#[test]
fn proxy_tells_each_side_of_the_end_of_the_other() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let proxy = Server::start("proxy", &["--to", &target]);
    let client = proxy.connect();
    let (mut server, _) = listener.accept().unwrap();
    ask(&client, "question", "");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(io::read_to_string(&server).unwrap(), "question");
    server.write_all(b"answer").unwrap();
    drop(server);
    assert_eq!(io::read_to_string(&client).unwrap(), "answer");

    // The other way round.
    let client = proxy.connect();
    let (server, _) = listener.accept().unwrap();
    server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(io::read_to_string(&client).unwrap(), "");
    ask(&client, "still here", "");
    drop(client);
    assert_eq!(io::read_to_string(&server).unwrap(), "still here");
}

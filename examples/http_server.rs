//! A server for HTTP/1.1: connections that stay open, requests that come in pipelines, and an end
//! that cuts no answer short.
//!
//! Each connection has a task, which reads, answers all requests that are complete, and sends the
//! answers together. At Ctrl-C no connection is accepted any more, those that wait for a request
//! are ended, and those that have one are answered first.
//!
//! It takes bodies whose length is told, and refuses those that come in chunks.
//!
//! Without `--port` it asks itself some questions and ends.
//!
//! ```text
//! cargo run --release --example http_server -- --port 8080
//! curl -i http://127.0.0.1:8080/echo -d 'a body for the echo'
//! wrk -c 64 -t 1 http://127.0.0.1:8080/plaintext
//! ```

mod support;

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lisle::net::{Server, TcpListener, TcpStream};
use lisle::signal::{SIGINT, Signals};
use support::{Args, grouped};

/// The room for what is read at once, at first and at most. A connection keeps it while it waits.
const FIRST_ROOM: usize = 1024;
const MOST_ROOM: usize = 16 * 1024;
/// The longest request line with its headers.
const MAX_HEAD: usize = 8 * 1024;
const MAX_BODY: usize = 64 * 1024;
/// Answers are sent once they are this long, although there are more requests.
const MAX_ANSWERS: usize = 64 * 1024;
/// A connection that is silent for so long is ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the answers that are under way may take at the end.
const GRACE: Duration = Duration::from_secs(10);

fn main() -> io::Result<()> {
    let mut args = Args::new("http_server", "[CLIENTS] [--port PORT]");
    let port = args.port("--port");
    let clients = args.count("CLIENTS", 4);
    args.finish();

    lisle::run(|| {
        let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(0)))?;
        let address = listener.local_addr()?;
        let server = Server::new(listener);
        let (handle, site) = (server.handle(), Arc::new(Site::new()));
        let its = site.clone();
        let serving = lisle::spawn(move || {
            server.serve(move |stream, peer| {
                // A client that is gone without a word is none of the server's business.
                let _ = its.serve(stream, peer);
            })
        });
        if port.is_some() {
            let ctrl_c = Signals::new([SIGINT])?; // from now on it is not the end of the process
            println!("listening on http://{address}; Ctrl-C ends it");
            ctrl_c.recv()?;
        } else {
            let clients: Vec<_> =
                (0..clients).map(|_| lisle::spawn(move || ask(address))).collect();
            for client in clients {
                client.join().expect("the client is answered")?;
            }
        }
        handle.shut_down(GRACE);
        site.hurry();
        serving.join().expect("the server does not panic")?;
        println!("{} requests were answered", grouped(site.requests.load(Ordering::Relaxed)));
        Ok(())
    })
}

struct Request<'a> {
    method: &'a [u8],
    path: &'a [u8],
    body: &'a [u8],
    /// Whether the client wants to go on with the connection.
    keep_alive: bool,
    /// How many bytes it is long.
    length: usize,
}

/// What the input begins with.
enum Parsed<'a> {
    /// A request that has come as a whole.
    Request(Request<'a>),
    /// A part of a request.
    Part,
    /// A request whose client waits to be asked for the body.
    PartThatWaits,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Status(&'static str);

const OK: Status = Status("200 OK");
const BAD_REQUEST: Status = Status("400 Bad Request");
const NOT_FOUND: Status = Status("404 Not Found");
const CONTENT_TOO_LARGE: Status = Status("413 Content Too Large");
const HEAD_TOO_LARGE: Status = Status("431 Request Header Fields Too Large");
const NOT_IMPLEMENTED: Status = Status("501 Not Implemented");
const VERSION_NOT_SUPPORTED: Status = Status("505 HTTP Version Not Supported");

/// Reads the first request of the input. The error is the status with which to refuse it.
fn parse(input: &[u8]) -> Result<Parsed<'_>, Status> {
    let too_large = |length| if length > MAX_HEAD { Err(HEAD_TOO_LARGE) } else { Ok(()) };
    let mut rest = input;
    // A client may send an empty line behind a body.
    while let [b'\r', b'\n', after @ ..] = rest {
        rest = after;
    }
    let Some(first) = line(&mut rest)? else {
        return too_large(rest.len()).map(|()| Parsed::Part);
    };
    let mut words = first.split(|byte| *byte == b' ');
    let (Some(method), Some(path), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(BAD_REQUEST);
    };
    if method.is_empty() || !method.iter().all(u8::is_ascii_uppercase) {
        return Err(BAD_REQUEST);
    }
    let mut keep_alive = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ if version.starts_with(b"HTTP/") => return Err(VERSION_NOT_SUPPORTED),
        _ => return Err(BAD_REQUEST),
    };
    // An older client need not name the host, and cannot wait to be asked for the body.
    let (mut has_host, is_old) = (false, !keep_alive);
    let (mut body_length, mut waits) = (None, false);
    loop {
        let Some(header) = line(&mut rest)? else {
            return too_large(input.len()).map(|()| Parsed::Part);
        };
        if header.is_empty() {
            break;
        }
        let colon = header.iter().position(|byte| *byte == b':').ok_or(BAD_REQUEST)?;
        let (name, value) = (&header[..colon], trim(&header[colon + 1..]));
        if name.is_empty() || name.iter().any(is_blank) {
            return Err(BAD_REQUEST);
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let length = number(value).ok_or(BAD_REQUEST)?;
            // Two that differ are an attempt to smuggle a request past somebody.
            if body_length.replace(length).is_some_and(|other| other != length) {
                return Err(BAD_REQUEST);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(NOT_IMPLEMENTED);
        } else if name.eq_ignore_ascii_case(b"host") {
            has_host = true;
        } else if name.eq_ignore_ascii_case(b"expect") {
            waits = value.eq_ignore_ascii_case(b"100-continue");
        } else if name.eq_ignore_ascii_case(b"connection") {
            let mut options = value.split(|byte| *byte == b',').map(trim);
            keep_alive = if keep_alive {
                !options.any(|option| option.eq_ignore_ascii_case(b"close"))
            } else {
                options.any(|option| option.eq_ignore_ascii_case(b"keep-alive"))
            };
        }
    }
    too_large(input.len() - rest.len())?;
    if !has_host && !is_old {
        return Err(BAD_REQUEST);
    }
    let body_length = body_length.unwrap_or(0);
    if body_length > MAX_BODY {
        return Err(CONTENT_TOO_LARGE);
    }
    let Some((body, after)) = rest.split_at_checked(body_length) else {
        // One that has sent some of the body does not wait.
        let waits = waits && !is_old && rest.is_empty();
        return Ok(if waits { Parsed::PartThatWaits } else { Parsed::Part });
    };
    let length = input.len() - after.len();
    Ok(Parsed::Request(Request { method, path, body, keep_alive, length }))
}

/// Takes a line off the input, if all of it has come, without its end.
fn line<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Status> {
    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let line = rest[..end].strip_suffix(b"\r").ok_or(BAD_REQUEST)?;
    *rest = &rest[end + 1..];
    if line.is_ascii() { Ok(Some(line)) } else { Err(BAD_REQUEST) }
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Without the blanks around it.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// It has digits alone: no sign.
fn number(digits: &[u8]) -> Option<usize> {
    let has_digits_alone = digits.iter().all(u8::is_ascii_digit);
    str::from_utf8(digits).ok().filter(|_| has_digits_alone)?.parse().ok()
}

/// Adds the answer to a request.
fn answer(request: &Request<'_>, answers: &mut Vec<u8>) {
    let is_head = request.method == b"HEAD";
    let (status, body) = match (request.method, page(request.path)) {
        (b"GET" | b"HEAD", b"/") => (OK, &b"Hello from a task.\n"[..]),
        (b"GET" | b"HEAD", b"/plaintext") => (OK, &b"Hello, World!"[..]),
        (b"POST", b"/echo") => (OK, request.body),
        (b"GET" | b"HEAD" | b"POST", _) => (NOT_FOUND, &b"There is no such page.\n"[..]),
        _ => (NOT_IMPLEMENTED, &b"There is no such method.\n"[..]),
    };
    add(answers, status, request.keep_alive, body.len(), if is_head { b"" } else { body });
}

/// The page that is asked for. One that speaks to a proxy names the host too.
fn page(path: &[u8]) -> &[u8] {
    let until = |path: &[u8], byte| path.iter().position(|other| *other == byte);
    let path = match path.strip_prefix(b"http://") {
        Some(rest) => until(rest, b'/').map_or(&b"/"[..], |start| &rest[start..]),
        None => path,
    };
    &path[..until(path, b'?').unwrap_or(path.len())]
}

fn refuse(status: Status, answers: &mut Vec<u8>) {
    let body = format!("{}\n", status.0);
    add(answers, status, false, body.len(), body.as_bytes());
}

fn add(answers: &mut Vec<u8>, status: Status, keep_alive: bool, length: usize, body: &[u8]) {
    answers.extend(b"HTTP/1.1 ");
    answers.extend(status.0.as_bytes());
    answers.extend(b"\r\nContent-Type: text/plain\r\nContent-Length: ");
    write!(answers, "{length}").expect("a vector takes everything");
    answers.extend(match keep_alive {
        true => &b"\r\nConnection: keep-alive\r\n\r\n"[..],
        false => b"\r\nConnection: close\r\n\r\n",
    });
    answers.extend(body);
}

/// What the tasks of the server share.
struct Site {
    requests: AtomicUsize,
    /// The connections that are open, to be told of the end. `None` once it has come.
    open: Mutex<Option<HashMap<SocketAddr, Arc<TcpStream>>>>,
}

impl Site {
    fn new() -> Self {
        Self { requests: AtomicUsize::new(0), open: Mutex::new(Some(HashMap::new())) }
    }

    /// Serves a connection to its end.
    fn serve(&self, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        let stream = Arc::new(stream);
        match &mut *self.open.lock().unwrap() {
            Some(open) => open.insert(peer, stream.clone()),
            None => return Ok(()),
        };
        let result = self.converse(&stream);
        if let Some(open) = &mut *self.open.lock().unwrap() {
            open.remove(&peer);
        }
        result
    }

    /// Reads requests and answers them.
    fn converse(&self, mut stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let (mut input, mut answers) = (Vec::new(), Vec::new());
        let mut room = FIRST_ROOM;
        loop {
            let (mut done, mut count) = (0, 0);
            let goes_on = loop {
                match parse(&input[done..]) {
                    Ok(Parsed::Part) => break true,
                    Ok(Parsed::PartThatWaits) => {
                        answers.extend(b"HTTP/1.1 100 Continue\r\n\r\n");
                        break true;
                    }
                    Ok(Parsed::Request(request)) => {
                        answer(&request, &mut answers);
                        count += 1;
                        done += request.length;
                        if !request.keep_alive {
                            break false;
                        }
                    }
                    Err(status) => {
                        refuse(status, &mut answers);
                        break false;
                    }
                }
                if answers.len() >= MAX_ANSWERS {
                    stream.write_all(&answers)?;
                    answers.clear();
                }
            };
            self.requests.fetch_add(count, Ordering::Relaxed);
            stream.write_all(&answers)?;
            answers.clear();
            if !goes_on {
                return part(stream);
            }
            input.drain(..done);
            let old = input.len();
            input.resize(old + room, 0);
            let new = stream.read(&mut input[old..])?;
            if new == 0 {
                return Ok(());
            }
            if new == room {
                room = (room * 2).min(MOST_ROOM);
            }
            input.truncate(old + new);
        }
    }

    /// Ends the connections that wait for a request. Those that have one answer it, and then find
    /// that nothing more comes.
    fn hurry(&self) {
        for stream in self.open.lock().unwrap().take().into_iter().flat_map(HashMap::into_values) {
            let _ = stream.shutdown(Shutdown::Read); // it may be gone already
        }
    }
}

/// Ends a connection from this side. What the client has sent in vain is read, since a connection
/// that is closed with something unread is reset, and the last answer might be lost by that.
fn part(stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    io::copy(&mut stream.take(MAX_BODY as u64), &mut io::sink()).map(drop)
}

/// A client of the demonstration, which sends one request, and then some together.
fn ask(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")?;
    let mut answer = [0; 200];
    let length = stream.read(&mut answer)?;
    assert!(answer[..length].ends_with(b"Hello from a task.\n"));

    stream.write_all(
        b"POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nhello\
          HEAD /plaintext HTTP/1.1\r\nHost: here\r\n\r\n\
          GET /nothing HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n",
    )?;
    let answers = io::read_to_string(&stream)?;
    let found = ["200 OK", "5\r\n", "hello", "200 OK", "13\r\n", "404 Not Found", "no such page"];
    let mut rest = answers.as_str();
    for words in found {
        let (_, after) = rest.split_once(words).expect("the answers come in the order of requests");
        rest = after;
    }
    Ok(())
}

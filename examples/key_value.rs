//! A server of keys and values that speaks the Redis protocol: GET, SET, INCR, DEL, EXPIRE, MGET,
//! PING and TTL.
//!
//! Each connection has a task, which reads requests, carries out all that have come, and answers
//! them together: so a client that sends many requests at once, a pipeline, costs one read and one
//! write. The values lie behind plain locks of the standard library, each of which guards a part of
//! the keys; they are held for a look-up and never over a wait. What has expired is gone at once
//! for clients that ask, and a sweeper frees its memory later.
//!
//! Without `--port` it plays with clients of its own and ends.
//!
//! ```text
//! cargo run --release --example key_value -- --port 6379
//! redis-cli -p 6379 set greeting hello
//! redis-benchmark -p 6379 -t get,set -n 1000000 -P 16 -q
//! ```

mod support;

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use lisle::net::{TcpListener, TcpStream};
use support::{Args, grouped};

/// The room for what has come and is not carried out yet: at first, and until a request does not
/// fit.
const FIRST_ROOM: usize = 1024;
const USUAL_ROOM: usize = 16 * 1024;
/// The largest key or value.
const MAX_BULK: usize = 16 * 1024 * 1024;
/// The most words of a request.
const MAX_WORDS: usize = 1024;
/// The longest line: a length, or a request that somebody has typed.
const MAX_LINE: usize = 64 * 1024;
/// Answers are sent once they are this long, although there are more requests.
const MAX_ANSWERS: usize = 64 * 1024;
/// In how many parts the keys are locked.
const PARTS: usize = 64;
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

fn main() -> io::Result<()> {
    let mut args = Args::new("key_value", "[CLIENTS] [--port PORT]");
    let port = args.port("--port");
    let clients = args.count("CLIENTS", 8);
    args.finish();

    lisle::run(|| {
        let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(0)))?;
        let address = listener.local_addr()?;
        let store = Arc::new(Store::new());
        let (sweeps, swept) = (store.clone(), lisle::channel::tick(SWEEP_INTERVAL));
        lisle::spawn(move || swept.iter().for_each(|_| sweeps.sweep()));
        let serving = store.clone();
        let serve = move |stream, _| {
            // A client that is gone without a word is none of the server's business.
            let _ = converse(&stream, &serving);
        };
        if port.is_some() {
            println!("listening on {address}; Ctrl-C ends it");
            return listener.serve(serve);
        }
        lisle::spawn(|| listener.serve(serve));
        let players: Vec<_> =
            (0..clients).map(|n| lisle::spawn(move || play(address, n))).collect();
        for player in players {
            player.join().expect("the client has found what it has put")?;
        }
        println!("{} clients found {} keys", grouped(clients), grouped(store.len()));
        Ok(())
    })
}

/// Answers one client until it goes.
fn converse(mut stream: &TcpStream, store: &Store) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut input, mut answers) = (Input::new(), Vec::new());
    loop {
        let next = loop {
            match input.request() {
                Ok(None) => break Next::GoOn,
                Ok(Some(words)) => {
                    if carry_out(&words, store, &mut answers) == Next::Leave {
                        break Next::Leave;
                    }
                }
                Err(problem) => {
                    error(&mut answers, &format!("ERR Protocol error: {problem}"));
                    break Next::Leave;
                }
            }
            if answers.len() >= MAX_ANSWERS {
                stream.write_all(&answers)?;
                answers.clear();
            }
        };
        stream.write_all(&answers)?;
        answers.clear();
        if next == Next::Leave {
            return part(stream);
        }
        if input.fill(stream)? == 0 {
            return Ok(());
        }
    }
}

/// Ends a connection from this side. What the client still sends is read for a while, since a
/// connection that is closed with something unread is reset, and the last answer might be lost by
/// that.
fn part(stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    io::copy(&mut stream.take(2 * MAX_BULK as u64), &mut io::sink()).map(drop)
}

/// What a client has sent and is not carried out yet.
struct Input {
    /// It lies in `done..end`, and behind that is room for more.
    bytes: Vec<u8>,
    done: usize,
    end: usize,
}

/// The words of a request, as places in the input.
type Words<'a> = Vec<&'a [u8]>;

impl Input {
    fn new() -> Self {
        Self { bytes: Vec::new(), done: 0, end: 0 }
    }

    /// Reads what has come, or waits for more. The number of bytes: 0 at the end.
    fn fill(&mut self, mut stream: &TcpStream) -> io::Result<usize> {
        let was_filled = self.end == self.bytes.len();
        self.bytes.copy_within(self.done..self.end, 0);
        self.end -= self.done;
        self.done = 0;
        let room = self.bytes.len();
        if was_filled && (room < USUAL_ROOM || self.end == room) {
            self.bytes.resize((2 * room).max(FIRST_ROOM), 0);
        }
        let count = stream.read(&mut self.bytes[self.end..])?;
        self.end += count;
        Ok(count)
    }

    /// The next request, if all of it has come.
    fn request(&mut self) -> Result<Option<Words<'_>>, &'static str> {
        let mut rest = &self.bytes[self.done..self.end];
        let Some(words) = words(&mut rest)? else { return Ok(None) };
        self.done = self.end - rest.len();
        Ok(Some(words))
    }
}

/// Takes the words of a request off the input: `*2`, `$3`, `GET`, `$1`, `a`, or a line that
/// somebody has typed.
fn words<'a>(rest: &mut &'a [u8]) -> Result<Option<Words<'a>>, &'static str> {
    let Some(line) = line(rest)? else { return Ok(None) };
    let [b'*', count @ ..] = line else {
        let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        return Ok(Some(words.collect()));
    };
    let count = number(count).filter(|count| *count <= MAX_WORDS as i64);
    let count = count.ok_or("invalid multibulk length")?;
    let mut words = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    for _ in 0..count {
        let Some(line) = self::line(rest)? else { return Ok(None) };
        let [b'$', length @ ..] = line else { return Err("expected '$'") };
        let length = number(length).and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|length| *length <= MAX_BULK).ok_or("invalid bulk length")?;
        let Some((word, after)) = rest.split_at_checked(length) else { return Ok(None) };
        let Some((end, after)) = after.split_at_checked(2) else { return Ok(None) };
        if end != b"\r\n" {
            return Err("expected the end of a bulk string");
        }
        words.push(word);
        *rest = after;
    }
    Ok(Some(words))
}

/// Takes a line off the input, if all of it has come, without its end.
fn line<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, &'static str> {
    let Some(end) = rest.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
        return if rest.len() < MAX_LINE { Ok(None) } else { Err("too big inline request") };
    };
    let line = &rest[..end];
    *rest = &rest[end + 1..];
    Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)))
}

fn number(digits: &[u8]) -> Option<i64> {
    str::from_utf8(digits).ok()?.parse().ok()
}

#[derive(PartialEq)]
enum Next {
    GoOn,
    Leave,
}

/// Carries out one request and adds its answer.
fn carry_out(words: &[&[u8]], store: &Store, answers: &mut Vec<u8>) -> Next {
    const SYNTAX: &str = "ERR syntax error";
    const NO_NUMBER: &str = "ERR value is not an integer or out of range";
    const NO_TIME: &str = "ERR invalid expire time";

    let Some((name, arguments)) = words.split_first() else { return Next::GoOn };
    let mut upper = [0; 8];
    let name = match upper.get_mut(..name.len()) {
        Some(upper) => {
            upper.copy_from_slice(name);
            upper.make_ascii_uppercase();
            &*upper
        }
        None => *name,
    };
    match (name, arguments) {
        (b"PING", []) => answers.extend(b"+PONG\r\n"),
        (b"PING", [word]) => bulk(answers, Some(word)),
        (b"GET", [key]) => store.get(key, |value| bulk(answers, value)),
        (b"MGET", keys @ [_, ..]) => {
            header(answers, b'*', keys.len() as i64);
            keys.iter().for_each(|key| store.get(key, |value| bulk(answers, value)));
        }
        (b"SET", [key, value, options @ ..]) => {
            let lifetime = match options {
                [] => Ok(None),
                [unit, time] => match (unit_of_time(unit), number(time)) {
                    (None, _) => Err(SYNTAX),
                    (_, None) => Err(NO_NUMBER),
                    (_, Some(..=0)) => Err(NO_TIME),
                    (Some(unit), Some(time)) => Ok(Some(unit(time as u64))),
                },
                _ => Err(SYNTAX),
            };
            match lifetime {
                Ok(lifetime) => {
                    store.set(key, value, lifetime);
                    answers.extend(b"+OK\r\n");
                }
                Err(problem) => error(answers, problem),
            }
        }
        (b"INCR", [key]) => match store.increment(key) {
            Some(number) => header(answers, b':', number),
            None => error(answers, NO_NUMBER),
        },
        (b"DEL", keys @ [_, ..]) => {
            header(answers, b':', keys.iter().filter(|key| store.remove(key)).count() as i64);
        }
        (b"EXPIRE", [key, seconds]) => match number(seconds) {
            Some(seconds) => header(answers, b':', store.expire(key, seconds).into()),
            None => error(answers, NO_NUMBER),
        },
        (b"TTL", [key]) => header(answers, b':', store.seconds_left(key)),
        // What clients ask for by themselves.
        (b"COMMAND", _) => answers.extend(b"*0\r\n"),
        (b"CONFIG", [_, setting]) => {
            header(answers, b'*', 2);
            bulk(answers, Some(setting));
            bulk(answers, Some(b""));
        }
        (b"QUIT", []) => {
            answers.extend(b"+OK\r\n");
            return Next::Leave;
        }
        (b"GET" | b"MGET" | b"SET" | b"INCR" | b"DEL" | b"EXPIRE" | b"TTL" | b"PING", _) => {
            error(answers, "ERR wrong number of arguments");
        }
        _ => {
            let name = words[0].get(..32).unwrap_or(words[0]).escape_ascii();
            error(answers, &format!("ERR unknown command '{name}'"));
        }
    }
    Next::GoOn
}

fn unit_of_time(name: &[u8]) -> Option<fn(u64) -> Duration> {
    match name.to_ascii_uppercase().as_slice() {
        b"EX" => Some(Duration::from_secs),
        b"PX" => Some(Duration::from_millis),
        _ => None,
    }
}

fn header(answers: &mut Vec<u8>, kind: u8, number: i64) {
    answers.push(kind);
    write!(answers, "{number}\r\n").expect("a vector takes everything");
}

fn bulk(answers: &mut Vec<u8>, value: Option<&[u8]>) {
    let Some(value) = value else { return answers.extend(b"$-1\r\n") };
    header(answers, b'$', value.len() as i64);
    answers.extend(value);
    answers.extend(b"\r\n");
}

fn error(answers: &mut Vec<u8>, problem: &str) {
    answers.push(b'-');
    answers.extend(problem.as_bytes());
    answers.extend(b"\r\n");
}

/// The keys and their values, in parts.
struct Store {
    parts: [Mutex<Part>; PARTS],
}

type Part = HashMap<Box<[u8]>, Entry>;

struct Entry {
    value: Vec<u8>,
    expires: Option<Instant>,
}

impl Entry {
    fn is_alive(&self) -> bool {
        self.expires.is_none_or(|expires| Instant::now() < expires)
    }
}

impl Store {
    fn new() -> Self {
        Self { parts: std::array::from_fn(|_| Mutex::default()) }
    }

    /// The part of the keys to which this one belongs. Keys mostly differ at their ends.
    fn part(&self, key: &[u8]) -> MutexGuard<'_, Part> {
        let end = key.iter().rev().take(8);
        let number = end.fold(0_usize, |sum, byte| sum.wrapping_mul(31) + usize::from(*byte));
        self.parts[number % PARTS].lock().unwrap()
    }

    fn get(&self, key: &[u8], found: impl FnOnce(Option<&[u8]>)) {
        let part = self.part(key);
        found(part.get(key).filter(|entry| entry.is_alive()).map(|entry| entry.value.as_slice()));
    }

    fn set(&self, key: &[u8], value: &[u8], lifetime: Option<Duration>) {
        let expires = lifetime.and_then(|lifetime| Instant::now().checked_add(lifetime));
        let mut part = self.part(key);
        match part.get_mut(key) {
            Some(entry) => {
                entry.value.clear();
                entry.value.extend(value);
                entry.expires = expires;
            }
            None => {
                part.insert(key.into(), Entry { value: value.into(), expires });
            }
        }
    }

    /// The number behind the key, after one is added; `None` if there is something else.
    fn increment(&self, key: &[u8]) -> Option<i64> {
        let mut part = self.part(key);
        let Some(entry) = part.get_mut(key).filter(|entry| entry.is_alive()) else {
            part.insert(key.into(), Entry { value: b"1".into(), expires: None });
            return Some(1);
        };
        let number = number(&entry.value)?.checked_add(1)?;
        entry.value = number.to_string().into();
        Some(number)
    }

    /// Whether there was such a key.
    fn remove(&self, key: &[u8]) -> bool {
        self.part(key).remove(key).is_some_and(|entry| entry.is_alive())
    }

    /// Whether there is such a key, which now has so long to live.
    fn expire(&self, key: &[u8], seconds: i64) -> bool {
        let mut part = self.part(key);
        let Some(entry) = part.get_mut(key).filter(|entry| entry.is_alive()) else { return false };
        let lifetime = Duration::from_secs(seconds.max(0) as u64);
        entry.expires = Instant::now().checked_add(lifetime);
        true
    }

    /// How long the key has to live: -1 for ever, -2 if there is none.
    fn seconds_left(&self, key: &[u8]) -> i64 {
        let part = self.part(key);
        match part.get(key).filter(|entry| entry.is_alive()).map(|entry| entry.expires) {
            None => -2,
            Some(None) => -1,
            Some(Some(expires)) => {
                expires.saturating_duration_since(Instant::now()).as_secs_f64().round() as i64
            }
        }
    }

    /// Frees what has expired. No other key waits for long: each part is locked by itself.
    fn sweep(&self) {
        for part in &self.parts {
            part.lock().unwrap().retain(|_, entry| entry.is_alive());
        }
    }

    fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lock().unwrap().len()).sum()
    }
}

/// A client that puts things and looks for them, in pipelines.
fn play(address: std::net::SocketAddr, client: usize) -> io::Result<()> {
    const KEYS: usize = 100;
    let mut stream = TcpStream::connect(address)?;
    let mut requests = Vec::new();
    let mut expected = Vec::new();
    for n in 0..KEYS {
        let (key, value) = (format!("{client}:{n}"), format!("value {n}"));
        let set = format!(
            "*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{value}\r\n",
            key.len(),
            value.len()
        );
        requests.extend(set.as_bytes());
        expected.extend(b"+OK\r\n");
    }
    for n in 0..KEYS {
        requests.extend(format!("GET {client}:{n}\r\n").as_bytes());
        bulk(&mut expected, Some(format!("value {n}").as_bytes()));
    }
    stream.write_all(&requests)?;
    let mut answers = vec![0; expected.len()];
    stream.read_exact(&mut answers)?;
    assert_eq!(answers, expected);
    Ok(())
}

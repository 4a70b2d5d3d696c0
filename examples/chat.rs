//! A room to chat in: the line of one member is shown to all others.
//!
//! One task, the hub, knows the members, and nothing else does: it needs no lock. Each member
//! has two tasks. One only reads: it forwards the lines of the socket into a channel. The other one
//! waits for both at once, such a line or a message of the room, with `select!`. The channel from
//! the hub to a member is bounded. A member that does not read while the others chat fills it, and
//! is asked to leave rather than waited for.
//!
//! Without `--port` some members of its own chat, and it ends.
//!
//! ```text
//! cargo run --release --example chat -- --port 7000
//! nc 127.0.0.1 7000
//! ```

mod support;

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use lisle::channel::{Receiver, Sender, bounded, select};
use lisle::net::{TcpListener, TcpStream};
use support::{Args, grouped};

/// The longest line, with its end.
const MAX_LINE: u64 = 512;
/// How many messages may wait for a member.
const BACKLOG: usize = 1024;
/// How long a member may take no message while its socket is full.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most members of the demonstration. Of each the others hear that it enters, what it says, and
/// that it leaves.
const MAX_MEMBERS: usize = BACKLOG / 4;

type Message = Arc<str>;

/// What the tasks of a member tell the hub.
enum Event {
    Enters { member: SocketAddr, name: String, messages: Sender<Message> },
    Says { member: SocketAddr, line: String },
    Leaves { member: SocketAddr },
}

fn main() -> io::Result<()> {
    let mut args = Args::new("chat", "[MEMBERS] [--port PORT]");
    let port = args.port("--port");
    let members = args.count("MEMBERS", 20);
    if members > MAX_MEMBERS {
        args.reject(format!("the room of the demonstration has {MAX_MEMBERS} places"));
    }
    args.finish();

    lisle::run(|| {
        let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(0)))?;
        let address = listener.local_addr()?;
        let (tell, events) = bounded(BACKLOG);
        lisle::spawn(move || hub(events));
        let serve = move |stream, member| {
            // A member that is gone without a word has left all the same.
            let _ = attend(stream, member, &tell);
        };
        if port.is_some() {
            println!("listening on {address}; Ctrl-C ends it");
            return listener.serve(serve);
        }
        lisle::spawn(|| listener.serve(serve));
        let members: Vec<_> =
            (0..members).map(|n| lisle::spawn(move || chat(address, n, members))).collect();
        let mut heard = 0;
        for member in members {
            heard += member.join().expect("the member hears all others")?;
        }
        println!("{} messages were heard", grouped(heard));
        Ok(())
    })
}

/// The room: it passes on what members say.
fn hub(events: Receiver<Event>) {
    let mut room: HashMap<SocketAddr, (String, Sender<Message>)> = HashMap::new();
    for event in events {
        let (author, message) = match event {
            Event::Enters { member, name, messages } => {
                let message = format!("* {name} enters\n");
                let welcome = format!("* {} others are here\n", room.len());
                messages.try_send(welcome.into()).expect("there is room for the first message");
                room.insert(member, (name, messages));
                (member, message)
            }
            Event::Says { member, line } => match room.get(&member) {
                Some((name, _)) => (member, format!("{name}: {line}\n")),
                None => continue,
            },
            Event::Leaves { member } => match room.remove(&member) {
                Some((name, _)) => (member, format!("* {name} leaves\n")),
                None => continue,
            },
        };
        let message = Message::from(message);
        // One that is full is dropped, and with it the last sender: the member's task finds that.
        room.retain(|member, (_, messages)| {
            *member == author || messages.try_send(message.clone()).is_ok()
        });
    }
}

/// Serves one member until it leaves.
fn attend(stream: TcpStream, member: SocketAddr, hub: &Sender<Event>) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let stream = Arc::new(stream);
    let (forward, lines) = bounded(1);
    let source = stream.clone();
    lisle::spawn(move || forward_lines(&source, &forward));

    write_all(&stream, "What is your name?\n")?;
    let Ok(name) = lines.recv() else { return Ok(()) };
    let (messages, inbox) = bounded(BACKLOG);
    let tell = |event| hub.send(event).map_err(|_| io::Error::other("there is no room any more"));
    tell(Event::Enters { member, name, messages })?;
    let result = converse(&stream, &lines, &inbox, |line| tell(Event::Says { member, line }));
    tell(Event::Leaves { member })?;
    // The reading task may be in a wait. It finds the end, and drops the socket.
    let _ = stream.shutdown(Shutdown::Both);
    result
}

/// Passes lines of the member to the room, and messages of the room to the member.
fn converse(
    stream: &TcpStream,
    lines: &Receiver<String>,
    inbox: &Receiver<Message>,
    say: impl Fn(String) -> io::Result<()>,
) -> io::Result<()> {
    loop {
        select! {
            recv(lines) -> line => match line {
                Ok(line) => say(line)?,
                Err(_) => return Ok(()), // the member has left
            },
            recv(inbox) -> message => match message {
                Ok(message) => write_all(stream, &message)?,
                Err(_) => return write_all(stream, "* You are too slow for this room.\n"),
            },
        }
    }
}

/// Reads lines until the end, or one that is too long.
fn forward_lines(stream: &TcpStream, lines: &Sender<String>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line)?;
        let Some(text) = line.strip_suffix(b"\n") else { return Ok(()) };
        // What is no UTF-8 is shown as far as it can be.
        if lines.send(String::from_utf8_lossy(text).trim_end().to_owned()).is_err() {
            return Ok(()); // nobody listens any more
        }
    }
}

fn write_all(mut stream: &TcpStream, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())
}

/// A member of the demonstration. When all others have come it says one thing, and it leaves when
/// it has heard what everybody else has to say. Returns how much that was.
fn chat(address: SocketAddr, number: usize, members: usize) -> io::Result<usize> {
    let stream = TcpStream::connect(address)?;
    let mut lines = BufReader::new(&stream).lines();
    let mut hear = move || lines.next().unwrap_or(Err(io::ErrorKind::UnexpectedEof.into()));
    assert_eq!(hear()?, "What is your name?");
    write_all(&stream, &format!("member {number}\n"))?;

    let welcome = hear()?;
    let mut others: usize =
        welcome.split(' ').nth(1).and_then(|others| others.parse().ok()).unwrap();
    while others < members - 1 {
        assert!(hear()?.ends_with(" enters"));
        others += 1;
    }
    write_all(&stream, &format!("I am one of {members}\n"))?;
    let mut heard = 0;
    while heard < members - 1 {
        if hear()?.ends_with(&format!(": I am one of {members}")) {
            heard += 1;
        }
    }
    Ok(heard)
}

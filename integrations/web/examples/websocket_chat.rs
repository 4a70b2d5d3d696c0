//! A room to chat in, by WebSockets: what one member says is shown to all others.
//!
//! Each member has two tasks, one that reads and one that writes, and they share its WebSocket. The
//! server has the page for a browser, too. Without `--port` some members of its own chat, and it
//! ends.
//!
//! ```text
//! cargo run -p lisle-web-examples --example websocket_chat -- --port 7000
//! ```

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use lisle::channel::{Sender, bounded};
use lisle::net::{TcpListener, TcpStream};
use lisle_web_examples::http::{Request, answer};
use lisle_web_examples::websocket::SharedWebSocket;
use tungstenite::{Error, Message};

const PAGE: &str = include_str!("websocket_chat.html");
const MEMBERS: usize = 5;
/// How many lines may wait for a member. One that does not read them leaves.
const BACKLOG: usize = 64;

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => demonstrate(),
        ["--port", port] => lisle::run(|| {
            let port = port.parse().map_err(io::Error::other)?;
            let listener = TcpListener::bind(("127.0.0.1", port))?;
            println!("open http://{} in a browser; Ctrl-C ends it", listener.local_addr()?);
            Ok(serve(listener, PAGE.to_owned())?)
        }),
        _ => Err(Error::Io(io::Error::other("usage: websocket_chat [--port PORT]"))),
    }
}

/// Some members each say a line, and hear what the others say.
#[lisle::main]
pub fn demonstrate() -> Result<(), Error> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    lisle::spawn(move || serve(listener, PAGE.to_owned()));
    let members: Vec<_> =
        (0..MEMBERS).map(|number| lisle::spawn(move || chat(address, number))).collect();
    let mut heard = 0;
    for member in members {
        heard += member.join().expect("the member hears all others")?;
    }
    println!("{heard} lines were heard by {MEMBERS} members");
    Ok(())
}

/// A member, which says its line as soon as all are there. Returns how many lines it has heard.
fn chat(address: SocketAddr, number: usize) -> Result<usize, Error> {
    let stream = TcpStream::connect(address)?;
    let (mut socket, _) = tungstenite::client(format!("ws://{address}/chat"), stream)
        .map_err(|error| Error::Io(io::Error::other(error)))?;
    let mut heard = 0;
    while heard < MEMBERS - 1 {
        match socket.read()?.to_text()? {
            text if text == format!("* {MEMBERS} are here") => {
                socket.send(format!("line of {number}").into())?;
            }
            text => heard += usize::from(text.starts_with("line of")),
        }
    }
    // The others may still wait for this one's line, so it is not dropped unread.
    socket.close(None)?;
    while socket.read().is_ok() {}
    Ok(heard)
}

/// Serves a room with this page for browsers.
pub fn serve(listener: TcpListener, page: String) -> io::Result<()> {
    let room = Arc::new(Room::default());
    listener.serve(move |stream, member| {
        if let Err(error) = receive(&room, &page, stream, member) {
            eprintln!("{member}: {error}");
        }
    })
}

/// The members, and how to send each a line.
#[derive(Default)]
struct Room(Mutex<HashMap<SocketAddr, Sender<String>>>);

impl Room {
    fn enter(&self, member: SocketAddr, lines: Sender<String>) {
        let mut members = self.0.lock().expect("nobody panics with the room");
        members.insert(member, lines);
        let here = format!("* {} are here", members.len());
        members.retain(|_, lines| lines.try_send(here.clone()).is_ok());
    }

    fn say(&self, author: SocketAddr, line: &str) {
        let mut members = self.0.lock().expect("nobody panics with the room");
        // One whose backlog is full is dropped, and its WebSocket closed by that.
        members.retain(|member, lines| *member == author || lines.try_send(line.into()).is_ok());
    }

    fn leave(&self, member: SocketAddr) {
        self.0.lock().expect("nobody panics with the room").remove(&member);
    }
}

/// Answers a request: for the page, or to enter the room.
fn receive(
    room: &Room,
    page: &str,
    mut stream: TcpStream,
    member: SocketAddr,
) -> Result<(), Error> {
    let mut input = Vec::new();
    while let Some(request) = Request::read(&mut stream, &mut input)? {
        if request.header("upgrade").is_some() {
            let socket = SharedWebSocket::accept(stream, &request, input)?;
            return attend(room, &socket, member);
        }
        answer(&mut stream, "text/html", page.as_bytes())?;
    }
    Ok(())
}

/// Has a member take part until it leaves.
fn attend(room: &Room, socket: &SharedWebSocket, member: SocketAddr) -> Result<(), Error> {
    let (lines, backlog) = bounded::<String>(BACKLOG);
    lisle::scope(|scope| {
        scope.spawn(|| {
            for line in backlog {
                if socket.send(line.into()).is_err() {
                    break;
                }
            }
            // The member has left, or was too slow.
            let _ = socket.close();
        });
        room.enter(member, lines);
        let result = loop {
            match socket.receive() {
                Ok(Message::Text(line)) => room.say(member, &line),
                Ok(_) => {}
                Err(Error::ConnectionClosed) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        room.leave(member);
        result
    })
}

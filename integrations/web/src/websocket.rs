//! A WebSocket that several tasks use at once.
//!
//! tungstenite's `WebSocket` works on Lisle's sockets as it is, for a task that reads and writes in
//! turn. A server that pushes messages does both at once. Two of them on clones of the socket would
//! not do: the reading one answers pings, in the middle of what the other one writes. Here the
//! socket never waits, so that a lock of std's will do; tasks wait beside it, until something can
//! be read or written.

use std::io;
use std::sync::Mutex;

use lisle::net::{Shutdown, TcpStream};
use lisle::no_suspend;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;
use tungstenite::{Error, Message, WebSocket};

use crate::http::Request;

/// One end of a WebSocket, shared by tasks.
pub struct SharedWebSocket {
    state: Mutex<WebSocket<TcpStream>>,
    /// A clone, which is waited for.
    socket: TcpStream,
}

impl SharedWebSocket {
    /// Takes over a WebSocket whose handshake is done.
    pub fn new(websocket: WebSocket<TcpStream>) -> io::Result<Self> {
        let socket = websocket.get_ref().try_clone()?;
        websocket.get_ref().set_nonblocking(true)?;
        Ok(Self { state: Mutex::new(websocket), socket })
    }

    /// Answers a request for a WebSocket. `input` is what has come after the request.
    pub fn accept(mut stream: TcpStream, request: &Request, input: Vec<u8>) -> io::Result<Self> {
        let key = request.header("sec-websocket-key").ok_or(io::ErrorKind::InvalidData)?;
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            derive_accept_key(key.as_bytes())
        );
        io::Write::write_all(&mut stream, answer.as_bytes())?;
        Self::new(WebSocket::from_partially_read(stream, input, Role::Server, None))
    }

    /// Waits for the next message.
    pub fn receive(&self) -> Result<Message, Error> {
        loop {
            match self.attempt(|websocket| websocket.read()) {
                Err(error) if would_block(&error) => self.socket.readable(None)?,
                result => return result,
            }
        }
    }

    /// Sends a message, and waits until the system has taken all of it.
    pub fn send(&self, message: Message) -> Result<(), Error> {
        let mut message = Some(message);
        loop {
            let result = self.attempt(|websocket| match message.take() {
                Some(message) => websocket.send(message),
                None => websocket.flush(), // the message was taken over before
            });
            match result {
                Err(error) if would_block(&error) => self.socket.writable(None)?,
                result => return result,
            }
        }
    }

    /// Tells the other side that nothing more comes. What it answers, [`receive`](Self::receive)
    /// finds. If it does not even read, the connection ends without a word.
    pub fn close(&self) -> Result<(), Error> {
        match self.attempt(|websocket| websocket.close(None)) {
            Err(error) if would_block(&error) => Ok(self.socket.shutdown(Shutdown::Both)?),
            result => result,
        }
    }

    /// Inside `no_suspend`, since a read that succeeds at the end of a long turn would let others
    /// run, which may want the lock.
    fn attempt<R>(&self, operation: impl FnOnce(&mut WebSocket<TcpStream>) -> R) -> R {
        let mut state = self.state.lock().expect("nobody has panicked with the WebSocket");
        no_suspend(|| operation(&mut state))
    }
}

fn would_block(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}

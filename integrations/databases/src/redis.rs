//! redis over Lisle's sockets.
//!
//! The crate's own connection opens std's sockets. Its commands take anything that sends a request
//! and reads the response, and its parser reads from any stream: what is between is here.

use std::io::{Read, Write};

use redis::{Cmd, ConnectionLike, ErrorKind, Parser, RedisError, RedisResult, Value};

/// A connection to Redis over any stream, such as Lisle's `TcpStream` and `UnixStream`.
pub struct Connection<S> {
    stream: S,
    parser: Parser,
    /// All that was asked for has been read.
    in_step: bool,
}

impl<S: Read + Write> Connection<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, parser: Parser::new(), in_step: true }
    }

    /// Sends a command that has no response of its own, such as `SUBSCRIBE`.
    pub fn send(&mut self, command: &Cmd) -> RedisResult<()> {
        self.converse(&command.get_packed_command(), |_| Ok(()))
    }

    /// Waits for what comes next of what was not asked for, such as a message of a channel.
    pub fn receive(&mut self) -> RedisResult<Value> {
        self.converse(&[], Self::read)
    }

    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Sends a request and reads what belongs to it. A task that is cancelled in between, or runs
    /// out of time, leaves a response behind that the next one would take for its own. So from then
    /// on nothing can be asked any more.
    fn converse<R>(
        &mut self,
        request: &[u8],
        read: impl FnOnce(&mut Self) -> RedisResult<R>,
    ) -> RedisResult<R> {
        if !std::mem::replace(&mut self.in_step, false) {
            return Err(RedisError::from((
                ErrorKind::Io,
                "a response of this connection was not waited for: open another one",
            )));
        }
        self.stream.write_all(request)?;
        let result = read(self)?;
        self.in_step = true;
        Ok(result)
    }

    fn read(&mut self) -> RedisResult<Value> {
        self.parser.parse_value(&mut self.stream)
    }
}

impl<S: Read + Write> ConnectionLike for Connection<S> {
    fn req_packed_command(&mut self, command: &[u8]) -> RedisResult<Value> {
        self.converse(command, Self::read)
    }

    /// Passes over the first `skipped` responses, unless one is an error, and returns `count`.
    fn req_packed_commands(
        &mut self,
        commands: &[u8],
        skipped: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        let mut responses = self.converse(commands, |connection| {
            (0..skipped + count).map(|_| connection.read()).collect::<RedisResult<Vec<_>>>()
        })?;
        let wanted = responses.split_off(skipped);
        responses.into_iter().try_for_each(|response| response.extract_error().map(drop))?;
        Ok(wanted)
    }

    fn get_db(&self) -> i64 {
        0
    }

    fn check_connection(&mut self) -> bool {
        redis::cmd("PING").exec(self).is_ok()
    }

    fn is_open(&self) -> bool {
        self.in_step
    }
}

//! postgres, through `blocking`.
//!
//! The crate has a runtime of its own inside, which blocks the calling thread: there is no place
//! for other sockets. So a call goes to a thread for blocking calls, while its task waits. The
//! connections are few, and lie in a channel from which tasks take them.

use lisle::blocking;
use lisle::channel::{Receiver, Sender, bounded};
use postgres::{Client, Config, Error, NoTls};

/// Some connections to a server, which tasks take turns to use.
#[derive(Clone)]
pub struct Pool {
    free: Receiver<Client>,
    back: Sender<Client>,
}

impl Pool {
    /// Opens this many connections.
    pub fn connect(config: &Config, connections: usize) -> Result<Self, Error> {
        let (back, free) = bounded(connections);
        for _ in 0..connections {
            let client = blocking(|| config.connect(NoTls))?;
            back.send(client).expect("the receiver is here");
        }
        Ok(Self { free, back })
    }

    /// Waits for a connection that is free, and runs `work` with it on a thread for blocking calls.
    /// It must not wait for a task that may need a connection.
    pub fn with<R: Send>(&self, work: impl FnOnce(&mut Client) -> R + Send) -> R {
        // Taken back by the thread, so also if `work` panics.
        let mut client = Lent { client: self.free.recv().ok(), back: &self.back };
        blocking(move || work(client.client.as_mut().expect("this pool has a sender")))
    }

    /// Closes the connections. Those that are in use are waited for.
    pub fn close(self) {
        let connections = self.back.capacity().expect("it is bounded");
        for client in self.free.iter().take(connections) {
            // A client waits for its connection to close.
            blocking(move || drop(client));
        }
    }
}

/// A client that goes back into the pool.
struct Lent<'a> {
    client: Option<Client>,
    back: &'a Sender<Client>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            self.back.try_send(client).expect("there is room for each");
        }
    }
}

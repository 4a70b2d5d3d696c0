//! TCP: connections, listeners, and servers.

mod listener;
mod server;
mod stream;

pub use listener::{Incoming, TcpListener};
pub use server::{Server, ServerHandle};
pub use stream::TcpStream;

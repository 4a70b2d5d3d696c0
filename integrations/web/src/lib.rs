//! What the examples of this package share: adapters to copy, and servers to talk to.
//!
//! rustls takes any stream that reads and writes, and so needs no adapter. [`websocket`] lets one
//! task read from a WebSocket while others write to it, and [`client`] has ureq use Lisle's
//! sockets.

pub mod client;
pub mod http;
pub mod tls;
pub mod websocket;

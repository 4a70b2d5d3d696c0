//! Sockets as their users see them: what the standard library's do, in tasks, on plain threads, and
//! with both at one socket.
#![cfg(not(lisle_loom))]

mod names;
mod streams;
mod support;
mod udp;
mod unix;

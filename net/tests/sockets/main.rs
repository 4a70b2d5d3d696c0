//! Sockets as their users see them: what the standard library's do, in tasks, on plain threads, and
//! with both at one socket.
#![cfg(not(lisle_loom))]

mod asynchronous;
mod closing;
mod moving;
mod names;
mod servers;
mod streams;
mod stress;
mod support;
mod surface;
mod tcp;
mod traps;
mod udp;
mod unix;

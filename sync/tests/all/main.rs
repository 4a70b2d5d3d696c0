//! Locks and meeting points between tasks, between threads, and from one to the other.
#![cfg(not(lisle_loom))]

mod broadcast;
mod cancel;
mod condvar;
mod ends;
mod futures;
mod ground;
mod lock_api;
mod meeting;
mod mutex;
mod once;
#[path = "../../../scheduler/tests/support/polled.rs"]
mod polled;
mod rwlock;
mod semaphore;
mod stress;
mod watch;

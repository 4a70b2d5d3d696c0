//! A program moves over from crossbeam-channel by a change of its imports: `port/program.rs` is
//! compiled twice, with the one and with the other, and has to see the same.
#![cfg(not(lisle_loom))]
#![allow(clippy::duplicate_mod, reason = "that is the test")]

mod support;

use support::everywhere;

#[path = "port"]
mod ours {
    pub use lisle_channel as channel;
    pub mod program;
}

#[path = "port"]
mod theirs {
    pub use crossbeam_channel as channel;
    pub mod program;
}

#[test]
fn the_same_program_sees_the_same() {
    let expected = theirs::program::main(&|body| drop(std::thread::spawn(body)));
    everywhere(|ground| {
        let seen = ours::program::main(&|body| ground.detach(body));
        assert_eq!(seen, expected);
    });
}

#[test]
fn the_same_interface_is_there() {
    ours::program::interface();
    theirs::program::interface();
}

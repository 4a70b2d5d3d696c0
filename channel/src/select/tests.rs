//! What happens while a select looks at its operations one after the other.

use std::time::Instant;

use lisle_scheduler::park::Awaited;

use super::operation::Operation;
use super::run::{self, Case, Order, Patience};
use crate::claim::{Claim, Entry, Grant, GrantCell};
use crate::{Receiver, Sender, bounded, unbounded};

/// An operation that is never possible. Each look at it gives the others an opportunity: a message
/// is sent into the channel that was looked at before, and taken out of the one that is looked at
/// next.
struct Meanwhile {
    before: (Sender<u8>, Receiver<u8>),
    after: (Sender<u8>, Receiver<u8>),
}

impl Meanwhile {
    fn new() -> Self {
        let this = Self { before: bounded(1), after: unbounded() };
        this.after.0.send(2).unwrap();
        this
    }

    fn look(&self) -> bool {
        if self.after.1.len() == 1 {
            self.before.0.send(1).unwrap();
            assert_eq!(self.after.1.try_recv(), Ok(2));
        }
        false
    }

    fn cases(&self) -> [Case<'_>; 3] {
        [Case::recv(&self.before.1), Case::new(self, 0), Case::recv(&self.after.1)]
    }
}

impl Operation for Meanwhile {
    fn attempt(&self, _grant: &mut GrantCell) -> bool {
        self.look()
    }

    fn is_ready(&self) -> bool {
        self.look()
    }

    fn stamp(&self) -> usize {
        0
    }

    fn is_unchanged(&self, _stamp: usize) -> bool {
        true
    }

    fn backlog(&self) -> usize {
        0
    }

    fn address(&self) -> usize {
        0
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    unsafe fn enlist(&self, _entry: &Entry, _claim: &Claim) -> bool {
        true
    }

    unsafe fn delist(&self, _entry: &Entry) {}

    fn give_up(&self, _grant: Grant) {}

    fn describe(&self, _say: &mut dyn FnMut(Awaited)) {}
}

#[test]
fn a_message_that_moves_meanwhile_is_found() {
    let meanwhile = Meanwhile::new();
    let mut grant = GrantCell::new();
    let mut cases = meanwhile.cases();
    assert_eq!(run::select(&mut cases, Order::Listed, Patience::None, &mut grant), Some(0));
    assert!(meanwhile.before.1.is_empty(), "and taken");
}

#[test]
fn a_message_that_moves_meanwhile_is_ready() {
    let meanwhile = Meanwhile::new();
    assert_eq!(run::ready(&mut meanwhile.cases(), Order::Listed, Patience::None), Some(0));
    assert_eq!(meanwhile.before.1.try_recv(), Ok(1));
}

//! An actor: a task that alone owns its state, and is spoken to by messages. It takes no framework.
//!
//! A request brings the sender for its answer along. The actor ends when the last of its addresses
//! is dropped.
//!
//! ```text
//! cargo run --release --example actor
//!
//! 1,000 deposits by 10 clients: 5,500
//! ```

mod support;

use lisle::channel::{Sender, bounded, unbounded};
use support::{Args, grouped};

enum Message {
    Deposit(usize),
    Balance(Sender<usize>),
}

/// The address of an actor that counts.
#[derive(Clone)]
struct Account(Sender<Message>);

impl Account {
    fn open() -> Self {
        let (address, messages) = unbounded();
        lisle::spawn(move || {
            let mut balance = 0; // no lock: nobody else can reach it
            for message in messages {
                match message {
                    Message::Deposit(amount) => balance += amount,
                    // The client may have gone.
                    Message::Balance(answer) => drop(answer.send(balance)),
                }
            }
        });
        Self(address)
    }

    fn deposit(&self, amount: usize) {
        self.0.send(Message::Deposit(amount)).expect("the actor ends after its addresses");
    }

    fn balance(&self) -> usize {
        let (answer, result) = bounded(1);
        self.0.send(Message::Balance(answer)).expect("the actor ends after its addresses");
        result.recv().expect("it answers")
    }
}

fn main() {
    Args::new("actor", "").finish();

    lisle::run(|| {
        let account = Account::open();
        lisle::scope(|s| {
            for client in 1..=10 {
                let account = account.clone();
                s.spawn(move || (0..100).for_each(|_| account.deposit(client)));
            }
        });
        println!("1,000 deposits by 10 clients: {}", grouped(account.balance()));
    });
}

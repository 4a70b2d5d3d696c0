//! A bank whose accounts are locked in pairs, and no money is lost.
//!
//! Tasks transfer between accounts at random. A transfer locks both, the one with the smaller
//! number first: so no two transfers wait for each other in a ring. The locks are Lisle's, whose
//! guards may be held over a wait. Some transfers are given up in the middle, by a time limit: the
//! guards unlock, and the sum is right all the same, since a transfer takes and gives without a
//! wait in between.
//!
//! ```text
//! cargo run --release --example bank
//!
//! 4,000 transfers between 10 accounts, some of them given up; all accounts together: 10,000
//! ```

mod support;

use std::time::Duration;

use lisle::sync::Mutex;
use support::{Args, grouped};

const ACCOUNTS: usize = 10;
const TELLERS: usize = 8;
const TRANSFERS: usize = 500;
const START: i64 = 1000;

fn main() {
    Args::new("bank", "").finish();

    lisle::run(|| {
        let accounts: Vec<_> = (0..ACCOUNTS).map(|_| Mutex::new(START)).collect();
        lisle::scope(|s| {
            for teller in 0..TELLERS {
                let accounts = &accounts;
                s.spawn(move || {
                    for n in 0..TRANSFERS {
                        let (from, to) = pair(teller * TRANSFERS + n);
                        let limit = Duration::from_micros(n as u64 % 50);
                        // Done, or given up where it yields: a wait for a lock is not cut short.
                        let _ = lisle::timeout(limit, || {
                            transfer(accounts, from, to, n as i64 % 70);
                        });
                    }
                });
            }
        });
        let sum: i64 = accounts.into_iter().map(Mutex::into_inner).sum();
        assert_eq!(sum, START * ACCOUNTS as i64);
        println!(
            "{} transfers between {ACCOUNTS} accounts, some of them given up; all accounts \
             together: {}",
            grouped(TELLERS * TRANSFERS),
            grouped(sum as usize)
        );
    });
}

/// Two accounts, not the same.
fn pair(n: usize) -> (usize, usize) {
    let from = n * 7 % ACCOUNTS;
    (from, (from + 1 + n % (ACCOUNTS - 1)) % ACCOUNTS)
}

fn transfer(accounts: &[Mutex<i64>], from: usize, to: usize, amount: i64) {
    let (first, second) = (from.min(to), from.max(to));
    let mut first_balance = accounts[first].lock();
    lisle::yield_now(); // others may want it meanwhile, or the time may be up
    let mut second_balance = accounts[second].lock();
    let (giver, taker) = if first == from {
        (&mut first_balance, &mut second_balance)
    } else {
        (&mut second_balance, &mut first_balance)
    };
    if **giver >= amount {
        **giver -= amount;
        **taker += amount;
    }
}

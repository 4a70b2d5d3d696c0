//! Generators: functions that yield, as iterators.
#![cfg(not(lisle_loom))]

mod support;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};

use lisle_runtime::stack::StackSize;
use lisle_runtime::{Generator, Yielder};
use support::coroutine::{Census, Log, address_here};

fn iota(start: u64) -> Generator<u64> {
    Generator::new(move |out| {
        for n in start.. {
            out.suspend(n);
        }
    })
}

#[test]
fn a_for_loop_takes_from_an_endless_one() {
    let mut sum = 0;
    for n in iota(1) {
        if n > 100 {
            break;
        }
        sum += n;
    }
    assert_eq!(sum, 5050);
}

#[test]
fn adapters_work_on_it() {
    let odd_squares = iota(0).filter(|n| n % 2 == 1).map(|n| n * n);
    assert_eq!(odd_squares.skip(1).step_by(2).take(3).collect::<Vec<_>>(), [9, 49, 121]);
    let pairs: Vec<_> = iota(0).zip(iota(10)).take(2).collect();
    assert_eq!(pairs, [(0, 10), (1, 11)]);
}

#[test]
fn a_bounded_one_ends_and_stays_ended() {
    let mut three = Generator::new(|out| "abc".chars().for_each(|item| out.suspend(item)));
    assert_eq!(three.by_ref().collect::<String>(), "abc");
    assert_eq!((three.next(), three.next()), (None, None));
    assert_eq!(Generator::<u8>::new(|_| ()).next(), None);
}

#[test]
fn it_runs_only_when_it_is_asked() {
    let log = Log::default();
    let noted = log.clone();
    let mut lazy = Generator::new(move |out| {
        noted.note("first");
        out.suspend(1);
        noted.note("second");
        out.suspend(2);
        noted.note("end");
    });
    assert!(log.take().is_empty());
    assert_eq!((lazy.next(), log.take()), (Some(1), vec!["first"]));
    assert_eq!((lazy.next(), log.take()), (Some(2), vec!["second"]));
    assert_eq!((lazy.next(), log.take()), (None, vec!["end"]));
}

#[test]
fn dropping_it_early_leaks_nothing() {
    let census = Census::default();
    let mut stacks = HashSet::new();
    for taken in 0..1000 {
        let members = census.clone();
        let generator = Generator::new(move |out| {
            let _kept = members.member();
            loop {
                out.suspend((members.member(), address_here()));
            }
        });
        for (_member, address) in generator.take(taken % 4) {
            stacks.insert(address / StackSize::DEFAULT.bytes());
        }
        assert_eq!(census.count(), 0);
    }
    assert!(stacks.len() <= 2, "{} stacks were used in turn", stacks.len());
}

enum Tree {
    Leaf,
    Node(Box<Tree>, u32, Box<Tree>),
}

impl Tree {
    /// A balanced tree of the numbers from `low` to before `high`.
    fn of(low: u32, high: u32) -> Box<Self> {
        if low == high {
            return Box::new(Tree::Leaf);
        }
        let middle = low.midpoint(high);
        Box::new(Tree::Node(Tree::of(low, middle), middle, Tree::of(middle + 1, high)))
    }

    fn walk<'t>(&'t self, out: &Yielder<(), &'t u32, ()>) {
        if let Tree::Node(left, value, right) = self {
            left.walk(out);
            out.suspend(value);
            right.walk(out);
        }
    }
}

#[test]
fn a_tree_is_walked_in_order_by_recursion() {
    let tree = Tree::of(0, 1000);
    Generator::scope(|out| tree.walk(out), |values| assert!(values.copied().eq(0..1000)));
    let first = Generator::scope(|out| tree.walk(out), |mut values| values.next());
    assert_eq!(first, Some(&0));
}

#[test]
fn two_trees_are_compared_in_step() {
    fn same(one: &Tree, other: &Tree) -> bool {
        Generator::scope(
            |out| one.walk(out),
            |values| Generator::scope(|out| other.walk(out), |others| values.eq(others)),
        )
    }
    assert!(same(&Tree::of(0, 100), &Tree::of(0, 100)));
    assert!(!same(&Tree::of(0, 100), &Tree::of(0, 101)));
}

#[test]
fn generators_feed_generators() {
    fn primes() -> Generator<u32> {
        Generator::new(|out| {
            let mut chain: Box<dyn Iterator<Item = u32>> = Box::new(2..);
            while let Some(prime) = chain.next() {
                out.suspend(prime);
                chain = Box::new(Generator::new(move |out| {
                    for n in chain.filter(|n| n % prime > 0) {
                        out.suspend(n);
                    }
                }));
            }
        })
    }
    assert_eq!(primes().take(10).collect::<Vec<_>>(), [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
    assert_eq!(primes().nth(199), Some(1223));
}

#[test]
fn a_panic_comes_out_once() {
    let mut bad = Generator::new(|out| {
        out.suspend(1);
        panic_any("bad");
    });
    assert_eq!(bad.next(), Some(1));
    let payload = catch_unwind(AssertUnwindSafe(|| bad.next())).unwrap_err();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "bad");
    assert_eq!(bad.next(), None);
}

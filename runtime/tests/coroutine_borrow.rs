//! Coroutines that borrow: lent for a scope, at whose end they have ended.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::thread;

use lisle_runtime::{
    Coroutine, CoroutineState, CoroutineStatus, Generator, ScopedCoroutine, Yielder,
};
use support::coroutine::Log;

#[test]
fn a_body_borrows_from_its_caller() {
    let words = vec![String::from("one"), String::from("three")];
    let mut lengths = Vec::new();
    let yielded = ScopedCoroutine::scope(
        |yielder: &Yielder<(), &str, usize>, ()| {
            for word in &words {
                lengths.push(word.len());
                yielder.suspend(word);
            }
            lengths.len()
        },
        |coroutine| {
            let mut yielded = Vec::new();
            loop {
                match coroutine.resume(()) {
                    CoroutineState::Yielded(word) => yielded.push(word),
                    CoroutineState::Returned(count) => return (yielded, count),
                }
            }
        },
    );
    assert_eq!(yielded, (vec!["one", "three"], 2));
    assert_eq!(lengths, [3, 5]);
}

#[test]
fn arguments_may_be_borrowed_too() {
    let total = Cell::new(0);
    ScopedCoroutine::scope(
        |yielder: &Yielder<&[u32], (), ()>, mut numbers| {
            loop {
                total.set(total.get() + numbers.iter().sum::<u32>());
                numbers = yielder.suspend(());
            }
        },
        |adder| {
            adder.resume(&[1, 2]);
            adder.resume(&[]);
            adder.resume(&[10, 20, 30]);
        },
    );
    assert_eq!(total.get(), 63);
}

#[test]
fn the_end_of_the_scope_unwinds() {
    let log = Log::default();
    let result = ScopedCoroutine::scope(
        |yielder: &Yielder<(), (), ()>, ()| {
            let _end = log.on_drop("unwound");
            yielder.suspend(());
            log.note("went on");
        },
        |coroutine| {
            coroutine.resume(());
            assert_eq!(coroutine.status(), CoroutineStatus::Suspended);
            log.note("scope ends");
            42
        },
    );
    assert_eq!(result, 42);
    assert_eq!(log.take(), ["scope ends", "unwound"]);
}

#[test]
fn a_panic_in_the_scope_unwinds_too() {
    let log = Log::default();
    let payload = catch_unwind(AssertUnwindSafe(|| {
        ScopedCoroutine::scope(
            |yielder: &Yielder<(), (), ()>, ()| {
                let _end = log.on_drop("unwound");
                yielder.suspend(());
            },
            |coroutine| {
                coroutine.resume(());
                panic_any("user's");
            },
        )
    }));
    assert_eq!(*payload.unwrap_err().downcast::<&str>().unwrap(), "user's");
    assert_eq!(log.take(), ["unwound"]);
}

#[test]
fn what_a_body_has_lent_to_threads_is_back_at_the_end_of_the_scope() {
    let mut numbers = vec![1; 1000];
    ScopedCoroutine::scope(
        |yielder: &Yielder<(), (), ()>, ()| {
            thread::scope(|threads| {
                threads.spawn(|| {
                    for number in &mut numbers {
                        *number += 1;
                    }
                });
                yielder.suspend(());
                unreachable!("it is unwound here, which joins the thread");
            });
        },
        |coroutine| {
            coroutine.resume(());
        },
    );
    assert_eq!(numbers, [2; 1000]);
}

#[test]
fn scopes_nest_inside_bodies() {
    let text = String::from("outer");
    let outer = |yielder: &Yielder<(), String, ()>, ()| {
        let own = String::from("inner");
        ScopedCoroutine::scope(
            |yielder: &Yielder<(), String, ()>, ()| {
                yielder.suspend(format!("{text} and {own}"));
            },
            |inner| yielder.call(inner, ()),
        );
    };
    let got = ScopedCoroutine::scope(outer, |coroutine| coroutine.resume(()));
    assert_eq!(got, CoroutineState::Yielded("outer and inner".into()));
}

#[test]
fn items_may_be_borrowed_and_outlive_the_scope() {
    let words = [String::from("a"), String::from("b"), String::from("c")];
    let firsts: Vec<&str> = Generator::scope(
        |out| {
            for word in &words {
                out.suspend(word.as_str());
            }
        },
        |items| items.take(2).collect(),
    );
    assert_eq!(firsts, ["a", "b"]);
}

#[test]
fn copies_of_items_share_them() {
    let limit = 5;
    Generator::scope(
        |out| {
            for n in 0..limit {
                out.suspend(n);
            }
        },
        |mut items| {
            let mut copy = items;
            assert_eq!((items.next(), copy.next(), items.next()), (Some(0), Some(1), Some(2)));
            assert_eq!(copy.collect::<Vec<_>>(), [3, 4]);
            assert_eq!(items.next(), None);
        },
    );
}

#[test]
fn an_owned_one_can_be_lent() {
    fn drain(numbers: &ScopedCoroutine<'_, (), u32, ()>) -> u32 {
        let mut sum = 0;
        while let CoroutineState::Yielded(n) = numbers.resume(()) {
            sum += n;
        }
        sum
    }
    let numbers = Coroutine::new(|yielder: &Yielder<(), u32, ()>, ()| {
        for n in 1..=4 {
            yielder.suspend(n);
        }
    });
    assert_eq!(drain(&numbers), 10);
}

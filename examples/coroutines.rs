//! A coroutine: a function that can stop in the middle, and go on when it is told.
//!
//! The body below averages the numbers that it is given. Each `resume` gives it one, each `suspend`
//! gives the average so far back. No scheduler is involved; the two parties take turns. The rest
//! shows how a coroutine ends: by returning, by a panic, or by being dropped.
//!
//! ```text
//! cargo run --release --example coroutines
//!
//! before the first number: Suspended
//! 10 makes 10
//! 20 makes 15
//! 60 makes 30
//! nothing more: the body returned "3 numbers"
//! after the last: the coroutine cannot be resumed: it is finished
//! a panic inside comes out of resume: "no such number"
//! dropped half-way: the body cleans up
//! ```

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};

use lisle::coroutine::{Coroutine, CoroutineState, Yielder};
use support::Args;

/// Gets a number, or nothing more; yields the average of all; returns a summary.
type Averager = Coroutine<Option<f64>, f64, String>;

fn averager() -> Averager {
    Coroutine::new(|yielder: &Yielder<Option<f64>, f64, String>, mut next| {
        let (mut sum, mut count) = (0.0, 0);
        while let Some(number) = next {
            sum += number;
            count += 1;
            next = yielder.suspend(sum / f64::from(count));
        }
        format!("{count} numbers")
    })
}

fn main() {
    Args::new("coroutines", "").finish();

    let averager = averager();
    println!("before the first number: {:?}", averager.status());
    for number in [Some(10.0), Some(20.0), Some(60.0), None] {
        match averager.resume(number) {
            CoroutineState::Yielded(average) => println!("{} makes {average}", number.unwrap()),
            CoroutineState::Returned(summary) => {
                println!("nothing more: the body returned {summary:?}")
            }
        }
    }
    let error = averager.try_resume(Some(1.0)).unwrap_err();
    println!("after the last: {error}");

    ends_by_a_panic();
    ends_by_being_dropped();
}

fn ends_by_a_panic() {
    let coroutine = Coroutine::new(|_: &Yielder<(), (), ()>, ()| panic_any("no such number"));
    std::panic::set_hook(Box::new(|_| ())); // it is expected: no message
    let payload = catch_unwind(AssertUnwindSafe(|| coroutine.resume(()))).unwrap_err();
    let _ = std::panic::take_hook();
    let text = payload.downcast_ref::<&str>().unwrap();
    println!("a panic inside comes out of resume: {text:?}");
}

fn ends_by_being_dropped() {
    struct CleanUp;
    impl Drop for CleanUp {
        fn drop(&mut self) {
            println!("dropped half-way: the body cleans up");
        }
    }
    let coroutine = Coroutine::new(|yielder: &Yielder<(), (), ()>, ()| {
        let _clean_up = CleanUp;
        yielder.suspend(());
        println!("this is never reached");
    });
    coroutine.resume(());
    drop(coroutine);
}

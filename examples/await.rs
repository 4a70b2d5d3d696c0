//! Await: a coroutine calls another as if it were a function.
//!
//! The cook makes a pie and needs two things for it, each of which takes some steps.
//! `Yielder::call` runs another coroutine to its end and gives its result; whatever that one yields
//! meanwhile becomes a yield of the cook, so that the caller of the cook sees every step. The other
//! way is to `resume` it oneself, and to do what one likes with each of its yields.
//!
//! ```text
//! cargo run --release --example await
//!
//! the cook: weigh the flour
//! the cook: knead
//! the cook: let it rest
//! the cook: put in dough
//! the cook: peel an apple
//! the cook: peel an apple
//! the cook: put in apples
//! the pie: dough and 2 apples
//! ```

mod support;

use lisle::coroutine::{Coroutine, CoroutineState, Yielder};
use support::Args;

/// Needs nothing from outside, yields what it does, returns what comes of it.
type Work<Result> = Coroutine<(), String, Result>;

/// How the body of a [`Work`] yields.
type Steps<Result> = Yielder<(), String, Result>;

fn main() {
    Args::new("await", "").finish();

    let cook = cook();
    loop {
        match cook.resume(()) {
            CoroutineState::Yielded(step) => println!("the cook: {step}"),
            CoroutineState::Returned(pie) => break println!("the pie: {pie}"),
        }
    }
}

fn cook() -> Work<String> {
    Coroutine::new(|steps: &Steps<String>, ()| {
        // As if it were a function: its steps are steps of the cook.
        let dough = steps.call(&make_dough(), ());
        steps.suspend(format!("put in {dough}"));

        // By hand: two apples are enough.
        let peeling = peel_apples();
        let mut apples = 0;
        while let CoroutineState::Yielded(step) = peeling.resume(()) {
            steps.suspend(step);
            apples += 1;
            if apples == 2 {
                break;
            }
        }
        steps.suspend("put in apples".into());
        format!("{dough} and {apples} apples")
    })
}

fn make_dough() -> Work<&'static str> {
    Coroutine::new(|steps: &Steps<_>, ()| {
        for step in ["weigh the flour", "knead", "let it rest"] {
            steps.suspend(step.into());
        }
        "dough"
    })
}

/// Goes on for as long as more is wanted.
fn peel_apples() -> Work<()> {
    Coroutine::new(|steps: &Steps<()>, ()| {
        loop {
            steps.suspend("peel an apple".into());
        }
    })
}

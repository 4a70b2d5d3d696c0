//! The switch that is below Lisle's coroutines, tasks and all: what is left when the rest is away.

use std::time::Instant;

use harness::{Outcome, Params};
use lisle_runtime::stack::{Stack, StackSize};
use lisle_runtime::switch::{Context, prepare, switch};

/// A caller on its own stack, and a counter on another.
struct Two {
    caller: Context,
    counter: Context,
    count: u64,
}

/// There and back are two switches.
pub fn bare(params: &Params) -> Outcome {
    let rounds = params.get("rounds");
    let stack = Stack::allocate(StackSize::MIN).unwrap();
    let two = &raw mut *Box::leak(Box::new(Two {
        caller: Context::NONE,
        counter: Context::NONE,
        count: 0,
    }));
    // SAFETY: the stack is unused and lives as long as this function, which makes the last switch
    // to it; `two` is never freed.
    unsafe { (*two).counter = prepare(stack.top(), count_up, two.cast()) };
    let play = |rounds: u64| {
        // SAFETY: the counter is suspended, so nothing else has access to `two`.
        unsafe { (*two).count = 0 };
        let start = Instant::now();
        for _ in 0..rounds {
            // SAFETY: the counter has just been prepared, or has switched back to the caller.
            unsafe { switch(&raw mut (*two).caller, (*two).counter) };
        }
        let time = start.elapsed();
        // SAFETY: as above.
        assert_eq!(unsafe { (*two).count }, rounds);
        time
    };
    play(rounds / 10);
    Outcome::ns_each(play(rounds), 2 * rounds)
}

unsafe extern "C" fn count_up(two: *mut ()) -> ! {
    let two: *mut Two = two.cast();
    loop {
        // SAFETY: `two` is never freed, and its other user is suspended while this stack runs, at
        // the place that it has saved as `caller`.
        unsafe {
            (*two).count += 1;
            switch(&raw mut (*two).counter, (*two).caller);
        }
    }
}

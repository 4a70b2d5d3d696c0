//! Valgrind finds errors on stacks of ours as it does elsewhere, and takes nothing else for one.
//! Needs valgrind, and says so if there is none.
#![cfg(lisle_sanitize = "valgrind")]

use std::env;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, Output, Stdio};

use lisle_runtime::stack::{Stack, StackSize};
use lisle_runtime::{Coroutine, CoroutineState, Generator, Yielder};

const ERROR: i32 = 99;

/// Runs `body` under valgrind, in a process of its own: this test program, started for the test
/// `name` alone. `None` if there is no valgrind.
fn under_valgrind(name: &str, body: impl FnOnce()) -> Option<Output> {
    const CHILD: &str = "LISLE_TEST_CHILD";
    if env::var_os(CHILD).is_some_and(|child| child == name) {
        body();
        std::process::exit(0);
    }
    let output = Command::new("valgrind")
        .args(["--quiet", &format!("--error-exitcode={ERROR}")])
        .arg(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .stdin(Stdio::null())
        .output();
    if output.is_err() {
        println!("skipped: valgrind is not installed");
    }
    output.ok()
}

type Plain = Yielder<(), (), ()>;

#[inline(never)]
fn fill(depth: u32) -> u64 {
    let frame = black_box([u64::from(depth); 64]);
    if depth == 0 { frame[0] } else { fill(depth - 1) + black_box(frame)[63] }
}

/// Uses the same stack again and again, with captures of every size at its top.
fn reuse<const LENGTH: usize>(mut stack: Stack) -> Stack {
    for depth in [20, 0, 10] {
        let captured = black_box([7_u8; LENGTH]);
        let body = move |yielder: &Plain, ()| {
            fill(depth);
            yielder.suspend(());
            fill(depth / 2);
            assert!(black_box(captured).iter().all(|byte| *byte == 7));
        };
        let coroutine = Coroutine::with_stack(stack, body);
        assert_eq!(coroutine.resume(()), CoroutineState::Yielded(()));
        assert_eq!(coroutine.backtrace().is_some(), cfg!(not(lisle_switch = "ucontext")));
        assert_eq!(coroutine.resume(()), CoroutineState::Returned(()));
        stack = coroutine.into_stack().unwrap();
    }
    stack
}

#[test]
fn nothing_that_coroutines_do_is_an_error() {
    let output = under_valgrind("nothing_that_coroutines_do_is_an_error", || {
        let mut stack = Stack::allocate(StackSize::DEFAULT).unwrap();
        stack = reuse::<8>(stack);
        stack = reuse::<4000>(stack);
        stack = reuse::<100>(stack);
        drop(reuse::<10_000>(stack));

        let many: Vec<_> = (0..100_u32)
            .map(|n| Generator::new(move |yielder| (0..).for_each(|k| yielder.suspend(n + k))))
            .collect();
        let sums = many.into_iter().map(|generator| generator.take(3).sum::<u32>());
        assert_eq!(sums.sum::<u32>(), 3 * 4950 + 300);

        let panicking = Coroutine::new(|yielder: &Plain, ()| {
            yielder.suspend(());
            fill(20);
            resume_unwind(Box::new(5))
        });
        panicking.resume(());
        let outcome = catch_unwind(AssertUnwindSafe(|| panicking.resume(())));
        assert_eq!(*outcome.unwrap_err().downcast::<i32>().unwrap(), 5);

        let dropped = Coroutine::new(|yielder: &Plain, ()| {
            let _held = vec![1, 2, 3];
            yielder.suspend(());
        });
        dropped.resume(());
    });
    if let Some(output) = output {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(!said.contains("=="), "{said}");
    }
}

#[test]
fn a_use_after_free_in_a_coroutine_is_found() {
    let output = under_valgrind("a_use_after_free_in_a_coroutine_is_found", || {
        let coroutine = Coroutine::new(|yielder: &Plain, ()| {
            let bytes = vec![1_u8; 32];
            let place = bytes.as_ptr();
            yielder.suspend(());
            drop(bytes);
            // SAFETY: there is nothing safe about it. Valgrind takes note.
            black_box(unsafe { black_box(place).read_volatile() });
        });
        coroutine.resume(());
        coroutine.resume(());
    });
    if let Some(output) = output {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(ERROR), "{said}");
        assert!(said.contains("Invalid read of size 1"), "{said}");
    }
}

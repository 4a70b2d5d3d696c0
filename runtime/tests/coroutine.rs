//! Coroutines and their resumers: what each gets from the other, and where the coroutine stands.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::{OnceCell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::thread;

use lisle_runtime::{Coroutine, CoroutineState, CoroutineStatus, ScopedCoroutine, Yielder};
use support::coroutine::{Census, Log, address_here, panic_text, suspend_below};

type Numbers = Yielder<u32, u32, u32>;

#[test]
fn creation_leaves_it_suspended_at_its_beginning() {
    let log = Log::default();
    let noted = log.clone();
    let coroutine = Coroutine::new(move |_: &Yielder<(), (), ()>, ()| noted.note("begun"));
    assert_eq!(coroutine.status(), CoroutineStatus::Suspended);
    assert!(log.take().is_empty());
    coroutine.resume(());
    assert_eq!(log.take(), ["begun"]);
}

#[test]
fn the_first_resume_gives_the_arguments() {
    let coroutine = Coroutine::new(|_: &Yielder<_, (), _>, (name, number): (String, u8)| {
        format!("{name} {number}")
    });
    assert_eq!(coroutine.resume(("size".into(), 7)), CoroutineState::Returned("size 7".into()));
}

#[test]
fn values_go_both_ways() {
    let coroutine = Coroutine::new(|yielder: &Numbers, first| {
        let second = yielder.suspend(first + 1);
        let third = yielder.suspend(second + 2);
        third + 3
    });
    assert_eq!(coroutine.resume(10), CoroutineState::Yielded(11));
    assert_eq!(coroutine.resume(20), CoroutineState::Yielded(22));
    assert_eq!(coroutine.resume(30), CoroutineState::Returned(33));
}

#[test]
fn values_keep_what_they_own() {
    let census = Census::default();
    let inside = census.clone();
    let coroutine = Coroutine::new(move |yielder: &Yielder<_, _, _>, first| {
        let second = yielder.suspend((first, inside.member()));
        (second, inside.member())
    });
    let yielded = coroutine.resume(census.member());
    assert_eq!(census.count(), 2);
    let returned = coroutine.resume(census.member());
    assert_eq!(census.count(), 4);
    drop(yielded);
    assert_eq!(census.count(), 2);
    drop(coroutine);
    assert_eq!(census.count(), 2, "the result is the caller's");
    drop(returned);
    assert_eq!(census.count(), 0);
}

#[test]
fn values_of_every_size_pass() {
    fn pass<T: Copy + PartialEq + std::fmt::Debug + 'static>(value: T) {
        let echo = Coroutine::new(|yielder: &Yielder<T, T, T>, first| yielder.suspend(first));
        assert_eq!(echo.resume(value), CoroutineState::Yielded(value));
        assert_eq!(echo.resume(value), CoroutineState::Returned(value));
    }
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(align(256))]
    struct Aligned(u8);
    pass(());
    pass(true);
    pass(u128::MAX);
    pass([0xa5u8; 3]);
    pass([7u64; 300]);
    pass(Aligned(1));
    pass(None::<&str>);
}

#[test]
fn a_suspension_keeps_any_depth_of_calls() {
    let coroutine = Coroutine::new(|yielder: &Numbers, first| {
        let second = suspend_below(100, yielder, first);
        let third = suspend_below(1, yielder, second);
        suspend_below(300, yielder, third)
    });
    assert_eq!(coroutine.resume(1), CoroutineState::Yielded(1));
    assert_eq!(coroutine.resume(2), CoroutineState::Yielded(2));
    assert_eq!(coroutine.resume(3), CoroutineState::Yielded(3));
    assert_eq!(coroutine.resume(4), CoroutineState::Returned(4));
}

#[test]
fn resuming_a_finished_one_is_an_error() {
    let coroutine = Coroutine::new(|_: &Yielder<_, (), _>, text: String| text.len());
    coroutine.resume("four".into());
    let error = coroutine.try_resume("again".into()).unwrap_err();
    assert_eq!(error.status, CoroutineStatus::Finished);
    assert_eq!(error.to_string(), "the coroutine cannot be resumed: it is finished");
    assert_eq!(error.input, "again", "the argument comes back");
    let text = panic_text(|| coroutine.resume("again".into()));
    assert_eq!(text, "the coroutine cannot be resumed: it is finished");
    assert_eq!(coroutine.status(), CoroutineStatus::Finished);
}

#[test]
fn resuming_a_running_one_is_an_error() {
    type Own = OnceCell<Coroutine<u32, u32, u32>>;
    let own: Rc<Own> = Rc::default();
    let seen = Rc::downgrade(&own);
    let coroutine = Coroutine::new(move |yielder: &Numbers, n| {
        let own: Rc<Own> = seen.upgrade().unwrap();
        let itself = own.get().unwrap();
        let error = itself.try_resume(5).unwrap_err();
        assert_eq!((error.input, error.status), (5, CoroutineStatus::Running));
        assert_eq!(error.to_string(), "the coroutine cannot be resumed: it is running already");
        assert!(panic_text(|| itself.resume(6)).contains("it is running already"));
        yielder.suspend(n) + 1
    });
    let coroutine = own.get_or_init(|| coroutine);
    assert_eq!(coroutine.resume(1), CoroutineState::Yielded(1));
    assert_eq!(coroutine.resume(2), CoroutineState::Returned(3));
}

#[test]
fn the_status_is_right_in_every_phase() {
    let inside: Rc<OnceCell<Rc<Coroutine<(), (), ()>>>> = Rc::default();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (own, noted) = (inside.clone(), seen.clone());
    let coroutine = Rc::new(Coroutine::new(move |yielder, ()| {
        let note = || noted.borrow_mut().push(own.get().unwrap().status());
        note();
        yielder.suspend(());
        note();
        // It runs also while another runs that it has resumed.
        ScopedCoroutine::scope(|_: &Yielder<(), (), ()>, ()| note(), |inner| inner.resume(()));
    }));
    let _ = inside.set(coroutine.clone());

    assert_eq!(coroutine.status(), CoroutineStatus::Suspended);
    coroutine.resume(());
    assert_eq!(coroutine.status(), CoroutineStatus::Suspended);
    coroutine.resume(());
    assert_eq!(coroutine.status(), CoroutineStatus::Finished);
    assert_eq!(*seen.borrow(), [CoroutineStatus::Running; 3]);
    assert!(format!("{coroutine:?}").contains("Finished"));
}

#[test]
fn one_that_panicked_is_finished() {
    let coroutine = Coroutine::new(|_: &Yielder<(), (), ()>, ()| panic_any("out"));
    assert!(catch_unwind(AssertUnwindSafe(|| coroutine.resume(()))).is_err());
    assert_eq!(coroutine.status(), CoroutineStatus::Finished);
    assert_eq!(coroutine.try_resume(()).unwrap_err().status, CoroutineStatus::Finished);
}

#[test]
fn a_thousand_resume_one_another() {
    fn level(depth: u32) -> Coroutine<u32, u32, u32> {
        Coroutine::new(move |yielder: &Numbers, n| {
            if depth == 0 {
                return yielder.suspend(n) + 1;
            }
            let next = level(depth - 1);
            yielder.call(&next, n) + 1
        })
    }
    let outermost = level(1000);
    assert_eq!(outermost.resume(5), CoroutineState::Yielded(5));
    assert_eq!(outermost.resume(7), CoroutineState::Returned(7 + 1001));
}

#[test]
fn a_thousand_nested_ones_run_at_once() {
    fn level(depth: usize, places: Rc<RefCell<Vec<usize>>>) -> Coroutine<(), (), usize> {
        Coroutine::new(move |_: &Yielder<_, _, _>, ()| {
            places.borrow_mut().push(address_here());
            match depth {
                0 => 0,
                _ => match level(depth - 1, places).resume(()) {
                    CoroutineState::Returned(below) => below + 1,
                    CoroutineState::Yielded(()) => unreachable!(),
                },
            }
        })
    }
    let places = Rc::default();
    assert_eq!(level(1000, Rc::clone(&places)).resume(()), CoroutineState::Returned(1000));
    let mut places = places.take();
    places.sort_unstable();
    let apart = places.windows(2).all(|pair| pair[1] - pair[0] >= 32 * 1024);
    assert!(apart && places.len() == 1001, "each has a stack of its own");
}

#[test]
fn call_passes_yields_and_arguments_through() {
    let outer = Coroutine::new(|yielder: &Yielder<u32, String, String>, n| {
        let inner = Coroutine::new(|yielder: &Yielder<u32, String, u32>, n| {
            let more = yielder.suspend(format!("inner got {n}"));
            yielder.suspend(format!("inner got {more}")) * 2
        });
        let result = yielder.call(&inner, n + 1);
        assert_eq!(inner.status(), CoroutineStatus::Finished);
        format!("inner returned {result}")
    });
    assert_eq!(outer.resume(1), CoroutineState::Yielded("inner got 2".into()));
    assert_eq!(outer.resume(10), CoroutineState::Yielded("inner got 10".into()));
    assert_eq!(outer.resume(21), CoroutineState::Returned("inner returned 42".into()));
}

#[test]
fn calling_a_finished_one_panics() {
    let caller = Coroutine::new(|yielder: &Yielder<(), (), ()>, ()| {
        let callee = Coroutine::new(|_: &Yielder<(), (), ()>, ()| ());
        yielder.call(&callee, ());
        yielder.call(&callee, ());
    });
    assert!(panic_text(|| caller.resume(())).contains("it is finished"));
}

#[test]
fn a_panic_goes_through_three_levels_with_its_payload() {
    struct Payload(u32);
    let log = Log::default();
    let noted = log.clone();
    let outer = Coroutine::new(move |_: &Yielder<(), (), ()>, ()| {
        let _outer = noted.on_drop("outer");
        let middle = Coroutine::new(move |_: &Yielder<(), (), ()>, ()| {
            let _middle = noted.on_drop("middle");
            let inner = Coroutine::new(move |yielder: &Yielder<(), (), ()>, ()| {
                let _inner = noted.on_drop("inner");
                yielder.suspend(());
                panic_any(Payload(77));
            });
            inner.resume(());
            inner.resume(());
            noted_unreachable()
        });
        middle.resume(());
    });
    let payload = catch_unwind(AssertUnwindSafe(|| outer.resume(()))).unwrap_err();
    assert_eq!(payload.downcast::<Payload>().unwrap().0, 77);
    assert_eq!(log.take(), ["inner", "middle", "outer"]);
    assert!(!thread::panicking());
}

fn noted_unreachable() {
    unreachable!("the panic goes past the resumer");
}

#[test]
fn a_panic_can_be_caught_on_the_way() {
    let outer = Coroutine::new(|yielder: &Yielder<(), &str, &str>, ()| {
        let inner = Coroutine::new(|_: &Yielder<(), &str, ()>, ()| panic_any("inner"));
        let caught = catch_unwind(AssertUnwindSafe(|| inner.resume(()))).unwrap_err();
        yielder.suspend("still alive");
        *caught.downcast::<&str>().unwrap()
    });
    assert_eq!(outer.resume(()), CoroutineState::Yielded("still alive"));
    assert_eq!(outer.resume(()), CoroutineState::Returned("inner"));
}

#[test]
fn a_body_may_catch_its_own_panic_and_suspend() {
    let coroutine = Coroutine::new(|yielder: &Yielder<(), bool, ()>, ()| {
        let caught = catch_unwind(|| panic_any("own"));
        yielder.suspend(caught.is_err());
        yielder.suspend(thread::panicking());
    });
    assert_eq!(coroutine.resume(()), CoroutineState::Yielded(true));
    assert_eq!(coroutine.resume(()), CoroutineState::Yielded(false));
}

#[test]
fn it_may_be_resumed_inside_another_one_than_its_maker() {
    let shared = Rc::new(Coroutine::new(|yielder: &Numbers, mut n| {
        loop {
            n = yielder.suspend(n + 1);
        }
    }));
    assert_eq!(shared.resume(1), CoroutineState::Yielded(2));
    let theirs = shared.clone();
    let other = Coroutine::new(move |yielder: &Yielder<(), _, ()>, ()| {
        yielder.suspend(theirs.resume(10));
        yielder.suspend(theirs.resume(20));
    });
    assert_eq!(other.resume(()), CoroutineState::Yielded(CoroutineState::Yielded(11)));
    assert_eq!(shared.resume(2), CoroutineState::Yielded(3));
    assert_eq!(other.resume(()), CoroutineState::Yielded(CoroutineState::Yielded(21)));
}

#[test]
fn another_stack_cannot_suspend_it() {
    let outer = Coroutine::new(|yielder: &Yielder<(), &str, ()>, ()| {
        let text = ScopedCoroutine::scope(
            |_: &Yielder<(), (), String>, ()| panic_text(|| yielder.suspend("from the inner one")),
            |inner| inner.resume(()),
        );
        let CoroutineState::Returned(text) = text else { unreachable!() };
        assert!(text.contains("by code that runs on another stack"), "{text}");
        yielder.suspend("from the outer one");
    });
    assert_eq!(outer.resume(()), CoroutineState::Yielded("from the outer one"));
    assert_eq!(outer.resume(()), CoroutineState::Returned(()));
}

#[test]
fn many_threads_have_coroutines_at_once() {
    let threads: Vec<_> = (0..8u32)
        .map(|thread| {
            thread::spawn(move || {
                let coroutines: Vec<_> = (0..50)
                    .map(|_| {
                        Coroutine::new(|yielder: &Numbers, mut sum| {
                            for _ in 0..20 {
                                sum += suspend_below(10, yielder, sum);
                            }
                            sum
                        })
                    })
                    .collect();
                for round in 0..20 {
                    for coroutine in &coroutines {
                        assert_eq!(
                            coroutine.resume(thread),
                            CoroutineState::Yielded((round + 1) * thread)
                        );
                    }
                }
                let sum = |coroutine: &Coroutine<_, u32, u32>| match coroutine.resume(thread) {
                    CoroutineState::Returned(sum) => sum,
                    CoroutineState::Yielded(_) => unreachable!(),
                };
                coroutines.iter().map(sum).sum::<u32>()
            })
        })
        .collect();
    for (thread, sum) in (0..8).zip(threads) {
        assert_eq!(sum.join().unwrap(), 50 * 21 * thread);
    }
}

#[test]
fn one_in_a_thread_local_ends_with_its_thread() {
    thread_local! {
        static KEPT: OnceCell<Coroutine<(), (), ()>> = const { OnceCell::new() };
    }
    let (done, ended) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let coroutine = Coroutine::new(move |yielder, ()| {
            let _at_the_end =
                support::coroutine::OnDrop::new(move || done.send("unwound").unwrap());
            yielder.suspend(());
        });
        KEPT.with(|kept| kept.get_or_init(|| coroutine).resume(()));
    })
    .join()
    .unwrap();
    assert_eq!(ended.recv(), Ok("unwound"));
}

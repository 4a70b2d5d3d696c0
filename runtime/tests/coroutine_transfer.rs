//! Symmetric transfer: one coroutine leaves to another, and the answer comes from whichever of them
//! suspends or returns first.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::{Cell, OnceCell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;

use lisle_runtime::switch::BACKEND;
use lisle_runtime::{
    Coroutine, CoroutineState, CoroutineStatus, ScopedCoroutine, WeakCoroutine, Yielder,
};
use support::coroutine::{Census, Log, address_here, panic_text};

/// A place for a weak handle of a coroutine that is made later than a body.
type Later<I, Y, R> = Rc<OnceCell<WeakCoroutine<I, Y, R>>>;

/// A place for a handle that can be emptied.
type Owner<I, Y, R> = Rc<RefCell<Option<Coroutine<I, Y, R>>>>;

#[test]
fn millions_of_transfers_do_not_deepen_any_stack() {
    // The portable backend makes a system call for each.
    const TRANSFERS: u64 =
        if matches!(BACKEND.as_bytes(), b"ucontext") { 1_000_000 } else { 10_000_000 };

    /// The lowest and the highest address that a party has seen.
    #[derive(Clone, Copy)]
    struct Span(usize, usize);

    fn party(other: Later<u64, Span, Span>) -> Coroutine<u64, Span, Span> {
        Coroutine::new(move |yielder: &Yielder<_, _, _>, mut left: u64| {
            let other = other.get().unwrap();
            let mut span = Span(usize::MAX, 0);
            while left > 0 {
                let here = address_here();
                span = Span(span.0.min(here), span.1.max(here));
                left = yielder.transfer(other, left - 1);
            }
            span
        })
    }
    let (weak_first, weak_second) = (Later::default(), Later::default());
    let first = party(weak_second.clone());
    let second = party(weak_first.clone());
    let _ = (weak_first.set(first.downgrade()), weak_second.set(second.downgrade()));
    let CoroutineState::Returned(Span(low, high)) = first.resume(TRANSFERS) else { panic!() };
    assert_eq!(low, high, "one of both ended, having always run at the same depth");
    assert_eq!(
        [first.status(), second.status()].map(|status| status == CoroutineStatus::Finished),
        [true, false]
    );
}

#[test]
fn a_ring_of_three_goes_round() {
    let order = Rc::new(RefCell::new(String::new()));
    let handles: [Later<u32, (), ()>; 3] = Default::default();
    let ring: Vec<_> = (0..3)
        .map(|place| {
            let (next, order) = (handles[(place + 1) % 3].clone(), order.clone());
            Coroutine::new(move |yielder: &Yielder<_, (), ()>, mut left: u32| {
                while left > 0 {
                    order.borrow_mut().push(['a', 'b', 'c'][place]);
                    left = yielder.transfer(next.get().unwrap(), left - 1);
                }
            })
        })
        .collect();
    for (weak, coroutine) in handles.iter().zip(&ring) {
        weak.set(coroutine.downgrade()).unwrap();
    }
    assert_eq!(ring[0].resume(7), CoroutineState::Returned(()));
    assert_eq!(*order.borrow(), "abcabca");
    assert_eq!(ring[1].status(), CoroutineStatus::Finished, "the one with nothing left answered");
    assert_eq!([ring[0].status(), ring[2].status()], [CoroutineStatus::Suspended; 2]);
}

#[test]
fn the_answer_comes_from_the_one_that_was_reached() {
    let last = Coroutine::new(|yielder: &Yielder<u32, u32, u32>, n| yielder.suspend(n + 1) + 2);
    let weak = last.downgrade();
    let first = Coroutine::new(move |yielder: &Yielder<u32, u32, u32>, n| {
        let back = yielder.transfer(&weak, n * 10);
        yielder.transfer(&weak, back * 10)
    });
    assert_eq!(first.resume(4), CoroutineState::Yielded(41));
    assert_eq!([first.status(), last.status()], [CoroutineStatus::Suspended; 2]);
    // Now each is suspended in its own place, and either may be resumed.
    assert_eq!(first.resume(5), CoroutineState::Returned(52));
    assert_eq!(last.status(), CoroutineStatus::Finished);
    assert_eq!(first.resume(6), CoroutineState::Returned(6));
}

#[test]
fn the_end_of_the_other_is_not_ones_own() {
    for ends_in_panic in [false, true] {
        let other = Coroutine::new(move |_: &Yielder<u32, u32, u32>, n| {
            assert!(!ends_in_panic, "the other's end");
            n + 1
        });
        let weak = other.downgrade();
        let first = Coroutine::new(move |yielder: &Yielder<u32, u32, u32>, n| {
            let n = yielder.transfer(&weak, n);
            let n = yielder.suspend(n * 2);
            n * 3
        });
        let answer = catch_unwind(AssertUnwindSafe(|| first.resume(1)));
        match ends_in_panic {
            false => assert_eq!(answer.unwrap(), CoroutineState::Returned(2)),
            true => assert!(answer.is_err()),
        }
        assert_eq!(first.resume(10), CoroutineState::Yielded(20));
        assert_eq!(first.resume(100), CoroutineState::Returned(300));
    }
}

#[test]
fn one_that_has_not_begun_gets_its_first_argument() {
    let log = Log::default();
    let noted = log.clone();
    let fresh = Coroutine::new(move |_: &Yielder<&'static str, (), ()>, text| noted.note(text));
    let weak = fresh.downgrade();
    let first = Coroutine::new(move |yielder: &Yielder<u8, (), ()>, _| {
        yielder.transfer(&weak, "of another type");
    });
    assert_eq!(first.resume(1), CoroutineState::Returned(()));
    assert_eq!(log.take(), ["of another type"]);
    assert_eq!(first.status(), CoroutineStatus::Suspended);
}

#[test]
fn a_transfer_to_one_that_cannot_go_on_panics() {
    let own: Later<(), (), ()> = Rc::default();
    let weak = own.clone();
    let selfish = Coroutine::new(move |yielder: &Yielder<(), (), ()>, ()| {
        yielder.transfer(weak.get().unwrap(), ());
    });
    own.set(selfish.downgrade()).unwrap();
    assert_eq!(
        panic_text(|| selfish.resume(())),
        "cannot transfer to a coroutine that is running already"
    );

    let to = |weak: WeakCoroutine<(), (), ()>| {
        let from = Coroutine::new(move |yielder: &Yielder<(), (), ()>, ()| {
            let text = panic_text(|| yielder.transfer(&weak, ()));
            yielder.suspend(()); // a failed transfer leaves it as it was
            panic_any(text);
        });
        assert_eq!(from.resume(()), CoroutineState::Yielded(()));
        panic_text(|| from.resume(()))
    };
    assert_eq!(to(selfish.downgrade()), "cannot transfer to a coroutine that is finished");
    let weak = Coroutine::new(|_: &Yielder<(), (), ()>, ()| ()).downgrade();
    assert_eq!(weak.status(), None);
    assert_eq!(to(weak), "cannot transfer to a coroutine that was dropped");
}

#[test]
fn a_transfer_to_a_resumer_panics() {
    let own: Later<(), (), String> = Rc::default();
    let weak = own.clone();
    let outer = Coroutine::new(move |_: &Yielder<(), (), String>, ()| {
        let inner = Coroutine::new(move |yielder: &Yielder<(), (), String>, ()| {
            panic_text(|| yielder.transfer(weak.get().unwrap(), ()))
        });
        let CoroutineState::Returned(text) = inner.resume(()) else { unreachable!() };
        text
    });
    own.set(outer.downgrade()).unwrap();
    let CoroutineState::Returned(text) = outer.resume(()) else { unreachable!() };
    assert_eq!(text, "cannot transfer to a coroutine that is running already");
}

#[test]
fn a_refused_transfer_drops_its_argument() {
    let census = Census::default();
    let members = census.clone();
    let weak = Coroutine::new(|_: &Yielder<_, (), ()>, _| ()).downgrade();
    let from = Coroutine::new(move |yielder: &Yielder<(), (), ()>, ()| {
        panic_text(|| yielder.transfer(&weak, members.member()));
    });
    from.resume(());
    assert_eq!(census.count(), 0);
}

#[test]
fn a_transfer_inside_a_chain_stays_inside() {
    let other = Coroutine::new(|yielder: &Yielder<u32, u32, u32>, n| yielder.suspend(n + 100));
    let weak = other.downgrade();
    let outer = Coroutine::new(move |yielder: &Yielder<u32, (u32, u32), u32>, n| {
        let inner = Coroutine::new(move |yielder: &Yielder<u32, u32, u32>, n| {
            yielder.transfer(&weak, n + 10)
        });
        // The answer of `other` comes here, not to the resumer of `outer`.
        let CoroutineState::Yielded(first) = inner.resume(n + 1) else { panic!() };
        let n = yielder.suspend((first, n));
        let CoroutineState::Returned(second) = inner.resume(n) else { panic!() };
        second
    });
    assert_eq!(outer.resume(1), CoroutineState::Yielded((112, 1)));
    assert_eq!(other.resume(5), CoroutineState::Returned(5));
    assert_eq!(outer.resume(7), CoroutineState::Returned(7));
}

#[test]
fn one_that_was_left_may_be_resumed_below_the_one_it_went_to() {
    // `first` is resumed, leaves to `second`, and `second` resumes `first`: two answers are due
    // then.
    let first_handle: Rc<OnceCell<Coroutine<u32, u32, u32>>> = Rc::default();
    let handle = first_handle.clone();
    let second = Coroutine::new(move |yielder: &Yielder<u32, u32, u32>, n| {
        let first = handle.get().unwrap();
        assert_eq!(first.status(), CoroutineStatus::Suspended);
        assert_eq!(first.resume(n + 1), CoroutineState::Yielded(n + 2));
        let n = yielder.suspend(n + 1000);
        assert_eq!(first.resume(n), CoroutineState::Returned(n));
        n + 1
    });
    let weak = second.downgrade();
    let first = first_handle.get_or_init(|| {
        Coroutine::new(move |yielder: &Yielder<u32, u32, u32>, n| {
            let n = yielder.transfer(&weak, n * 10);
            yielder.suspend(n + 1)
        })
    });
    assert_eq!(first.resume(1), CoroutineState::Yielded(1010));
    assert_eq!(second.resume(7), CoroutineState::Returned(8));
    assert_eq!(first.status(), CoroutineStatus::Finished);
}

#[test]
fn a_panic_goes_to_the_resumer_of_the_group() {
    let bad = Coroutine::new(|_: &Yielder<(), (), ()>, ()| panic_any("from the second"));
    let weak = bad.downgrade();
    let first = Coroutine::new(move |yielder: &Yielder<(), (), ()>, ()| {
        yielder.transfer(&weak, ());
    });
    let payload = catch_unwind(AssertUnwindSafe(|| first.resume(()))).unwrap_err();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "from the second");
    assert_eq!(
        [first.status(), bad.status()],
        [CoroutineStatus::Suspended, CoroutineStatus::Finished]
    );
    assert_eq!(first.resume(()), CoroutineState::Returned(()));
}

#[test]
fn one_that_borrows_can_transfer_away() {
    let count = Cell::new(0);
    let helper = Coroutine::new(|yielder: &Yielder<(), u32, ()>, ()| {
        for n in 1.. {
            yielder.suspend(n);
        }
    });
    let weak = helper.downgrade();
    ScopedCoroutine::scope(
        |yielder: &Yielder<(), u32, ()>, ()| {
            for _ in 0..3 {
                count.set(count.get() + 1);
                yielder.transfer(&weak, ());
            }
        },
        |borrower| {
            for n in 1..=3 {
                assert_eq!(borrower.resume(()), CoroutineState::Yielded(n));
                assert_eq!(count.get(), n);
            }
            assert_eq!(borrower.resume(()), CoroutineState::Returned(()));
        },
    );
}

#[test]
fn weak_handles_tell_where_their_coroutine_stands() {
    let coroutine = Coroutine::new(|yielder: &Yielder<(), (), ()>, ()| yielder.suspend(()));
    let weak = coroutine.downgrade();
    let copy = weak.clone();
    assert_eq!(weak.status(), Some(CoroutineStatus::Suspended));
    coroutine.resume(());
    coroutine.resume(());
    assert_eq!(copy.status(), Some(CoroutineStatus::Finished));
    assert!(format!("{weak:?}").contains("Finished"));
    drop(coroutine);
    assert_eq!((weak.status(), copy.status()), (None, None));
}

#[test]
fn a_weak_handle_survives_a_forgotten_coroutine() {
    let coroutine = Coroutine::new(|yielder: &Yielder<(), u32, ()>, ()| {
        for n in 0.. {
            yielder.suspend(n);
        }
    });
    let weak = coroutine.downgrade();
    std::mem::forget(coroutine);
    let other = Coroutine::new(move |yielder: &Yielder<(), u32, ()>, ()| {
        loop {
            yielder.transfer(&weak, ());
        }
    });
    assert_eq!(other.resume(()), CoroutineState::Yielded(0));
    assert_eq!(other.resume(()), CoroutineState::Yielded(1));
}

#[test]
fn one_that_drops_its_own_handle_goes_on() {
    let census = Census::default();
    let handle: Owner<(), &str, &str> = Rc::default();
    let (own, member) = (handle.clone(), census.member());
    let loner = Coroutine::new(move |_: &Yielder<(), &'static str, _>, ()| {
        let _member = member;
        drop(own.take().expect("its own handle"));
        "went on"
    });
    let weak = loner.downgrade();
    handle.replace(Some(loner));
    let from = weak.clone();
    let first = Coroutine::new(move |yielder: &Yielder<(), &str, &str>, ()| {
        yielder.transfer(&from, ());
        "resumed"
    });
    assert_eq!(first.resume(()), CoroutineState::Returned("went on"));
    assert_eq!(weak.status(), None);
    assert_eq!(census.count(), 0);
    assert_eq!(first.resume(()), CoroutineState::Returned("resumed"));
}

#[test]
fn one_that_drops_its_own_handle_may_be_left_for_ever() {
    let census = Census::default();
    let handle: Owner<(), u8, ()> = Rc::default();
    let (own, member) = (handle.clone(), census.member());
    let loner = Coroutine::new(move |yielder: &Yielder<(), u8, ()>, ()| {
        let _member = member;
        drop(own.take().expect("its own handle"));
        yielder.suspend(1);
        unreachable!("nothing can resume it");
    });
    let weak = loner.downgrade();
    handle.replace(Some(loner));
    let first = Coroutine::new(move |yielder: &Yielder<(), u8, ()>, ()| {
        yielder.transfer(&weak, ());
        assert!(panic_text(|| yielder.transfer(&weak, ())).contains("was dropped"));
    });
    assert_eq!(first.resume(()), CoroutineState::Yielded(1));
    assert_eq!(first.resume(()), CoroutineState::Returned(()));
    assert_eq!(census.count(), 1, "it is leaked with all that it holds");
}

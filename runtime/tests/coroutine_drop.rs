//! How coroutines end before their time: dropped or forgotten.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashSet;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::thread;

use lisle_runtime::stack::{Stack, StackSize};
use lisle_runtime::{Coroutine, CoroutineState, WeakCoroutine, Yielder};
use support::coroutine::{Census, Log, OnDrop, address_here, suspend_below};
use support::stack::in_child;

type Plain = Yielder<(), (), ()>;

#[test]
fn a_suspended_one_is_unwound_in_order_on_this_thread() {
    let log = Log::default();
    let noted = log.clone();
    let home = thread::current().id();
    let coroutine = Coroutine::new(move |yielder: &Plain, ()| {
        let _first = noted.on_drop("first");
        let inner = || {
            let _second = noted.on_drop("second");
            let _third = OnDrop::new(|| assert_eq!(thread::current().id(), home));
            let _fourth = noted.on_drop("fourth");
            suspend_below(5, yielder, ());
            noted.note("went on");
        };
        inner();
        noted.note("went on");
    });
    coroutine.resume(());
    assert!(log.take().is_empty());
    drop(coroutine);
    assert_eq!(log.take(), ["fourth", "second", "first"]);
    assert!(!thread::panicking());
}

#[test]
fn one_that_has_not_begun_drops_its_captures() {
    let census = Census::default();
    let (member, weak) = (census.member(), OnceCell::<WeakCoroutine<(), (), ()>>::new());
    let coroutine = Coroutine::new(move |_: &Plain, ()| drop(member));
    let _ = weak.set(coroutine.downgrade());
    assert_eq!(census.count(), 1);
    drop(coroutine);
    assert_eq!(census.count(), 0);
    assert_eq!(weak.get().unwrap().status(), None);
}

#[test]
fn a_finished_one_has_dropped_everything() {
    let census = Census::default();
    let member = census.member();
    let coroutine = Coroutine::new(move |_: &Yielder<_, (), ()>, argument| {
        let _both = (member, argument);
    });
    coroutine.resume(census.member());
    assert_eq!(census.count(), 0);
    drop(coroutine);
    assert_eq!(census.count(), 0);
}

#[test]
fn arguments_and_captures_of_a_suspended_one_are_dropped_once() {
    let census = Census::default();
    let member = census.member();
    let coroutine = Coroutine::new(move |yielder: &Yielder<_, (), ()>, first| {
        let second = yielder.suspend(());
        yielder.suspend(());
        drop((member, first, second));
    });
    coroutine.resume(census.member());
    coroutine.resume(census.member());
    assert_eq!(census.count(), 3);
    drop(coroutine);
    assert_eq!(census.count(), 0);
}

#[test]
fn ten_thousand_dropped_ones_leak_neither_values_nor_stacks() {
    let census = Census::default();
    let mut stacks = HashSet::new();
    for round in 0..10_000 {
        let member = census.member();
        let coroutine = Coroutine::new(move |yielder: &Yielder<(), usize, ()>, ()| {
            let _member = member;
            yielder.suspend(address_here());
        });
        if round % 3 > 0 {
            let CoroutineState::Yielded(address) = coroutine.resume(()) else { panic!() };
            stacks.insert(address / StackSize::DEFAULT.bytes());
        }
        if round % 3 > 1 {
            coroutine.resume(());
        }
    }
    assert_eq!(census.count(), 0);
    assert!(stacks.len() <= 2, "{} stacks were used in turn", stacks.len());
}

#[test]
fn a_nested_chain_is_unwound_from_the_outside() {
    let log = Log::default();
    let noted = log.clone();
    let outer = Coroutine::new(move |yielder: &Plain, ()| {
        let _outer = noted.on_drop("outer");
        let inner = Coroutine::new({
            let noted = noted.clone();
            move |yielder: &Plain, ()| {
                let _inner = noted.on_drop("inner");
                yielder.suspend(());
            }
        });
        yielder.call(&inner, ());
    });
    outer.resume(());
    drop(outer);
    assert_eq!(log.take(), ["inner", "outer"]);
}

#[test]
fn a_thousand_that_own_one_another_are_unwound() {
    fn level(depth: u32, census: Census) -> Coroutine<(), (), ()> {
        Coroutine::new(move |yielder: &Plain, ()| {
            let _member = census.member();
            if depth > 0 {
                let next = level(depth - 1, census.clone());
                next.resume(());
                yielder.suspend(());
            } else {
                yielder.suspend(());
            }
        })
    }
    let census = Census::default();
    let outermost = level(1000, census.clone());
    outermost.resume(());
    assert_eq!(census.count(), 1001);
    drop(outermost);
    assert_eq!(census.count(), 0);
}

#[test]
fn one_is_unwound_also_while_its_owner_unwinds() {
    let log = Log::default();
    let noted = log.clone();
    let payload = catch_unwind(AssertUnwindSafe(|| {
        let inside = noted.clone();
        let coroutine = Coroutine::new(move |yielder: &Plain, ()| {
            let _inner = inside.on_drop("inner");
            yielder.suspend(());
        });
        coroutine.resume(());
        let _owner = noted.on_drop("owner");
        panic_any("owner's");
    }));
    assert_eq!(*payload.unwrap_err().downcast::<&str>().unwrap(), "owner's");
    assert_eq!(log.take(), ["owner", "inner"]);
    assert!(!thread::panicking());
}

#[test]
fn a_panic_on_the_way_out_comes_out_of_the_drop() {
    let census = Census::default();
    let member = census.member();
    let coroutine = Coroutine::new(move |yielder: &Yielder<(), usize, ()>, ()| {
        let _member = member;
        let _ = catch_unwind(AssertUnwindSafe(|| yielder.suspend(address_here())));
        panic_any("on the way out");
    });
    let CoroutineState::Yielded(place) = coroutine.resume(()) else { panic!() };
    let payload = catch_unwind(AssertUnwindSafe(|| drop(coroutine))).unwrap_err();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "on the way out");
    assert_eq!(census.count(), 0);

    let next = Coroutine::new(|_: &Yielder<(), (), usize>, ()| address_here());
    let CoroutineState::Returned(next_place) = next.resume(()) else { panic!() };
    assert!(next_place.abs_diff(place) < StackSize::MIN.bytes(), "the stack was not leaked");
}

#[test]
fn the_panic_of_a_capture_that_is_dropped_comes_out_too() {
    let census = Census::default();
    let (member, bomb) = (census.member(), OnDrop::new(|| panic_any("capture")));
    let coroutine = Coroutine::new(move |_: &Plain, ()| drop((bomb, member)));
    let payload = catch_unwind(AssertUnwindSafe(|| drop(coroutine))).unwrap_err();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "capture");
    assert_eq!(census.count(), 0, "the other captures are dropped");
}

#[test]
fn a_body_that_catches_the_unwinding_is_unwound_again() {
    let log = Log::default();
    let noted = log.clone();
    let coroutine = Coroutine::new(move |yielder: &Plain, ()| {
        loop {
            let caught = catch_unwind(AssertUnwindSafe(|| yielder.suspend(())));
            if caught.is_err() {
                noted.note("caught");
                let _last = noted.on_drop("last");
                yielder.suspend(());
                unreachable!("it is being dropped");
            }
        }
    });
    coroutine.resume(());
    coroutine.resume(());
    drop(coroutine);
    assert_eq!(log.take(), ["caught", "last"]);
}

#[test]
fn a_body_that_returns_while_it_is_dropped_has_its_result_dropped() {
    let census = Census::default();
    let inside = census.clone();
    let coroutine = Coroutine::new(move |yielder: &Yielder<(), (), _>, ()| {
        let _ = catch_unwind(AssertUnwindSafe(|| yielder.suspend(())));
        inside.member()
    });
    coroutine.resume(());
    drop(coroutine);
    assert_eq!(census.count(), 0);
}

#[test]
fn others_may_be_used_while_one_is_dropped() {
    let log = Log::default();
    let noted = log.clone();
    let coroutine = Coroutine::new(move |yielder: &Plain, ()| {
        let _uses = OnDrop::new(move || {
            let other = Coroutine::new(|yielder: &Yielder<(), u32, u32>, ()| {
                yielder.suspend(1);
                2
            });
            assert_eq!(other.resume(()), CoroutineState::Yielded(1));
            assert_eq!(other.resume(()), CoroutineState::Returned(2));
            noted.note("used another");
        });
        yielder.suspend(());
    });
    coroutine.resume(());
    drop(coroutine);
    assert_eq!(log.take(), ["used another"]);
}

#[test]
fn a_destructor_that_suspends_while_it_is_dropped_aborts() {
    let ended = in_child("a_destructor_that_suspends_while_it_is_dropped_aborts", &[], || {
        let coroutine = Coroutine::new(|yielder: &Plain, ()| {
            let _suspends = OnDrop::new(|| yielder.suspend(()));
            yielder.suspend(());
        });
        coroutine.resume(());
        drop(coroutine);
    });
    ended.assert_killed_by(libc::SIGABRT);
    assert!(ended.stderr.contains("panic in a destructor"), "{}", ended.stderr);
}

#[test]
fn a_forgotten_one_keeps_what_it_holds_for_ever() {
    let census = Census::default();
    let shared = Rc::new(Cell::new(1));
    let (member, theirs) = (census.member(), shared.clone());
    let coroutine = Coroutine::new(move |yielder: &Yielder<(), usize, ()>, ()| {
        let on_its_stack = [theirs.get(); 100];
        let _member = member;
        yielder.suspend(address_here());
        assert_eq!(on_its_stack, [1; 100]);
    });
    let CoroutineState::Yielded(place) = coroutine.resume(()) else { panic!() };
    mem::forget(coroutine);
    shared.set(2);
    for _ in 0..100 {
        let other = Coroutine::new(|_: &Yielder<(), (), usize>, ()| address_here());
        let CoroutineState::Returned(other_place) = other.resume(()) else { panic!() };
        assert!(other_place.abs_diff(place) > StackSize::MIN.bytes(), "its stack is not reused");
    }
    assert_eq!(census.count(), 1);
}

#[test]
fn the_stack_can_be_had_back() {
    let size = StackSize::new(1 << 20);
    let mut stack = Stack::allocate(size).unwrap();
    let top = stack.top();
    for end in 0..3 {
        let coroutine = Coroutine::with_stack(stack, |yielder: &Yielder<(), usize, ()>, ()| {
            yielder.suspend(address_here());
        });
        for _ in 0..end {
            if let CoroutineState::Yielded(place) = coroutine.resume(()) {
                assert!((1..16 * 1024).contains(&(top.addr() - place)));
            }
        }
        stack = coroutine.into_stack().unwrap();
        assert_eq!((stack.top(), stack.size()), (top, size));
    }
}

#[test]
fn stacks_of_other_sizes_are_not_given_to_the_next_one() {
    // Twice as deep as the small stack.
    fn deep(left: u32) -> u32 {
        let frame = std::hint::black_box([left; 256]);
        if left == 0 { 0 } else { deep(left - 1) + frame[9] / left }
    }
    let small = Stack::allocate(StackSize::MIN).unwrap();
    drop(Coroutine::with_stack(small, |_: &Plain, ()| ()));
    let coroutine = Coroutine::new(|_: &Yielder<(), (), u32>, ()| deep(64));
    assert_eq!(coroutine.resume(()), CoroutineState::Returned(64));
}

#[test]
fn a_handle_in_its_own_captures_is_no_trouble() {
    let own: Rc<RefCell<Option<Coroutine<(), (), ()>>>> = Rc::default();
    let (captured, census) = (own.clone(), Census::default());
    let member = census.member();
    let coroutine = Coroutine::new(move |_: &Plain, ()| drop((captured, member)));
    own.replace(Some(coroutine));
    drop(own.take());
    assert_eq!((census.count(), Rc::strong_count(&own)), (0, 1));
}

/// A body that catches its unwinding returns a value, which panics when it is dropped: the panic
/// comes out of the drop, and the stack is there for the next one.
#[test]
fn a_last_value_that_panics_when_dropped_costs_no_stack() {
    let coroutine = Coroutine::new(|yielder: &Yielder<(), usize, _>, ()| {
        let _ = catch_unwind(AssertUnwindSafe(|| yielder.suspend(address_here())));
        OnDrop::new(|| panic_any("in the value"))
    });
    let CoroutineState::Yielded(used) = coroutine.resume(()) else { panic!("it yields") };
    let panic = catch_unwind(AssertUnwindSafe(|| drop(coroutine))).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"in the value"));
    let next = Coroutine::new(|_: &Yielder<(), (), usize>, ()| address_here());
    let CoroutineState::Returned(address) = next.resume(()) else { panic!("it does not yield") };
    assert!(address.abs_diff(used) < 256 * 1024, "the last stack used comes first");
}

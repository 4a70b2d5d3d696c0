//! Backtraces of what is suspended, taken from the top of its stack without resuming it.
#![cfg(not(lisle_switch = "ucontext"))]

mod support;

use std::backtrace::Backtrace;
use std::cell::{Cell, OnceCell, RefCell};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;

use lisle_runtime::stack::{Stack, StackSize};
use lisle_runtime::switch::{Context, ROOM_ON_TOP, on_top_of, prepare, switch, switch_for_good};
use lisle_runtime::{Coroutine, CoroutineState, CoroutineStatus, WeakCoroutine, Yielder};
use support::stack::in_child;

/// The names of the frames, innermost first.
fn frames(backtrace: &Backtrace) -> Vec<String> {
    let text = backtrace.to_string();
    let names = text.lines().filter_map(|line| line.trim().split_once(": "));
    names.map(|(_, name)| name.to_owned()).collect()
}

/// Asserts that functions of these names come in this order.
#[track_caller]
fn assert_in_order(frames: &[String], names: &[&str]) {
    let mut rest = frames.iter();
    for name in names {
        assert!(rest.any(|frame| frame.contains(name)), "{name} is missing in {frames:#?}");
    }
}

/// Bounds the memory of a backtrace that does not find the end of the stack and goes on for ever.
fn end_before_a_loop_fills_the_memory() {
    let seconds = libc::rlimit { rlim_cur: 60, rlim_max: 60 };
    // SAFETY: the call reads the limit and changes a setting of this process.
    unsafe { libc::setrlimit(libc::RLIMIT_CPU, &seconds) };
}

type Counting = Yielder<u64, u64, u64>;

/// A function with such a variable finds its frame by the frame pointer, not by the stack pointer.
#[repr(align(64))]
struct Aligned([u64; 8]);

#[inline(never)]
fn innermost(yielder: &Counting, value: u64) -> u64 {
    let kept = black_box(Aligned([value; 8]));
    let input = yielder.suspend(value);
    assert_eq!(black_box(&kept).0, [value; 8]);
    black_box(input) + 1
}

#[inline(never)]
fn middle(yielder: &Counting, value: u64) -> u64 {
    let kept = black_box([value; 8]);
    let input = innermost(yielder, value * 2);
    assert_eq!(kept, [value; 8]);
    black_box(input) + 1
}

#[inline(never)]
fn outermost(yielder: &Counting, first: u64) -> u64 {
    let mut value = first;
    while value < 1_000_000 {
        value = black_box(middle(yielder, value));
    }
    value
}

#[inline(never)]
fn the_resumer(coroutine: &Coroutine<u64, u64, u64>, input: u64) -> CoroutineState<u64, u64> {
    black_box(coroutine.resume(black_box(input)))
}

#[test]
fn the_calls_of_a_suspended_body_appear_in_order_and_its_resumer_does_not() {
    let name = "the_calls_of_a_suspended_body_appear_in_order_and_its_resumer_does_not";
    in_child(name, &[], || {
        end_before_a_loop_fills_the_memory();
        let coroutine = Coroutine::new(outermost);
        for turn in 0..1000 {
            let expected = if turn == 0 { 0 } else { 2 * (turn + 2) };
            assert_eq!(the_resumer(&coroutine, turn), CoroutineState::Yielded(expected));
            let backtrace = coroutine.backtrace().unwrap();
            // Finding the names takes long.
            if turn % 100 == 0 {
                let frames = frames(&backtrace);
                assert_in_order(&frames, &["innermost", "middle", "outermost", "ends::base"]);
                assert!(!frames.iter().any(|frame| frame.contains("the_resumer")), "{frames:#?}");
                let base = frames.iter().rposition(|frame| frame.contains("ends::base")).unwrap();
                // Below it come only the frames of the backend and of a sanitizer, and its own, if
                // the program has line tables only and shows that without its path.
                assert!(frames.len() - base <= 4, "{frames:#?}");
            }
        }
        assert_eq!(the_resumer(&coroutine, 1_000_000), CoroutineState::Returned(1_000_002));
    })
    .assert_success();
}

#[test]
fn there_is_none_before_the_beginning_while_it_runs_and_after_the_end() {
    let handle = Rc::new(OnceCell::<Rc<Coroutine<(), (), ()>>>::new());
    let seen_inside = Rc::new(Cell::new(None));
    let coroutine = Rc::new(Coroutine::new({
        let (handle, seen_inside) = (handle.clone(), seen_inside.clone());
        move |yielder: &Yielder<_, _, _>, ()| {
            let myself = handle.get().unwrap();
            seen_inside.set(Some((myself.status(), myself.backtrace().is_some())));
            yielder.suspend(());
        }
    }));
    handle.set(coroutine.clone()).unwrap();
    assert!(coroutine.backtrace().is_none());
    coroutine.resume(());
    assert_eq!(seen_inside.get(), Some((CoroutineStatus::Running, false)));
    assert!(coroutine.backtrace().is_some());
    coroutine.resume(());
    assert!(coroutine.backtrace().is_none());
}

#[inline(never)]
fn frame_of_the_transfer(yielder: &Yielder<(), (), ()>, next: &WeakCoroutine<(), (), ()>) {
    yielder.transfer(next, ());
    black_box(next);
}

#[test]
fn one_that_has_transferred_shows_where() {
    let second = Coroutine::new(|yielder: &Yielder<(), (), ()>, ()| yielder.suspend(()));
    let next = second.downgrade();
    let first = Coroutine::new(move |yielder, ()| frame_of_the_transfer(yielder, &next));
    first.resume(());
    let frames = frames(&first.backtrace().unwrap());
    assert_in_order(&frames, &["frame_of_the_transfer", "ends::base"]);
}

#[test]
fn each_of_a_nested_chain_shows_its_own_calls_only() {
    let inner = Rc::new(Coroutine::new(outermost));
    let outer = Coroutine::new({
        let inner = inner.clone();
        move |yielder: &Yielder<(), (), ()>, ()| {
            the_resumer(&inner, 0);
            yielder.suspend(());
        }
    });
    outer.resume(());
    let shown = frames(&outer.backtrace().unwrap());
    assert!(!shown.iter().any(|frame| frame.contains("innermost")), "{shown:#?}");
    let shown = frames(&inner.backtrace().unwrap());
    assert_in_order(&shown, &["innermost", "middle", "outermost"]);
    assert!(!shown.iter().any(|frame| frame.contains("the_resumer")), "{shown:#?}");
}

/// Goes down until less than `left` bytes of the stack remain, and suspends there.
#[inline(never)]
fn descend(yielder: &Yielder<(), (), ()>, bottom: usize, left: usize) {
    let frame = black_box([0_u8; 256]);
    let here = black_box(&raw const frame).addr();
    if here - bottom > left + 1024 {
        descend(yielder, bottom, left);
    } else {
        yielder.suspend(());
    }
    black_box(frame);
}

#[test]
fn a_stack_with_too_little_room_is_left_alone() {
    for (left, enough) in [(2 * ROOM_ON_TOP, true), (ROOM_ON_TOP / 2, false)] {
        let stack = Stack::allocate(StackSize::new(64 * 1024)).unwrap();
        let bottom = stack.bottom().addr();
        let body = move |yielder: &Yielder<_, _, _>, ()| descend(yielder, bottom, left);
        let coroutine = Coroutine::with_stack(stack, body);
        coroutine.resume(());
        assert_eq!(coroutine.backtrace().is_some(), enough, "{left} bytes left");
        assert_eq!(coroutine.resume(()), CoroutineState::Returned(()));
    }
}

/// A stack that is suspended by hand.
struct Suspended {
    stack: Stack,
    inside: Cell<Context>,
    outside: Cell<Context>,
    went_on: Cell<bool>,
}

impl Suspended {
    fn new() -> Box<Self> {
        let stack = Stack::allocate(StackSize::DEFAULT).unwrap();
        let top = stack.top();
        let inside = Cell::new(Context::NONE);
        let outside = Cell::new(Context::NONE);
        let this = Box::new(Self { stack, inside, outside, went_on: Cell::new(false) });
        // SAFETY: the stack is unused, and `finish` keeps it until the entry has left it for good.
        this.inside
            .set(unsafe { prepare(top, suspend_once, (&raw const *this).cast_mut().cast()) });
        this.enter();
        this
    }

    fn enter(&self) {
        // SAFETY: called by `new` and by `finish`, when the entry is fresh and suspended.
        unsafe { switch(self.outside.as_ptr(), self.inside.get()) };
    }

    fn visit<R>(&self, f: impl FnOnce() -> R) -> R {
        // SAFETY: the context was stored by the entry below, and `f` does not switch.
        unsafe { on_top_of(self.inside.get(), self.stack.bottom(), f) }.unwrap()
    }

    /// Whether what was suspended goes on.
    fn finish(&self) -> bool {
        self.enter();
        self.went_on.get()
    }
}

unsafe extern "C" fn suspend_once(data: *mut ()) -> ! {
    // SAFETY: `new` passes itself, boxed.
    let this = unsafe { &*data.cast::<Suspended>() };
    let kept = black_box([data; 8]);
    // SAFETY: `new` waits.
    unsafe { switch(this.inside.as_ptr(), this.outside.get()) };
    this.went_on.set(black_box(kept) == [data; 8]);
    // SAFETY: `finish` waits, and nothing here has a destructor left.
    unsafe { switch_for_good(this.outside.get()) }
}

#[test]
fn a_visitor_runs_on_that_stack_and_brings_its_result_back() {
    let suspended = Suspended::new();
    let mut log = RefCell::new(Vec::new());
    let word = String::from("carried");
    let (backtrace, word) = suspended.visit(|| {
        log.borrow_mut().push("there");
        (Backtrace::force_capture(), word + " back")
    });
    assert_in_order(&frames(&backtrace), &["run", "suspend_once"]);
    assert_eq!(word, "carried back");
    assert_eq!(log.get_mut().as_slice(), ["there"]);
    assert!(suspended.finish());
}

#[test]
fn a_panic_of_the_visitor_goes_on_in_the_caller() {
    let suspended = Suspended::new();
    for round in 0..100 {
        let visit = AssertUnwindSafe(|| suspended.visit(|| panic_any(black_box(round))));
        assert_eq!(*catch_unwind(visit).unwrap_err().downcast::<i32>().unwrap(), round);
        assert!(!std::thread::panicking());
    }
    assert_eq!(suspended.visit(|| 7), 7);
    assert!(suspended.finish());
}

//! The contract of the switch, on whichever backend is compiled in: how a stack begins, what a
//! switch keeps, and where a panic goes. `switch_registers.rs` and `switch_ends.rs` go on with it.

mod support;

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::thread;

use lisle_runtime::stack::Stack;
use lisle_runtime::switch::{BACKEND, Context, prepare, switch, switch_for_good};
use support::switch::{Fiber, Link, stack};

#[test]
fn the_backend_is_the_one_asked_for() {
    let expected = match std::env::consts::ARCH {
        arch @ ("x86_64" | "aarch64" | "riscv64") if cfg!(not(lisle_switch = "ucontext")) => arch,
        _ => "ucontext",
    };
    assert_eq!(BACKEND, expected);
}

/// What the first frame of a fresh stack saw.
struct Arrival {
    home: Cell<Context>,
    data: Cell<*mut ()>,
    aligned: Cell<usize>,
}

unsafe extern "C" fn arrive(data: *mut ()) -> ! {
    #[repr(align(16))]
    struct Aligned(#[expect(dead_code)] [u8; 16]);
    // The compiler relies on the alignment at the entry and would not notice if it were wrong.
    let local = Aligned(black_box([0; 16]));
    // SAFETY: the test below passes an arrival that outlives the switch back.
    let arrival = unsafe { &*data.cast::<Arrival>() };
    arrival.data.set(data);
    arrival.aligned.set(black_box(&raw const local).addr());
    // SAFETY: the resumer is suspended on this thread and waits for this.
    unsafe { switch_for_good(arrival.home.get()) }
}

#[test]
fn the_first_switch_calls_the_entry_with_its_data_on_an_aligned_stack() {
    let arrival = Arrival {
        home: Cell::new(Context::NONE),
        data: Cell::new(std::ptr::null_mut()),
        aligned: Cell::new(0),
    };
    let data = (&raw const arrival).cast_mut().cast::<()>();
    let stack = stack();
    for below_top in [0, 16, 32, 48, 1024] {
        // SAFETY: the stack is unused, or left for good by the entry of the last round.
        unsafe {
            let fresh = prepare(stack.top().sub(below_top), arrive, data);
            switch(arrival.home.as_ptr(), fresh);
        }
        assert_eq!(arrival.data.replace(std::ptr::null_mut()), data);
        let local = arrival.aligned.replace(0);
        assert_eq!(local % 16, 0, "{local:#x}");
        let page = 4096;
        let top = stack.top().addr() - below_top;
        assert!(local < top && local > top - 4 * page, "{local:#x} is not near {top:#x}");
    }
}

#[test]
fn preparing_a_stack_runs_nothing() {
    let ran = Rc::new(Cell::new(false));
    let fiber = Fiber::new({
        let ran = ran.clone();
        move |_| ran.set(true)
    });
    assert!(!ran.get());
    fiber.resume();
    assert!(ran.get() && fiber.is_finished());
}

#[test]
fn a_body_that_never_starts_is_dropped_with_what_it_holds() {
    let held = Rc::new(());
    drop(Fiber::new({
        let held = held.clone();
        move |_| drop(held)
    }));
    assert_eq!(Rc::strong_count(&held), 1);
}

/// A suspension deep in nested calls leaves each of the frames as it was.
#[inline(never)]
fn walk(depth: u32, path: u32, link: &Link, seen: &RefCell<Vec<u32>>) -> u32 {
    if depth == 0 {
        seen.borrow_mut().push(path);
        link.suspend();
        return 1;
    }
    let left = walk(depth - 1, path << 1, link, seen);
    let right = walk(depth - 1, path << 1 | 1, link, seen);
    black_box(left) + black_box(right)
}

#[test]
fn nested_calls_go_on_where_they_were() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let leaves = Rc::new(Cell::new(0));
    let fiber = Fiber::new({
        let (seen, leaves) = (seen.clone(), leaves.clone());
        move |link| leaves.set(walk(8, 0, link, &seen))
    });
    let mut resumed = 0;
    while !fiber.is_finished() {
        fiber.resume();
        resumed += 1;
    }
    assert_eq!(resumed, 256 + 1);
    assert_eq!(leaves.get(), 256);
    assert_eq!(*seen.borrow(), (0..256).collect::<Vec<_>>());
}

/// Each level resumes the next one in its own body.
fn tower(height: usize, trace: Rc<RefCell<Vec<usize>>>) -> Fiber {
    Fiber::new(move |link| {
        trace.borrow_mut().push(height);
        if height > 0 {
            let above = tower(height - 1, trace.clone());
            while !above.is_finished() {
                above.resume();
                link.suspend();
            }
        } else {
            link.suspend();
        }
        trace.borrow_mut().push(height);
    })
}

#[test]
fn a_stack_resumes_another_to_any_depth() {
    let trace = Rc::new(RefCell::new(Vec::new()));
    let ground = tower(50, trace.clone());
    while !ground.is_finished() {
        ground.resume();
    }
    let expected: Vec<_> = (0..=50).rev().chain(0..=50).collect();
    assert_eq!(*trace.borrow(), expected);
}

const RING: usize = 10;
const ROUNDS: usize = 1_000;

/// Stacks that pass the turn on to the next one, without returning to the test in between.
struct Ring {
    places: [Cell<Context>; RING],
    home: Cell<Context>,
    visits: RefCell<Vec<usize>>,
}

unsafe extern "C" fn go_round(data: *mut ()) -> ! {
    // SAFETY: the test passes a pair that it keeps until the ring has come to its end.
    let (ring, index) = unsafe { *data.cast::<(&Ring, usize)>() };
    for _ in 0..ROUNDS {
        ring.visits.borrow_mut().push(index);
        let next = &ring.places[(index + 1) % RING];
        // SAFETY: all other places are fresh or suspended on this thread, and each is continued
        // once by the one before it.
        unsafe { switch(ring.places[index].as_ptr(), next.get()) };
    }
    let next = ring.places.get(index + 1).unwrap_or(&ring.home);
    // SAFETY: as above, and home is continued by the last place alone.
    unsafe { switch_for_good(next.get()) }
}

#[test]
fn ten_stacks_pass_the_turn_round_in_a_ring() {
    let ring = Ring {
        places: [const { Cell::new(Context::NONE) }; RING],
        home: Cell::new(Context::NONE),
        visits: RefCell::default(),
    };
    let stacks: [Stack; RING] = std::array::from_fn(|_| stack());
    let data: [(&Ring, usize); RING] = std::array::from_fn(|index| (&ring, index));
    for ((place, stack), data) in ring.places.iter().zip(&stacks).zip(&data) {
        // SAFETY: the stack is unused and is kept until its entry has left it for good.
        let fresh = unsafe { prepare(stack.top(), go_round, (&raw const *data).cast_mut().cast()) };
        place.set(fresh);
    }
    // SAFETY: the first place is fresh, and the last one continues home.
    unsafe { switch(ring.home.as_ptr(), ring.places[0].get()) };
    let visits = ring.visits.borrow();
    assert_eq!(visits.len(), RING * ROUNDS);
    assert!(visits.iter().enumerate().all(|(turn, index)| turn % RING == *index));
}

#[test]
fn a_million_switches_lose_and_repeat_nothing() {
    const RESUMES: u64 = 500_000;
    let baton = Rc::new(Cell::new(0_u64));
    let fiber = Fiber::new({
        let baton = baton.clone();
        move |link| {
            for turn in 0..RESUMES {
                assert_eq!(baton.replace(2 * turn + 1), 2 * turn);
                link.suspend();
            }
        }
    });
    for turn in 0..RESUMES {
        fiber.resume();
        assert_eq!(baton.replace(2 * turn + 2), 2 * turn + 1);
    }
    assert!(!fiber.is_finished());
    fiber.resume();
    assert!(fiber.is_finished());
}

/// Adds its number to a list when it is dropped.
struct Noted(u32, Rc<RefCell<Vec<u32>>>);

impl Drop for Noted {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

fn payload_of(work: impl FnOnce()) -> u64 {
    let payload = catch_unwind(AssertUnwindSafe(work)).expect_err("the work panics");
    *payload.downcast::<u64>().expect("and with a number")
}

#[test]
fn a_panic_is_caught_at_the_base_and_goes_on_at_the_resumer() {
    let dropped = Rc::new(RefCell::new(Vec::new()));
    let fiber = Fiber::new({
        let dropped = dropped.clone();
        move |link| {
            let _outer = Noted(1, dropped.clone());
            let _inner = Noted(2, dropped);
            link.suspend();
            panic_any(7_u64);
        }
    });
    fiber.resume();
    let payload = payload_of(|| {
        let _resumer = Noted(3, dropped.clone());
        fiber.resume();
    });
    assert_eq!(payload, 7);
    assert_eq!(*dropped.borrow(), [2, 1, 3]);
    assert!(!thread::panicking());

    let again = Rc::new(Cell::new(false));
    let next = Fiber::on(fiber.into_stack(), {
        let again = again.clone();
        move |_| again.set(true)
    });
    next.resume();
    assert!(again.get());
}

#[test]
fn a_panic_passes_through_stacks_that_resumed_each_other() {
    fn nest(levels: u64) -> Fiber {
        Fiber::new(move |_| match levels {
            0 => panic_any(0_u64),
            _ => {
                let inner = nest(levels - 1);
                let payload = payload_of(|| inner.resume());
                panic_any(payload + 1);
            }
        })
    }
    let fiber = nest(20);
    assert_eq!(payload_of(|| fiber.resume()), 20);
}

#[test]
fn a_caught_panic_does_not_disturb_a_stack_that_is_suspended() {
    let fiber = Fiber::new(|link| {
        for number in 0..3_u64 {
            let caught = payload_of(|| {
                link.suspend();
                panic_any(number);
            });
            assert_eq!(caught, number);
            link.suspend();
        }
    });
    while !fiber.is_finished() {
        fiber.resume();
        assert_eq!(payload_of(|| panic_any(9_u64)), 9);
    }
}

/// A fiber on its way to another thread.
struct Parcel(Fiber);

// SAFETY: the test below sends fibers whose body, and all that it holds, may change thread, while
// they have not started or after they have finished; nothing else refers to them.
unsafe impl Send for Parcel {}

impl Parcel {
    fn open(self) -> Fiber {
        self.0
    }
}

#[test]
fn a_stack_prepared_on_one_thread_runs_on_another() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let parcel = Parcel(Fiber::new(move |link| {
        for _ in 0..100 {
            sender.send(thread::current().id()).unwrap();
            link.suspend();
        }
    }));
    let runner = thread::spawn(move || {
        let fiber = parcel.open();
        while !fiber.is_finished() {
            fiber.resume();
        }
        (thread::current().id(), Parcel(fiber))
    });
    let (runner, parcel) = runner.join().unwrap();
    let seen: Vec<_> = receiver.iter().collect();
    assert_eq!(seen, [runner; 100]);

    // And back: the stack that another thread has run on serves here.
    let ran = Rc::new(Cell::new(false));
    let here = Fiber::on(parcel.open().into_stack(), {
        let ran = ran.clone();
        move |_| ran.set(true)
    });
    here.resume();
    assert!(ran.get());
}

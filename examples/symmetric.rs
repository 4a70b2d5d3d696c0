//! Producer and consumer, each of which transfers to the other: symmetric coroutines.
//!
//! They share a queue of eight places. The producer fills it and transfers to the consumer, which
//! drains it and transfers back, in one step each time: with no resumer in between, and however
//! often they do it, no stack becomes deeper. When the consumer has got everything, it returns, and
//! that is the answer to the `resume` which had started the producer.
//!
//! ```text
//! cargo run --release --example symmetric -- [N]
//! ```
//!
//! With the default of 1,000,000:
//!
//! ```text
//! produced: 1,000,000 items
//! consumed: 1,000,000 items, sum 499,999,500,000
//! 249,999 transfers, at one depth of the stack
//! ```

mod support;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use lisle::coroutine::{Coroutine, CoroutineState, WeakCoroutine, Yielder};
use support::{Args, grouped};

const CAPACITY: usize = 8;

/// What the two have in common. Neither takes arguments or yields; the one that ends returns a sum.
#[derive(Default)]
struct Shared {
    queue: RefCell<VecDeque<usize>>,
    producer: OnceCell<WeakCoroutine<(), (), usize>>,
    consumer: OnceCell<WeakCoroutine<(), (), usize>>,
    produced: Cell<usize>,
    consumed: Cell<usize>,
    transfers: Cell<usize>,
    /// Where on its stack the producer was at its first transfer.
    place: OnceCell<usize>,
}

fn main() {
    let mut args = Args::new("symmetric", "[N]");
    let items = args.count("N", 1_000_000);
    args.finish();

    let shared = Rc::new(Shared::default());
    let (theirs, others) = (shared.clone(), shared.clone());
    let producer = Coroutine::new(move |yielder, ()| produce(&theirs, items, yielder));
    let consumer = Coroutine::new(move |yielder, ()| consume(&others, items, yielder));
    shared.producer.set(producer.downgrade()).unwrap();
    shared.consumer.set(consumer.downgrade()).unwrap();

    let CoroutineState::Returned(sum) = producer.resume(()) else {
        unreachable!("neither of them yields")
    };

    assert_eq!(sum, items * (items - 1) / 2, "items were lost or came twice");
    println!("produced: {} items", grouped(shared.produced.get()));
    println!("consumed: {} items, sum {}", grouped(shared.consumed.get()), grouped(sum));
    println!("{} transfers, at one depth of the stack", grouped(shared.transfers.get()));
}

fn produce(shared: &Shared, items: usize, yielder: &Yielder<(), (), usize>) -> usize {
    for item in 0..items {
        shared.queue.borrow_mut().push_back(item);
        shared.produced.set(item + 1);
        let is_full = shared.queue.borrow().len() == CAPACITY;
        if is_full || item + 1 == items {
            assert_same_depth(shared);
            shared.transfers.set(shared.transfers.get() + 1);
            yielder.transfer(shared.consumer.get().unwrap(), ());
        }
    }
    unreachable!("the consumer does not come back from the last item")
}

fn consume(shared: &Shared, items: usize, yielder: &Yielder<(), (), usize>) -> usize {
    let mut sum = 0;
    loop {
        while let Some(item) = shared.queue.borrow_mut().pop_front() {
            sum += item;
            shared.consumed.set(shared.consumed.get() + 1);
        }
        if shared.consumed.get() == items {
            return sum;
        }
        shared.transfers.set(shared.transfers.get() + 1);
        yielder.transfer(shared.producer.get().unwrap(), ());
    }
}

/// Compares the place of its own frame with that of the first call.
#[inline(never)]
fn assert_same_depth(shared: &Shared) {
    let local = 0u8;
    let place = std::hint::black_box(&raw const local).addr();
    assert_eq!(place, *shared.place.get_or_init(|| place));
}

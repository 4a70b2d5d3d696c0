//! `block_on`: by tasks and by threads; wakers of every kind; futures that are dropped.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use lisle_scheduler::park::in_task;
use lisle_scheduler::{
    BlockOn, Cancelled, block_on, sleep, spawn, spawn_local, timeout, yield_now,
};
use support::{Log, NoteDrop, OnDrop, run_alone, run_in_order, run_on};

/// A value that another party gives.
struct Later<T>(Mutex<(Option<T>, Option<Waker>)>);

impl<T> Later<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new((None, None))))
    }

    fn give(&self, value: T) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.0 = Some(value);
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<T> {
        let mut state = self.0.lock().unwrap();
        match state.0.take() {
            Some(value) => Poll::Ready(value),
            None => {
                state.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_awaited(&self) -> bool {
        self.0.lock().unwrap().1.is_some()
    }

    async fn get(&self) -> T {
        poll_fn(|context| self.poll(context)).await
    }
}

/// Pending once, having woken itself.
async fn give_way() {
    let mut first = true;
    poll_fn(|context| match std::mem::take(&mut first) {
        true => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
        false => Poll::Ready(()),
    })
    .await;
}

#[test]
fn a_future_that_is_ready_is_not_waited_for() {
    assert_eq!(block_on(ready(1)), 1, "on a thread");
    run_in_order(|| {
        let log = Log::new();
        let note = log.clone();
        let other = spawn(move || note.add("other"));
        assert_eq!(block_on(async { ready(2).await }), 2);
        log.add("ready");
        other.join().unwrap();
        log.expect(&["ready", "other"]);
    });
}

#[test]
fn a_task_is_woken_by_another_task() {
    for workers in [1, 2, 4] {
        run_on(workers, || {
            for n in 0..100 {
                let later = Later::new();
                let given = later.clone();
                let giver = spawn(move || given.give(n));
                assert_eq!(block_on(later.get()), n);
                giver.join().unwrap();
            }
        })
        .unwrap();
    }
}

#[test]
fn tasks_and_threads_are_woken_by_threads() {
    let exchange = || {
        for n in 0..100 {
            let (there, back) = (Later::new(), Later::new());
            let (asked, answered) = (there.clone(), back.clone());
            let thread = thread::spawn(move || answered.give(block_on(asked.get()) + 1));
            there.give(n);
            assert_eq!(block_on(back.get()), n + 1);
            thread.join().unwrap();
        }
    };
    exchange();
    lisle_scheduler::run(exchange);
}

#[test]
fn other_tasks_run_while_one_waits() {
    run_in_order(|| {
        let log = Log::new();
        let later = Later::new();
        let (note, awaited) = (log.clone(), later.clone());
        let waiter = spawn(move || {
            note.add("waits");
            block_on(awaited.get());
            note.add("goes on");
        });
        yield_now();
        assert!(later.is_awaited());
        log.add("others");
        later.give(());
        log.add("gave");
        waiter.join().unwrap();
        log.expect(&["waits", "others", "gave", "goes on"]);
    });
}

#[test]
fn a_future_that_wakes_itself_lets_others_have_a_turn() {
    run_in_order(|| {
        let log = Log::new();
        let note = log.clone();
        let other = spawn(move || {
            note.add(10);
            yield_now();
            note.add(20);
        });
        let note = log.clone();
        block_on(async move {
            for n in 1..3 {
                give_way().await;
                note.add(n);
            }
        });
        log.expect(&[10, 1, 20, 2]);
        other.join().unwrap();
    });
    block_on(give_way());
}

#[test]
fn a_waker_is_used_twice_cloned_dropped_and_used_when_all_is_over() {
    let with_all = || {
        let polls = Cell::new(0);
        let mut late = None;
        block_on(poll_fn(|context| {
            polls.set(polls.get() + 1);
            let waker = context.waker().clone();
            drop(waker.clone());
            assert!(waker.will_wake(context.waker()));
            waker.wake_by_ref();
            waker.wake_by_ref();
            late.get_or_insert(waker);
            if polls.get() < 3 { Poll::Pending } else { Poll::Ready(()) }
        }));
        assert_eq!(polls.get(), 3, "one poll for a wake-up that came twice");
        let late = late.unwrap();
        late.wake_by_ref();
        // It belongs to a call that is over, and does not disturb the next one.
        let (later, polls) = (Later::new(), AtomicUsize::new(0));
        let given = later.clone();
        thread::scope(|scope| {
            scope.spawn(|| {
                while !later.is_awaited() {
                    thread::yield_now();
                }
                late.wake();
                given.give(5);
            });
            let five = block_on(poll_fn(|context| {
                polls.fetch_add(1, SeqCst);
                later.poll(context)
            }));
            assert_eq!((five, polls.load(SeqCst)), (5, 2));
        });
    };
    with_all();
    run_in_order(with_all);
}

#[test]
fn calls_share_one_allocation_unless_a_waker_is_kept() {
    let address = || block_on(poll_fn(|context| Poll::Ready(context.waker().data().addr())));
    run_in_order(|| {
        let first = address();
        assert_eq!(address(), first);
        let kept = block_on(poll_fn(|context| Poll::Ready(context.waker().clone())));
        assert_eq!(kept.data().addr(), first);
        assert_ne!(address(), first);
    });
}

#[test]
fn a_million_calls() {
    const CALLS: u32 = if cfg!(debug_assertions) { 50_000 } else { 1_000_000 };
    run_in_order(|| {
        let sum: u64 = (0..CALLS).map(|n| block_on(async { u64::from(n) })).sum();
        assert_eq!(sum, u64::from(CALLS) * u64::from(CALLS - 1) / 2);
        (0..CALLS / 10).for_each(|_| block_on(give_way()));
    });
}

#[test]
fn a_call_inside_a_poll_waits_there() {
    let nested = |give: fn(Arc<Later<u32>>)| {
        let (inner, outer) = (Later::new(), Later::new());
        let sum = block_on(async {
            let number = block_on(async {
                give(inner.clone());
                inner.get().await
            });
            give(outer.clone());
            outer.get().await + number
        });
        assert_eq!(sum, 14);
    };
    nested(|later| drop(thread::spawn(move || later.give(7))));
    run_in_order(|| nested(|later| drop(spawn(move || later.give(7)))));
}

#[test]
fn a_cancelled_task_drops_its_future_and_late_wakers_find_nobody() {
    run_in_order(|| {
        let log = Log::new();
        let later = Later::<()>::new();
        let (note, awaited) = (log.clone(), later.clone());
        let task = spawn_local(move || {
            let _note = NoteDrop(note.clone(), "frame");
            block_on(async move {
                let _note = NoteDrop(note, "future");
                awaited.get().await;
            });
        });
        yield_now();
        task.cancel();
        assert!(Cancelled::of(&task.join().unwrap_err()).is_some());
        log.expect(&["future", "frame"]);
        later.give(());
    });
}

#[test]
fn a_time_out_ends_the_wait() {
    let within = |limit| timeout(limit, || block_on(pending::<()>()));
    assert!(within(Duration::from_millis(1)).is_err(), "on a thread");
    let restless = || {
        block_on(async {
            loop {
                give_way().await
            }
        })
    };
    assert!(timeout(Duration::from_millis(1), restless).is_err(), "on a thread");
    assert!(run_in_order(|| timeout(Duration::from_millis(1), restless)).is_err());
    run_in_order(|| {
        let log = Log::new();
        let outcome = timeout(Duration::from_millis(1), || {
            block_on(async {
                let _note = NoteDrop(log.clone(), "future");
                pending::<()>().await
            })
        });
        assert!(outcome.is_err());
        log.expect(&["future"]);
        assert_eq!(block_on(ready(3)), 3, "the next wait is none of its business");
    });
}

#[test]
fn time_outs_meet_wake_ups_and_nothing_is_left_behind() {
    run_on(2, || {
        for round in 0..200 {
            let later = Later::new();
            let given = later.clone();
            let giver = spawn(move || {
                sleep(Duration::from_micros(round % 20));
                given.give(round);
            });
            let got = timeout(Duration::from_micros(10), || block_on(later.get()));
            giver.join().unwrap();
            // What was not taken is there.
            assert_eq!(got.unwrap_or_else(|_| block_on(later.get())), round);
        }
    })
    .unwrap();
}

#[test]
fn a_destructor_that_unwinds_waits_for_its_future() {
    run_in_order(|| {
        let later = Later::new();
        let awaited = later.clone();
        let task = spawn_local(move || {
            let _cleanup = OnDrop(|| assert_eq!(block_on(awaited.get()), 4));
            sleep(Duration::from_secs(3600));
        });
        yield_now();
        task.cancel();
        while !later.is_awaited() {
            yield_now();
        }
        later.give(4);
        assert!(Cancelled::of(&task.join().unwrap_err()).is_some());
    });
}

#[test]
fn a_panic_of_a_future_is_its_callers_and_the_next_call_works() {
    run_in_order(|| {
        let log = Log::new();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            block_on(async {
                let _note = NoteDrop(log.clone(), "future");
                give_way().await;
                std::panic::panic_any("no luck")
            })
        }));
        assert_eq!(outcome.unwrap_err().downcast_ref(), Some(&"no luck"));
        log.expect(&["future"]);
        assert_eq!(block_on(ready(1)), 1);
    });
}

#[test]
fn a_report_says_that_a_future_is_waited_for_and_where() {
    let line = line!() + 1;
    let deadlock = run_alone(|| block_on(pending::<()>())).unwrap_err().to_string();
    assert!(deadlock.contains("waiting for a future"), "{deadlock}");
    assert!(deadlock.contains(&format!("futures.rs:{line}")), "{deadlock}");
}

#[test]
fn many_parties_wake_many_others() {
    const TASKS: usize = 20;
    const ROUNDS: usize = if cfg!(debug_assertions) { 50 } else { 200 };
    for workers in [1, 2, 4] {
        run_on(workers, || {
            let ring: Vec<_> = (0..TASKS).map(|_| Later::new()).collect();
            let tasks: Vec<_> = (0..TASKS)
                .map(|n| {
                    let (mine, next) = (ring[n].clone(), ring[(n + 1) % TASKS].clone());
                    spawn(move || {
                        for _ in 0..ROUNDS {
                            let value = block_on(mine.get());
                            next.give(value + 1);
                        }
                    })
                })
                .collect();
            ring[0].give(0);
            tasks.into_iter().for_each(|task| task.join().unwrap());
            assert_eq!(block_on(ring[0].get()), TASKS * ROUNDS);
        })
        .unwrap();
    }
}

#[test]
fn a_handle_is_awaited_by_any_party() {
    let number = |n: u32| async move { spawn(move || n).await.unwrap() };
    assert_eq!(block_on(number(1)), 1, "on a thread");
    run_on(2, || {
        assert_eq!(block_on(number(2)), 2);
        let log = Log::new();
        let note = log.clone();
        let task = spawn(move || {
            yield_now();
            note.add("task");
        });
        block_on(async {
            task.await.unwrap();
            log.add("awaited");
        });
        log.expect(&["task", "awaited"]);
    })
    .unwrap();
}

#[test]
fn a_handle_that_is_awaited_tells_of_panics_and_cancellations() {
    run_in_order(|| {
        let panic = block_on(spawn(|| std::panic::panic_any("no luck"))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"no luck"));
        let task = spawn(|| sleep(Duration::from_secs(3600)));
        yield_now();
        task.cancel();
        assert!(Cancelled::of(&block_on(task).unwrap_err()).is_some());
    });
}

#[test]
fn a_join_that_is_dropped_lets_the_task_go_on() {
    run_in_order(|| {
        let log = Log::new();
        let (kept, note) = (NoteDrop(log.clone(), "result"), log.clone());
        let mut joining = spawn(move || {
            note.add("ran");
            kept
        })
        .into_future();
        let mut context = Context::from_waker(Waker::noop());
        assert!(std::pin::Pin::new(&mut joining).poll(&mut context).is_pending());
        drop(joining);
        yield_now();
        log.expect(&["ran", "result"]);
        let mut joining = spawn(|| ()).into_future();
        assert!(std::pin::Pin::new(&mut joining).poll(&mut context).is_pending());
        yield_now();
        drop(joining); // woken and not polled again
        drop(spawn(|| ()).into_future()); // never polled
    });
}

#[test]
fn joins_are_dropped_while_their_tasks_end() {
    run_on(2, || {
        for round in 0..500 {
            let mut joining = spawn(move || round).into_future();
            let polled = block_on(poll_fn(|context| {
                Poll::Ready(std::pin::Pin::new(&mut joining).poll(context))
            }));
            if round % 3 == 0 {
                yield_now();
            }
            match polled {
                Poll::Ready(result) => assert_eq!(result.unwrap(), round),
                Poll::Pending if round % 2 == 0 => drop(joining),
                Poll::Pending => assert_eq!(block_on(joining).unwrap(), round),
            }
        }
    })
    .unwrap();
}

thread_local! {
    /// How many contexts are entered on this thread.
    static ENTERED: Cell<usize> = const { Cell::new(0) };
}

struct Entered;

fn enter() -> Entered {
    ENTERED.set(ENTERED.get() + 1);
    Entered
}

impl Drop for Entered {
    fn drop(&mut self) {
        ENTERED.set(ENTERED.get() - 1);
    }
}

/// Checks in each poll, and when it is dropped, that one context is entered.
async fn inside<F: Future>(future: F) -> F::Output {
    let _at_drop = OnDrop(|| assert_eq!(ENTERED.get(), 1));
    let mut future = pin!(future);
    poll_fn(|context| {
        assert_eq!(ENTERED.get(), 1);
        future.as_mut().poll(context)
    })
    .await
}

#[test]
fn a_context_is_entered_for_polls_and_the_drop_and_not_for_the_waits() {
    run_in_order(|| {
        let later = Later::new();
        let awaited = later.clone();
        let task = spawn(move || BlockOn::around_poll(enter).run(inside(awaited.get())));
        let awaited = Later::<()>::new();
        let cancelled = spawn(move || BlockOn::around_poll(enter).run(inside(awaited.get())));
        yield_now();
        assert_eq!((later.is_awaited(), ENTERED.get()), (true, 0));
        later.give(6);
        assert_eq!(task.join().unwrap(), 6);
        cancelled.cancel();
        assert!(Cancelled::of(&cancelled.join().unwrap_err()).is_some(), "and no failed assertion");
        assert_eq!(ENTERED.get(), 0);
    });
}

#[test]
fn a_poll_inside_a_context_must_not_wait() {
    run_in_order(|| {
        let poll = || BlockOn::around_poll(enter).run(async { sleep(Duration::from_millis(1)) });
        let panic = catch_unwind(poll).unwrap_err();
        assert!(Cancelled::of(&panic).is_none() && in_task());
        assert_eq!(ENTERED.get(), 0);
    });
}

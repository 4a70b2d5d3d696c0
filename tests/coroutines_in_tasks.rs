//! Coroutines inside tasks: a body that blocks parks the whole task, and everything unwinds as it
//! should.
#![cfg(not(lisle_loom))]

use std::cell::{Cell, OnceCell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use lisle::channel::{Receiver, bounded, unbounded};
use lisle::coroutine::{
    Coroutine, CoroutineState, CoroutineStatus, Generator, ScopedCoroutine, WeakCoroutine, Yielder,
};
use lisle::{Runtime, no_suspend};

/// Runs `main` on one worker, where the order of the tasks is exact.
#[track_caller]
fn run_in_order<R>(main: impl FnOnce() -> R) -> R {
    Runtime::builder().workers(1).run(main).unwrap()
}

/// Notes an event when it is dropped.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[track_caller]
fn panic_text<R>(action: impl FnOnce() -> R) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(action)) else {
        panic!("there was no panic");
    };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("a text")).to_string(),
    }
}

/// The sums of each two numbers that come through a channel.
fn sums_of_pairs(numbers: Receiver<u32>) -> Generator<u32> {
    Generator::new(move |out| {
        while let (Ok(one), Ok(other)) = (numbers.recv(), numbers.recv()) {
            out.suspend(one + other);
        }
    })
}

#[test]
fn a_body_that_receives_parks_its_task_and_goes_on_later() {
    run_in_order(|| {
        let events = Rc::new(RefCell::new(Vec::new()));
        let (sender, receiver) = bounded(0);
        let noted = events.clone();
        let reader = lisle::spawn_local(move || {
            for sum in sums_of_pairs(receiver) {
                noted.borrow_mut().push(format!("sum {sum}"));
            }
        });
        let noted = events.clone();
        let bystander = lisle::spawn_local(move || {
            for turn in 0..3 {
                noted.borrow_mut().push(format!("turn {turn}"));
                lisle::yield_now();
            }
        });
        lisle::yield_now();
        lisle::yield_now();
        assert_eq!(*events.borrow(), ["turn 0", "turn 1"], "the reader waits in its generator");
        for number in [1, 2, 30, 4] {
            sender.send(number).unwrap();
        }
        drop(sender);
        reader.join().unwrap();
        bystander.join().unwrap();
        let events = events.borrow();
        let sums: Vec<_> = events.iter().filter(|event| event.starts_with("sum")).collect();
        assert_eq!(sums, ["sum 3", "sum 34"]);
        assert_eq!(events.len(), 5);
    });
}

#[test]
fn many_tasks_wait_in_their_generators() {
    run_in_order(|| {
        let tasks: Vec<_> = (0..100)
            .map(|task| {
                let (sender, receiver) = unbounded();
                let sum = lisle::spawn(move || sums_of_pairs(receiver).sum::<u32>());
                (task, sender, sum)
            })
            .collect();
        for number in 0..20 {
            for (task, sender, _) in &tasks {
                sender.send(number * task).unwrap();
            }
            lisle::yield_now();
        }
        for (task, sender, sum) in tasks {
            drop(sender);
            assert_eq!(sum.join().unwrap(), 190 * task);
        }
    });
}

#[test]
fn two_tasks_share_one_coroutine() {
    run_in_order(|| {
        let counter = Rc::new(Coroutine::new(|yielder: &Yielder<u32, u32, ()>, mut step| {
            let mut count = 0;
            loop {
                count += step;
                lisle::yield_now(); // the task that has resumed it waits its turn here
                step = yielder.suspend(count);
            }
        }));
        let refused = Rc::new(Cell::new(0));
        let tasks: Vec<_> = [1, 100]
            .map(|step| {
                let (counter, refused) = (counter.clone(), refused.clone());
                lisle::spawn_local(move || {
                    let mut done = 0;
                    while done < 50 {
                        match counter.try_resume(step) {
                            Ok(_) => done += 1,
                            Err(error) => {
                                assert_eq!(error.status, CoroutineStatus::Running);
                                refused.set(refused.get() + 1);
                            }
                        }
                        lisle::yield_now();
                    }
                })
            })
            .into();
        for task in tasks {
            task.join().unwrap();
        }
        assert_eq!(counter.resume(0), CoroutineState::Yielded(50 + 50 * 100));
        assert!(refused.get() > 0, "a task that comes while it runs is told so");
    });
}

#[test]
fn a_task_transfers_to_a_coroutine_of_another_one() {
    run_in_order(|| {
        let (sender, receiver) = bounded(0);
        let theirs = Coroutine::new(move |yielder: &Yielder<u32, u32, ()>, n| {
            let received: u32 = receiver.recv().unwrap(); // parks the task that has come here
            yielder.suspend(received + n);
        });
        let weak = theirs.downgrade();
        let task = lisle::spawn_local(move || {
            let mine = Coroutine::new(move |yielder: &Yielder<u32, u32, ()>, n| {
                yielder.transfer(&weak, n * 10);
            });
            mine.resume(7)
        });
        lisle::yield_now();
        assert_eq!(theirs.status(), CoroutineStatus::Running);
        sender.send(1).unwrap();
        assert_eq!(task.join().unwrap(), CoroutineState::Yielded(71));
        assert_eq!(theirs.resume(0), CoroutineState::Returned(()));
    });
}

#[test]
fn a_handle_may_be_dropped_while_another_task_is_in_its_coroutine() {
    run_in_order(|| {
        let (sender, receiver) = bounded(0);
        let theirs = Coroutine::new(move |_: &Yielder<(), (), u32>, ()| receiver.recv().unwrap());
        let weak = theirs.downgrade();
        let task = lisle::spawn_local(move || {
            let mine = Coroutine::new(move |yielder: &Yielder<(), (), u32>, ()| {
                yielder.transfer(&weak, ());
                unreachable!("it is dropped");
            });
            mine.resume(())
        });
        lisle::yield_now();
        drop(theirs);
        sender.send(5).unwrap();
        assert_eq!(task.join().unwrap(), CoroutineState::Returned(5));
    });
}

#[test]
fn a_cancelled_task_unwinds_its_coroutines() {
    let events = Rc::new(RefCell::new(Vec::new()));
    run_in_order(|| {
        let noted = events.clone();
        lisle::spawn_local(move || {
            let note = |event| {
                let noted = noted.clone();
                OnDrop(move || noted.borrow_mut().push(event))
            };
            let _task = note("task");
            let suspended_too = note("suspended too");
            let other = Coroutine::new(move |yielder: &Yielder<(), (), ()>, ()| {
                let _suspended_too = suspended_too;
                yielder.suspend(());
            });
            other.resume(());
            let (_sender, receiver) = bounded::<()>(0);
            let running = note("running");
            let coroutine = Coroutine::new(move |_: &Yielder<(), (), ()>, ()| {
                let _running = running;
                let _ = receiver.recv();
                unreachable!("nothing is sent");
            });
            coroutine.resume(());
        });
        lisle::yield_now();
        assert!(events.borrow().is_empty());
    });
    assert_eq!(*events.borrow(), ["running", "suspended too", "task"]);
}

#[test]
fn a_body_may_sleep() {
    run_in_order(|| {
        let ticks = Generator::new(|out| {
            for tick in 0..3 {
                lisle::sleep(Duration::from_millis(1));
                out.suspend(tick);
            }
        });
        assert_eq!(ticks.collect::<Vec<_>>(), [0, 1, 2]);
    });
}

#[test]
fn a_destructor_of_a_dropped_one_may_wait() {
    run_in_order(|| {
        let (sender, receiver) = bounded(0);
        let got = Rc::new(Cell::new(0));
        let noted = got.clone();
        let coroutine = Coroutine::new(move |yielder: &Yielder<(), (), ()>, ()| {
            let _waits = OnDrop(|| noted.set(receiver.recv().unwrap()));
            yielder.suspend(());
        });
        coroutine.resume(());
        lisle::spawn(move || sender.send(9).unwrap());
        drop(coroutine);
        assert_eq!(got.get(), 9);
    });
}

#[test]
fn another_task_amid_a_panic_does_no_harm() {
    run_in_order(|| {
        let (sender, receiver) = bounded::<()>(0);
        let sleeper = lisle::spawn(move || {
            let _waits = OnDrop(|| receiver.recv().unwrap());
            panic_any("amid");
        });
        lisle::yield_now();
        assert!(!thread::panicking(), "the sleeper's panic is its own");

        let unwound = Rc::new(Cell::new(0));
        for _ in 0..3 {
            let noted = unwound.clone();
            let coroutine = Coroutine::new(move |yielder: &Yielder<(), (), ()>, ()| {
                let _end = OnDrop(|| noted.set(noted.get() + 1));
                yielder.suspend(());
                yielder.suspend(());
            });
            coroutine.resume(());
            coroutine.resume(());
        }
        assert_eq!(unwound.get(), 3, "they are not taken for ones that panic");
        ScopedCoroutine::scope(
            |yielder: &Yielder<(), (), ()>, ()| yielder.suspend(()),
            |coroutine| coroutine.resume(()),
        );

        sender.send(()).unwrap();
        assert!(sleeper.join().is_err());
        assert!(!thread::panicking());
    });
}

#[test]
fn a_panic_of_another_task_is_not_taken_for_ones_own() {
    run_in_order(|| {
        let (sender, receiver) = bounded::<()>(0);
        let unwound = Rc::new(Cell::new(0));
        // Entered before the other task panics, suspended while that one unwinds.
        let suspended_meanwhile = || {
            let noted = unwound.clone();
            let coroutine = Coroutine::new(move |yielder: &Yielder<(), (), ()>, ()| {
                let _end = OnDrop(|| noted.set(noted.get() + 1));
                lisle::yield_now();
                assert!(!thread::panicking());
                yielder.suspend(());
                yielder.suspend(());
            });
            lisle::spawn_local(move || {
                coroutine.resume(());
                coroutine
            })
        };
        let [first, second] = [suspended_meanwhile(), suspended_meanwhile()];
        let sleeper = lisle::spawn(move || {
            let _waits = OnDrop(|| receiver.recv().unwrap());
            panic_any("amid");
        });
        let [first, second] = [first, second].map(|task| task.join().unwrap());
        sender.send(()).unwrap();
        assert!(sleeper.join().is_err());
        assert!(!thread::panicking());

        drop(first);
        assert_eq!(unwound.get(), 1);
        second.resume(());
        let result = catch_unwind(AssertUnwindSafe(|| {
            let _owned = second;
            panic_any("owner's");
        }));
        assert!(result.is_err());
        assert_eq!(unwound.get(), 2);
    });
}

/// A destructor that unwinds resumes a coroutine, which waits. The task is given up meanwhile: an
/// unwinding of the coroutine would come out in the destructor, and abort the process.
#[test]
fn the_wait_of_a_coroutine_that_an_unwinding_destructor_resumes_fails() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    run_in_order(|| {
        let noted = seen.clone();
        lisle::spawn_local(move || {
            let _resumes = OnDrop(|| {
                let (sender, receiver) = bounded::<()>(0);
                let noted = noted.clone();
                let coroutine = Coroutine::new(move |yielder: &Yielder<(), (), ()>, ()| {
                    let note = |what: &str| noted.borrow_mut().push(what.to_string());
                    assert!(!thread::panicking());
                    note(&format!("{:?}", receiver.recv()));
                    lisle::yield_now();
                    lisle::sleep(Duration::from_secs(3600));
                    // One inside it fares the same, and after it as before.
                    let inner = Coroutine::new(move |_: &Yielder<(), (), ()>, ()| {
                        lisle::sleep(Duration::from_secs(3600));
                    });
                    inner.resume(());
                    note(&format!("{:?}", receiver.recv()));
                    yielder.suspend(());
                });
                coroutine.resume(());
                assert!(thread::panicking());
                drop(sender);
            });
            panic_any("amid");
        });
        lisle::yield_now();
    });
    assert_eq!(*seen.borrow(), ["Err(RecvError)"; 2]);
}

/// In the same coroutine, resumed outside of any panic, the end of the runtime is an unwinding.
#[test]
fn a_coroutine_that_was_in_a_panic_once_is_given_up_later() {
    let unwound = Rc::new(Cell::new(false));
    run_in_order(|| {
        let noted = unwound.clone();
        lisle::spawn_local(move || {
            let coroutine = Coroutine::new(move |yielder: &Yielder<(), (), ()>, ()| {
                let _end = OnDrop(|| noted.set(thread::panicking()));
                yielder.suspend(());
                lisle::sleep(Duration::from_secs(3600));
                unreachable!("the sleep is cut short by an unwinding");
            });
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let _resumes =
                    OnDrop(|| assert_eq!(coroutine.resume(()), CoroutineState::Yielded(())));
                panic_any("amid");
            }));
            assert!(caught.is_err());
            coroutine.resume(());
        });
        lisle::yield_now();
    });
    assert!(unwound.get());
}

/// A task is left amid the panics of its own stack, of a coroutine's, and of one inside that.
#[test]
fn a_task_waits_in_the_middle_of_several_stacks_panics() {
    run_in_order(|| {
        let (sender, receiver) = bounded::<()>(0);
        let task = lisle::spawn(move || {
            let _outer = OnDrop(|| {
                let receiver = receiver.clone();
                let coroutine = Coroutine::new(move |_: &Yielder<(), (), ()>, ()| {
                    let _middle = OnDrop(|| {
                        let receiver = receiver.clone();
                        // Dropping it is a part of the panic; resuming it is not.
                        let dropped = Coroutine::new(move |yielder: &Yielder<(), (), ()>, ()| {
                            let _inner = OnDrop(|| {
                                assert!(thread::panicking());
                                receiver.recv().unwrap();
                                assert!(thread::panicking());
                            });
                            assert!(!thread::panicking());
                            receiver.recv().unwrap();
                            yielder.suspend(());
                        });
                        dropped.resume(());
                        drop(dropped);
                        assert!(thread::panicking());
                    });
                    panic_any("middle");
                });
                assert!(catch_unwind(AssertUnwindSafe(|| coroutine.resume(()))).is_err());
                assert!(thread::panicking());
            });
            panic_any("outer");
        });
        for _ in 0..2 {
            lisle::yield_now();
            assert!(!thread::panicking());
            sender.send(()).unwrap();
        }
        assert_eq!(task.join().unwrap_err().downcast_ref(), Some(&"outer"));
        assert!(!thread::panicking());
    });
}

/// The scope of a coroutine that owns all it uses ends while another task, which has transferred to
/// it, waits in it.
#[test]
fn a_scope_leaves_a_coroutine_behind_that_another_task_runs() {
    let log = Rc::new(RefCell::new(Vec::new()));
    run_in_order(|| {
        let (weak, noted) = (Rc::new(RefCell::new(None)), log.clone());
        let body = move |yielder: &Yielder<(), (), ()>, ()| {
            yielder.suspend(());
            lisle::yield_now();
            lisle::yield_now();
            noted.borrow_mut().push("goes on");
        };
        let other = ScopedCoroutine::scope(body, |lent: &Coroutine<(), (), ()>| {
            lent.resume(());
            *weak.borrow_mut() = Some(lent.downgrade());
            let other = lisle::spawn_local(move || {
                let weak = weak.take().unwrap();
                let enters = Coroutine::new(move |yielder: &Yielder<(), (), ()>, ()| {
                    yielder.transfer(&weak, ());
                });
                assert_eq!(enters.resume(()), CoroutineState::Returned(()));
            });
            lisle::yield_now();
            other
        });
        log.borrow_mut().push("scope left");
        other.join().unwrap();
    });
    assert_eq!(*log.borrow(), ["scope left", "goes on"]);
}

#[test]
fn tasks_cannot_yield_or_wait_inside_no_suspend() {
    run_in_order(|| {
        let text = panic_text(|| no_suspend(lisle::yield_now));
        assert!(text.contains("inside no_suspend"), "{text}");
        let (_sender, receiver) = bounded::<()>(0);
        let text = panic_text(|| no_suspend(|| receiver.recv()));
        assert!(text.contains("inside no_suspend"), "{text}");
        lisle::yield_now();
    });
}

#[test]
fn a_coroutine_does_not_help_out_of_no_suspend() {
    run_in_order(|| {
        let (_sender, receiver) = bounded::<()>(0);
        let coroutine = Coroutine::new(move |yielder: &Yielder<(), (), ()>, ()| {
            yielder.suspend(()); // it comes back into the section: allowed
            let _ = receiver.recv(); // the task would leave the section
        });
        no_suspend(|| {
            coroutine.resume(());
            let text = panic_text(|| coroutine.resume(()));
            assert!(text.contains("a task cannot wait or yield inside no_suspend"), "{text}");
        });
    });
}

#[test]
fn a_runtime_inside_a_body_cannot_be_left() {
    let coroutine = Coroutine::new(|yielder: &Yielder<(), (), String>, ()| {
        // The main task has a stack of its own.
        run_in_order(|| panic_text(|| yielder.suspend(())))
    });
    let CoroutineState::Returned(text) = coroutine.resume(()) else { panic!() };
    assert!(text.contains("by code that runs on another stack"), "{text}");
}

#[test]
fn coroutines_of_tasks_transfer_in_a_ring() {
    run_in_order(|| {
        let tasks: Vec<_> = (0..10)
            .map(|task: u64| {
                lisle::spawn(move || {
                    let next: Rc<OnceCell<WeakCoroutine<u64, (), u64>>> = Rc::default();
                    let (there, back) = (next.clone(), Rc::new(OnceCell::new()));
                    let home = back.clone();
                    let ping = Coroutine::new(move |yielder: &Yielder<u64, (), u64>, mut left| {
                        let mut turns = 0;
                        while left > 0 {
                            turns += 1;
                            lisle::yield_now();
                            left = yielder.transfer(there.get().unwrap(), left - 1);
                        }
                        turns
                    });
                    let pong = Coroutine::new(move |yielder: &Yielder<u64, (), u64>, mut left| {
                        let home: &WeakCoroutine<u64, (), u64> = OnceCell::get(&home).unwrap();
                        loop {
                            left = yielder.transfer(home, left);
                        }
                    });
                    let _ = (next.set(pong.downgrade()), back.set(ping.downgrade()));
                    assert_eq!(ping.resume(task), CoroutineState::Returned(task));
                })
            })
            .collect();
        for task in tasks {
            task.join().unwrap();
        }
    });
}

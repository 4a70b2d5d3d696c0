//! What the report of a deadlock says of tasks that wait at a channel.
#![cfg(not(lisle_loom))]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::Duration;

use lisle_channel::{Receiver, Select, bounded, never, select, tick, unbounded};
use lisle_scheduler::{Awaited, Deadlock, ForeignThreads, Runtime, spawn, yield_now};

/// The report of a deadlock of tasks that start in order.
fn deadlock<R>(main: impl FnOnce() -> R) -> Deadlock {
    deadlock_on(1, main)
}

fn deadlock_on<R>(workers: usize, main: impl FnOnce() -> R) -> Deadlock {
    let builder = Runtime::builder().workers(workers).foreign_threads(ForeignThreads::NeverWake);
    match builder.run(main) {
        Ok(_) => panic!("there was no deadlock"),
        Err(deadlock) => deadlock,
    }
}

/// The lines of a report that count handles.
fn counts(deadlock: &Deadlock) -> Vec<String> {
    let text = deadlock.to_string();
    let lines = text.lines().filter(|line| line.ends_with(" alive") || line.contains(" alive,"));
    lines.map(|line| line.trim_start().to_owned()).collect()
}

#[track_caller]
fn assert_waits_at(deadlock: &Deadlock, task: usize, line: u32) {
    let place = deadlock.tasks()[task].parked_at();
    assert_eq!((place.file(), place.line()), (file!(), line), "{deadlock}");
}

#[test]
fn an_iterator_waits_where_it_was_made() {
    let (_sender, receiver) = unbounded::<u32>();
    let owned = receiver.clone();
    let mut lines = [0; 4];
    let deadlock = deadlock(|| {
        let (mine, theirs) = (receiver.clone(), receiver.clone());
        lines[1] = line!() + 1;
        spawn(move || mine.iter().sum::<u32>());
        lines[2] = line!() + 1;
        let owned = owned.into_iter();
        spawn(move || owned.map(|n| n + 1).collect::<Vec<_>>());
        spawn(move || {
            let nothing = never::<u32>();
            nothing.iter().chain(theirs.iter()).max()
        });
        lines[3] = line!() - 2;
        let mut sum = 0;
        lines[0] = line!() + 1;
        for n in &receiver {
            sum += n;
        }
        sum
    });
    for (task, line) in lines.into_iter().enumerate() {
        assert_waits_at(&deadlock, task, line);
    }
}

#[test]
fn an_iterator_over_a_clock_waits_where_it_was_made() {
    let mut line = 0;
    let deadlock = deadlock(|| {
        line = line!() + 1;
        tick(Duration::MAX).iter().count()
    });
    assert_waits_at(&deadlock, 0, line);
}

#[test]
fn the_handles_at_the_other_end_are_counted() {
    let deadlock = deadlock(|| {
        let (sender, receiver) = bounded::<u8>(0);
        let more = sender.clone();
        spawn(move || receiver.recv());
        let (full, slow) = bounded(1);
        full.send(1).unwrap();
        spawn(move || full.send(2));
        let (mute, silent) = unbounded::<u8>();
        // It has the sender itself, as a program has that forgets to drop it.
        let received = silent.recv();
        drop((sender, more, slow, mute));
        received
    });
    let expected = ["1 sender is alive", "2 senders are alive", "1 receiver is alive"];
    assert_eq!(counts(&deadlock), expected, "{deadlock}");

    let [Awaited::Handles(senders)] = deadlock.tasks()[1].awaited() else { panic!("{deadlock}") };
    assert_eq!((senders.kind(), senders.alive()), ("sender", 2));
}

/// No worker gives up what it holds while another still counts.
#[test]
fn handles_that_other_workers_hold_are_counted_too() {
    for _ in 0..100 {
        let deadlock = deadlock_on(2, || {
            let (sender, receiver) = bounded::<u8>(0);
            let (started, start) = bounded(0);
            let reader = spawn(move || {
                started.send(()).unwrap();
                receiver.recv()
            });
            // Computes until the other worker has taken the reader.
            while start.try_recv().is_err() {
                std::hint::spin_loop();
            }
            let result = reader.join();
            drop(sender);
            result
        });
        assert_eq!(counts(&deadlock), ["1 sender is alive"], "{deadlock}");
    }
}

#[test]
fn tasks_that_wait_at_channels_of_their_own_are_one_group() {
    const TASKS: usize = 2000;
    let deadlock = deadlock(|| {
        let mut senders = Vec::new();
        for n in 0..TASKS {
            let (sender, receiver) = bounded::<u8>(0);
            senders.extend((0..n % 3).map(|_| sender.clone()));
            senders.push(sender);
            spawn(move || receiver.recv());
        }
        let (_sender, receiver) = bounded::<u8>(0);
        receiver.recv().map(|_| senders)
    });
    assert_eq!(deadlock.tasks().len(), 1 + TASKS);
    assert_eq!(counts(&deadlock), ["1 sender is alive", "1 to 3 senders are alive"], "{deadlock}");
    assert!(deadlock.to_string().lines().count() < 20, "{deadlock}");
}

#[test]
fn each_operation_of_a_select_is_told_with_the_waiters_at_its_other_end() {
    let deadlock = deadlock(|| {
        let (first, second) = (bounded::<u8>(0), bounded::<u8>(0));
        let _more = second.1.clone();
        select! {
            recv(first.1) -> _ => unreachable!("nobody sends"),
            send(second.0, 1) -> _ => unreachable!("nobody receives"),
            // A select does not meet itself.
            send(first.0, 1) -> _ => unreachable!("nobody receives"),
            recv(never::<u8>()) -> _ => unreachable!("nothing comes"),
        }
    });
    let id = deadlock.tasks()[0].task().id();
    let expected = [
        format!("1 sender is alive, held by task {id} 'main'"),
        "2 receivers are alive".to_owned(),
        format!("1 receiver is alive, held by task {id} 'main'"),
    ];
    assert_eq!(counts(&deadlock), expected, "{deadlock}");
    assert_eq!(deadlock.tasks()[0].awaited().len(), 3);
}

#[test]
fn a_large_select_is_told_in_part() {
    let deadlock = deadlock(|| {
        let channels: Vec<_> = (0..20).map(|_| bounded::<u8>(0)).collect();
        let mut select = Select::new();
        for (_, receiver) in &channels {
            select.recv(receiver);
        }
        select.ready()
    });
    assert_eq!(counts(&deadlock), ["1 sender is alive"; 8], "{deadlock}");
    assert!(deadlock.to_string().ends_with("\n    and 12 more"), "{deadlock}");
}

/// A select that sends makes its message only when it has a partner, which waits for that. Here it
/// never comes.
#[test]
fn the_partner_of_a_select_waits_where_it_receives() {
    let mut lines = [0; 6];
    let deadlock = deadlock(|| {
        let receivers = [(); 6].map(|()| {
            let (sender, receiver) = bounded::<u8>(0);
            spawn(move || {
                select! {
                    send(sender, never().recv().unwrap()) -> result => result.unwrap(),
                    recv(never::<u8>()) -> _ => unreachable!("nothing comes"),
                }
            });
            receiver
        });
        yield_now();
        let [first, second, third, fourth, fifth, sixth] = receivers;
        lines[0] = line!() + 1;
        spawn(move || first.recv());
        lines[1] = line!() + 1;
        spawn(move || second.recv_timeout(Duration::MAX));
        lines[2] = line!() + 1;
        spawn(move || third.try_recv());
        lines[3] = line!() + 1;
        spawn(move || fourth.try_iter().count());
        lines[4] = line!() + 1;
        spawn(move || select! { recv(fifth) -> received => received });
        lines[5] = line!() + 4;
        let last = spawn(move || {
            let mut select = Select::new();
            select.recv(&sixth);
            select.try_select().map(|operation| operation.recv(&sixth))
        });
        drop(last.join());
    });
    for (receiver, line) in lines.into_iter().enumerate() {
        assert_waits_at(&deadlock, 1 + 6 + receiver, line);
    }
}

/// The report is printed, so a child process makes it.
#[test]
fn a_task_that_swallows_its_cancellation_in_an_iterator_does_so_where_that_was_made() {
    const NAME: &str =
        "a_task_that_swallows_its_cancellation_in_an_iterator_does_so_where_that_was_made";
    const CHILD: &str = "LISLE_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let (sender, receiver) = unbounded::<u32>();
        let builder = Runtime::builder().workers(1);
        builder.run(swallower(receiver)).unwrap();
        return drop(sender);
    }
    let program = std::env::current_exe().unwrap();
    // An emulated program cannot start another one by itself.
    let mut child = Command::new("env");
    child.args(std::env::var_os("LISLE_TEST_RUNNER")).arg(program);
    let child = child.args([NAME, "--exact", "--nocapture"]).env(CHILD, "1").output().unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{said}");
    let place = format!("the last time from {}:{}", file!(), SWALLOWS_AT);
    assert!(said.contains(&place), "{said}");
}

const SWALLOWS_AT: u32 = line!() + 6;

fn swallower(receiver: Receiver<u32>) -> impl FnOnce() {
    || {
        spawn(move || {
            loop {
                let _ = catch_unwind(AssertUnwindSafe(|| receiver.iter().for_each(drop)));
            }
        });
        yield_now();
    }
}

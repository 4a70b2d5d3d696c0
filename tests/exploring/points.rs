//! Each operation is a point at which another task may go first.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use lisle::channel::{Select, after, bounded, select, unbounded};
use lisle::explore::atomic::{AtomicUsize, fence};
use lisle::explore::{Explorer, Strategy, point};
use lisle::sync::{
    Barrier, Condvar, LazyLock, Mutex, MutexGuard, Notify, Once, OnceLock, OwnedRwLockWriteGuard,
    RwLock, RwLockWriteGuard, Semaphore, WaitGroup, broadcast, watch,
};
use lisle::task::{TaskSet, cancellable, check_cancelled, is_cancelled, race};
use lisle::time::interval;
use lisle::{scope, sleep, spawn, yield_now};

/// Whether another task comes between what is prepared and the end of the operation, in one of
/// the schedules.
fn is_point(operate: impl Fn(&dyn Fn(bool)) + Sync) -> bool {
    let came_between = AtomicBool::new(false);
    Explorer::new().strategy(Strategy::Exhaustive { preemptions: 1 }).run(|| {
        let is_under_way = AtomicBool::new(false);
        scope(|scope| {
            scope.spawn(|| operate(&|begun| is_under_way.store(begun, SeqCst)));
            scope.spawn(|| came_between.fetch_or(is_under_way.load(SeqCst), SeqCst));
        });
    });
    came_between.into_inner()
}

/// A line of a history that does not tell of the operation by the line that a user has written.
fn misplaced(operate: impl Fn(&dyn Fn(bool)) + Sync) -> Option<String> {
    let failure = Explorer::new().iterations(1).check(|| {
        scope(|scope| {
            scope.spawn(|| operate(&|_| ()));
        });
        panic!("so that there is a history");
    });
    let history = failure.unwrap_err().to_string();
    history.lines().find(|line| line.contains("/src/")).map(str::to_owned)
}

/// Whether `$operation` is a point, in what `$prepare` has prepared.
macro_rules! points {
    ($($name:literal: { $($prepare:tt)* } $operation:expr;)*) => {
        [$({
            let operate = |is_under_way: &dyn Fn(bool)| {
                // The first operation of a task is none: it was chosen just now.
                point();
                $($prepare)*
                is_under_way(true);
                // Its end may be another operation.
                let _result = $operation;
                is_under_way(false);
            };
            ($name, is_point(operate), misplaced(operate))
        }),*]
    };
}

#[track_caller]
fn all_are<const N: usize>(points: [(&str, bool, Option<String>); N]) {
    let missing: Vec<_> = points.iter().filter(|point| !point.1).map(|point| point.0).collect();
    assert!(missing.is_empty(), "no points: {missing:?}");
    let misplaced: Vec<_> = points.iter().filter(|point| point.2.is_some()).collect();
    assert!(misplaced.is_empty(), "not by their own lines: {misplaced:#?}");
}

#[test]
fn what_is_none() {
    assert!(!is_point(|is_under_way| {
        point();
        is_under_way(true);
        is_under_way(false);
    }));
}

#[test]
fn those_of_channels() {
    all_are(points! {
        "send": { let (tx, _rx) = bounded(1); } tx.send(1);
        "send without limit": { let (tx, _rx) = unbounded(); } tx.send(1);
        "send to nobody": { let (tx, _) = bounded(1); } tx.send(1);
        "try_send": { let (tx, _rx) = bounded(1); } tx.try_send(1);
        "try_send that fails": { let (tx, _rx) = bounded(0); } tx.try_send(1);
        "recv": { let (tx, rx) = bounded(1); tx.send(1).unwrap(); } rx.recv();
        "recv from nobody": { let (_, rx) = bounded::<()>(1); } rx.recv();
        "recv from a clock": { let rx = after(Duration::ZERO); } rx.recv();
        "ready": { let (tx, rx) = bounded(1); tx.send(1).unwrap(); }
            { let mut ready = Select::new(); ready.recv(&rx); ready.ready() };
        "select that sends": { let (tx, _rx) = bounded(1); } select! { send(tx, 1) -> _ => () };
        "try_recv": { let (tx, rx) = bounded(1); tx.send(1).unwrap(); } rx.try_recv();
        "try_recv that fails": { let (_tx, rx) = bounded::<()>(1); } rx.try_recv();
        "recv_timeout": { let (_tx, rx) = bounded::<()>(1); } rx.recv_timeout(Duration::ZERO);
        "try_iter": { let (tx, rx) = bounded(1); tx.send(1).unwrap(); } rx.try_iter().next();
        "is_empty": { let (_tx, rx) = bounded::<()>(1); } rx.is_empty();
        "is_full": { let (_tx, rx) = bounded::<()>(1); } rx.is_full();
        "len": { let (_tx, rx) = bounded::<()>(1); } rx.len();
        "is_empty of a sender": { let (tx, _rx) = bounded::<()>(1); } tx.is_empty();
        "is_full of a sender": { let (tx, _rx) = bounded::<()>(1); } tx.is_full();
        "len of a sender": { let (tx, _rx) = bounded::<()>(1); } tx.len();
        "select": { let (tx, rx) = bounded(1); tx.send(1).unwrap(); }
            select! { recv(rx) -> _ => () };
        "select that may not wait": { let (_tx, rx) = bounded::<()>(1); }
            select! { recv(rx) -> _ => (), default => () };
        "drop of the last sender": { let (tx, _rx) = bounded::<()>(1); } drop(tx);
        "drop of the last receiver": { let (_tx, rx) = bounded::<()>(1); } drop(rx);
    });
}

/// A wait begins with a point, too: another task can be the first to wait.
#[test]
fn waits_begin_in_either_order() {
    for capacity in [Some(0), Some(1), None] {
        let orders = [AtomicBool::new(false), AtomicBool::new(false)];
        Explorer::new().strategy(Strategy::Exhaustive { preemptions: 1 }).run(|| {
            let (tx, rx) = capacity.map_or_else(unbounded, bounded);
            let came = AtomicUsize::new(0);
            scope(|scope| {
                let tasks = [(); 2].map(|()| {
                    scope.spawn(|| {
                        let place = came.fetch_add(1, SeqCst);
                        (place, rx.recv().unwrap())
                    })
                });
                sleep(Duration::from_secs(1));
                (0..2).for_each(|n| tx.send(n).unwrap());
                for (place, message) in tasks.map(|task| task.join().unwrap()) {
                    orders[usize::from(place == message)].store(true, SeqCst);
                }
            });
        });
        assert!(orders.map(AtomicBool::into_inner) == [true, true], "{capacity:?}");
    }
}

#[test]
fn those_of_locks() {
    all_are(points! {
        "lock": { let mutex = Mutex::new(()); } mutex.lock();
        "try_lock": { let mutex = Mutex::new(()); } mutex.try_lock();
        "lock_timeout": { let mutex = Mutex::new(()); } mutex.lock_timeout(Duration::ZERO);
        "is_locked": { let mutex = Mutex::new(()); } mutex.is_locked();
        "read": { let lock = RwLock::new(()); } lock.read();
        "write": { let lock = RwLock::new(()); } lock.write();
        "try_read": { let lock = RwLock::new(()); } lock.try_read();
        "try_write": { let lock = RwLock::new(()); } lock.try_write();
        "is_locked of an RwLock": { let lock = RwLock::new(()); } lock.is_locked();
        "notify_one": { let condvar = Condvar::new(); } condvar.notify_one();
        "notify_all": { let condvar = Condvar::new(); } condvar.notify_all();
        "call_once": { let once = Once::new(); } once.call_once(|| ());
        "is_completed": { let once = Once::new(); } once.is_completed();
        "get": { let lock = OnceLock::<u8>::new(); } lock.get();
        "set": { let lock = OnceLock::<u8>::new(); } lock.set(1);
        "force": { let lock: LazyLock<u8> = LazyLock::new(|| 1); } LazyLock::force(&lock);
        "get of a LazyLock": { let lock: LazyLock<u8> = LazyLock::new(|| 1); }
            LazyLock::get(&lock);
        "get_or_init": { let lock = OnceLock::new(); } lock.get_or_init(|| 1);
    });
}

/// Looks whether a lock is held: from the next execution on releases are points.
fn look() {
    assert!(!Mutex::new(()).is_locked());
}

#[test]
fn those_of_guards() {
    all_are(points! {
        "unlock": { look(); let mutex = Mutex::new(()); let guard = mutex.lock(); } drop(guard);
        "unlock of a part": {
            look();
            let mutex = Mutex::new((1, 2));
            let part = MutexGuard::map(mutex.lock(), |pair| &mut pair.1);
        } drop(part);
        "unlock of an owned guard": {
            look();
            let guard = Arc::new(Mutex::new(())).lock_owned();
        } drop(guard);
        "end of a read": { look(); let lock = RwLock::new(()); let guard = lock.read(); }
            drop(guard);
        "end of a write": { look(); let lock = RwLock::new(()); let guard = lock.write(); }
            drop(guard);
        "end of an owned read": {
            look();
            let guard = Arc::new(RwLock::new(())).read_owned();
        } drop(guard);
        "end of an owned write": {
            look();
            let guard = Arc::new(RwLock::new(())).write_owned();
        } drop(guard);
        "downgrade": {
            let lock = RwLock::new(());
            let guard = lock.write();
        } RwLockWriteGuard::downgrade(guard);
        "downgrade of an owned guard": {
            let guard = Arc::new(RwLock::new(())).write_owned();
        } OwnedRwLockWriteGuard::downgrade(guard);
        "end of a look at a watched value": {
            look();
            let (_tx, rx) = watch::channel(1);
            let value = rx.borrow();
        } drop(value);
    });
}

/// Where nobody looks at a lock it makes no difference, and would be one choice more.
#[test]
fn a_release_that_nobody_sees_is_none() {
    assert!(!is_point(|is_under_way| {
        point();
        let mutex = Mutex::new(());
        let guard = mutex.lock();
        is_under_way(true);
        drop(guard);
        is_under_way(false);
    }));
}

#[test]
fn those_of_meeting_points() {
    all_are(points! {
        "a barrier": { let barrier = Barrier::new(1); } barrier.wait();
        "notify_one": { let notify = Notify::new(); } notify.notify_one();
        "notify_waiters": { let notify = Notify::new(); } notify.notify_waiters();
        "notified": { let notify = Notify::new(); } notify.notified();
        "acquire": { let semaphore = Semaphore::new(1); } semaphore.acquire();
        "try_acquire": { let semaphore = Semaphore::new(1); } semaphore.try_acquire();
        "add_permits": { let semaphore = Semaphore::new(1); } semaphore.add_permits(1);
        "forget_permits": { let semaphore = Semaphore::new(1); } semaphore.forget_permits(1);
        "available_permits": { let semaphore = Semaphore::new(1); } semaphore.available_permits();
        "close": { let semaphore = Semaphore::new(1); } semaphore.close();
        "drop of a permit": {
            let semaphore = Semaphore::new(1);
            let permit = semaphore.acquire().unwrap();
        } drop(permit);
        "is_closed of a semaphore": { let semaphore = Semaphore::new(1); } semaphore.is_closed();
        "wait of a group": { let group = WaitGroup::new(); } group.wait();
        "drop of a member": { let group = WaitGroup::new(); } drop(group);
        "broadcast": { let (tx, _rx) = broadcast::channel(1); } tx.send(1);
        "try_recv of a broadcast": { let (_tx, mut rx) = broadcast::channel::<u8>(1); }
            rx.try_recv();
        "drop of a broadcast's sender": { let (tx, _rx) = broadcast::channel::<u8>(1); } drop(tx);
        "recv of a broadcast": { let (tx, mut rx) = broadcast::channel(1); tx.send(1).unwrap(); }
            rx.recv();
        "drop of a broadcast's receiver": { let (_tx, rx) = broadcast::channel::<u8>(1); } drop(rx);
        "subscribe to a broadcast": { let (tx, _rx) = broadcast::channel::<u8>(1); } tx.subscribe();
        "resubscribe": { let (_tx, rx) = broadcast::channel::<u8>(1); } rx.resubscribe();
        "closed of a broadcast": { let tx = broadcast::Sender::<u8>::new(1); } tx.closed();
        "is_closed of a broadcast": { let (_tx, rx) = broadcast::channel::<u8>(1); }
            rx.is_closed();
        "len of a broadcast": { let (_tx, rx) = broadcast::channel::<u8>(1); } rx.len();
        "is_empty of a broadcast": { let (_tx, rx) = broadcast::channel::<u8>(1); } rx.is_empty();
        "len of a broadcast's sender": { let (tx, _rx) = broadcast::channel::<u8>(1); } tx.len();
        "is_empty of a broadcast's sender": { let (tx, _rx) = broadcast::channel::<u8>(1); }
            tx.is_empty();
        "receivers of a broadcast": { let (tx, _rx) = broadcast::channel::<u8>(1); }
            tx.receiver_count();
        "senders of a broadcast": { let (tx, _rx) = broadcast::channel::<u8>(1); }
            tx.sender_count();
        "wait of a notified": { let notify = Notify::new(); notify.notify_one(); } notify.wait();
        "closed": { let tx = watch::Sender::new(1); } tx.closed();
        "send_modify": { let tx = watch::Sender::new(1); } tx.send_modify(|value| *value += 1);
        "changed": { let (tx, mut rx) = watch::channel(1); tx.send(2).unwrap(); } rx.changed();
        "wait_for": { let (_tx, mut rx) = watch::channel(1); } rx.wait_for(|&value| value == 1);
        "watch": { let (tx, _rx) = watch::channel(1); } tx.send(1);
        "borrow": { let (_tx, rx) = watch::channel(1); } rx.borrow();
        "borrow_and_update": { let (_tx, mut rx) = watch::channel(1); } rx.borrow_and_update();
        "borrow of a sender": { let (tx, _rx) = watch::channel(1); } tx.borrow();
        "send_replace": { let (tx, _rx) = watch::channel(1); } tx.send_replace(1);
        "subscribe to a watch": { let (tx, _rx) = watch::channel(1); } tx.subscribe();
        "is_closed of a watch": { let (tx, _rx) = watch::channel(1); } tx.is_closed();
        "receivers of a watch": { let (tx, _rx) = watch::channel(1); } tx.receiver_count();
        "senders of a watch": { let (tx, _rx) = watch::channel(1); } tx.sender_count();
        "mark_unchanged": { let (_tx, mut rx) = watch::channel(1); } rx.mark_unchanged();
        "drop of a watch's sender": { let (tx, _rx) = watch::channel(1); } drop(tx);
        "drop of a watch's receiver": { let (_tx, rx) = watch::channel(1); } drop(rx);
        "has_changed": { let (_tx, rx) = watch::channel(1); } rx.has_changed();
    });
}

#[test]
fn those_of_tasks_and_the_rest() {
    all_are(points! {
        "join": { let task = spawn(|| ()); yield_now(); } task.join();
        "is_finished": { let task = spawn(|| ()); yield_now(); } task.is_finished();
        "cancel": { let task = spawn(|| ()); yield_now(); } task.cancel();
        "cancel of a region": {
            let mut token = None;
            let _ = cancellable(|mine| token = Some(mine.clone()));
            let token = token.unwrap();
        } token.cancel();
        "is_cancelled of a token": {
            let mut token = None;
            let _ = cancellable(|mine| token = Some(mine.clone()));
            let token = token.unwrap();
        } token.is_cancelled();
        "is_cancelled": {} is_cancelled();
        "check_cancelled": {} check_cancelled();
        "is_finished of a handle": {
            let stop = spawn(|| ()).cancel_handle();
            yield_now();
        } stop.is_finished();
        "join_next": { let mut set = TaskSet::new(); set.spawn(|| ()); yield_now(); }
            set.join_next();
        "try_join_next": { let mut set = TaskSet::new(); set.spawn(|| ()); yield_now(); }
            set.try_join_next();
        "cancel_all": {
            // Its end has points of its own.
            let mut set = ManuallyDrop::new(TaskSet::new());
            set.spawn(|| ());
            yield_now();
        } set.cancel_all();
        "end of a cancel_on_drop": {
            let task = spawn(|| ()).cancel_on_drop();
            yield_now();
        } drop(task);
        "end of a race": {} race([|| (), || ()]);
        "tick": { let mut ticks = interval(Duration::from_millis(1)); } ticks.tick();
        "yield_now": {} yield_now();
        "sleep": {} sleep(Duration::from_millis(1));
        "an atomic": { let count = AtomicUsize::new(0); } count.load(SeqCst);
        "a fence": {} fence(SeqCst);
        "a point": {} point();
    });
}

/// The end of a set, which waits for its tasks, is told of by lines of the library: a destructor
/// has none.
#[test]
fn the_end_of_a_set() {
    assert!(is_point(|is_under_way| {
        point();
        let mut set = TaskSet::new();
        set.spawn(|| ());
        is_under_way(true);
        drop(set);
        is_under_way(false);
    }));
}

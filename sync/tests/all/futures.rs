//! Notifications and permits for `async` code, among tasks and threads: which party is woken, and
//! that nothing is lost with a future that is dropped, at whichever stage.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};
use std::thread;

use lisle::sync::{AcquireFuture, AcquireOwnedFuture, NotifiedFuture, Notify, Semaphore};
use lisle::{block_on, spawn, yield_now};

use crate::ground::{everywhere, on_one_worker};
use crate::polled::{Calls, is_pending, poll};

/// A waker that calls a closure once.
struct Call<F>(Mutex<Option<F>>);

impl<F: FnOnce() + Send + 'static> Wake for Call<F> {
    fn wake(self: Arc<Self>) {
        if let Some(call) = self.0.lock().unwrap().take() {
            call();
        }
    }
}

fn calling(call: impl FnOnce() + Send + 'static) -> Waker {
    Arc::new(Call(Mutex::new(Some(call)))).into()
}

#[test]
fn futures_may_go_to_any_thread() {
    fn assert<T: Send + Sync + Unpin>() {}
    assert::<NotifiedFuture<'_>>();
    assert::<AcquireFuture<'_>>();
    assert::<AcquireOwnedFuture>();
}

#[test]
fn a_notification_is_kept_for_a_future_and_taken_in_its_first_poll() {
    let notify = Notify::new();
    notify.notify_one();
    let (mut first, mut second) =
        (notify.notified().into_future(), notify.notified().into_future());
    assert!(is_pending(&mut first) != is_pending(&mut second));
    let mut told = notify.notified().into_future();
    notify.notify_waiters();
    assert_eq!(poll(&mut told, Waker::noop()), Poll::Ready(()), "it has said that it will wait");
}

#[test]
fn parties_of_all_kinds_are_notified_in_their_order() {
    on_one_worker(|| {
        let notify = Arc::new(Notify::new());
        let order = Arc::new(Mutex::new(Vec::new()));
        let (theirs, note) = (notify.clone(), order.clone());
        let (calls, waker) = Calls::new();
        let mut first = notify.notified().into_future();
        assert!(poll(&mut first, &waker).is_pending());
        let task = spawn(move || {
            theirs.wait();
            note.lock().unwrap().push("task");
        });
        yield_now();
        let mut last = notify.notified().into_future();
        let note = order.clone();
        assert!(
            poll(&mut last, &calling(move || note.lock().unwrap().push("future"))).is_pending()
        );

        notify.notify_one();
        assert_eq!((calls.take(), task.is_finished()), (1, false));
        assert!(poll(&mut first, &waker).is_ready());
        notify.notify_one();
        task.join().unwrap();
        notify.notify_one();
        assert!(poll(&mut last, &waker).is_ready());
        assert_eq!(*order.lock().unwrap(), ["task", "future"]);
    });
}

#[test]
fn a_notification_survives_the_drop_of_its_future() {
    let notify = Notify::new();
    let (calls, waker) = Calls::new();
    let [mut new, mut waiting, mut notified, mut next] =
        [(); 4].map(|()| notify.notified().into_future());
    assert!(is_pending(&mut notified));
    assert!(is_pending(&mut waiting));
    assert!(poll(&mut next, &waker).is_pending());
    notify.notify_one();
    drop(waiting);
    assert_eq!(calls.take(), 0, "it was not notified");
    drop(notified);
    assert_eq!(calls.take(), 1, "the next one has the notification");
    drop(next);
    assert!(poll(&mut new, Waker::noop()).is_ready(), "it is kept if nobody waits");
    drop(new);
    assert!(is_pending(&mut notify.notified().into_future()), "what was ready passes nothing on");
}

#[test]
fn a_notification_for_all_ends_with_those_that_it_was_for() {
    let notify = Notify::new();
    let (calls, waker) = Calls::new();
    let mut both = [(); 2].map(|()| notify.notified().into_future());
    assert!(both.iter_mut().all(|future| poll(future, &waker).is_pending()));
    notify.notify_waiters();
    assert_eq!(calls.take(), 2);
    let [mut polled, dropped] = both;
    assert!(poll(&mut polled, &waker).is_ready());
    drop(dropped);
    assert!(is_pending(&mut notify.notified().into_future()), "nothing is kept of it");
}

#[test]
fn the_waker_of_the_last_poll_is_called() {
    let (notify, semaphore) = (Notify::new(), Semaphore::new(0));
    let (mut notified, mut acquire) = (notify.notified().into_future(), semaphore.acquire_async());
    let ((early, first), (late, second)) = (Calls::new(), Calls::new());
    for waker in [&first, &second] {
        assert!(poll(&mut notified, waker).is_pending());
        assert!(poll(&mut acquire, waker).is_pending());
    }
    notify.notify_one();
    semaphore.add_permits(1);
    assert_eq!((early.take(), late.take()), (0, 2));
    assert!(poll(&mut notified, &first).is_ready());
    assert!(poll(&mut acquire, &first).is_ready());
}

/// Wakers are user code. One that drops the other futures of a party's must not find them in the
/// hands of its own caller.
#[test]
fn a_waker_drops_the_others_that_are_woken_with_it() {
    let notify: &'static Notify = Box::leak(Box::new(Notify::new()));
    let semaphore: &'static Semaphore = Box::leak(Box::new(Semaphore::new(0)));
    for notifies in [true, false] {
        let others = Arc::new(Mutex::new(Vec::<Pin<Box<dyn Future<Output = ()> + Send>>>::new()));
        let theirs = others.clone();
        let waker = calling(move || theirs.lock().unwrap().clear());
        let wait = || -> Pin<Box<dyn Future<Output = ()> + Send>> {
            match notifies {
                true => Box::pin(notify.notified().into_future()),
                false => Box::pin(async { drop(semaphore.acquire_async().await) }),
            }
        };
        let mut first = wait();
        assert!(poll(&mut first, &waker).is_pending());
        for _ in 0..3 {
            let mut other = wait();
            assert!(is_pending(&mut other));
            others.lock().unwrap().push(other);
        }
        match notifies {
            true => notify.notify_waiters(),
            false => semaphore.close(),
        }
        assert!(others.lock().unwrap().is_empty());
        assert!(poll(&mut first, Waker::noop()).is_ready());
    }
}

#[test]
fn a_waker_that_panics_disturbs_nobody() {
    let semaphore = Semaphore::new(0);
    let (calls, waker) = Calls::new();
    let [mut bad, mut good] = [(); 2].map(|()| semaphore.acquire_async());
    assert!(poll(&mut bad, &calling(|| panic!("a waker's panic, which is expected"))).is_pending());
    assert!(poll(&mut good, &waker).is_pending());
    semaphore.add_permits(2);
    assert_eq!(calls.take(), 1);
    drop((bad, good));
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn permits_survive_the_drop_of_a_future_at_every_stage() {
    let semaphore = Semaphore::new(1);
    let (calls, waker) = Calls::new();
    drop(semaphore.acquire_async());
    assert_eq!(semaphore.available_permits(), 1, "it was never polled");

    let mut greedy = semaphore.acquire_many_async(3);
    let mut modest = semaphore.acquire_async();
    assert!(is_pending(&mut greedy));
    assert!(poll(&mut modest, &waker).is_pending(), "it stands behind");
    assert!(semaphore.try_acquire().is_err());
    drop(greedy);
    assert_eq!(calls.take(), 1, "it is served when nobody stands in front");
    assert_eq!(semaphore.available_permits(), 0);

    let mut next = semaphore.acquire_async();
    assert!(poll(&mut next, &waker).is_pending());
    drop(modest);
    assert_eq!((calls.take(), semaphore.available_permits()), (1, 0), "the next one has it");
    let Poll::Ready(permit) = poll(&mut next, &waker) else { panic!("it was given a permit") };
    drop(next);
    assert_eq!(semaphore.available_permits(), 0, "what was ready has given it away");
    drop(permit.unwrap());
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn a_close_ends_the_waits_of_futures_too() {
    let semaphore = Arc::new(Semaphore::new(0));
    let (calls, waker) = Calls::new();
    let mut given = semaphore.acquire_async();
    let mut refused = semaphore.clone().acquire_many_owned_async(2);
    assert!(poll(&mut given, &waker).is_pending());
    assert!(poll(&mut refused, &waker).is_pending());
    semaphore.add_permits(1);
    semaphore.close();
    assert_eq!(calls.take(), 2);
    assert!(matches!(poll(&mut given, &waker), Poll::Ready(Ok(_))), "it came before the close");
    assert!(matches!(poll(&mut refused, &waker), Poll::Ready(Err(_))));
    assert!(block_on(semaphore.acquire_async()).is_err(), "now");
}

#[test]
fn permits_are_handed_from_party_to_party() {
    everywhere(|ground| {
        const ROUNDS: usize = 50;
        let slots = Arc::new(Semaphore::new(2));
        let inside = Arc::new(AtomicUsize::new(0));
        let parties: Vec<_> = (0..4)
            .map(|party| {
                let (slots, inside) = (slots.clone(), inside.clone());
                ground.spawn(move || {
                    for _ in 0..ROUNDS {
                        let permit = match party % 2 {
                            0 => block_on(slots.clone().acquire_owned_async()),
                            _ => slots.clone().acquire_owned(),
                        };
                        assert!(inside.fetch_add(1, SeqCst) < 2);
                        inside.fetch_sub(1, SeqCst);
                        drop(permit.unwrap());
                    }
                })
            })
            .collect();
        parties.into_iter().for_each(|party| party.join());
        assert_eq!(slots.available_permits(), 2);
    });
}

/// Futures are dropped while others wake them; at the end every notification and every permit is
/// there.
#[test]
fn nothing_is_lost_among_futures_that_are_dropped() {
    const ROUNDS: usize = 2_000;
    let shared = Arc::new((Notify::new(), Semaphore::new(0)));
    let theirs = shared.clone();
    let giving = thread::spawn(move || {
        for _ in 0..ROUNDS {
            theirs.1.add_permits(1);
        }
    });
    let theirs = shared.clone();
    let impatient = thread::spawn(move || {
        for _ in 0..ROUNDS {
            let _ = is_pending(&mut theirs.1.acquire_async());
            let mut pair = [(); 2].map(|()| theirs.0.notified().into_future());
            let notified: usize = pair.iter_mut().map(|future| !is_pending(future) as usize).sum();
            drop(pair);
            (0..notified).for_each(|_| theirs.0.notify_one());
        }
    });
    for _ in 0..ROUNDS {
        shared.0.notify_one();
        block_on(shared.0.notified());
    }
    let taken = block_on(shared.1.acquire_many_async(ROUNDS)).unwrap();
    giving.join().unwrap();
    impatient.join().unwrap();
    drop(taken);
    assert_eq!(shared.1.available_permits(), ROUNDS);
    assert!(is_pending(&mut shared.0.notified().into_future()), "nothing is left over");
}

#[test]
fn a_cancelled_task_takes_its_future_out() {
    lisle::run(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let theirs = semaphore.clone();
        let task = spawn(move || block_on(theirs.acquire_async()).is_ok());
        // Behind it in the queue, so that it is known to wait.
        let mut behind = semaphore.acquire_async();
        block_on(poll_fn(|context| {
            let _ = Pin::new(&mut behind).poll(context);
            Poll::Ready(())
        }));
        task.cancel();
        assert!(task.join().is_err());
        semaphore.add_permits(1);
        assert!(block_on(behind).is_ok());
    });
}

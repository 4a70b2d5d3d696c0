//! The operations whose turns are counted.

use std::rc::Rc;
use std::time::{Duration, Instant};

use lisle_channel::{Select, at, bounded, never, select, tick, unbounded};

/// Ways to do something, by their names.
pub type Ways<R = ()> = Vec<(&'static str, Box<dyn Fn() -> R>)>;

/// Ways to do one operation that could wait, again and again, and never to wait. Each round counts
/// for the number of operations that is returned.
pub fn ready_operations() -> Ways<usize> {
    fn way(f: impl Fn() -> usize + 'static) -> Box<dyn Fn() -> usize> {
        Box::new(f)
    }
    let soon = || Instant::now() + Duration::from_secs(600);
    let (one, other) = (bounded(1), unbounded());
    let (first, second, third, fourth) = (one.clone(), one.clone(), one.clone(), one.clone());
    let (free, timed, watched) = (other.clone(), other.clone(), other.clone());
    let ticks = tick(Duration::from_nanos(1));
    let closed = unbounded::<u8>().1;
    vec![
        (
            "send and recv",
            way(move || {
                first.0.send(1).unwrap();
                first.1.recv().unwrap();
                2
            }),
        ),
        (
            "their timed forms",
            way(move || {
                second.0.send_timeout(1, Duration::from_secs(600)).unwrap();
                second.1.recv_timeout(Duration::from_secs(600)).unwrap();
                second.0.send_deadline(1, soon()).unwrap();
                second.1.recv_deadline(soon()).unwrap();
                4
            }),
        ),
        (
            "recv where sends never wait",
            way(move || {
                free.0.send(1).unwrap();
                free.1.recv().unwrap();
                1
            }),
        ),
        (
            "a large message",
            way(|| {
                let (sender, receiver) = bounded(1);
                sender.send([0_u8; 1000]).unwrap();
                receiver.recv().unwrap();
                2
            }),
        ),
        (
            "a new channel each time",
            way(|| {
                let (sender, receiver) = bounded(1);
                sender.send(1).unwrap();
                receiver.iter().next().unwrap();
                2
            }),
        ),
        (
            "select!",
            way(move || {
                select! {
                    send(third.0, 1) -> sent => sent.unwrap(),
                    recv(never::<u8>()) -> _ => unreachable!(),
                }
                select! {
                    recv(third.1) -> received => assert_eq!(received, Ok(1)),
                    recv(never::<u8>()) -> _ => unreachable!(),
                }
                2
            }),
        ),
        (
            "a list of operations",
            way(move || {
                let mut select = Select::new();
                select.recv(&timed.1);
                timed.0.send(1).unwrap();
                let operation = select.select();
                operation.recv(&timed.1).unwrap();
                timed.0.send(1).unwrap();
                let operation = select.select_timeout(Duration::from_secs(600)).unwrap();
                operation.recv(&timed.1).unwrap();
                2
            }),
        ),
        (
            "watching",
            way(move || {
                let mut select = Select::new();
                select.recv(&watched.1);
                watched.0.send(1).unwrap();
                select.ready();
                select.ready_timeout(Duration::from_secs(600)).unwrap();
                watched.1.try_recv().unwrap();
                2
            }),
        ),
        (
            "a clock that is always late",
            way(move || {
                ticks.recv().unwrap();
                1
            }),
        ),
        (
            "a time that has come",
            way(|| {
                at(Instant::now()).recv().unwrap();
                1
            }),
        ),
        (
            "a failure for good",
            way(move || {
                closed.recv().unwrap_err();
                fourth.0.send(1).unwrap();
                fourth.1.recv().unwrap();
                3
            }),
        ),
    ]
}

/// Ways to fail rather than wait.
pub fn failing_operations() -> Ways {
    fn way(f: impl Fn() + 'static) -> Box<dyn Fn()> {
        Box::new(f)
    }
    // Their other ends stay open as long as the ways are kept.
    let open = Rc::new(bounded::<u8>(0));
    let [a, b, c, d, e, f, g, h, i, j] = std::array::from_fn(|_| open.clone());
    let (to_nobody, from_nobody) = (bounded(0).0, bounded::<u8>(0).1);
    let future = at(Instant::now() + Duration::from_secs(600));
    vec![
        ("try_recv", way(move || assert!(a.1.try_recv().is_err()))),
        ("try_recv from nobody", way(move || assert!(from_nobody.try_recv().is_err()))),
        ("try_send", way(move || assert!(b.0.try_send(1).is_err()))),
        ("try_send to nobody", way(move || assert!(to_nobody.try_send(1).is_err()))),
        ("try_iter", way(move || assert_eq!(c.1.try_iter().count(), 0))),
        ("a time to come", way(move || assert!(future.try_recv().is_err()))),
        ("never", way(|| assert!(never::<u8>().try_recv().is_err()))),
        (
            "default",
            way(move || {
                select! {
                    recv(d.1) -> _ => unreachable!(),
                    recv(never::<u8>()) -> _ => unreachable!(),
                    default => {}
                }
            }),
        ),
        (
            "try_select",
            way(move || {
                let mut select = Select::new();
                select.recv(&e.1);
                assert!(select.try_select().is_err());
            }),
        ),
        (
            "try_ready",
            way(move || {
                let mut select = Select::new();
                select.recv(&f.1);
                assert!(select.try_ready().is_err());
            }),
        ),
        (
            "no time to receive",
            way(move || {
                assert!(g.1.recv_timeout(Duration::ZERO).is_err());
            }),
        ),
        (
            "no time to send",
            way(move || {
                assert!(h.0.send_timeout(1, Duration::ZERO).is_err());
            }),
        ),
        (
            "no time to select",
            way(move || {
                select! {
                    recv(i.1) -> _ => unreachable!(),
                    recv(never::<u8>()) -> _ => unreachable!(),
                    default(Duration::ZERO) => {}
                }
            }),
        ),
        (
            "no time to watch",
            way(move || {
                let mut select = Select::new();
                select.recv(&j.1);
                assert!(select.ready_timeout(Duration::ZERO).is_err());
            }),
        ),
    ]
}

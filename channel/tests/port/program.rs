//! A program written for crossbeam-channel, for one thread or task for each party. It uses the
//! whole interface, and puts down what it sees.

use std::cell::RefCell;
use std::error::Error;
use std::fmt::Debug;
use std::iter::FusedIterator;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use super::channel::{
    self, IntoIter, Iter, ReadyTimeoutError, Receiver, RecvError, RecvTimeoutError, Select,
    SelectTimeoutError, SelectedOperation, SendError, SendTimeoutError, Sender, TryIter,
    TryReadyError, TryRecvError, TrySelectError, TrySendError, after, at, bounded, never, select,
    select_biased, tick, unbounded,
};

/// Starts a party.
pub type Spawn<'a> = &'a dyn Fn(Box<dyn FnOnce() + Send>);

const SHORT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(120);

pub fn main(spawn: Spawn<'_>) -> Vec<String> {
    let mut log = Vec::new();
    log.push(format!("pool: {}", pool(spawn)));
    log.push(format!("pipeline: {:?}", pipeline(spawn)));
    log.push(format!("shutdown: {:?}", shutdown(spawn)));
    log.push(format!("dynamic: {:?}", dynamic(spawn)));
    log.push(format!("ready: {:?}", ready(spawn)));
    log.push(format!("timed: {:?}", timed()));
    log.push(format!("timers: {:?}", timers()));
    log.push(format!("errors: {:?}", errors()));
    log.push(format!("biased: {:?}", biased()));
    log.push(format!("evaluated: {:?}", evaluated()));
    log.push(format!("disconnected: {:?}", disconnected()));
    log
}

/// Workers share one queue of jobs and one of results.
fn pool(spawn: Spawn<'_>) -> u64 {
    let (jobs, queue) = bounded::<u64>(4);
    let (results, sums) = unbounded();
    for _ in 0..4 {
        let (queue, results) = (queue.clone(), results.clone());
        spawn(Box::new(move || {
            for job in &queue {
                results.send(job * job).unwrap();
            }
        }));
    }
    drop((queue, results));
    (0..100).for_each(|job| jobs.send(job).unwrap());
    drop(jobs);
    sums.into_iter().sum()
}

/// Stages hand on through rendezvous channels; the order stays.
fn pipeline(spawn: Spawn<'_>) -> Vec<usize> {
    fn stage<T: Send + 'static, U: Send + 'static>(
        spawn: Spawn<'_>,
        input: Receiver<T>,
        step: impl Fn(T) -> U + Send + 'static,
    ) -> Receiver<U> {
        let (sender, receiver) = bounded(0);
        spawn(Box::new(move || {
            input.iter().map(step).try_for_each(|value| sender.send(value)).unwrap_or_default()
        }));
        receiver
    }
    let (source, numbers) = bounded(0);
    spawn(Box::new(move || (0..10_u32).for_each(|n| source.send(n).unwrap())));
    let texts = stage(spawn, numbers, |n| "x".repeat(n as usize));
    stage(spawn, texts, |text| text.len()).iter().collect()
}

/// A loop around `select!` ends by a message, and says what came before.
fn shutdown(spawn: Spawn<'_>) -> Result<Vec<i32>, RecvError> {
    let (sender, receiver) = unbounded();
    let (stop, stopped) = bounded::<()>(0);
    let (report, reported) = bounded(1);
    spawn(Box::new(move || {
        let mut seen = Vec::new();
        let result = loop {
            select! {
                recv(receiver) -> message => match message {
                    Ok(n) if n % 2 == 0 => seen.push(n),
                    Ok(_) => continue,
                    Err(error) => break Err(error),
                },
                recv(stopped) -> _ => break Ok(seen),
                default(LONG) => unreachable!(),
            }
        };
        report.send(result).unwrap();
    }));
    (0..10).for_each(|n| sender.send(n).unwrap());
    while !sender.is_empty() {
        after(SHORT).recv()?;
    }
    stop.send(()).unwrap();
    reported.recv()?
}

/// `Select` over a list of channels that shrinks as they are closed.
fn dynamic(spawn: Spawn<'_>) -> Vec<(usize, u32)> {
    let receivers: Vec<Receiver<u32>> = (0..5)
        .map(|n| {
            let (sender, receiver) = if n % 2 == 0 { bounded(n as usize) } else { unbounded() };
            spawn(Box::new(move || (0..n + 1).for_each(|m| sender.send(m).unwrap())));
            receiver
        })
        .collect();
    let mut select = Select::new();
    for receiver in &receivers {
        select.recv(receiver);
    }
    let mut seen = Vec::new();
    for _ in 0..receivers.len() {
        loop {
            let operation = select.select();
            let index = operation.index();
            match operation.recv(&receivers[index]) {
                Ok(message) => seen.push((index, message)),
                Err(RecvError) => break select.remove(index),
            }
        }
    }
    seen.sort_unstable();
    seen
}

fn ready(spawn: Spawn<'_>) -> Vec<u8> {
    let (sender, receiver) = bounded(0);
    spawn(Box::new(move || (0..5).for_each(|n| sender.send(n).unwrap())));
    let mut select = Select::default();
    let index = select.recv(&receiver);
    let mut seen = Vec::new();
    loop {
        assert_eq!(select.ready(), index);
        match receiver.try_recv() {
            Ok(message) => seen.push(message),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return seen,
        }
    }
}

/// Each way to run out of time, on channels without and with places.
fn timed() -> Vec<String> {
    let mut seen = Vec::new();
    for capacity in 0..2 {
        let (sender, receiver) = bounded(capacity);
        (0..capacity).for_each(|_| sender.try_send(0).unwrap());
        seen.push(format!("{:?}", sender.send_timeout(1, SHORT)));
        seen.push(format!("{:?}", sender.send_timeout(2, Duration::ZERO)));
        seen.push(format!("{:?}", sender.send_deadline(3, Instant::now())));
        seen.push(format!("{:?}", receiver.try_iter().collect::<Vec<u8>>()));
        seen.push(format!("{:?}", receiver.recv_timeout(SHORT)));
        seen.push(format!("{:?}", receiver.recv_timeout(Duration::ZERO)));
        seen.push(format!("{:?}", receiver.recv_deadline(Instant::now())));
        seen.push(select! {
            recv(receiver) -> message => format!("{message:?}"),
            default(SHORT) => String::from("nothing came"),
        });
        drop(receiver);
        seen.push(format!("{:?}", sender.send_timeout(4, LONG)));
        seen.push(format!("{:?}", (sender.len(), sender.is_empty(), sender.capacity())));
    }
    seen
}

fn timers() -> Vec<bool> {
    let start = Instant::now();
    let ticks = tick(SHORT);
    let timeout = after(LONG);
    let mut count = 0;
    while count < 3 {
        select! {
            recv(ticks) -> time => count += u32::from(time.unwrap() >= start + SHORT),
            recv(timeout) -> _ => break,
            recv(never::<u8>()) -> _ => break,
        }
    }
    let when = Instant::now() + SHORT;
    vec![count == 3, start.elapsed() >= SHORT * 3, at(when).recv() == Ok(when), timeout.is_empty()]
}

/// `?` turns every error into a boxed one.
fn errors() -> Vec<String> {
    fn each(n: usize) -> Result<(), Box<dyn Error>> {
        let (sender, receiver) = bounded::<u8>(1);
        match n {
            0 => drop(receiver.recv_timeout(Duration::ZERO)?),
            1 => drop(receiver.try_recv()?),
            2 => sender.try_send(1).and_then(|()| sender.try_send(2))?,
            3 => {
                drop(receiver);
                sender.send(1)?;
            }
            4 => drop(Select::new().try_select()?),
            5 => drop(Select::new().select_timeout(Duration::ZERO)?),
            _ => drop(Select::new().select_deadline(Instant::now())?),
        }
        Ok(())
    }
    (0..7).map(|n| each(n).unwrap_err().to_string()).collect()
}

fn biased() -> Vec<u8> {
    let (first, one) = unbounded();
    let (second, two) = unbounded();
    for n in 0..3 {
        second.send(n + 10).unwrap();
        first.send(n).unwrap();
    }
    let mut seen = Vec::new();
    loop {
        // By its path, too.
        let next = channel::select_biased! {
            recv(one) -> message => message,
            recv(two) -> message => message,
            default => return seen,
        };
        seen.extend(next);
        select_biased! {
            send(first, 99) -> result => { let _ = result.map(|()| one.try_iter().last()); }
            recv(never::<()>()) -> _ => {}
        }
    }
}

/// What a `select!` evaluates, and when.
fn evaluated() -> Vec<&'static str> {
    let log = RefCell::new(Vec::new());
    let note = |name| log.borrow_mut().push(name);
    let (sender, receiver) = bounded(1);
    let (other, _kept) = bounded(0);
    for _ in 0..2 {
        select! {
            send({ note("sender"); &sender }, { note("message"); 1 }) -> result => {
                result.unwrap();
                note("sent");
            }
            recv({ note("receiver"); never::<u8>() }) -> _ => unreachable!(),
            send({ note("other sender"); &other }, { note("other message"); 2 }) -> _ => {}
            default({ note("timeout"); SHORT }) => note("timed out"),
        }
    }
    assert_eq!(receiver.len(), 1);
    log.into_inner()
}

/// Operations whose other end is gone are possible, and fail.
fn disconnected() -> Vec<String> {
    let (sender, receiver) = bounded(0);
    let (to_nobody, _) = bounded(0);
    let (_, from_nobody) = unbounded::<u8>();
    let mut list = Select::new_biased();
    let (blocked, sending) = (list.recv(&receiver), list.send(&to_nobody));
    let receiving = list.recv(&from_nobody);
    let mut seen = vec![format!("{:?}", (list.ready(), list.try_ready(), blocked))];
    let operation = list.select();
    assert_eq!(operation.index(), sending);
    seen.push(format!("{:?}", operation.send(&to_nobody, 1)));
    list.remove(sending);
    let operation = list.select_timeout(LONG).unwrap();
    assert_eq!(operation.index(), receiving);
    seen.push(format!("{:?}", operation.recv(&from_nobody)));
    drop(sender);
    seen.push(format!("{:?}", list.ready_deadline(Instant::now())));
    seen.push(select! {
        recv(receiver) -> message => format!("{:?}", message as Result<u8, _>),
        default => String::from("blocked"),
    });
    seen
}

/// Every name with its exact type, and the traits that a program may rely on.
#[allow(clippy::type_complexity, reason = "the types are what is tested")]
pub fn interface() {
    type Pair = (Sender<u8>, Receiver<u8>);
    type Kinds = (fn(Duration) -> Receiver<Instant>, fn(Instant) -> Receiver<Instant>);
    const NEVER: Receiver<u8> = never();
    let _: (fn(usize) -> Pair, fn() -> Pair) = (bounded, unbounded);
    let _: [Kinds; 2] = [(after, at), (tick, at)];

    type S = Sender<u8>;
    let _: fn(&S, u8) -> Result<(), TrySendError<u8>> = S::try_send;
    let _: fn(&S, u8) -> Result<(), SendError<u8>> = S::send;
    let _: fn(&S, u8, Duration) -> Result<(), SendTimeoutError<u8>> = S::send_timeout;
    let _: fn(&S, u8, Instant) -> Result<(), SendTimeoutError<u8>> = S::send_deadline;
    let _: [fn(&S) -> bool; 2] = [S::is_empty, S::is_full];
    let _: (fn(&S) -> usize, fn(&S) -> Option<usize>) = (S::len, S::capacity);
    let _: fn(&S, &S) -> bool = S::same_channel;

    type R = Receiver<u8>;
    let _: fn(&R) -> Result<u8, TryRecvError> = R::try_recv;
    let _: fn(&R) -> Result<u8, RecvError> = R::recv;
    let _: fn(&R, Duration) -> Result<u8, RecvTimeoutError> = R::recv_timeout;
    let _: fn(&R, Instant) -> Result<u8, RecvTimeoutError> = R::recv_deadline;
    let _: [fn(&R) -> bool; 2] = [R::is_empty, R::is_full];
    let _: (fn(&R) -> usize, fn(&R) -> Option<usize>) = (R::len, R::capacity);
    let _: (for<'a> fn(&'a R) -> Iter<'a, u8>, for<'a> fn(&'a R) -> TryIter<'a, u8>) =
        (R::iter, R::try_iter);
    let _: fn(R) -> IntoIter<u8> = R::into_iter;
    let _: fn(&R, &R) -> bool = R::same_channel;
    assert!(NEVER.same_channel(&never()));

    type L<'a> = Select<'a>;
    let _: [fn() -> L<'static>; 2] = [L::new, L::new_biased];
    let _: for<'b> fn(&'b mut L<'static>, &'static S) -> usize = L::send;
    let _: for<'b> fn(&'b mut L<'static>, &'static R) -> usize = L::recv;
    let _: fn(&mut L<'static>, usize) = L::remove;
    type O = SelectedOperation<'static>;
    let _: fn(&mut L<'static>) -> Result<O, TrySelectError> = L::try_select;
    let _: fn(&mut L<'static>) -> O = L::select;
    let _: fn(&mut L<'static>, Duration) -> Result<O, SelectTimeoutError> = L::select_timeout;
    let _: fn(&mut L<'static>, Instant) -> Result<O, SelectTimeoutError> = L::select_deadline;
    let _: fn(&mut L<'static>) -> Result<usize, TryReadyError> = L::try_ready;
    let _: fn(&mut L<'static>) -> usize = L::ready;
    let _: fn(&mut L<'static>, Duration) -> Result<usize, ReadyTimeoutError> = L::ready_timeout;
    let _: fn(&mut L<'static>, Instant) -> Result<usize, ReadyTimeoutError> = L::ready_deadline;
    let _: fn(&O) -> usize = O::index;
    let _: fn(O, &S, u8) -> Result<(), SendError<u8>> = O::send;
    let _: fn(O, &R) -> Result<u8, RecvError> = O::recv;

    let _: fn(SendError<u8>) -> u8 = SendError::into_inner;
    let _: fn(TrySendError<u8>) -> u8 = TrySendError::into_inner;
    let _: [fn(&TrySendError<u8>) -> bool; 2] =
        [TrySendError::is_full, TrySendError::is_disconnected];
    let _: fn(SendTimeoutError<u8>) -> u8 = SendTimeoutError::into_inner;
    let _: [fn(&SendTimeoutError<u8>) -> bool; 2] =
        [SendTimeoutError::is_timeout, SendTimeoutError::is_disconnected];
    let _: [fn(&TryRecvError) -> bool; 2] = [TryRecvError::is_empty, TryRecvError::is_disconnected];
    let _: [fn(&RecvTimeoutError) -> bool; 2] =
        [RecvTimeoutError::is_timeout, RecvTimeoutError::is_disconnected];
    let _: [TrySendError<u8>; 2] = [SendError(1).into(), TrySendError::Full(1)];
    let _: [SendTimeoutError<u8>; 2] = [SendError(1).into(), SendTimeoutError::Timeout(1)];
    let _: (TryRecvError, RecvTimeoutError) = (RecvError.into(), RecvError.into());

    fn handle<T: Send + Sync + Clone + Debug + UnwindSafe + RefUnwindSafe>() {}
    handle::<Sender<std::cell::Cell<u8>>>();
    handle::<Receiver<std::cell::Cell<u8>>>();
    fn iterator<T: Iterator<Item = u8> + Debug>() {}
    fn fused<T: Iterator<Item = u8> + FusedIterator + Debug>() {}
    fused::<Iter<'_, u8>>();
    fused::<IntoIter<u8>>();
    iterator::<TryIter<'_, u8>>();
    fn list<T: Send + Sync + Clone + Default + Debug>() {}
    list::<Select<'_>>();
    fn debug<T: Debug>() {}
    debug::<SelectedOperation<'_>>();
    fn error<T: Error + Copy + Eq + Send + Sync + 'static>() {}
    error::<SendError<u8>>();
    error::<TrySendError<u8>>();
    error::<SendTimeoutError<u8>>();
    error::<RecvError>();
    error::<TryRecvError>();
    error::<RecvTimeoutError>();
    error::<TrySelectError>();
    error::<SelectTimeoutError>();
    fn plain<T: Debug + Copy + Eq + Send + Sync + 'static>() {}
    plain::<TryReadyError>();
    plain::<ReadyTimeoutError>();
}

//! Waiting for several operations at once: [`Select`] and what it selects.

mod error;
mod macro_errors;
pub(crate) mod macros;
#[cfg(all(test, lisle_loom))]
mod models;
pub(crate) mod operation;
mod random;
mod ready;
mod run;
mod selected;
#[cfg(all(test, not(lisle_loom)))]
mod tests;

use std::fmt;
use std::time::{Duration, Instant};

use lisle_scheduler::internal::points;

pub use error::{ReadyTimeoutError, SelectTimeoutError, TryReadyError, TrySelectError};
pub use run::{Case, Order};
pub use selected::{Promise, Selected, SelectedOperation};

use crate::claim::GrantCell;
use crate::receiver::Receiver;
use crate::sender::Sender;
use operation::Operation;
use run::Patience;
use selected::Begun;

/// A list of operations of which one is to be carried out: whichever is possible first.
///
/// If several are possible, one of them is taken at random. An operation counts as possible if it
/// would not block; so it does when it would fail because the other end of its channel is gone.
///
/// There are two ways to use a list:
///
/// - [`select`](Self::select), [`try_select`](Self::try_select),
///   [`select_timeout`](Self::select_timeout) and [`select_deadline`](Self::select_deadline) begin
///   an operation, which must then be completed by [`SelectedOperation::send`] or
///   [`SelectedOperation::recv`].
/// - [`ready`](Self::ready), [`try_ready`](Self::try_ready), [`ready_timeout`](Self::ready_timeout)
///   and [`ready_deadline`](Self::ready_deadline) only tell which operation seems possible.
///   Somebody else may be faster in carrying it out, so it should be tried, and if it fails, the
///   list be asked again.
///
/// In a task, those that only try let others run at every 64th failure, and those that wait after
/// 256 operations that need not: [others have their turn](index.html#others-have-their-turn).
///
/// The macro [`select!`](crate::select!) is shorter where the operations are known beforehand.
///
/// # Examples
///
/// Receiving from whichever channel has something:
///
/// ```
/// use lisle::channel::{Receiver, RecvError, Select, bounded};
///
/// fn recv_any<T>(receivers: &[Receiver<T>]) -> Result<T, RecvError> {
///     let mut select = Select::new();
///     for receiver in receivers {
///         select.recv(receiver);
///     }
///     let operation = select.select();
///     let index = operation.index();
///     operation.recv(&receivers[index])
/// }
///
/// lisle::run(|| {
///     let (senders, receivers): (Vec<_>, Vec<_>) = (0..5).map(|_| bounded(0)).unzip();
///     lisle::spawn(move || senders[3].send("hello").unwrap());
///     assert_eq!(recv_any(&receivers[2..]), Ok("hello"));
/// });
/// ```
///
/// The same by asking what is ready:
///
/// ```
/// use lisle::channel::{Receiver, Select, TryRecvError, unbounded};
///
/// fn recv_any<T>(receivers: &[Receiver<T>]) -> Result<T, TryRecvError> {
///     let mut select = Select::new();
///     for receiver in receivers {
///         select.recv(receiver);
///     }
///     loop {
///         match receivers[select.ready()].try_recv() {
///             Err(TryRecvError::Empty) => continue, // somebody else was faster
///             result => return result,
///         }
///     }
/// }
///
/// lisle::run(|| {
///     let (sender, receiver) = unbounded();
///     let (_mute, silent) = unbounded();
///     sender.send(7).unwrap();
///     assert_eq!(recv_any(&[silent, receiver]), Ok(7));
/// });
/// ```
pub struct Select<'a> {
    cases: Vec<Case<'a>>,
    next_index: usize,
    order: Order,
}

// SAFETY: the waiters of the cases are in no list unless a method with `&mut self` is running, and
// the handles are `Sync` where their messages are `Send`. Where they are not, a select on another
// thread moves messages at most from one place in memory to another: it gives them out only to
// holders of a reference to their handle there, and drops none.
unsafe impl Send for Select<'_> {}
// SAFETY: a shared reference only allows to clone the list and to print its name.
unsafe impl Sync for Select<'_> {}

impl<'a> Select<'a> {
    /// An empty list. If several of its operations are possible, one of them is taken at random.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::Select;
    ///
    /// lisle::run(|| assert!(Select::new().try_select().is_err()));
    /// ```
    pub fn new() -> Self {
        Self { cases: Vec::with_capacity(4), next_index: 0, order: Order::Random }
    }

    /// An empty list. If several of its operations are possible, the one with the lowest index is
    /// taken.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{Select, unbounded};
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = unbounded();
    ///     sender.send('x').unwrap();
    ///     let mut select = Select::new_biased();
    ///     let first = select.recv(&receiver);
    ///     let second = select.send(&sender);
    ///     for turn in [first, second] {
    ///         let operation = select.select();
    ///         assert_eq!(operation.index(), turn);
    ///         if turn == first {
    ///             assert_eq!(operation.recv(&receiver), Ok('x'));
    ///         } else {
    ///             operation.send(&sender, 'y').unwrap();
    ///         }
    ///     }
    /// });
    /// ```
    pub fn new_biased() -> Self {
        Self { order: Order::Listed, ..Self::new() }
    }

    /// Adds the sending of a message, and gives the index of the operation.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{Select, unbounded};
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = unbounded();
    ///     let mut select = Select::new();
    ///     assert_eq!(select.send(&sender), 0);
    ///     select.select().send(&sender, "hello").unwrap();
    ///     assert_eq!(receiver.recv(), Ok("hello"));
    /// });
    /// ```
    pub fn send<T>(&mut self, sender: &'a Sender<T>) -> usize {
        self.add(sender)
    }

    /// Adds the receiving of a message, and gives the index of the operation.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{Select, unbounded};
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = unbounded();
    ///     let mut select = Select::new();
    ///     assert_eq!(select.recv(&receiver), 0);
    ///     lisle::spawn(move || sender.send("hello").unwrap());
    ///     assert_eq!(select.select().recv(&receiver), Ok("hello"));
    /// });
    /// ```
    pub fn recv<T>(&mut self, receiver: &'a Receiver<T>) -> usize {
        self.add(receiver)
    }

    fn add(&mut self, operation: &'a dyn Operation) -> usize {
        let index = self.next_index;
        self.next_index += 1;
        self.cases.push(Case::new(operation, index));
        index
    }

    /// Removes the operation with this index, for example because its channel is disconnected. The
    /// others keep theirs, and it is not given out again.
    ///
    /// # Panics
    ///
    /// If there is no such operation, or it was removed before.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{Select, unbounded};
    ///
    /// lisle::run(|| {
    ///     let (_, closed) = unbounded::<u8>();
    ///     let (sender, open) = unbounded();
    ///     let mut select = Select::new_biased();
    ///     let (first, second) = (select.recv(&closed), select.recv(&open));
    ///     let operation = select.select();
    ///     assert_eq!(operation.index(), first);
    ///     assert!(operation.recv(&closed).is_err());
    ///     select.remove(first);
    ///
    ///     sender.send(5).unwrap();
    ///     let operation = select.select();
    ///     assert_eq!(operation.index(), second);
    ///     assert_eq!(operation.recv(&open), Ok(5));
    /// });
    /// ```
    #[track_caller]
    pub fn remove(&mut self, index: usize) {
        assert!(index < self.next_index, "index out of bounds; {index} >= {}", self.next_index);
        let Ok(at) = self.cases.binary_search_by_key(&index, |case| case.number) else {
            panic!("no operation with this index");
        };
        self.cases.remove(at);
    }

    /// Begins an operation if one is possible at once.
    ///
    /// # Errors
    ///
    /// If none is: there was a moment at which none of them was.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{Select, unbounded};
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = unbounded();
    ///     let mut select = Select::new();
    ///     select.recv(&receiver);
    ///     assert!(select.try_select().is_err());
    ///     sender.send(1).unwrap();
    ///     assert_eq!(select.try_select().unwrap().recv(&receiver), Ok(1));
    /// });
    /// ```
    #[track_caller]
    pub fn try_select(&mut self) -> Result<SelectedOperation<'a>, TrySelectError> {
        points::pass();
        self.run(Patience::None).ok_or(TrySelectError)
    }

    /// Blocks the calling task or thread until an operation is possible, and begins it.
    ///
    /// # Panics
    ///
    /// If the list is empty. Unwinds a task that is cancelled. If it has to wait, panics in a task
    /// inside [`no_suspend`](lisle_runtime::no_suspend).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{Select, bounded};
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = bounded(0);
    ///     let task = lisle::spawn(move || receiver.recv());
    ///     let mut select = Select::new();
    ///     select.send(&sender);
    ///     select.select().send(&sender, "hello").unwrap();
    ///     assert_eq!(task.join().unwrap(), Ok("hello"));
    /// });
    /// ```
    #[track_caller]
    pub fn select(&mut self) -> SelectedOperation<'a> {
        assert_not_empty(&self.cases);
        self.run(Patience::Endless).unwrap_or_else(|| unreachable!("there is no deadline"))
    }

    /// Like [`select`](Self::select), for at most `timeout`. An empty list waits for nothing but
    /// the end of that time. A timeout that ends after the last representable [`Instant`] never
    /// expires.
    ///
    /// # Errors
    ///
    /// If the time is over.
    ///
    /// # Panics
    ///
    /// As [`select`](Self::select), but not for an empty list.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{Select, SelectTimeoutError, unbounded};
    /// use std::time::Duration;
    ///
    /// lisle::run(|| {
    ///     let (_sender, receiver) = unbounded::<u8>();
    ///     let mut select = Select::new();
    ///     select.recv(&receiver);
    ///     let result = select.select_timeout(Duration::from_millis(1));
    ///     assert_eq!(result.unwrap_err(), SelectTimeoutError);
    /// });
    /// ```
    #[track_caller]
    pub fn select_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.run(Patience::lasting(timeout)).ok_or(SelectTimeoutError)
    }

    /// Like [`select`](Self::select), until `deadline`. After a deadline in the past it still
    /// begins an operation if one is possible at once.
    ///
    /// # Errors
    ///
    /// If the deadline has passed.
    ///
    /// # Panics
    ///
    /// As [`select`](Self::select), but not for an empty list.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{Select, unbounded};
    /// use std::time::{Duration, Instant};
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = unbounded();
    ///     sender.send(1).unwrap();
    ///     let mut select = Select::new();
    ///     select.recv(&receiver);
    ///     let deadline = Instant::now() + Duration::from_millis(1);
    ///     assert_eq!(select.select_deadline(deadline).unwrap().recv(&receiver), Ok(1));
    ///     assert!(select.select_deadline(deadline).is_err());
    /// });
    /// ```
    #[track_caller]
    pub fn select_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<SelectedOperation<'a>, SelectTimeoutError> {
        self.run(Patience::Until(deadline)).ok_or(SelectTimeoutError)
    }

    #[inline]
    #[track_caller]
    fn run(&mut self, patience: Patience) -> Option<SelectedOperation<'a>> {
        let mut operation = SelectedOperation::vacant();
        let place = run::select(&mut self.cases, self.order, patience, &mut operation.grant);
        *operation.begun = place.map(|place| {
            let case = &self.cases[place];
            Begun { operation: case.operation, index: case.number }
        });
        operation.begun.is_some().then_some(operation)
    }
}

impl Clone for Select<'_> {
    fn clone(&self) -> Self {
        let cases = self.cases.iter().map(|case| Case::new(case.operation, case.number));
        Self { cases: cases.collect(), next_index: self.next_index, order: self.order }
    }
}

impl Default for Select<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Select { .. }")
    }
}

/// What the macros do as [`Select::try_select`] does. An operation's index is its place, so that
/// none can be wrong.
#[inline]
#[track_caller]
pub fn try_select<'g, 'a>(
    cases: &'a mut [Case<'a>],
    order: Order,
    grant: &'g mut GrantCell,
) -> Selected<'g, 'a> {
    points::pass();
    run(cases, order, Patience::None, grant)
}

/// See [`try_select`] and [`Select::select`].
#[inline]
#[track_caller]
pub fn select<'g, 'a>(
    cases: &'a mut [Case<'a>],
    order: Order,
    grant: &'g mut GrantCell,
) -> Selected<'g, 'a> {
    assert_not_empty(cases);
    run(cases, order, Patience::Endless, grant)
}

/// See [`try_select`] and [`Select::select_timeout`].
#[inline]
#[track_caller]
pub fn select_timeout<'g, 'a>(
    cases: &'a mut [Case<'a>],
    timeout: Duration,
    order: Order,
    grant: &'g mut GrantCell,
) -> Selected<'g, 'a> {
    run(cases, order, Patience::lasting(timeout), grant)
}

#[inline]
#[track_caller]
fn run<'g, 'a>(
    cases: &'a mut [Case<'a>],
    order: Order,
    patience: Patience,
    grant: &'g mut GrantCell,
) -> Selected<'g, 'a> {
    let place = run::select(cases, order, patience, grant);
    Selected::new(cases, place, grant)
}

#[inline]
#[track_caller]
fn assert_not_empty(cases: &[Case<'_>]) {
    assert!(!cases.is_empty(), "no operations have been added to `Select`");
}

//! Asking what is possible without doing it.

use std::time::{Duration, Instant};

use lisle_scheduler::internal::points;

use super::run::{self, Patience};
use super::{ReadyTimeoutError, Select, TryReadyError, assert_not_empty};

impl Select<'_> {
    /// The index of an operation that seems possible now.
    ///
    /// # Errors
    ///
    /// If none does.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{Select, unbounded};
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = unbounded();
    ///     let mut select = Select::new();
    ///     let index = select.recv(&receiver);
    ///     assert!(select.try_ready().is_err());
    ///     sender.send(1).unwrap();
    ///     assert_eq!(select.try_ready(), Ok(index));
    ///     assert_eq!(receiver.try_recv(), Ok(1));
    /// });
    /// ```
    #[track_caller]
    pub fn try_ready(&mut self) -> Result<usize, TryReadyError> {
        points::pass();
        self.watch(Patience::None).ok_or(TryReadyError)
    }

    /// Blocks the calling task or thread until an operation seems possible, and gives its index.
    ///
    /// # Panics
    ///
    /// If the list is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{Select, bounded};
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = bounded(0);
    ///     lisle::spawn(move || sender.send(1).unwrap());
    ///     let mut select = Select::new();
    ///     let index = select.recv(&receiver);
    ///     assert_eq!(select.ready(), index);
    ///     assert_eq!(receiver.try_recv(), Ok(1));
    /// });
    /// ```
    #[track_caller]
    pub fn ready(&mut self) -> usize {
        assert_not_empty(&self.cases);
        self.watch(Patience::Endless).unwrap_or_else(|| unreachable!("there is no deadline"))
    }

    /// Like [`ready`](Self::ready), for at most `timeout`. One that ends after the last
    /// representable [`Instant`] never expires.
    ///
    /// # Errors
    ///
    /// If the time is over.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{ReadyTimeoutError, Select, unbounded};
    /// use std::time::Duration;
    ///
    /// lisle::run(|| {
    ///     let (_sender, receiver) = unbounded::<u8>();
    ///     let mut select = Select::new();
    ///     select.recv(&receiver);
    ///     assert_eq!(select.ready_timeout(Duration::from_millis(1)), Err(ReadyTimeoutError));
    /// });
    /// ```
    #[track_caller]
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, ReadyTimeoutError> {
        self.watch(Patience::lasting(timeout)).ok_or(ReadyTimeoutError)
    }

    /// Like [`ready`](Self::ready), until `deadline`.
    ///
    /// # Errors
    ///
    /// If the deadline has passed.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{Select, unbounded};
    /// use std::time::Instant;
    ///
    /// lisle::run(|| {
    ///     let (sender, _receiver) = unbounded::<u8>();
    ///     let mut select = Select::new();
    ///     let index = select.send(&sender);
    ///     assert_eq!(select.ready_deadline(Instant::now()), Ok(index));
    /// });
    /// ```
    #[track_caller]
    pub fn ready_deadline(&mut self, deadline: Instant) -> Result<usize, ReadyTimeoutError> {
        self.watch(Patience::Until(deadline)).ok_or(ReadyTimeoutError)
    }

    #[track_caller]
    fn watch(&mut self, patience: Patience) -> Option<usize> {
        let place = run::ready(&mut self.cases, self.order, patience)?;
        Some(self.cases[place].number)
    }
}

//! Receiving as iteration.

use std::fmt;
use std::iter::FusedIterator;
use std::panic::Location;

use lisle_scheduler::park::Place;

use crate::receiver::Receiver;

/// Blocks for each message; ends when the channel is empty and disconnected. Made by
/// [`Receiver::iter`], which is where it waits by the report of a deadlock: its `next` may be
/// called in the standard library.
///
/// # Examples
///
/// ```
/// use lisle::channel::bounded;
///
/// lisle::run(|| {
///     let (sender, receiver) = bounded(0);
///     lisle::spawn(move || {
///         for i in 1..=3 {
///             sender.send(i).unwrap();
///         }
///     });
///     assert_eq!(receiver.iter().sum::<i32>(), 6);
/// });
/// ```
pub struct Iter<'a, T> {
    pub(crate) receiver: &'a Receiver<T>,
    pub(crate) made_at: Place,
}

/// Takes the messages that are there now, without blocking. Made by [`Receiver::try_iter`].
///
/// # Examples
///
/// ```
/// use lisle::channel::unbounded;
///
/// lisle::run(|| {
///     let (sender, receiver) = unbounded();
///     sender.send('a').unwrap();
///     sender.send('b').unwrap();
///     assert_eq!(receiver.try_iter().collect::<String>(), "ab");
/// });
/// ```
pub struct TryIter<'a, T> {
    pub(crate) receiver: &'a Receiver<T>,
    pub(crate) made_at: Place,
}

/// Blocks for each message, like [`Iter`], and owns the receiver.
///
/// # Examples
///
/// ```
/// use lisle::channel::unbounded;
///
/// lisle::run(|| {
///     let (sender, receiver) = unbounded();
///     sender.send(10).unwrap();
///     sender.send(20).unwrap();
///     drop(sender);
///     assert_eq!(receiver.into_iter().collect::<Vec<_>>(), [10, 20]);
/// });
/// ```
pub struct IntoIter<T> {
    receiver: Receiver<T>,
    made_at: Place,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[cfg_attr(not(debug_assertions), inline(always))]
    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv_at(self.made_at).ok()
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    #[inline]
    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv_at(self.made_at).ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[cfg_attr(not(debug_assertions), inline(always))]
    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv_at(self.made_at).ok()
    }
}

impl<T> FusedIterator for Iter<'_, T> {}
impl<T> FusedIterator for IntoIter<T> {}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Iter { .. }")
    }
}

impl<T> fmt::Debug for TryIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("TryIter { .. }")
    }
}

impl<T> fmt::Debug for IntoIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("IntoIter { .. }")
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    #[track_caller]
    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    #[track_caller]
    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self, made_at: Location::caller() }
    }
}

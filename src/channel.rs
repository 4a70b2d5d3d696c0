//! Channels between tasks, between plain threads, and from one to the other.
//!
//! The interface and the meaning are those of [crossbeam-channel] 0.5; what differs is that a
//! blocked task lets its worker run other tasks.
//!
//! ```
//! use lisle::channel::bounded;
//!
//! lisle::run(|| {
//!     let (sender, receiver) = bounded(0);
//!     lisle::spawn(move || {
//!         for word in ["tasks", "talk"] {
//!             sender.send(word).unwrap();
//!         }
//!     });
//!     assert_eq!(receiver.iter().collect::<Vec<_>>(), ["tasks", "talk"]);
//! });
//! ```
//!
//! [`bounded`] makes a channel with a buffer of a given capacity. With capacity 0 it is a
//! rendezvous: every send waits for its receive. [`unbounded`] makes a channel whose sends never
//! wait. Both ends can be cloned and shared. A channel is disconnected when one of its ends has no
//! handle left.
//!
//! [`select!`] waits for several operations at once, and [`Select`] for a list of them that is made
//! at run time. [`after`], [`at`], [`tick`] and [`never`](never()) make receivers whose messages
//! come from the clock, or not at all.
//!
//! For `async` code [`recv_async`](Receiver::recv_async) and [`send_async`](Sender::send_async) are
//! futures, and with the feature `futures-core` there is a stream. One channel serves tasks,
//! threads and futures of any executor.
//!
//! Messages leave a channel in the order in which they were sent, and parties that wait are served
//! in the order in which they came.
//!
//! # Others have their turn
//!
//! A task that never has to wait would keep the other tasks of its thread from running. So of the
//! operations that could wait but need not (receiving, sending to a channel with a limit,
//! selecting, with or without a deadline) a task carries out 256 in a row, and lets the others have
//! a turn each before the next one. A receive or a select that finds more than that in an unbounded
//! channel first takes what is there, up to 4,096 messages. And a task that polls lets the others
//! have a turn each at every 64th failure, whether of [`try_recv`](Receiver::try_recv),
//! [`try_send`](Sender::try_send), [`try_iter`](Receiver::try_iter),
//! [`try_select`](Select::try_select), [`try_ready`](Select::try_ready), a `default` arm or a wait
//! with no time left; the failure that is reported was found before. Both are counted anew in each
//! turn of a task.
//!
//! What never lets others run: sending to an unbounded channel, what only tries and succeeds, and
//! looks like `len` and `is_empty`. A loop of nothing but these, such as `while receiver.is_empty()
//! {}`, has to call [`yield_now`](crate::yield_now) itself, as does one that polls an atomic
//! variable. Nor do other tasks run inside [`no_suspend`](crate::no_suspend), where all of this
//! goes on at once. Plain threads are left to the system.
//!
//! At these points a task that is cancelled also unwinds from a loop that never waits.
//!
//! [crossbeam-channel]: https://docs.rs/crossbeam-channel

#[doc(inline)]
pub use lisle_channel::{
    Done, IntoIter, Iter, ReadyTimeoutError, Receiver, RecvError, RecvFuture, RecvTimeoutError,
    Select, SelectTimeoutError, SelectedOperation, SendError, SendFuture, SendTimeoutError, Sender,
    TryIter, TryReadyError, TryRecvError, TrySelectError, TrySendError, after, at, bounded, never,
    select, select_biased, tick, unbounded,
};

#[cfg(feature = "futures-core")]
#[doc(inline)]
pub use lisle_channel::RecvStream;

//! `select!` and `select_biased!`.
//!
//! Both hand over to `__select!`, which eats one arm at a time from the front of its input and
//! appends it, in one form, to the arms that it carries along:
//!
//! ```text
//! (order) {default arm} (number of arms) [arms] remaining input…
//! ```
//!
//! When the input is empty all arms are there, and the code is written in one go, without further
//! recursion. The name `handle` in an arm is a different variable in each, because each comes from
//! an expansion of its own.
//!
//! Input that is no arm falls through to `__select_error!`, which tells what is wrong with it.

use crate::receiver::Receiver;
use crate::sender::Sender;

/// Where a `recv` arm's expression is made a receiver, by dereferencing.
#[inline]
pub fn recv<T>(receiver: &Receiver<T>) -> &Receiver<T> {
    receiver
}

/// Where a `send` arm's first expression is made a sender, by dereferencing.
#[inline]
pub fn send<T>(sender: &Sender<T>) -> &Sender<T> {
    sender
}

/// Where a select without `default` never comes.
#[cold]
pub fn unknown() -> ! {
    unreachable!("one of the arms was selected")
}

/// Waits for several channel operations at once and carries out one that is possible.
///
/// Each arm is one of
///
/// ```text
/// recv(RECEIVER) -> PATTERN => BODY,
/// send(SENDER, MESSAGE) -> PATTERN => BODY,
/// default => BODY,
/// default(TIMEOUT) => BODY,
/// ```
///
/// with any expressions, and at most one `default`. The pattern is matched with the operation's
/// result, a `Result<T, RecvError>` or a `Result<(), SendError<T>>`. The comma may be left out
/// after a body in braces and after the last one. All bodies have the same type, which is that of
/// the whole expression; `break`, `continue`, `return` and `?` in them mean what they mean outside.
///
/// All receivers and senders are evaluated first, in order. Then the calling task or thread blocks
/// until an operation is possible: until it would succeed, or fail because the other end of its
/// channel is gone. If several are, one of them is taken at random;
/// [`select_biased!`](crate::select_biased!) takes the first. A message is evaluated when its arm
/// has been selected, and the others are not. A receiver may be waiting for the message by then, so
/// it should not take long to make; if the expression is left, by `?` or `break` or a panic, the
/// receiver waits for another one. Messages and bodies may change the value that the channels
/// belong to, as in `recv(self.jobs) -> job => self.take(job)`.
///
/// With `default` nothing is waited for: its body is run if no operation is possible at once. With
/// `default(TIMEOUT)` its body is run if none becomes possible in that time; a timeout that ends
/// after the last representable [`Instant`](std::time::Instant) never passes. `default` runs only
/// if at one single moment none of the operations was possible, not merely each at a moment of its
/// own.
///
/// A message lies on the stack, a few times over. On a task's default stack of 256 KiB it may have
/// some 24 KiB, in a debug build 6 KiB; larger ones belong in a `Box`.
///
/// [`Select`](crate::Select) does the same with a list of operations that is made at run time.
///
/// # Examples
///
/// ```
/// use lisle::channel::{bounded, select, unbounded};
///
/// lisle::run(|| {
///     let (numbers, numbers_in) = unbounded();
///     let (words, words_in) = bounded(0);
///     lisle::spawn(move || numbers.send(1).unwrap());
///     lisle::spawn(move || words.send("two").unwrap());
///     let (mut sum, mut text) = (0, String::new());
///     for _ in 0..2 {
///         select! {
///             recv(numbers_in) -> number => sum += number.unwrap_or(0),
///             recv(words_in) -> word => text += word.unwrap_or(""),
///         }
///     }
///     println!("{sum} {text}");
/// });
/// ```
///
/// Sending and receiving, with a time limit:
///
/// ```
/// use lisle::channel::{bounded, select};
/// use std::time::Duration;
///
/// lisle::run(|| {
///     let (requests, _request) = bounded(0);
///     let (_stop, stopped) = bounded::<()>(0);
///     let outcome = select! {
///         send(requests, "a request") -> result => format!("{result:?}"),
///         recv(stopped) -> _ => "stopped".to_string(),
///         default(Duration::from_millis(1)) => "nobody takes it".to_string(),
///     };
///     assert_eq!(outcome, "nobody takes it");
/// });
/// ```
#[macro_export]
macro_rules! select {
    ($($arms:tt)*) => { $crate::__select!((Random) {} (0) [] $($arms)*) };
}

/// Like [`select!`](crate::select!), but of several operations that are possible the first is
/// taken.
///
/// # Examples
///
/// ```
/// use lisle::channel::{select_biased, unbounded};
///
/// lisle::run(|| {
///     let (urgent, urgent_in) = unbounded();
///     let (other, other_in) = unbounded();
///     other.send(1).unwrap();
///     urgent.send(2).unwrap();
///     let mut order = Vec::new();
///     for _ in 0..2 {
///         select_biased! {
///             recv(urgent_in) -> message => order.push(message.unwrap()),
///             recv(other_in) -> message => order.push(message.unwrap()),
///         }
///     }
///     assert_eq!(order, [2, 1]);
/// });
/// ```
#[macro_export]
macro_rules! select_biased {
    ($($arms:tt)*) => { $crate::__select!((Listed) {} (0) [] $($arms)*) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    // The next arm, in two forms: with a comma after the body or at the end, and with a body in
    // braces that needs no comma.
    ($order:tt $default:tt ($n:expr) [$($arms:tt)*]
        recv($receiver:expr $(,)?) -> $result:pat => $body:expr $(, $($rest:tt)*)?) => {
        $crate::__select!($order $default ($n + 1)
            [$($arms)* (recv handle $receiver; $result => $body; $n)] $($($rest)*)?)
    };
    ($order:tt $default:tt ($n:expr) [$($arms:tt)*]
        recv($receiver:expr $(,)?) -> $result:pat => $body:block $($rest:tt)*) => {
        $crate::__select!($order $default ($n + 1)
            [$($arms)* (recv handle $receiver; $result => $body; $n)] $($rest)*)
    };
    ($order:tt $default:tt ($n:expr) [$($arms:tt)*]
        send($sender:expr, $message:expr $(,)?) -> $result:pat => $body:expr
        $(, $($rest:tt)*)?) => {
        $crate::__select!($order $default ($n + 1)
            [$($arms)* (send handle $sender, $message; $result => $body; $n)] $($($rest)*)?)
    };
    ($order:tt $default:tt ($n:expr) [$($arms:tt)*]
        send($sender:expr, $message:expr $(,)?) -> $result:pat => $body:block $($rest:tt)*) => {
        $crate::__select!($order $default ($n + 1)
            [$($arms)* (send handle $sender, $message; $result => $body; $n)] $($rest)*)
    };
    ($order:tt {} $n:tt $arms:tt
        default $(($($timeout:expr)? $(,)?))? => $body:expr $(, $($rest:tt)*)?) => {
        $crate::__select!($order {($($($timeout)?)?) $body} $n $arms $($($rest)*)?)
    };
    ($order:tt {} $n:tt $arms:tt
        default $(($($timeout:expr)? $(,)?))? => $body:block $($rest:tt)*) => {
        $crate::__select!($order {($($($timeout)?)?) $body} $n $arms $($rest)*)
    };

    // No arms at all.
    ($order:tt {} $n:tt []) => {
        ::std::compile_error!("`select!` needs at least one arm")
    };

    // All arms are there.
    (($order:ident) {$($default:tt)*} $n:tt
        [$(($kind:ident $handle:ident $channel:expr $(, $message:expr)?; $result:pat => $body:expr;
            $index:expr))*]) => {
        match ($(&$channel,)*) {
            ($($handle,)*) => {
                $(let $handle = $crate::internal::$kind($handle);)*
                let mut cases: [$crate::internal::Case<'_>; $n] =
                    [$($crate::internal::Case::$kind($handle)),*];
                let mut grant = $crate::internal::GrantCell::new();
                let selected =
                    $crate::__select_wait!(($order) {$($default)*} &mut cases, &mut grant);
                match selected.index() {
                    $(::std::option::Option::Some(index) if index == $index => {
                        // Ends the borrows of the channels, before the message is made.
                        let result = selected.$kind($handle)$(.keep($message))?;
                        match result {
                            $result => $body,
                        }
                    })*
                    _ => $crate::__select_default!(selected $($default)*),
                }
            }
        }
    };

    // Not an arm.
    ($order:tt $default:tt $n:tt $arms:tt $($rest:tt)*) => {
        $crate::__select_error!($default $($rest)*)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __select_wait {
    (($order:ident) {} $cases:expr, $grant:expr) => {
        $crate::internal::select($cases, $crate::internal::Order::$order, $grant)
    };
    (($order:ident) {() $default:expr} $cases:expr, $grant:expr) => {
        $crate::internal::try_select($cases, $crate::internal::Order::$order, $grant)
    };
    (($order:ident) {($timeout:expr) $default:expr} $cases:expr, $grant:expr) => {
        $crate::internal::select_timeout($cases, $timeout, $crate::internal::Order::$order, $grant)
    };
}

/// What is done when no operation was selected.
#[doc(hidden)]
#[macro_export]
macro_rules! __select_default {
    ($selected:ident) => {
        $crate::internal::unknown()
    };
    ($selected:ident ($($timeout:expr)?) $default:expr) => {
        // Not a block, in which a body in braces would be told to do without.
        match $selected.end() {
            () => $default,
        }
    };
}

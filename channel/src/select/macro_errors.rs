//! What `select!` says about an arm that it does not understand.

/// Gets the default arm seen so far, in braces, and the input from the arm in question on.
#[doc(hidden)]
#[macro_export]
macro_rules! __select_error {
    // What follows the operation.
    (@after $operation:ident($args:literal) => $($rest:tt)*) => {
        ::std::compile_error!(::std::concat!(
            "`->` and a pattern are missing before `=>`: `",
            ::std::stringify!($operation), "(", $args, ") -> pattern => …`"
        ))
    };
    (@after $operation:ident $args:tt -> => $($rest:tt)*) => {
        ::std::compile_error!("the pattern is missing after `->`")
    };
    (@after $operation:ident $args:tt -> $result:pat => $($rest:tt)*) => {
        $crate::__select_error!(@body $($rest)*)
    };
    (@after $operation:ident($args:literal) $($rest:tt)*) => {
        ::std::compile_error!(::std::concat!(
            "expected `-> pattern => body` after `", ::std::stringify!($operation), "(", $args, ")`"
        ))
    };
    (@after_default => $($rest:tt)*) => {
        $crate::__select_error!(@body $($rest)*)
    };
    (@after_default -> $($rest:tt)*) => {
        ::std::compile_error!("`default` has no result: `default => …`")
    };
    (@after_default $($rest:tt)*) => {
        ::std::compile_error!("expected `=> body` after `default` or `default(timeout)`")
    };

    // The body.
    (@body) => {
        ::std::compile_error!("the body is missing after `=>`")
    };
    (@body , $($rest:tt)*) => {
        ::std::compile_error!("the body is missing after `=>`")
    };
    (@body $body:expr; $($rest:tt)*) => {
        ::std::compile_error!("arms are separated by commas, not by semicolons")
    };
    (@body $($rest:tt)*) => {
        ::std::compile_error!(::std::concat!(
            "a comma is missing after the body: `", ::std::stringify!($($rest)*), "`"
        ))
    };

    // The arm.
    ({$($seen:tt)+} default $($rest:tt)*) => {
        ::std::compile_error!("there can be only one `default` arm in a `select!`")
    };

    // What the operation is applied to.
    ($seen:tt recv($receiver:expr $(,)?) $($rest:tt)*) => {
        $crate::__select_error!(@after recv("receiver") $($rest)*)
    };
    ($seen:tt send($sender:expr, $message:expr $(,)?) $($rest:tt)*) => {
        $crate::__select_error!(@after send("sender, message") $($rest)*)
    };
    ($seen:tt send($sender:expr $(,)?) $($rest:tt)*) => {
        ::std::compile_error!("the message is missing: `send(sender, message) -> result => …`")
    };
    ($seen:tt default ($($timeout:expr)? $(,)?) $($rest:tt)*) => {
        $crate::__select_error!(@after_default $($rest)*)
    };
    ($seen:tt recv $($rest:tt)*) => {
        ::std::compile_error!("`recv` takes one receiver: `recv(receiver) -> message => …`")
    };
    ($seen:tt send $($rest:tt)*) => {
        ::std::compile_error!(
            "`send` takes a sender and a message: `send(sender, message) -> result => …`"
        )
    };
    ($seen:tt default ($($args:tt)*) $($rest:tt)*) => {
        ::std::compile_error!("`default` takes at most a timeout: `default(timeout) => …`")
    };
    ($seen:tt default $($rest:tt)*) => {
        $crate::__select_error!(@after_default $($rest)*)
    };
    ($seen:tt ; $($rest:tt)*) => {
        ::std::compile_error!("arms are separated by commas, not by semicolons")
    };
    ($seen:tt $found:tt $($rest:tt)*) => {
        ::std::compile_error!(::std::concat!(
            "expected `recv(receiver) -> pattern => …`, `send(sender, message) -> pattern => …`, ",
            "`default => …` or `default(timeout) => …`, found `", ::std::stringify!($found), "`"
        ))
    };
}

/// Each of these is refused.
///
/// ```compile_fail
/// lisle::channel::select! {}
/// ```
/// ```compile_fail
/// let (_sender, receiver) = lisle::channel::unbounded::<u8>();
/// lisle::channel::select! { recv(receiver) => () }
/// ```
/// ```compile_fail
/// let (_sender, receiver) = lisle::channel::unbounded::<u8>();
/// lisle::channel::select! { recv(receiver, 1) -> _ => () }
/// ```
/// ```compile_fail
/// let (sender, _receiver) = lisle::channel::unbounded::<u8>();
/// lisle::channel::select! { send(sender) -> _ => () }
/// ```
/// ```compile_fail
/// lisle::channel::select! { default => (), default => () }
/// ```
/// ```compile_fail
/// lisle::channel::select! { default -> _ => () }
/// ```
/// ```compile_fail
/// lisle::channel::select! { receive(lisle::channel::never::<u8>()) -> _ => () }
/// ```
/// ```compile_fail
/// lisle::channel::select! { default => (); }
/// ```
#[cfg(doctest)]
struct Refused;

//! The attributes `#[lisle::main]` and `#[lisle::test]`. They wrap the body of a function into a
//! run and need no more of Rust's grammar than where a function's attributes end and where its body
//! begins, so they work on tokens alone.

mod arguments;
mod error;
mod function;

use proc_macro::TokenStream;

use arguments::Arguments;
use error::Error;
use function::Function;

/// Makes `main` the first task of a runtime: its body runs as inside `lisle::run`.
///
/// ```
/// #[lisle::main]
/// fn main() {
///     let answer = lisle::spawn(|| 42).join().unwrap();
///     assert_eq!(answer, 42);
/// }
/// ```
///
/// The result may be whatever a `main` may return, such as a `Result` or an `ExitCode`:
///
/// ```
/// #[lisle::main]
/// fn main() -> Result<(), std::num::ParseIntError> {
///     let number: i32 = "42".parse()?;
///     assert_eq!(number, 42);
///     Ok(())
/// }
/// ```
///
/// # Arguments
///
/// They set up the runtime as the methods of `lisle::RuntimeBuilder` of the same name do, each at
/// most once, in any order:
///
/// - `workers = 2`: how many OS threads run tasks.
/// - `stack_size = 1 << 20`: the address space of a task's stack, in bytes.
/// - `main_stack_size = 8 << 20`: the same for the first task alone, which runs the body.
/// - `foreign_threads = NeverWake`: whether other threads of the process put off the report of a
///   deadlock; the name of a variant of `lisle::deadlock::ForeignThreads`, or an expression.
/// - `virtual_time`: the clock stands while tasks run, and jumps when all of them wait. (It may
///   also have a value, as in `virtual_time = false`.)
/// - `explore`, for a test: runs it under many schedules, as `lisle::explore::Explorer::new()`
///   does, or one that is given, as in `explore = Explorer::new().iterations(100)`.
/// - `faults`, beside `explore`: things go wrong now and then, all that `lisle::explore::Fault`
///   has, or those that are given, as in `faults = [Fault::EarlyTimeout]`.
/// - `crate = green`: under which path the crate `lisle` is known here, for instance because
///   `Cargo.toml` says `green = { package = "lisle", … }`. The default is `::lisle`.
///
/// For anything else call `lisle::RuntimeBuilder::run` in a plain `main`.
///
/// ```
/// #[lisle::main(workers = 1, stack_size = 64 * 1024)]
/// fn main() {
///     assert_eq!(lisle::metrics().unwrap().workers().len(), 1);
/// }
/// ```
///
/// # Panics
///
/// As `lisle::run`; also if the number of workers is 0.
///
/// ```compile_fail
/// #[lisle::main] // a first task has no parameters
/// fn main(argument: i32) {}
/// ```
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, function: TokenStream) -> TokenStream {
    expand("main", arguments, function)
}

/// Makes a function a test whose body runs as the first task of a runtime.
///
/// It takes the arguments of [`main`](macro@main). Other attributes of tests, such as
/// `#[should_panic]` and `#[ignore]`, stay as they are.
///
/// ```
/// #[lisle::test]
/// fn tasks_can_be_joined() {
///     assert_eq!(lisle::spawn(|| 42).join().unwrap(), 42);
/// }
///
/// #[lisle::test(workers = 4)]
/// fn parsing_succeeds() -> Result<(), std::num::ParseIntError> {
///     assert_eq!(lisle::spawn(|| "42".parse::<u8>()).join().unwrap()?, 42);
///     Ok(())
/// }
/// ```
///
/// # Tests of what takes time
///
/// With `virtual_time` they take none: when all tasks wait, the clock of the runtime moves on to
/// the next moment for which one of them waits.
///
/// ```
/// use std::time::Duration;
///
/// #[lisle::test(virtual_time)]
/// fn gives_up_after_a_minute() {
///     let start = lisle::time::now();
///     let (_tx, rx) = lisle::channel::unbounded::<()>();
///     assert!(rx.recv_timeout(Duration::from_secs(60)).is_err()); // at once
///     assert_eq!(lisle::time::now() - start, Duration::from_secs(60));
/// }
/// ```
///
/// # Tests of what depends on the order
///
/// With `explore` the body runs a thousand times, and each time its tasks take turns in another
/// order: see `lisle::explore`.
///
/// ```
/// #[lisle::test(explore)]
/// fn either_may_come_first() {
///     let (tx, rx) = lisle::channel::unbounded();
///     for n in 1..=2 {
///         let tx = tx.clone();
///         lisle::spawn(move || tx.send(n).unwrap());
///     }
///     drop(tx);
///     assert_eq!(rx.iter().sum::<i32>(), 3);
/// }
/// ```
///
/// # Tests that hang
///
/// When all tasks of a test wait and nothing can wake one, the test fails with the report of a
/// deadlock. A harness runs tests on threads of its own, so threads that were there when the test
/// began are not expected to wake a task, and those that were started later are:
/// `ForeignThreads::LaterMayWake`. While there is such a thread, even one of another test, the
/// test waits; after 10 s in which nothing has happened it says on standard error, once, what all
/// tasks wait for. It also names a task that has blocked its worker for 10 s, by a `std::sync` lock
/// say, while other tasks of the worker wait for their turns.
///
/// A test whose tasks are woken by a thread that is older than itself, one of a pool in a `static`
/// say, asks for `foreign_threads = MayWake`: it is never taken for a deadlock while the process
/// has other threads. With `foreign_threads = NeverWake` it fails as soon as all tasks wait.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, function: TokenStream) -> TokenStream {
    expand("test", arguments, function)
}

/// Turns `ATTRIBUTES fn name() -> R BODY` into
///
/// ```text
/// ATTRIBUTES fn name() -> R {
///     fn name() -> R BODY
///     ::lisle::internal::run(::lisle::internal::for_main().SETTINGS, name)
/// }
/// ```
///
/// The inner function keeps `return` and `?` as they are. If something is wrong, that is the only
/// error: the function is there all the same.
fn expand(attribute: &'static str, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = match Function::parse(item.clone()) {
        Ok(function) => function,
        Err(error) => return error.expand(attribute, function::stand_in(item)),
    };
    match Arguments::parse(arguments) {
        Ok(arguments) => function.wrap(attribute, &arguments),
        Err(error) => error.expand(attribute, function::stand_in(item)),
    }
}

/// Tokens that are written as text. Their names mean what they mean where the attribute stands.
fn tokens(text: &str) -> TokenStream {
    text.parse().expect("the text is Rust")
}

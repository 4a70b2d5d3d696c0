//! Spawning tasks.

mod birth;
mod builder;

pub(crate) use birth::create;
pub use builder::Builder;

use std::panic::Location;

use crate::task::JoinHandle;

/// Spawns a task: `body` runs on a stack of its own, at its turn in the run queue.
///
/// Tasks start in the order in which they were spawned, except while very many tasks of a worker
/// wait to start. Then the tasks that one task spawns in a row still start in that order, but tasks
/// that are spawned later, by them or by others, come before older ones. A task that is woken does
/// not wait for all of them; one that yields, or is local, waits for as many as there are. None
/// waits for ever. So a tree of a million tasks is finished subtree by subtree, on a few thousand
/// stacks.
///
/// The caller goes on; it does not switch. Dropping the handle detaches the task. When the runtime
/// ends, tasks that have not finished are cancelled; see [`run`](crate::run), which also says what
/// to do in destructors and in callbacks of C libraries, where that can abort the process.
///
/// `body` and its result pass over the stacks of both tasks by value. [`Builder::stack_size`] says
/// how large they may be.
///
/// On a plain thread the task goes to the default runtime, which the first such call starts, with
/// threads of its own; it lasts as long as the process. The child of a `fork` has another one.
///
/// # Panics
///
/// If there is no memory for another stack or no thread for the default runtime, with the text that
/// [`Builder::spawn`] returns as an error.
///
/// ```
/// lisle::run(|| {
///     let task = lisle::spawn(|| 6 * 7);
///     assert_eq!(task.join().unwrap(), 42);
/// });
/// ```
#[track_caller]
pub fn spawn<F, T>(body: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match Builder::new().spawn_anywhere(Location::caller(), body) {
        Ok(handle) => handle,
        Err(error) => panic!("{error}"),
    }
}

/// Spawns a task that stays on the calling worker, so that it need not be [`Send`].
///
/// While very many tasks of the worker wait to start, tasks that were spawned after it may
/// start before it: see [`spawn`].
///
/// # Panics
///
/// As [`spawn`]. On a plain thread: there is no worker on which the task could stay.
///
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
///
/// lisle::run(|| {
///     let count = Rc::new(Cell::new(0));
///     let shared = count.clone();
///     lisle::spawn_local(move || shared.set(1)).join().unwrap();
///     assert_eq!(count.get(), 1);
/// });
/// ```
#[track_caller]
pub fn spawn_local<F, T>(body: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    match Builder::new().spawn_on_this_worker(Location::caller(), body) {
        Ok(handle) => handle,
        Err(error) => panic!("{error}"),
    }
}

//! Scopes: tasks that may borrow, because their spawner waits for them.

mod bonds;
mod race;
mod try_scope;

pub(crate) use self::bonds::{Bond, Bonds, CancelAtHome};
pub use self::race::race;
pub use self::try_scope::{TryJoinHandle, TryScope, try_scope};

use std::any::Any;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::thread;

use crate::explore::may_spawn;
use crate::explore::points::pass;
use crate::spawn::Builder;
use crate::task::{AnyHandle, CancelHandle, JoinHandle, Sign, Task};

/// Runs `body`, which may spawn tasks that borrow from its surroundings, and waits until they have
/// ended.
///
/// It is what [`std::thread::scope`] is to threads. Tasks of the scope may spawn more of them, and
/// see the [task-local](crate::task_local) values of their spawner.
///
/// **If `body` panics or is cancelled**, with the calling task or by a region such as
/// [`timeout`](crate::timeout) around the scope, the tasks are cancelled and then waited for. The
/// same happens if the caller is cancelled while it waits. That wait is [shielded](crate::shield):
/// it lasts until the last task has ended. **If a task panics** and nobody has joined it, the scope
/// panics at its end, with the payload of the first panic of the tasks and the body. It does not
/// cancel the other tasks: [`try_scope`](fn@try_scope) does.
///
/// On a plain thread it blocks, and the tasks run in the default runtime.
///
/// # Panics
///
/// With the first panic.
///
/// # Aborts
///
/// If a task of the scope is [left behind](crate::check_cancelled): it may have lent what it
/// borrows. A caller that is itself being cancelled outside of a shield is instead left behind,
/// too.
///
/// # Examples
///
/// ```
/// let numbers = [1, 2, 3, 4];
/// let (left, right) = numbers.split_at(2);
/// let sum = lisle::run(|| {
///     lisle::scope(|s| {
///         let left = s.spawn(|| left.iter().sum::<i32>());
///         let right = s.spawn(|| right.iter().sum::<i32>());
///         left.join().unwrap() + right.join().unwrap()
///     })
/// });
/// assert_eq!(sum, 10);
/// ```
#[track_caller]
pub fn scope<'env, F, T>(body: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let scope = Scope::new();
    scope.bonds.run(Location::caller(), || body(&scope))
}

/// A scope in which tasks are spawned: see [`scope`].
pub struct Scope<'scope, 'env: 'scope> {
    bonds: Bonds,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope> Scope<'scope, '_> {
    fn new() -> Self {
        Self { bonds: Bonds::new(), scope: PhantomData, env: PhantomData }
    }

    /// Spawns a task that the scope awaits.
    ///
    /// # Panics
    ///
    /// As [`spawn`](fn@crate::spawn).
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, body: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let (builder, place) = (Builder::new().inherit(), Location::caller());
        // SAFETY: what the closure and the result borrow lives until the scope ends, which waits
        // for the task; both are `Send`.
        let handle = unsafe { builder.spawn_bound(&self.bonds, place, body) };
        ScopedJoinHandle::new(expect(handle), &self.bonds)
    }

    /// Spawns a task that the scope awaits and that stays on the calling worker.
    ///
    /// # Panics
    ///
    /// As [`spawn_local`](fn@crate::spawn_local).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::cell::Cell;
    ///
    /// lisle::run(|| {
    ///     let count = Cell::new(0); // neither `Send` nor `Sync`
    ///     lisle::scope(|s| {
    ///         (0..3).for_each(|_| drop(s.spawn_local(|| count.set(count.get() + 1))));
    ///     });
    ///     assert_eq!(count.get(), 3);
    /// });
    /// ```
    #[track_caller]
    pub fn spawn_local<F, T>(&'scope self, body: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + 'scope,
        T: 'scope,
    {
        let (builder, place) = (Builder::new().inherit(), Location::caller());
        // SAFETY: what the closure and the result borrow lives until the scope ends, which waits
        // for the task.
        let handle = unsafe { builder.spawn_bound_local(&self.bonds, place, body) };
        ScopedJoinHandle::new(expect(handle), &self.bonds)
    }

    /// Cancels the tasks of the scope, those that are spawned later included. The body goes on, and
    /// this does not wait. Called on another worker than the scope's own, it asks that one to
    /// cancel the tasks that were spawned there, which it does when it next looks at its mail.
    ///
    /// # Examples
    ///
    /// ```
    /// lisle::run(|| {
    ///     lisle::scope(|s| {
    ///         s.spawn(|| lisle::channel::never::<()>().recv());
    ///         s.cancel(); // or the scope would wait for ever
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn cancel(&self) {
        pass();
        self.bonds.cancel();
    }
}

#[track_caller]
fn expect<T>(spawned: io::Result<T>) -> T {
    match spawned {
        Ok(handle) => handle,
        Err(error) => panic!("{error}"),
    }
}

impl Builder {
    /// Spawns a task that a scope awaits. See [`Scope::spawn`].
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Examples
    ///
    /// ```
    /// let name = String::from("a name on the stack");
    /// lisle::run(|| {
    ///     lisle::scope(|s| {
    ///         let builder = lisle::task::Builder::new().name("borrower");
    ///         let task = builder.spawn_scoped(s, || name.len())?;
    ///         assert_eq!(task.join().unwrap(), 19);
    ///         Ok::<_, std::io::Error>(())
    ///     })
    /// })
    /// # .unwrap();
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn spawn_scoped<'scope, F, T>(
        self,
        scope: &'scope Scope<'scope, '_>,
        body: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        may_spawn()?;
        // SAFETY: what the closure and the result borrow lives until the scope ends, which waits
        // for the task; both are `Send`.
        let handle = unsafe { self.inherit().spawn_bound(&scope.bonds, Location::caller(), body) };
        Ok(ScopedJoinHandle::new(handle?, &scope.bonds))
    }

    /// Spawns a task that a scope awaits and that stays on the calling worker. See
    /// [`Scope::spawn_local`].
    ///
    /// # Errors
    ///
    /// As [`spawn_local`](Self::spawn_local).
    #[track_caller]
    pub fn spawn_scoped_local<'scope, F, T>(
        self,
        scope: &'scope Scope<'scope, '_>,
        body: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + 'scope,
        T: 'scope,
    {
        may_spawn()?;
        let place = Location::caller();
        // SAFETY: what the closure and the result borrow lives until the scope ends, which waits
        // for the task.
        let handle = unsafe { self.inherit().spawn_bound_local(&scope.bonds, place, body) };
        Ok(ScopedJoinHandle::new(handle?, &scope.bonds))
    }
}

/// The right to wait for a task of a scope and to have its result.
///
/// Dropping it lets the task go on, and the scope awaits it.
pub struct ScopedJoinHandle<'scope, T> {
    /// Taken out when this ends. An `Option` would be looked at once more by each drop.
    handle: ManuallyDrop<JoinHandle<T>>,
    bonds: &'scope Bonds,
}

impl<'scope, T> ScopedJoinHandle<'scope, T> {
    fn new(handle: JoinHandle<T>, bonds: &'scope Bonds) -> Self {
        Self { handle: ManuallyDrop::new(handle), bonds }
    }

    /// Waits until the task has finished: see [`JoinHandle::join`]. A panic of the task is then the
    /// caller's to deal with, and not the scope's.
    ///
    /// # Errors
    ///
    /// As [`JoinHandle::join`].
    #[track_caller]
    pub fn join(self) -> thread::Result<T> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: this is the end of the handle, whose destructor does not run.
        unsafe { ManuallyDrop::take(&mut this.handle) }.join()
    }

    /// Asks for the task to be cancelled: see [`JoinHandle::cancel`].
    ///
    /// # Examples
    ///
    /// ```
    /// lisle::run(|| {
    ///     lisle::scope(|s| {
    ///         let endless = s.spawn(|| lisle::channel::never::<()>().recv());
    ///         endless.cancel(); // the scope goes on
    ///         assert!(endless.join().is_err());
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// A handle that can cancel the task, and outlives the scope.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.handle.cancel_handle()
    }

    /// Whether `join` would return at once.
    #[track_caller]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// The task's identity.
    pub fn task(&self) -> Task {
        self.handle.task()
    }
}

impl<T> AnyHandle for ScopedJoinHandle<'_, T> {
    fn end_sign(&self, make: fn() -> Sign) -> &(dyn Any + Send + Sync) {
        self.handle.end_sign(make)
    }
}

impl<T> Drop for ScopedJoinHandle<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this is the end of the handle.
        if let Some(panic) = unsafe { ManuallyDrop::take(&mut self.handle) }.detach() {
            self.bonds.take_panic(panic);
        }
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = self.handle.task();
        f.debug_struct("ScopedJoinHandle").field("task", &task).finish_non_exhaustive()
    }
}

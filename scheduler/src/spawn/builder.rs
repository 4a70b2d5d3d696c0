//! [`Builder`]: what a task is to be, and where it goes when it is spawned.

use std::io;
use std::panic::Location;
use std::sync::Arc;

use lisle_runtime::internal::primitive;
use lisle_runtime::stack::StackSize;

use super::birth::{Outside, create};
use crate::explore::may_spawn;
use crate::injector::NewTask;
use crate::park::Place;
use crate::runtime::{Handle, default_runtime};
use crate::scope::Bonds;
use crate::task::{JoinHandle, join};
use crate::team::{Balance, Team};
use crate::worker::{self, Worker};

/// Spawns tasks that have a name or a stack size of their own.
///
/// ```
/// lisle::run(|| {
///     let task = lisle::task::Builder::new()
///         .name("deep thought")
///         .stack_size(1024 * 1024)
///         .spawn(|| lisle::task::current().unwrap().name().map(str::to_owned))?;
///     assert_eq!(task.join().unwrap().as_deref(), Some("deep thought"));
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap();
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it spawns"]
pub struct Builder {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) stack_size: Option<StackSize>,
    spread: bool,
    pub(super) inherits: bool,
}

impl Builder {
    /// A builder of tasks without a name and with the runtime's stack size.
    ///
    /// ```
    /// let task = lisle::task::Builder::new().spawn(|| 6 * 7)?;
    /// assert_eq!(task.join().unwrap(), 42);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the task, for reports and messages.
    ///
    /// ```
    /// let task = lisle::task::Builder::new().name("mailer").spawn(|| ())?;
    /// assert_eq!(task.task().name(), Some("mailer"));
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Gives the task the [task-local](crate::task_local) values of its spawner, as they are at the
    /// spawn. Without this a task begins with none, but for those of a [`scope`](fn@crate::scope).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::task::Builder;
    ///
    /// lisle::task_local! {
    ///     static USER: String;
    /// }
    ///
    /// lisle::run(|| {
    ///     USER.scope("Ann".into(), || {
    ///         let task = Builder::new().inherit().spawn(|| USER.with(|user| user.len()))?;
    ///         assert_eq!(task.join().unwrap(), 3);
    ///         Ok::<_, std::io::Error>(())
    ///     })
    /// })
    /// # .unwrap();
    /// ```
    pub fn inherit(mut self) -> Self {
        self.inherits = true;
        self
    }

    /// Sets the size of the task's stack, in bytes. Too small a size is raised to
    /// [`StackSize::MIN`]; any other is rounded up to the next that there is, by less than a
    /// quarter: see [`StackSize`]. Only pages that are touched cost memory.
    ///
    /// Values that are passed along lie on the stack several times over, most of all in a debug
    /// build. There a default stack of 256 KiB is enough for messages of 6 KiB, and for closures
    /// and results of 16 KiB; in a release build, for 24 KiB of each. Put what is larger into a
    /// `Box`, or ask for a larger stack.
    ///
    /// A task may wait on a stack that the crate `stacker` has grown for it, and is unwound from
    /// there.
    ///
    /// ```
    /// fn depth(n: u64) -> u64 {
    ///     if n == 0 { 0 } else { depth(n - 1) + 1 }
    /// }
    ///
    /// let task = lisle::task::Builder::new().stack_size(64 << 20).spawn(|| depth(100_000))?;
    /// assert_eq!(task.join().unwrap(), 100_000);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(StackSize::new(bytes));
        self
    }

    /// Places the task, before it starts, on the worker with the fewest live tasks. No other worker
    /// takes it from there. If that worker has nothing to run, it is woken, or its thread is
    /// started.
    ///
    /// A task stays on the worker that starts it. As a rule that is the one that has spawned it;
    /// others take tasks that have waited for about a millisecond. That is good for tasks that talk
    /// to each other or end soon. Spread tasks that live long and compute now and then: actors, the
    /// members of a pool, the handlers of connections. (Those of `lisle::net` are, by themselves.)
    ///
    /// Waking a worker costs the caller 10 to 20 µs. A worker that computes starts the task when
    /// its running task waits, yields or ends. [`spawn_local`](Self::spawn_local) does not spread.
    ///
    /// ```
    /// lisle::Runtime::builder().workers(2).run(|| {
    ///     let (sender, jobs) = lisle::channel::unbounded::<u64>();
    ///     let pool: Vec<_> = (0..4)
    ///         .map(|_| {
    ///             let jobs = jobs.clone();
    ///             lisle::task::Builder::new().spread().spawn(move || jobs.iter().sum::<u64>())
    ///         })
    ///         .collect::<Result<_, _>>()
    ///         .unwrap();
    ///     (1..=100).for_each(|job| sender.send(job).unwrap());
    ///     drop(sender);
    ///     let sum: u64 = pool.into_iter().map(|member| member.join().unwrap()).sum();
    ///     assert_eq!(sum, 5050);
    /// })
    /// # .unwrap();
    /// ```
    pub fn spread(mut self) -> Self {
        self.spread = true;
        self
    }

    /// Spawns a task. See [`spawn`](fn@crate::spawn).
    ///
    /// # Errors
    ///
    /// If the process has no address space or memory maps left for another stack; `body` is
    /// dropped, and no other task is affected. On a plain thread, also if the default runtime
    /// cannot start. In a task that has forked, in the child: of its runtime nothing has come along
    /// but this task.
    ///
    /// ```
    /// match lisle::task::Builder::new().spawn(|| 6 * 7) {
    ///     Ok(task) => assert_eq!(task.join().unwrap(), 42),
    ///     Err(error) => eprintln!("too many tasks: {error}"),
    /// }
    /// ```
    #[inline]
    #[track_caller]
    pub fn spawn<F, T>(self, body: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        may_spawn()?;
        self.spawn_anywhere(Location::caller(), body)
    }

    #[inline(always)]
    pub(super) fn spawn_anywhere<F, T>(
        self,
        spawned_at: Place,
        body: F,
    ) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // SAFETY: the reference is used in this call alone.
        match unsafe { worker::current() } {
            Some(worker) if !self.spread => self.spawn_here(worker, spawned_at, body),
            Some(worker) => self.spawn_spread(worker, spawned_at, body),
            None => self.spawn_from_outside(&default_runtime()?.handle().team, spawned_at, body),
        }
    }

    /// Spawns a task onto a runtime, from any thread. See [`Handle`].
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Self::spawn); also if the runtime has ended, or if it was started by the
    /// parent of a `fork`, whose threads are not in this process. `body` is dropped. While the
    /// runtime ends, the task may also be accepted and then cancelled at once: that is
    /// [`Cancelled`](crate::Cancelled) to its joiner.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = lisle::Runtime::builder().start()?;
    /// let task = lisle::task::Builder::new().name("deep thought");
    /// let task = task.spawn_on(runtime.handle(), || 6 * 7)?;
    /// assert_eq!(task.join().unwrap(), 42);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn_on<F, T>(self, runtime: &Handle, body: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        may_spawn()?;
        self.spawn_into(runtime, Location::caller(), body)
    }

    pub(crate) fn spawn_into<F, T>(
        self,
        runtime: &Handle,
        spawned_at: Place,
        body: F,
    ) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let team = &runtime.team;
        // SAFETY: the reference is used in this call alone.
        let worker = unsafe { worker::current() };
        if let Some(worker) = worker.filter(|worker| worker.is_of(team)) {
            return match self.spread {
                false => self.spawn_here(worker, spawned_at, body),
                true => self.spawn_spread(worker, spawned_at, body),
            };
        }
        self.spawn_from_outside(team, spawned_at, body)
    }

    fn spawn_from_outside<F, T>(
        self,
        team: &primitive::Arc<Team>,
        spawned_at: &'static Location<'static>,
        body: F,
    ) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let spread = self.spread;
        // SAFETY: closure and result are `Send` and may live for ever.
        let (task, handle) = unsafe { create(&Outside(team), self, spawned_at, body)? };
        // SAFETY: the task is new, and closure and result are `Send`.
        let task = unsafe { NewTask::new(task) };
        if hand_in(team, task, spread).is_ok() {
            return Ok(handle);
        }
        // SAFETY: the task is new, and was given back.
        unsafe { join::discard(handle) };
        Err(has_ended(team))
    }

    #[inline(always)]
    fn spawn_here<F, T>(
        self,
        worker: &Worker,
        spawned_at: &'static Location<'static>,
        body: F,
    ) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // SAFETY: closure and result are `Send` and may live for ever.
        let (task, handle) = unsafe { create(worker, self, spawned_at, body)? };
        worker.accept_new(task);
        Ok(handle)
    }

    /// Not asked for in `spawn_here`: the compiler would keep there what it knows to be nothing.
    #[cold]
    #[inline(never)]
    fn spawn_spread<F, T>(
        self,
        worker: &Worker,
        spawned_at: &'static Location<'static>,
        body: F,
    ) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // SAFETY: closure and result are `Send` and may live for ever.
        let (task, handle) = unsafe { create(worker, self, spawned_at, body)? };
        worker.accept_spread(task);
        Ok(handle)
    }

    /// Spawns a task that stays on the calling worker. See
    /// [`spawn_local`](crate::spawn_local).
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Self::spawn), and on a plain thread.
    ///
    /// ```
    /// use std::rc::Rc;
    ///
    /// lisle::run(|| {
    ///     let name = Rc::new("Ann");
    ///     let theirs = name.clone(); // stays on this thread
    ///     let task = lisle::task::Builder::new().name("local").spawn_local(move || theirs.len())?;
    ///     assert_eq!(task.join().unwrap(), name.len());
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn spawn_local<F, T>(self, body: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        may_spawn()?;
        self.spawn_on_this_worker(Location::caller(), body)
    }

    #[inline(always)]
    pub(super) fn spawn_on_this_worker<F, T>(
        self,
        spawned_at: Place,
        body: F,
    ) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        // SAFETY: the reference is used in this call alone.
        let worker = unsafe { worker::current() }.ok_or_else(no_runtime)?;
        // SAFETY: closure and result may live for ever, and `accept_new_local` keeps them here.
        let (task, handle) = unsafe { create(worker, self, spawned_at, body)? };
        worker.accept_new_local(task);
        Ok(handle)
    }
}

impl Builder {
    /// Spawns a task of a scope.
    ///
    /// # Safety
    ///
    /// `F` and `T` are `Send`, and what they borrow lives until the scope ends.
    #[inline(always)]
    pub(crate) unsafe fn spawn_bound<F, T>(
        self,
        bonds: &Bonds,
        spawned_at: &'static Location<'static>,
        body: F,
    ) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T,
    {
        let spread = self.spread;
        // SAFETY: the reference is used in this call alone; the caller answers for the types, and
        // the scope, which learns of the task before any worker does, waits for it.
        unsafe {
            let Some(worker) = worker::current() else {
                return self.spawn_bound_from_outside(bonds, spawned_at, body);
            };
            let (task, handle) = create(worker, self, spawned_at, body)?;
            bonds.admit(task.as_ref(), Some(worker.id()));
            match spread {
                true => worker.accept_spread(task),
                false => worker.accept_new(task),
            }
            Ok(handle)
        }
    }

    /// Does [`spawn_bound`](Self::spawn_bound) on a plain thread.
    ///
    /// # Safety
    ///
    /// As there.
    #[cold]
    #[inline(never)]
    unsafe fn spawn_bound_from_outside<F, T>(
        self,
        bonds: &Bonds,
        spawned_at: &'static Location<'static>,
        body: F,
    ) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T,
    {
        let spread = self.spread;
        let team = &default_runtime()?.handle().team;
        // SAFETY: the caller answers for the types, and the scope, which is told of the task before
        // any worker is, waits for it.
        unsafe {
            let (task, handle) = create(&Outside(team), self, spawned_at, body)?;
            bonds.admit(task.as_ref(), None);
            if hand_in(team, NewTask::new(task), spread).is_ok() {
                return Ok(handle);
            }
            let bonds = task.as_ref().bond().map(|bond| Bonds::let_go(bond, None));
            join::discard(handle);
            if let Some(bonds) = bonds {
                Bonds::end(bonds, None);
            }
            Err(has_ended(team))
        }
    }

    /// Spawns a task of a scope that stays on the calling worker.
    ///
    /// # Safety
    ///
    /// What `F` and `T` borrow lives until the scope ends.
    pub(crate) unsafe fn spawn_bound_local<F, T>(
        self,
        bonds: &Bonds,
        spawned_at: &'static Location<'static>,
        body: F,
    ) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T,
    {
        // SAFETY: as above.
        unsafe {
            let worker = worker::current().ok_or_else(no_runtime)?;
            let (task, handle) = create(worker, self, spawned_at, body)?;
            bonds.admit(task.as_ref(), Some(worker.id()));
            worker.accept_new_local(task);
            Ok(handle)
        }
    }
}

/// Gives a team a new task from outside, which any of its workers may start or one that is chosen.
///
/// # Errors
///
/// The task, if the team ends or has ended.
fn hand_in(team: &primitive::Arc<Team>, task: NewTask, spread: bool) -> Result<(), NewTask> {
    match spread {
        true => Team::place(team, task, Balance::Living, None),
        false => Team::inject(team, task),
    }
}

fn no_runtime() -> io::Error {
    io::Error::other(
        "a local task can be spawned by a task only: this thread runs none. Call it inside \
         lisle::run, or use spawn",
    )
}

fn has_ended(team: &Team) -> io::Error {
    io::Error::other(format!(
        "the runtime '{}' has ended and takes no more tasks: spawn while it lives",
        team.settings.title()
    ))
}

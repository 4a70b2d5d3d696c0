//! What the public sees of a task: its identity.

use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A task's number, unique in the process. Those of tasks that were spawned by the tasks of one
/// worker rise in the order of spawning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub(crate) NonZeroU64);

/// The numbers that one worker gives out. It takes them from the process by the block.
pub(crate) struct Numbers {
    next: Cell<u64>,
    end: Cell<u64>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl TaskId {
    /// A number for a task that is spawned outside of any worker.
    pub(crate) fn next() -> Self {
        Self::from_number(NEXT_ID.fetch_add(1, Ordering::Relaxed))
    }

    #[inline(always)]
    fn from_number(number: u64) -> Self {
        Self(NonZeroU64::new(number).expect("numbers start at 1"))
    }

    #[inline(always)]
    pub(crate) fn number(self) -> u64 {
        self.0.get()
    }
}

impl Numbers {
    pub(crate) fn new() -> Self {
        Self { next: Cell::new(0), end: Cell::new(0) }
    }

    /// From now on gives out numbers from `first` on, as a runtime does whose executions are all
    /// alike: they are not unique in the process.
    pub(crate) fn begin_at(&self, first: u64) {
        self.next.set(first);
        self.end.set(u64::MAX);
    }

    #[inline]
    pub(crate) fn next(&self) -> TaskId {
        if self.next.get() == self.end.get() {
            self.take_block();
        }
        let number = self.next.get();
        self.next.set(number + 1);
        TaskId::from_number(number)
    }

    #[cold]
    #[inline(never)]
    fn take_block(&self) {
        const LENGTH: u64 = 1 << 16;
        let first = NEXT_ID.fetch_add(LENGTH, Ordering::Relaxed);
        self.next.set(first);
        self.end.set(first + LENGTH);
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({})", self.0)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The identity of a task: a number and perhaps a name.
///
/// It identifies a task and keeps nothing alive.
///
/// ```
/// lisle::run(|| {
///     let me = lisle::task::current().expect("this is a task");
///     assert_eq!(me.name(), Some("main"));
/// });
/// assert!(lisle::task::current().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Task {
    pub(crate) id: TaskId,
    pub(crate) name: Option<Arc<str>>,
}

impl Task {
    /// The task's number.
    ///
    /// ```
    /// lisle::run(|| {
    ///     let me = lisle::task::current().unwrap();
    ///     let other = lisle::spawn(|| lisle::task::current().unwrap()).join().unwrap();
    ///     assert_ne!(me.id(), other.id());
    /// });
    /// ```
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// The name given by [`Builder::name`](crate::Builder::name); the first task of a runtime is
    /// `main`.
    ///
    /// ```
    /// lisle::run(|| {
    ///     assert_eq!(lisle::task::current().unwrap().name(), Some("main"));
    ///     assert_eq!(lisle::spawn(|| ()).task().name(), None);
    /// });
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl Task {
    /// The number and the name, as messages have them.
    pub(crate) fn title(&self) -> Title<'_> {
        Title { id: self.id, name: self.name() }
    }
}

/// `12 'parser'`, or the number alone.
pub(crate) struct Title<'a> {
    pub(crate) id: TaskId,
    pub(crate) name: Option<&'a str>,
}

impl fmt::Display for Title<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        self.name.map_or(Ok(()), |name| write!(f, " '{name}'"))
    }
}

/// The error of a `join` that did not wait, as a payload: the caller is being cancelled and does
/// not wait any more. The task that it has joined goes on, detached.
///
/// Only destructors see it, since a cancelled task is otherwise unwound from where it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detached;

impl fmt::Display for Detached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task was not waited for, because the one that joins it is being cancelled")
    }
}

impl std::error::Error for Detached {}

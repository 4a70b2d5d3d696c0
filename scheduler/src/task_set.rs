//! Sets of tasks whose results come as they end.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use lisle_runtime::internal::primitive::Mutex;

use crate::cancel::shield;
use crate::explore::points::pass;
use crate::park::{Reason, Unparker, Wake, park};
use crate::spawn::spawn;
use crate::task::{Cancelled, CancelledBy, JoinHandle};

/// Tasks whose results come in the order in which they end.
///
/// A limit bounds how many of them run at once: then [`spawn`](Self::spawn) waits for a place.
///
/// **Dropping** it cancels the tasks that are left and waits for their ends, in a
/// [`shield`](fn@crate::shield). [`detach`](Self::detach) lets them go on instead.
///
/// # Examples
///
/// ```
/// use lisle::task::TaskSet;
///
/// lisle::run(|| {
///     let mut squares = TaskSet::with_limit(2);
///     for n in 1..=10 {
///         squares.spawn(move || n * n);
///     }
///     let sum: u32 = squares.map(|square| square.unwrap()).sum();
///     assert_eq!(sum, 385);
/// });
/// ```
pub struct TaskSet<T> {
    results: Arc<Mutex<Results<T>>>,
    /// The tasks that have not given their result, by their numbers, and free places.
    tasks: Vec<Option<JoinHandle<()>>>,
    free: Vec<usize>,
    limit: usize,
    /// Results that were taken over while a spawn waited for a place.
    taken: VecDeque<thread::Result<T>>,
}

struct Results<T> {
    /// By the numbers of their tasks.
    ready: VecDeque<(usize, thread::Result<T>)>,
    /// The owner, if it waits.
    waiter: Option<Unparker>,
}

impl<T: Send + 'static> TaskSet<T> {
    /// An empty set without a limit.
    pub fn new() -> Self {
        Self::with_limit(usize::MAX)
    }

    /// An empty set of which `limit` tasks run at once at most.
    ///
    /// # Panics
    ///
    /// If `limit` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// static RUNNING: AtomicUsize = AtomicUsize::new(0);
    ///
    /// lisle::run(|| {
    ///     let mut jobs = lisle::task::TaskSet::with_limit(2);
    ///     for _ in 0..10 {
    ///         jobs.spawn(|| {
    ///             assert!(RUNNING.fetch_add(1, Ordering::Relaxed) < 2);
    ///             lisle::yield_now();
    ///             RUNNING.fetch_sub(1, Ordering::Relaxed);
    ///         });
    ///     }
    ///     while let Some(ended) = jobs.join_next() {
    ///         ended.unwrap();
    ///     }
    /// });
    /// ```
    #[track_caller]
    pub fn with_limit(limit: usize) -> Self {
        assert!(limit > 0, "a set of tasks of which none may run does nothing");
        let results = Results { ready: VecDeque::new(), waiter: None };
        Self {
            results: Arc::new(Mutex::new(results)),
            tasks: Vec::new(),
            free: Vec::new(),
            limit,
            taken: VecDeque::new(),
        }
    }

    /// Spawns a task of the set. Waits for the end of another one if as many run as may.
    ///
    /// # Panics
    ///
    /// As [`spawn`](fn@crate::spawn).
    #[track_caller]
    pub fn spawn<F>(&mut self, body: F)
    where
        F: FnOnce() -> T + Send + 'static,
    {
        while self.running() >= self.limit {
            match self.wait() {
                Some(result) => self.taken.push_back(result),
                None => break,
            }
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.tasks.push(None);
            self.tasks.len() - 1
        });
        let mut entry = Entry { results: self.results.clone(), number, is_told: false };
        let task = spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(body));
            entry.tell(result);
        });
        self.tasks[number] = Some(task);
    }

    /// Waits for the next result, in the order in which the tasks end. `None` if no task is left.
    ///
    /// # Errors
    ///
    /// The payload of the task's panic, or [`Cancelled`].
    #[track_caller]
    pub fn join_next(&mut self) -> Option<thread::Result<T>> {
        pass();
        self.taken.pop_front().or_else(|| self.wait())
    }

    /// The next result, if it is there.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::task::TaskSet;
    ///
    /// lisle::run(|| {
    ///     let mut set = TaskSet::new();
    ///     set.spawn(|| 42);
    ///     let result = loop {
    ///         match set.try_join_next() {
    ///             Some(result) => break result,
    ///             None => lisle::yield_now(), // or does something else
    ///         }
    ///     };
    ///     assert_eq!(result.unwrap(), 42);
    /// });
    /// ```
    #[track_caller]
    pub fn try_join_next(&mut self) -> Option<thread::Result<T>> {
        pass();
        self.taken.pop_front().or_else(|| {
            let ready = self.results.lock().ready.pop_front()?;
            Some(self.strike_out(ready))
        })
    }

    #[track_caller]
    fn wait(&mut self) -> Option<thread::Result<T>> {
        const REASON: Reason = Reason::new("waiting for a task of a set");
        loop {
            let mut results = self.results.lock();
            if let Some(ready) = results.ready.pop_front() {
                drop(results);
                return Some(self.strike_out(ready));
            }
            if self.running() == 0 {
                return None;
            }
            let commit = |unparker| {
                results.waiter = Some(unparker);
                drop(results);
            };
            let wake = park(REASON, None, commit, || self.results.lock().waiter.take());
            if wake == Wake::Failed {
                return None;
            }
        }
    }

    /// The task has ended, but for its last steps.
    fn strike_out(&mut self, (number, result): (usize, thread::Result<T>)) -> thread::Result<T> {
        self.tasks[number] = None;
        self.free.push(number);
        result
    }
}

impl<T> TaskSet<T> {
    /// How many tasks have not given their result.
    fn running(&self) -> usize {
        self.tasks.len() - self.free.len()
    }

    /// How many results are still to be taken.
    pub fn len(&self) -> usize {
        self.running() + self.taken.len()
    }

    /// Whether all results were taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asks for all tasks to be cancelled. Their results come as ever.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::task::{Cancelled, TaskSet};
    ///
    /// lisle::run(|| {
    ///     let mut set = TaskSet::new();
    ///     set.spawn(|| 42);
    ///     set.spawn(|| lisle::channel::never().recv().unwrap());
    ///     let first = set.join_next().unwrap().unwrap();
    ///     set.cancel_all();
    ///     let second = set.join_next().unwrap().unwrap_err();
    ///     assert!(first == 42 && Cancelled::of(&second).is_some());
    /// });
    /// ```
    #[track_caller]
    pub fn cancel_all(&self) {
        for task in self.tasks.iter().flatten() {
            task.cancel();
        }
    }

    /// Lets the tasks go on by themselves. Their results are dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::bounded;
    /// use lisle::task::TaskSet;
    ///
    /// lisle::run(|| {
    ///     let (done, is_done) = bounded(1);
    ///     let mut set = TaskSet::new();
    ///     set.spawn(move || done.send(()).unwrap());
    ///     set.detach(); // a drop would cancel it
    ///     is_done.recv().unwrap();
    /// });
    /// ```
    pub fn detach(mut self) {
        self.tasks.clear();
        self.free.clear();
    }
}

/// The results, until none is left.
impl<T: Send + 'static> Iterator for TaskSet<T> {
    type Item = thread::Result<T>;

    #[track_caller]
    fn next(&mut self) -> Option<thread::Result<T>> {
        self.join_next()
    }
}

impl<T> Drop for TaskSet<T> {
    fn drop(&mut self) {
        if self.running() > 0 {
            self.tasks.iter().flatten().for_each(JoinHandle::cancel_aside);
            shield(|| {
                for task in self.tasks.drain(..).flatten() {
                    // Its result is in the list.
                    let _ = task.join();
                }
            });
        }
    }
}

impl<T: Send + 'static> Default for TaskSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for TaskSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskSet").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// What a task has of its set.
struct Entry<T> {
    results: Arc<Mutex<Results<T>>>,
    number: usize,
    is_told: bool,
}

impl<T> Entry<T> {
    fn tell(&mut self, result: thread::Result<T>) {
        self.is_told = true;
        let mut results = self.results.lock();
        results.ready.push_back((self.number, result));
        let waiter = results.waiter.take();
        drop(results);
        if let Some(waiter) = waiter {
            waiter.unpark();
        }
    }
}

impl<T> Drop for Entry<T> {
    /// Of a task that was cancelled before it began.
    fn drop(&mut self) {
        if !self.is_told {
            self.tell(Err(Box::new(Cancelled::task(CancelledBy::Handle))));
        }
    }
}

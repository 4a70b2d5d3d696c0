//! Spawning into a runtime from anywhere.

use std::fmt;
use std::io;

use lisle_runtime::internal::primitive::Arc;

use crate::metrics::Metrics;
use crate::spawn::Builder;
use crate::task::JoinHandle;
use crate::team::Team;
use crate::worker;

/// A runtime, for spawning into it from any thread for as long as it lives.
///
/// A handle keeps neither the runtime nor its threads alive: when the runtime has ended, spawning
/// is an error. There are handles of both kinds of runtime, those that were
/// [started](crate::RuntimeBuilder::start) and those that [`run`](crate::run) has entered.
///
/// ```
/// let runtime = lisle::Runtime::builder().start()?;
/// let handle = runtime.handle().clone();
/// let thread = std::thread::spawn(move || {
///     let task = handle.spawn(|| 6 * 7).expect("the runtime lives");
///     (task.join().unwrap(), handle)
/// });
/// let (answer, handle) = thread.join().unwrap();
/// assert_eq!(answer, 42);
///
/// drop(runtime);
/// assert!(handle.spawn(|| ()).is_err());
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Handle {
    pub(crate) team: Arc<Team>,
}

impl Handle {
    /// The runtime of the calling task, or `None` on a plain thread. It does not panic there, as
    /// tokio's function of this name does.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(lisle::Handle::current().is_none());
    /// assert!(lisle::run(|| lisle::Handle::current().is_some()));
    /// ```
    pub fn current() -> Option<Self> {
        worker::with_current(|worker| Some(Self { team: worker?.team().clone() }))
    }

    /// Spawns a task onto the runtime, from any thread. On a task of the same runtime it is
    /// [`spawn`](fn@crate::spawn).
    ///
    /// # Errors
    ///
    /// As [`Builder::spawn_on`]: most of all, if the runtime has ended. The error's kind is
    /// [`Other`](io::ErrorKind::Other). [`Runtime::spawn`](crate::Runtime::spawn), whose runtime
    /// lives as long as it is borrowed, panics instead.
    ///
    /// # Examples
    ///
    /// ```
    /// lisle::run(|| {
    ///     let handle = lisle::Handle::current().expect("this is a task");
    ///     let thread = std::thread::spawn(move || handle.spawn(|| 6 * 7));
    ///     let task = thread.join().unwrap().expect("the runtime lives");
    ///     assert_eq!(task.join().unwrap(), 42);
    /// });
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(&self, body: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Builder::new().spawn_on(self, body)
    }

    /// What the workers of the runtime have done until now, and what they have to do. When the
    /// runtime has ended, what they had done by then.
    ///
    /// ```
    /// let runtime = lisle::Runtime::builder().start()?;
    /// let handle = runtime.handle().clone();
    /// runtime.spawn(|| ()).join().unwrap();
    /// drop(runtime);
    /// assert_eq!(handle.metrics().total().live_tasks, 0);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn metrics(&self) -> Metrics {
        worker::metrics_of(&self.team)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.team.describe(f.debug_struct("Handle"))
    }
}

//! Contexts: deadline, cancellation and values that a request hands down.

use std::any::{Any, TypeId};
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use lisle_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use lisle_scheduler::{CancelToken, cancellable, now, spawn, timeout_at};

/// What belongs to a request and is handed down with it: when it has to be over, whether it is
/// called off, and values. It is modelled on Go's `context`.
///
/// A context is made from another one, its parent, and is over when its parent is. Clones are the
/// same context. Two things can be done with it:
///
/// - [`run`](Self::run) runs a closure that is unwound from where it waits when the context is
///   over. So only the outermost function needs to know about it.
/// - [`done`](Self::done) is a receiver that is then disconnected: an arm of a `select!`.
///
/// # Examples
///
/// ```
/// use lisle::task::{Context, ContextError};
/// use std::time::Duration;
///
/// lisle::run(|| {
///     let request = Context::new().with_value("request 7");
///     let limited = request.with_timeout(Duration::from_millis(2));
///     let outcome = limited.run(|| lisle::sleep(Duration::from_secs(3600)));
///     assert!(matches!(outcome, Err(ContextError::DeadlineExceeded)));
///     assert_eq!(limited.value(), Some(&"request 7"));
///     assert!(!request.is_done()); // the child is over, and the parent is not
/// });
/// ```
#[derive(Clone)]
pub struct Context(Arc<Node>);

struct Node {
    parent: Option<Context>,
    /// The earliest of its own and its ancestors'.
    deadline: Option<Instant>,
    value: Option<Box<dyn Any + Send + Sync>>,
    done: Receiver<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Why the context is over, if it is.
    cause: Option<ContextError>,
    /// What keeps `done` connected.
    connection: Option<Sender<()>>,
    children: Vec<Weak<Node>>,
    /// What runs in the context, by numbers.
    running: Vec<(u64, CancelToken)>,
    next_number: u64,
    /// Whether a task waits for the deadline.
    is_watched: bool,
}

/// Why a [`Context`] is over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ContextError {
    /// It was [cancelled](Context::cancel), or its parent was.
    Cancelled,
    /// Its deadline has passed, or its parent's.
    DeadlineExceeded,
    /// It was cancelled [with a cause](Context::cancel_with), or its parent was.
    Because(Arc<dyn Error + Send + Sync>),
}

impl Context {
    /// A context without a parent, a deadline or a value.
    #[expect(
        clippy::new_without_default,
        reason = "what a default context is depends on the place"
    )]
    pub fn new() -> Self {
        Self::make(None, None, None)
    }

    fn make(
        parent: Option<&Self>,
        deadline: Option<Instant>,
        value: Option<Box<dyn Any + Send + Sync>>,
    ) -> Self {
        let (connection, done) = bounded(0);
        let inherited = parent.and_then(Self::deadline);
        let this = Self(Arc::new(Node {
            parent: parent.cloned(),
            deadline: deadline.into_iter().chain(inherited).min(),
            value,
            done,
            state: Mutex::new(State { connection: Some(connection), ..State::default() }),
        }));
        if let Some(parent) = parent {
            let mut state = parent.state();
            match state.cause.clone() {
                Some(cause) => {
                    drop(state);
                    this.end(cause);
                }
                None => {
                    state.children.retain(|child| child.strong_count() > 0);
                    state.children.push(Arc::downgrade(&this.0));
                }
            }
        }
        this
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code of the user's runs while it is locked.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A child that can be cancelled without its parent.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::task::Context;
    ///
    /// let request = Context::new();
    /// let [first, second] = [request.child(), request.child()];
    /// first.cancel();
    /// assert!(first.is_done() && !second.is_done());
    /// request.cancel();
    /// assert!(second.is_done());
    /// ```
    pub fn child(&self) -> Self {
        Self::make(Some(self), None, None)
    }

    /// A child that is over in `timeout`, or with its parent.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use lisle::task::Context;
    ///
    /// let request = Context::new().with_timeout(Duration::from_secs(10));
    /// let step = request.with_timeout(Duration::from_secs(3600));
    /// assert_eq!(step.deadline(), request.deadline()); // the parent's comes first
    /// ```
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self::make(Some(self), now().checked_add(timeout), None)
    }

    /// A child that is over at `deadline`, or with its parent.
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        Self::make(Some(self), Some(deadline), None)
    }

    /// A child that has a value, which is found by its type. Give it a type of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::task::Context;
    ///
    /// struct User(&'static str);
    ///
    /// let context = Context::new().with_value(User("Ann")).child();
    /// assert_eq!(context.value::<User>().unwrap().0, "Ann");
    /// assert!(context.value::<u32>().is_none());
    /// ```
    pub fn with_value<T: Send + Sync + 'static>(&self, value: T) -> Self {
        Self::make(Some(self), None, Some(Box::new(value)))
    }

    /// The value of this type that was set last, by this context or an ancestor.
    pub fn value<T: Send + Sync + 'static>(&self) -> Option<&T> {
        let mut context = self;
        loop {
            let value =
                context.0.value.as_deref().filter(|value| (**value).type_id() == TypeId::of::<T>());
            if let Some(value) = value {
                return value.downcast_ref();
            }
            context = context.0.parent.as_ref()?;
        }
    }

    /// When the context is over at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline
    }

    /// Ends the context and all that have been made from it.
    pub fn cancel(&self) {
        self.end(ContextError::Cancelled);
    }

    /// Ends the context and all that have been made from it, and says why.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::task::Context;
    ///
    /// let context = Context::new();
    /// context.cancel_with("the client has gone");
    /// assert_eq!(context.child().cause().unwrap().to_string(), "the client has gone");
    /// ```
    pub fn cancel_with(&self, cause: impl Into<Box<dyn Error + Send + Sync>>) {
        self.end(ContextError::Because(cause.into().into()));
    }

    fn end(&self, cause: ContextError) {
        let mut state = self.state();
        if state.cause.is_some() {
            return;
        }
        state.cause = Some(cause.clone());
        let connection = state.connection.take();
        let (running, children) =
            (std::mem::take(&mut state.running), std::mem::take(&mut state.children));
        drop(state);
        drop(connection);
        running.iter().for_each(|(_, token)| token.cancel());
        for child in children.iter().filter_map(Weak::upgrade) {
            Self(child).end(cause.clone());
        }
    }

    /// Why the context is over, if it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use lisle::task::{Context, ContextError};
    ///
    /// let context = Context::new();
    /// assert!(context.cause().is_none());
    /// let late = context.with_timeout(Duration::ZERO);
    /// assert!(matches!(late.cause(), Some(ContextError::DeadlineExceeded)));
    /// ```
    pub fn cause(&self) -> Option<ContextError> {
        if self.0.deadline.is_some_and(|deadline| deadline <= now()) {
            self.end(ContextError::DeadlineExceeded);
        }
        self.state().cause.clone()
    }

    /// Whether the context is over.
    pub fn is_done(&self) -> bool {
        self.cause().is_some()
    }

    /// A receiver that is disconnected when the context is over, and gets no message.
    ///
    /// If the context has a deadline, the first call spawns a task that waits for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{never, select};
    /// use lisle::task::Context;
    ///
    /// lisle::run(|| {
    ///     let (context, jobs) = (Context::new(), never::<u32>());
    ///     let theirs = context.clone();
    ///     lisle::spawn(move || theirs.cancel());
    ///     select! {
    ///         recv(jobs) -> job => println!("a job: {job:?}"),
    ///         recv(context.done()) -> _ => println!("called off"),
    ///     }
    /// });
    /// ```
    #[track_caller]
    pub fn done(&self) -> &Receiver<()> {
        if let Some(deadline) = self.0.deadline
            && !self.is_done()
            && !std::mem::replace(&mut self.state().is_watched, true)
        {
            let (done, node) = (self.0.done.clone(), Arc::downgrade(&self.0));
            spawn(move || {
                let left = deadline.saturating_duration_since(now());
                if done.recv_timeout(left) == Err(RecvTimeoutError::Timeout)
                    && let Some(node) = node.upgrade()
                {
                    Self(node).end(ContextError::DeadlineExceeded);
                }
            });
        }
        &self.0.done
    }

    /// Runs `body`, which is unwound from its present wait or the next one when the context is
    /// over. A value that it returns all the same counts. See [`timeout`](crate::timeout) for what
    /// that means in detail, on plain threads too.
    ///
    /// # Errors
    ///
    /// Why the context is over, if `body` was unwound.
    ///
    /// # Panics
    ///
    /// With the panic of `body`.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::task::Context;
    ///
    /// lisle::run(|| {
    ///     let request = Context::new();
    ///     let theirs = request.clone();
    ///     lisle::spawn(move || theirs.cancel_with("the client has gone"));
    ///     let outcome = request.run(|| lisle::channel::never::<()>().recv());
    ///     assert_eq!(outcome.unwrap_err().to_string(), "the client has gone");
    /// });
    /// ```
    pub fn run<T>(&self, body: impl FnOnce() -> T) -> Result<T, ContextError> {
        let outcome = cancellable(|token| {
            let _running = self.enter(token);
            match self.0.deadline {
                Some(deadline) => timeout_at(deadline, body).ok(),
                None => Some(body()),
            }
        });
        outcome.ok().flatten().ok_or_else(|| self.cause().unwrap_or(ContextError::DeadlineExceeded))
    }

    /// Has the token used when the context is over.
    fn enter(&self, token: &CancelToken) -> Running<'_> {
        if self.is_done() {
            token.cancel();
        }
        let mut state = self.state();
        if state.cause.is_some() {
            token.cancel();
        }
        state.next_number += 1;
        let number = state.next_number;
        state.running.push((number, token.clone()));
        Running { context: self, number }
    }
}

struct Running<'a> {
    context: &'a Context,
    number: u64,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.context.state().running.retain(|(number, _)| *number != self.number);
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("deadline", &self.0.deadline)
            .field("cause", &self.cause())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("the context was cancelled"),
            Self::DeadlineExceeded => f.write_str("the deadline of the context has passed"),
            Self::Because(cause) => cause.fmt(f),
        }
    }
}

impl Error for ContextError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Because(cause) => cause.source(),
            _ => None,
        }
    }
}

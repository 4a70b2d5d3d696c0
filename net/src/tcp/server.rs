//! [`Server`]: a loop that accepts and spawns, and that lasts and ends well.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use lisle_scheduler::Builder;
use lisle_scheduler::internal::{Event, WaitCell, cannot_wait};
use lisle_scheduler::now;
use lisle_scheduler::park::{Reason, Wake};

use super::{TcpListener, TcpStream};

const PAUSING: Reason = Reason::new("pausing, since no connection can be accepted");
const ENDING: Reason = Reason::new("waiting for the connections of a server that ends");

/// How long a server pauses that cannot accept: twice as long after each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts connections and spawns a task for each, until it is told to end.
///
/// # Examples
///
/// ```
/// use lisle::net::{Server, TcpListener, TcpStream};
/// use std::io::{self, Write};
/// use std::time::Duration;
///
/// lisle::run(|| {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let address = listener.local_addr()?;
///     let server = Server::new(listener)
///         .on_failure(|error, pause| eprintln!("no connection for {pause:?}: {error}"));
///     let handle = server.handle();
///     let serving = lisle::spawn(move || {
///         server.serve(|mut stream, peer| {
///             let _ = stream.write_all(peer.to_string().as_bytes());
///         })
///     });
///
///     let stream = TcpStream::connect(address)?;
///     let us = stream.local_addr()?;
///     assert_eq!(io::read_to_string(stream)?, us.to_string());
///     handle.shut_down(Duration::from_secs(10)); // ten seconds for those that are being served
///     serving.join().unwrap()
/// })
/// # .unwrap();
/// ```
#[must_use = "it serves nobody before `serve`"]
pub struct Server {
    listener: Arc<TcpListener>,
    state: Arc<State>,
    on_failure: Option<Box<FailureHook>>,
}

type FailureHook = dyn FnMut(&io::Error, Duration) + Send;

/// Tells a [`Server`] to end, from any task or thread.
#[derive(Clone)]
pub struct ServerHandle {
    /// The server alone keeps it open.
    listener: Weak<TcpListener>,
    state: Arc<State>,
}

struct State {
    /// The connections that are being served, and one more while others may come.
    open: AtomicUsize,
    /// Notified when `open` has come to zero.
    all_closed: WaitCell,
    /// Notified when the server is told to end.
    stop: WaitCell,
    /// Until when those that are being served then may go on. It is set before `stop`.
    deadline: OnceLock<Option<Instant>>,
}

/// One of the open ones, until it is dropped.
struct Open(Arc<State>);

const DONE: Event = Event::new(0);

impl Server {
    /// A server for the connections of a listener.
    pub fn new(listener: TcpListener) -> Self {
        let state = State {
            open: AtomicUsize::new(1),
            all_closed: WaitCell::new(),
            stop: WaitCell::new(),
            deadline: OnceLock::new(),
        };
        Self { listener: Arc::new(listener), state: Arc::new(state), on_failure: None }
    }

    /// Has `hook` called whenever no connection can be accepted for want of descriptors or memory,
    /// with the error and how long the server pauses then.
    pub fn on_failure(mut self, hook: impl FnMut(&io::Error, Duration) + Send + 'static) -> Self {
        self.on_failure = Some(Box::new(hook));
        self
    }

    /// What tells the server to end.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { listener: Arc::downgrade(&self.listener), state: self.state.clone() }
    }

    /// Accepts connections and has `handler` called for each, in a task of its own. Returns when
    /// the server was told to [end](ServerHandle::shut_down) and all tasks have done so.
    ///
    /// When descriptors or memory are short (EMFILE, ENFILE, ENOBUFS, ENOMEM) it pauses and tries
    /// again: for 5 ms at first, and up to a second. A panic of `handler` ends one connection.
    ///
    /// # Errors
    ///
    /// Any other of [`accept`](TcpListener::accept); connections that were accepted before go on.
    /// `TimedOut` if not all of them have ended in the time that was set; they go on, too.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is being cancelled. Panics inside `no_suspend`.
    #[track_caller]
    pub fn serve(
        self,
        handler: impl Fn(TcpStream, SocketAddr) + Send + Sync + 'static,
    ) -> io::Result<()> {
        let Self { listener, state, mut on_failure } = self;
        let (accepting, handler) = (Open(state.clone()), Arc::new(handler));
        let mut pause = FIRST_PAUSE;
        while !state.is_told_to_stop() {
            let Err(error) = state.serve_next(&listener, &handler) else {
                pause = FIRST_PAUSE;
                continue;
            };
            if state.is_told_to_stop() {
                break;
            }
            if !is_shortage(&error) {
                return Err(error);
            }
            if let Some(hook) = &mut on_failure {
                hook(&error, pause);
            }
            // SAFETY: only the server waits for this.
            match unsafe { state.stop.wait(PAUSING, now().checked_add(pause)) } {
                Wake::Failed => return Err(cannot_wait()),
                Wake::TimedOut | Wake::Unparked => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
        // From now on nobody can connect.
        drop((listener, accepting));
        state.wait_for_the_last()
    }
}

impl State {
    fn is_told_to_stop(&self) -> bool {
        self.stop.event().is_some()
    }

    fn serve_next<H>(self: &Arc<Self>, listener: &TcpListener, handler: &Arc<H>) -> io::Result<()>
    where
        H: Fn(TcpStream, SocketAddr) + Send + Sync + 'static,
    {
        let (stream, peer) = listener.accept()?;
        // Relaxed: the server has one itself.
        self.open.fetch_add(1, Ordering::Relaxed);
        let (open, handler) = (Open(self.clone()), handler.clone());
        Builder::new().spawn(move || {
            let _open = open;
            handler(stream, peer);
        })?;
        Ok(())
    }

    fn wait_for_the_last(&self) -> io::Result<()> {
        let deadline = self.deadline.get().copied().flatten();
        // SAFETY: only the server waits for this.
        match unsafe { self.all_closed.wait(ENDING, deadline) } {
            Wake::Unparked => Ok(()),
            Wake::TimedOut => {
                let open = self.open.load(Ordering::Relaxed);
                let message = format!("{open} connections have not ended in time");
                Err(io::Error::new(io::ErrorKind::TimedOut, message))
            }
            Wake::Failed => Err(cannot_wait()),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Release and acquire: what a connection has done is seen after `serve`.
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.all_closed.notify(DONE);
        }
    }
}

impl ServerHandle {
    /// Tells the server to accept no more connections, and to wait for those that are being served,
    /// but not longer than `grace`. Does nothing if it was told so before.
    pub fn shut_down(&self, grace: Duration) {
        if self.state.deadline.set(now().checked_add(grace)).is_err() {
            return;
        }
        self.state.stop.notify(DONE);
        if let Some(listener) = self.listener.upgrade() {
            listener.close();
        }
    }

    /// Whether the server was told to end: a task that serves one connection for long then ends it
    /// when it can.
    pub fn is_shutting_down(&self) -> bool {
        self.state.is_told_to_stop()
    }
}

/// Whether an error says that the system or the process is short of something, as it will not be
/// for ever.
fn is_shortage(error: &io::Error) -> bool {
    let shortages = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.kind() == io::ErrorKind::OutOfMemory
        || error.raw_os_error().is_some_and(|error| shortages.contains(&error))
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.listener).finish()
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_shutting_down = self.is_shutting_down();
        f.debug_struct("ServerHandle").field("is_shutting_down", &is_shutting_down).finish()
    }
}

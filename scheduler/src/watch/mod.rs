//! The watch: a thread that looks out for workers which one of their tasks blocks in the kernel.
//!
//! Such a task waits in the initialiser of a `LazyLock` that another task of the worker runs, for a
//! `std::sync` lock that another holds, for a file, a socket or `std::thread::sleep`. The worker
//! does not come to rest, so it is neither a deadlock nor a stall, and it cannot say anything by
//! itself. A runtime that wants [notice](crate::RuntimeBuilder::stall_notice) of stalls has a
//! watch. The others have none, and pay nothing.
//!
//! **What is seen.** A worker is blocked if it has not announced that it sleeps, and the kernel
//! says that its thread waits, and has not had a processor since an earlier look which is long
//! enough ago: a thread that has run meanwhile has been switched to and from, and the kernel counts
//! that.
//!
//! **What is said.** Which task it is lies in the worker, where no other thread may look. So the
//! worker's thread is sent a signal, whose [handler](signal) answers a [`question`]; the watch says
//! what it has heard. If there is no answer, it says what it knows.

mod kernel;
mod question;
mod seat;
mod signal;

pub(crate) use question::{Answer, Name, Turn};
pub(crate) use seat::{Glimpse, Seat};

use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fmt, thread};

use lisle_runtime::internal::last_words::complain;
use lisle_runtime::internal::primitive;

use self::question::Before;
use crate::post::{Post, Posts};
use crate::settings::Settings;
use crate::task::Title;

/// The likely reasons, and what to do instead.
const REMEDIES: &str = "the thread waits in the kernel, perhaps for ever. Likely \
    reasons:\n\
    - a LazyLock, OnceLock or Once whose initialiser waits: make the value before two tasks can \
    want it\n\
    - a lock of std::sync that another task holds while it waits: let go of a guard before a wait\n\
    - std::thread::sleep: use lisle::sleep\n\
    - a file, a socket, a child process: let a thread of its own do it, and answer over a channel";

/// Between two looks a quarter of the patience passes, within these bounds.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The watch of one team.
pub(crate) struct Watch {
    patience: Duration,
    settings: Settings,
    posts: primitive::Arc<Posts>,
    /// Whether the thread runs. It says so itself, so that it is not counted when it is not there.
    serves: AtomicBool,
    /// Whether the thread ends when no worker is left.
    is_over: Mutex<bool>,
    ended: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Watch {
    /// The watch of a team, whose thread is to be [started](Self::start), if it wants one.
    pub(crate) fn new(settings: &Settings, posts: &primitive::Arc<Posts>) -> Option<Arc<Self>> {
        // A model has neither a kernel nor a clock.
        let patience = settings.stall_notice.filter(|_| !cfg!(lisle_loom))?;
        Some(Arc::new(Self {
            patience,
            settings: settings.clone(),
            posts: posts.clone(),
            serves: AtomicBool::new(false),
            is_over: Mutex::new(false),
            ended: Condvar::new(),
            thread: Mutex::new(None),
        }))
    }

    /// Starts the thread. Without one nothing is seen, and that is said.
    pub(crate) fn start(self: &Arc<Self>) {
        signal::install();
        let watch = self.clone();
        let builder = thread::Builder::new().name(format!("{}-watch", self.settings.thread_name));
        match builder.spawn(move || watch.serve()) {
            Ok(thread) => *lock(&self.thread) = Some(thread),
            Err(error) => {
                complain(format_args!("no thread can watch for workers that are blocked: {error}"))
            }
        }
    }

    /// Ends the thread as soon as no worker is left, which is now if the caller knows that they
    /// have ended. It then `waits` for the thread, too.
    pub(crate) fn end(&self, waits: bool) {
        *lock(&self.is_over) = true;
        self.ended.notify_one();
        if waits
            && let Some(thread) = lock(&self.thread).take()
            && thread.join().is_err()
        {
            complain(format_args!("the watch has panicked"));
        }
    }

    /// How many threads it has, none too many.
    pub(crate) fn threads(&self) -> usize {
        usize::from(self.serves.load(Ordering::Acquire))
    }

    fn serve(&self) {
        self.serves.store(true, Ordering::Release);
        let pause = (self.patience / 4).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        let posts = self.posts.all().iter().enumerate();
        let mut sights: Vec<_> =
            posts.map(|(index, post)| Sight::new(post, index, self.patience)).collect();
        let mut is_over = lock(&self.is_over);
        while !(*is_over && sights.iter().all(|sight| sight.seat().is_vacant())) {
            let waited = self.ended.wait_timeout(is_over, pause);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            sights.iter_mut().for_each(|sight| sight.look(&self.settings));
            is_over = lock(&self.is_over);
        }
        drop(is_over);
        sights.iter_mut().for_each(|sight| sight.say(&self.settings));
        self.serves.store(false, Ordering::Release);
    }
}

/// A worker as the watch sees it.
struct Sight<'a> {
    post: &'a Post,
    index: usize,
    /// How long a wait of its thread may last.
    shortest: Duration,
    wait: Option<ThreadWait>,
    /// How long it may wait before it is asked: longer each time that this brought nothing.
    patience: Duration,
    /// How many turns of tasks the worker had counted when the thread began to wait.
    turns: u64,
    /// Where the task was spawned that was told of last.
    told: Option<&'static Location<'static>>,
    has_given_up: bool,
}

/// A thread that has waited in the kernel since an earlier look.
struct ThreadWait {
    since: Instant,
    /// What was counted then, and is still, or it has run.
    switches: kernel::Switches,
    /// The turn that it waits in, read after `switches`.
    turn: Option<Turn>,
}

impl<'a> Sight<'a> {
    fn new(post: &'a Post, index: usize, patience: Duration) -> Self {
        Self {
            post,
            index,
            shortest: patience,
            wait: None,
            patience,
            turns: 0,
            told: None,
            has_given_up: false,
        }
    }

    fn seat(&self) -> &'a Seat {
        self.post.seat()
    }

    /// How messages call the worker.
    fn worker<'b>(&self, settings: &'b Settings, thread: libc::pid_t) -> WorkerTitle<'b> {
        WorkerTitle { index: self.index, runtime: settings.name.as_deref(), thread }
    }

    fn look(&mut self, settings: &Settings) {
        self.say(settings);
        let thread = self.seat().thread().filter(|_| !self.post.is_asleep());
        let Some((thread, switches)) =
            thread.and_then(|thread| Some((thread, kernel::switches_of_waiting(thread)?)))
        else {
            self.wait = None;
            return;
        };
        match &self.wait {
            Some(wait) if wait.switches == switches => {
                if wait.since.elapsed() >= self.patience {
                    let turn = wait.turn;
                    self.wait = None;
                    self.ask(thread, turn, settings);
                }
            }
            _ => {
                let turns = self.post.metrics().switches;
                if turns != self.turns {
                    self.turns = turns;
                    self.patience = self.shortest;
                }
                let (since, turn) = (Instant::now(), self.seat().turn());
                self.wait = Some(ThreadWait { since, switches, turn });
            }
        }
    }

    /// It answers by itself if there is anything to tell. Where its thread takes no signals it does
    /// not, and then the watch says once what it knows.
    fn ask(&mut self, thread: libc::pid_t, turn: Option<Turn>, settings: &Settings) {
        // A thread that takes a signal runs, and then looks as if it had begun to wait anew.
        self.patience = self.patience.saturating_mul(2);
        let Some(turn) = turn else { return };
        let before = self.seat().ask(thread, turn);
        if before == Before::Unheard && !self.has_given_up && kernel::takes_messages() {
            self.has_given_up = true;
            complain(format_args!(
                "a task has blocked {} for {:?}, and no other task of this worker can go on\n\
                 {REMEDIES}",
                self.worker(settings, thread),
                self.shortest,
            ));
        }
    }

    /// Says what the worker has answered. If that cannot be written now, the next look tries again:
    /// the watch, for which its runtime waits, is not to wait for a reader.
    fn say(&mut self, settings: &Settings) {
        let Some(answer) = self.seat().answer() else { return };
        if self.told != Some(answer.spawned_at) {
            if !kernel::takes_messages() {
                return;
            }
            self.told = Some(answer.spawned_at);
            let Answer { thread, id, ref name, spawned_at, others } = answer;
            let name = name.as_ref().map(Name::as_str);
            let (s, it_waits) = if others == 1 { ("", "it waits") } else { ("s", "they wait") };
            complain(format_args!(
                "task {}, spawned at {spawned_at}, has blocked {} for {:?}\n\
                 {others} other task{s} cannot go on: {it_waits} for this worker's thread\n\
                 {REMEDIES}",
                Title { id, name },
                self.worker(settings, thread),
                self.shortest,
            ));
        }
        self.seat().clear();
    }
}

/// A worker's number, its thread, and the name of its runtime.
struct WorkerTitle<'a> {
    index: usize,
    runtime: Option<&'a str>,
    thread: libc::pid_t,
}

impl fmt::Display for WorkerTitle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {}", self.index)?;
        if let Some(name) = self.runtime {
            write!(f, " of runtime '{name}'")?;
        }
        write!(f, " (thread {})", self.thread)
    }
}

/// Nothing panics with a lock held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

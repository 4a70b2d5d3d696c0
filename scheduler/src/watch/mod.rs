//! The watch: a thread that looks out for workers which one of their tasks keeps for long.
//!
//! Such a task **blocks** its worker in the kernel: it waits in the initialiser of a `LazyLock`
//! that another task of the worker runs, for a `std::sync` lock that another holds, for a file, a
//! socket or `std::thread::sleep`. Or it has a **long turn**: it computes, or calls the system
//! often. The worker does not come to rest, so it is neither a deadlock nor a stall, and it cannot
//! say anything by itself. A runtime that wants [notice](crate::RuntimeBuilder::stall_notice) of
//! stalls has a watch, which looks for the first; one that is to be
//! [watched](crate::RuntimeBuilder::watch) has one that looks for both. The others have none, and
//! pay nothing.
//!
//! **What is seen.** A worker is blocked if it has not announced that it sleeps, and the kernel
//! says that its thread waits, and has not had a processor since an earlier look which is long
//! enough ago: a thread that has run meanwhile has been switched to and from, and the kernel counts
//! that. A turn is long if a look finds the turn that an earlier one has found, after a time in
//! which its thread had a processor or waited of its own accord. To tell one turn from the next,
//! the worker of a watched runtime counts its switches at each, and not when it polls.
//!
//! **What is said.** Which task it is lies in the worker, where no other thread may look. So the
//! thread that runs the worker is sent a signal, whose [handler](signal) answers a [`question`];
//! the watch says what it has heard, and when the worker has told how the turn has ended, that as
//! well. If there is no answer, it says what it knows.

mod kernel;
mod notice;
mod question;
mod seat;
mod setting;
mod sight;
mod signal;

pub(crate) use question::{Answer, Name, Sighted, Turn};
pub(crate) use seat::{EndOfTurn, Glimpse, Seat};
pub(crate) use setting::from_env;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lisle_runtime::internal::last_words::complain;
use lisle_runtime::internal::primitive;

use self::sight::{Patience, Sight};
use crate::post::Posts;
use crate::settings::Settings;

/// Between two looks a quarter of the patience passes, within these bounds.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The watch of one team.
pub(crate) struct Watch {
    patience: Patience,
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
        let patience = Patience::of(settings).filter(|_| !cfg!(lisle_loom))?;
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
            Err(error) => complain(format_args!("no thread can watch the workers: {error}")),
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
        let pause = (self.patience.blocked / 4).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        let mut sights: Vec<_> = (0..self.posts.all().len())
            .map(|index| Sight::new(&self.posts, index, self.patience))
            .collect();
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

/// Nothing panics with a lock held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

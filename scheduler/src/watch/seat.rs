//! A worker on its thread, as another thread may ask it while it is busy.

use std::backtrace::Backtrace;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lisle_runtime::internal::fork::generation;

use super::question::{Answer, Asked, Before, Question, Sighted, Turn};
use super::{lock, signal};
use crate::park::{Place, Reason};
use crate::post::Posts;
use crate::worker::Worker;

/// What a worker and those have in common that may ask it.
pub(crate) struct Seat {
    /// Where the worker was born, while it is there. A signal is sent with the lock held, so that
    /// the number is not another thread's by then.
    presence: Mutex<Option<Present>>,
    /// What the watch asks.
    of_watch: Question<Option<Answer>>,
    /// What those ask, one at a time, that make a dump.
    of_dump: Question<Glimpsed>,
    /// The turn whose end the watch wants to know, 0 for none.
    long_turn: AtomicU64,
    end_of_turn: Mutex<Option<EndOfTurn>>,
}

/// How a long turn has ended.
pub(crate) struct EndOfTurn {
    pub(crate) at: Instant,
    /// What the task waits for now, and where, if it does.
    pub(crate) wait: Option<(Reason, Place)>,
    /// How it has come there, if there was room to find out. Empty unless `RUST_BACKTRACE` is set.
    pub(crate) backtrace: Option<Backtrace>,
}

/// A worker on its thread, or [carried](crate::carry) by another one's.
#[derive(Clone, Copy)]
struct Present {
    /// The kernel's number of its own.
    thread: libc::pid_t,
    worker: NonNull<Worker>,
}

// SAFETY: of the worker, others read nothing but what its methods that are named so let them.
unsafe impl Send for Present {}

impl Seat {
    pub(crate) fn new() -> Self {
        Self {
            presence: Mutex::new(None),
            of_watch: Question::new(),
            of_dump: Question::new(),
            long_turn: AtomicU64::new(0),
            end_of_turn: Mutex::new(None),
        }
    }

    /// A worker, whose seat this is, is about to run on the calling thread, until the guard is
    /// dropped.
    pub(crate) fn take<'a>(&'a self, worker: &'a Worker) -> Presence<'a> {
        signal::set_worker(Some((worker, self)));
        // SAFETY: the call has no conditions.
        let thread = unsafe { libc::gettid() };
        *lock(&self.presence) = Some(Present { thread, worker: NonNull::from(worker) });
        Presence { seat: self, generation: generation() }
    }

    pub(super) fn is_vacant(&self) -> bool {
        lock(&self.presence).is_none()
    }

    /// The worker's own thread.
    pub(crate) fn thread(&self) -> Option<libc::pid_t> {
        lock(&self.presence).map(|present| present.thread)
    }

    /// The turn that the worker is in, if it runs a task.
    pub(super) fn turn(&self) -> Option<Turn> {
        let presence = lock(&self.presence);
        // SAFETY: a worker that is present is alive, and stays so while the lock is held.
        unsafe { Worker::turn_from_outside((*presence)?.worker) }
    }

    /// How many tasks of the worker have started and not ended.
    fn started(&self) -> usize {
        let presence = lock(&self.presence);
        // SAFETY: as in `turn`.
        presence.map_or(0, |present| unsafe { Worker::started_from_outside(present.worker) })
    }

    /// Asks the worker which task is in a turn. It answers when its thread is
    /// [interrupted](crate::post::Posts::interrupt). For the watch.
    pub(super) fn ask(&self, turn: Turn) -> Before {
        self.of_watch.ask(turn)
    }

    /// Sends the signal to this thread, if it is the worker's own.
    pub(crate) fn interrupt(&self, thread: libc::pid_t) -> bool {
        let presence = lock(&self.presence);
        let is_own = presence.is_some_and(|present| present.thread == thread);
        if is_own {
            signal::send(thread);
        }
        is_own
    }

    /// What the worker has answered the watch.
    pub(super) fn answer(&self) -> Option<Answer> {
        self.of_watch.answer().flatten()
    }

    /// The watch has said what the worker has answered.
    pub(super) fn clear(&self) {
        self.of_watch.clear();
    }

    /// Asks the worker how a turn ends. For the watch.
    pub(super) fn await_end(&self, turn: Turn) {
        *lock(&self.end_of_turn) = None;
        self.long_turn.store(turn.number(), Ordering::Relaxed);
    }

    /// What the worker has said of the end. Called by the watch.
    pub(super) fn take_end(&self) -> Option<EndOfTurn> {
        lock(&self.end_of_turn).take()
    }

    /// Whether the worker is to say how a turn ends.
    pub(crate) fn awaits_end(&self) -> bool {
        self.long_turn.load(Ordering::Relaxed) != 0
    }

    /// A turn of the worker ends. `None` if the task has gone with it. Nothing is said of one that
    /// was not asked about: what was is over by then.
    pub(crate) fn tell_end(&self, turn: Option<Turn>, describe: impl FnOnce() -> EndOfTurn) {
        let asked = self.long_turn.swap(0, Ordering::Relaxed);
        if turn.is_some_and(|turn| turn.number() == asked) {
            let end = describe();
            *lock(&self.end_of_turn) = Some(end);
        }
    }

    /// Answers what was asked. Called in a signal handler on the thread that runs the worker. False
    /// if nothing was.
    pub(super) fn hear(&self, worker: &Worker) -> bool {
        let of_watch = self.of_watch.hear(worker.turn(), |answer| {
            *answer = worker.task_that_holds_up();
            answer.is_some()
        });
        let of_dump = self.of_dump.hear(worker.turn(), |glimpsed| {
            glimpsed.running = worker.running_task_from_outside();
            // SAFETY: this is the handler, and the turn that was asked about is the present one.
            unsafe { worker.sight_others(&mut glimpsed.others) };
            glimpsed.running.is_some()
        });
        of_watch == Asked::Something || of_dump == Asked::Something
    }
}

/// That a worker has a thread, until it is dropped on it.
pub(crate) struct Presence<'a> {
    seat: &'a Seat,
    generation: u32,
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        signal::set_worker(None);
        // In a fork child the lock may be held for ever, and nobody asks.
        if self.generation == generation() {
            *lock(&self.seat.presence) = None;
        }
    }
}

/// A look at the tasks of a busy worker. There is one at a time.
pub(crate) struct Glimpse<'a>(&'a Seat);

/// What a busy worker shows of its tasks.
#[derive(Default)]
pub(crate) struct Glimpsed {
    pub(crate) running: Option<Answer>,
    /// The others that have started, the newest first, as far as there is room.
    pub(crate) others: Vec<Sighted>,
}

impl<'a> Glimpse<'a> {
    /// Asks the worker of this index, if it runs a task. It is to show `most` of the others at
    /// most.
    pub(crate) fn begin(posts: &'a Posts, index: usize, most: usize) -> Option<Self> {
        signal::install();
        let post = &posts.all()[index];
        let seat = post.seat();
        let turn = seat.turn()?;
        // Some may start before the signal comes.
        let room = most.min(seat.started() + 64).max(1);
        if !seat.of_dump.prepare(Glimpsed { running: None, others: Vec::with_capacity(room) }) {
            return None;
        }
        let _ = seat.of_dump.ask(turn);
        posts.interrupt(post.kernel_thread()?);
        Some(Self(seat))
    }

    /// What it has answered. `None` if it has gone on to another task, or does not answer before
    /// the deadline.
    pub(crate) fn end(self, deadline: Instant) -> Option<Glimpsed> {
        const PAUSE: Duration = Duration::from_micros(200);
        loop {
            if let Some(glimpsed) = self.0.of_dump.take() {
                return Some(glimpsed);
            }
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(PAUSE);
        }
    }
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::post::directory;
    use crate::{Runtime, sleep, spawn_local, yield_now};

    /// The signal comes at any moment of tasks that start, wait, are woken and end.
    #[test]
    fn tasks_are_seen_while_they_come_and_go() {
        let runtime = Runtime::builder().workers(2).name("come and go").start().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let bodies = [(); 4].map(|()| {
            let over = over.clone();
            runtime.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let tasks = [(); 20].map(|()| {
                        spawn_local(|| {
                            yield_now();
                            sleep(Duration::from_micros(20));
                        })
                    });
                    yield_now();
                    tasks.into_iter().for_each(|task| task.join().unwrap());
                }
            })
        });
        let teams = directory::all();
        let team = teams.iter().find(|team| team.settings.title() == "come and go").unwrap();
        let (mut seen, mut waiting) = (0, 0);
        while seen < 500 || waiting == 0 {
            for worker in 0..2 {
                let Some(glimpse) = Glimpse::begin(&team.posts, worker, 1_000) else { continue };
                let deadline = Instant::now() + Duration::from_millis(2);
                let Some(glimpsed) = glimpse.end(deadline) else { continue };
                let running = glimpsed.running.unwrap();
                seen += glimpsed.others.len();
                for task in &glimpsed.others {
                    assert_ne!(task.id, running.id);
                    assert!(task.spawned_at.file().ends_with("seat.rs"));
                    let place = task.wait.map(|(place, _)| place.file());
                    assert!(place.is_none_or(|file| file.ends_with("seat.rs")), "{place:?}");
                    waiting += usize::from(place.is_some());
                }
            }
        }
        over.store(true, Ordering::Relaxed);
        bodies.into_iter().for_each(|task| task.join().unwrap());
    }
}

//! How other threads reach a worker, and what they may know of it.
//!
//! The two halves of a post are two types. A [`Post`] is what the team holds: any thread may wake a
//! task through it, [ask](Posts::ask_first) the worker for something, or look at its backlog. A
//! [`PostOwner`] is the worker's own half: it alone reads what has come, sleeps, and counts.
//!
//! | | what it carries | how |
//! |---|---|---|
//! | [`inbox`] | wake-ups of started tasks | one word and a link in the task |
//! | [`mailbox`] | everything else: typed requests | a list behind a lock, and a knock |

mod counters;
pub(crate) mod directory;
mod inbox;
mod mailbox;
#[cfg(all(test, lisle_loom))]
mod models;
mod owner;

pub(crate) use inbox::Notice;
pub(crate) use mailbox::Request;
pub(crate) use owner::{LONG_SLEEP, Mail, PostOwner};

use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool as StdAtomicBool, AtomicPtr, AtomicUsize};

use crossbeam_utils::CachePadded;
use lisle_runtime::internal::primitive::atomic::{AtomicBool, Ordering};
use lisle_runtime::internal::primitive::{Arc, Mutex};

use self::counters::Counters;
use self::inbox::{Inbox, Pushed};
use self::mailbox::Mailbox;
use crate::carry::Mate;
use crate::driver::Bell;
use crate::injector::{Injector, NewTask};
use crate::metrics::WorkerMetrics;
use crate::processor::Thread;
use crate::run_queue::Backlog;
use crate::task::Control;
use crate::team::Balance;
use crate::watch::Seat;
use crate::worker::Worker;

/// The half of a post that all threads share.
pub(crate) struct Post {
    inbox: Inbox,
    mailbox: Mailbox,
    pub(crate) backlog: Arc<Backlog>,
    /// New tasks that only this worker may start.
    pub(crate) placed: Injector,
    /// Placed tasks that the counters do not contain yet. (Like the next, it says where tasks are
    /// placed and nothing else, so it is std's even in a model.)
    unpublished: AtomicUsize,
    /// Tasks here that serve what was accepted.
    accepted: AtomicUsize,
    /// Whether no task runs here. (A hint for placing, as the two above.)
    rests: StdAtomicBool,
    /// Set when the worker gets its thread, before it can sleep.
    bell: Mutex<Option<Bell>>,
    /// The worker's identity, set at the same time.
    mate: OnceLock<Option<Mate>>,
    /// The worker's thread, set at the same time.
    thread: OnceLock<Option<Thread>>,
    /// Whether the worker, which was asleep, has been made the watcher.
    appointed: AtomicBool,
    /// While the worker sleeps: whether a timer or a descriptor may wake one of its tasks.
    has_wake_source: AtomicBool,
    /// Whether the worker has finished all its tasks, for good.
    ended: AtomicBool,
    /// The owner from its first turn to its last, for debuggers. Null before and after.
    pub(crate) worker: AtomicPtr<Worker>,
    /// What sits on the owner's thread, for threads that find it busy.
    seat: Seat,
    counters: CachePadded<Counters>,
}

impl Post {
    fn new() -> Self {
        Self {
            inbox: Inbox::new(),
            mailbox: Mailbox::new(),
            backlog: Backlog::new(),
            placed: Injector::default(),
            unpublished: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            rests: StdAtomicBool::new(true),
            bell: Mutex::new(None),
            mate: OnceLock::new(),
            thread: OnceLock::new(),
            appointed: AtomicBool::new(false),
            has_wake_source: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            worker: AtomicPtr::default(),
            seat: Seat::new(),
            counters: CachePadded::default(),
        }
    }

    /// Tells a started task's home that its unparker was used or dropped, from a thread that does
    /// not keep the post alive.
    ///
    /// # Safety
    ///
    /// `post` is the home of `task`, alive until it is told. The caller has had the task's
    /// unparker.
    #[cold]
    pub(crate) unsafe fn notify_home(post: *const Self, task: NonNull<Control>, notice: Notice) {
        // SAFETY: the caller's promise. The bell is taken before the task is handed over, because
        // afterwards the worker may finish the task, and itself.
        let bell = unsafe { (*post).bell() };
        // SAFETY: the caller's promise again: with the unparker it has the right to the task's
        // link. Nothing touches the post after the push.
        let pushed = unsafe { (*post).inbox.push(task, notice) };
        if pushed == Pushed::OwnerAsleep {
            bell.ring();
        }
    }

    /// Does the same from a thread that keeps the post alive, and leaves it to the caller to
    /// [wake](Self::ring) the worker. True if it has to.
    ///
    /// # Safety
    ///
    /// The post is the home of `task`. The caller has had the task's unparker.
    pub(crate) unsafe fn put_in(&self, task: NonNull<Control>, notice: Notice) -> bool {
        // SAFETY: the unparker gives the right to the task's link.
        unsafe { self.inbox.push(task, notice) == Pushed::OwnerAsleep }
    }

    /// Puts a task in and wakes the owner if it sleeps.
    ///
    /// # Safety
    ///
    /// As for [`put_in`](Self::put_in).
    #[cfg(all(test, lisle_loom))]
    pub(crate) unsafe fn notify(&self, task: NonNull<Control>, notice: Notice) {
        // SAFETY: the caller's promise.
        if unsafe { self.put_in(task, notice) } {
            self.ring();
        }
    }

    /// Wakes the owner, which was found asleep.
    pub(crate) fn ring(&self) {
        self.bell().ring();
    }

    /// The owner's identity, if others may carry it. The owner has its thread.
    #[inline]
    pub(crate) fn mate(&self) -> Option<Mate> {
        *self.mate.get()?
    }

    /// The owner's thread, if the owner has come and something can be known of it.
    pub(crate) fn thread(&self) -> Option<Thread> {
        *self.thread.get()?
    }

    /// Makes sure that the owner looks around once more, awake or not.
    pub(crate) fn knock(&self) {
        self.call(self.inbox.knock());
    }

    /// Whether there is, or was, an owner.
    pub(crate) fn has_owner(&self) -> bool {
        self.bell.lock().is_some()
    }

    /// Where the owner is found while it is busy.
    pub(crate) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// The kernel's number of the thread that runs the owner, while there is one: its own or, if it
    /// is carried, another worker's. By the time that it is used it may be a different one.
    pub(crate) fn kernel_thread(&self) -> Option<libc::pid_t> {
        let own = self.seat.thread()?;
        self.mate().and_then(Mate::kernel_thread).or(Some(own))
    }

    /// Asks the owner for something. False if it reads no more.
    pub(crate) fn ask(&self, request: Request) -> bool {
        let mut slot = self.mailbox.open();
        let refused = slot.put(request);
        let knocked = refused.is_ok().then(|| self.inbox.knock());
        drop(slot);
        if let Some(pushed) = knocked {
            self.call(pushed);
        }
        knocked.is_some()
    }

    /// Wakes the owner if it was found asleep.
    fn call(&self, pushed: Pushed) {
        if pushed == Pushed::OwnerAsleep {
            // Asked only now: a worker that sleeps has come, and before the push it might not have.
            self.bell().ring();
        }
    }

    /// The bell of a worker that has its thread.
    fn bell(&self) -> Bell {
        self.bell.lock().clone().expect("only a worker that has come is called")
    }

    /// Makes the future owner the watcher: its thread is being started.
    pub(crate) fn appoint_first(&self) {
        self.appointed.store(true, Ordering::Release);
    }

    /// Makes the owner the watcher if it sleeps.
    pub(crate) fn appoint(&self) -> bool {
        if !self.inbox.is_asleep() {
            return false;
        }
        self.appointed.store(true, Ordering::Relaxed);
        // If it is awake already, it has seen the appointment, or that is taken back.
        self.wake() || !self.appointed.swap(false, Ordering::AcqRel)
    }

    /// Wakes the owner if it sleeps. False if it does not.
    pub(crate) fn wake(&self) -> bool {
        let slept = self.inbox.end_sleep();
        if slept {
            self.bell().ring();
        }
        slept
    }

    /// Gives the owner a new task that no other worker is to start. The owner has a thread.
    ///
    /// # Errors
    ///
    /// The task, if the team ends.
    pub(crate) fn place(&self, task: NewTask, balance: Balance) -> Result<(), NewTask> {
        // Before the owner can publish it.
        self.unpublished.fetch_add(1, Ordering::Relaxed);
        if let Err(task) = self.placed.push(task) {
            self.note_published(1);
            return Err(task);
        }
        self.count_placement(balance);
        self.knock();
        Ok(())
    }

    /// Counts a task that is placed here.
    pub(crate) fn count_placement(&self, balance: Balance) {
        if balance == Balance::Accepted {
            self.accepted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One of the tasks that serve what was accepted has ended.
    pub(crate) fn note_end_of_accepted(&self) {
        self.accepted.fetch_sub(1, Ordering::Relaxed);
    }

    /// The counters contain this many more of the tasks that were placed here.
    pub(crate) fn note_published(&self, placed: usize) {
        // Release: the counters come first.
        self.unpublished.fetch_sub(placed, Ordering::Release);
    }

    /// Takes in no placed task from now on.
    pub(crate) fn refuse_placements(&self) {
        self.placed.close();
    }

    /// The owner begins to run tasks, or has run all that it had.
    pub(crate) fn note_rest(&self, rests: bool) {
        self.rests.store(rests, Ordering::Relaxed);
    }

    /// Whether the owner has nothing to do, as far as the caller can see. It may have no thread.
    pub(crate) fn has_nothing_to_do(&self) -> bool {
        self.rests.load(Ordering::Relaxed)
            && !self.inbox.has_tasks()
            && self.placed.is_empty()
            && self.backlog.is_empty()
    }

    /// How much of what is to be balanced is here already.
    pub(crate) fn load(&self, balance: Balance) -> usize {
        match balance {
            Balance::Living => self.metrics().live_tasks as usize,
            Balance::Accepted => self.accepted.load(Ordering::Relaxed),
        }
    }

    /// Whether nothing but another worker or a foreign thread can make a task of the owner's go on.
    /// It may be about to look around.
    pub(crate) fn sleeps_for_good(&self) -> bool {
        self.has_ended() || self.inbox.is_asleep() && !self.has_wake_source.load(Ordering::Acquire)
    }

    /// Whether the owner has announced that it sleeps, and nothing has ended that.
    pub(crate) fn is_asleep(&self) -> bool {
        self.inbox.is_asleep()
    }

    /// Whether the owner wakes no task any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// What the owner has counted.
    pub(crate) fn metrics(&self) -> WorkerMetrics {
        // Before the counters: what is published meanwhile counts twice rather than not at all.
        let unpublished = self.unpublished.load(Ordering::Acquire) as u64;
        let mut metrics = self.counters.read();
        metrics.live_tasks += unpublished;
        metrics.runnable_tasks += unpublished;
        metrics
    }
}

impl Drop for Post {
    /// The team has ended, and with it the last that could carry the owner.
    fn drop(&mut self) {
        if let Some(Some(mate)) = self.mate.get() {
            mate.retire();
        }
    }
}

/// The posts of a team, one for each worker.
pub(crate) struct Posts(Box<[Post]>);

impl Posts {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Post::new()).collect())
    }

    pub(crate) fn all(&self) -> &[Post] {
        &self.0
    }

    /// The posts of the workers but one. Each worker begins with another post.
    pub(crate) fn others(&self, index: usize) -> impl Iterator<Item = &Post> {
        self.0[index + 1..].iter().chain(&self.0[..index])
    }

    /// The post, if it is one of these.
    pub(crate) fn find(&self, post: *const Post) -> Option<&Post> {
        // SAFETY: the pointer points to one of the posts, which this reference keeps alive.
        self.index_of(post).map(|_| unsafe { &*post })
    }

    /// The index of the post, if it is one of these.
    pub(crate) fn index_of(&self, post: *const Post) -> Option<usize> {
        let range = self.0.as_ptr_range();
        // SAFETY: both point into the same slice, or past nothing of it.
        range.contains(&post).then(|| unsafe { post.offset_from_unsigned(range.start) })
    }

    /// Has the kernel's thread of this number, on which one of the owners was born, say what was
    /// asked of the worker that it runs. Nothing happens if that owner has ended meanwhile.
    pub(crate) fn interrupt(&self, thread: libc::pid_t) {
        self.0.iter().any(|post| post.seat().interrupt(thread));
    }

    /// Makes sure that all owners look around once more.
    pub(crate) fn knock_at_all(&self) {
        self.0.iter().for_each(Post::knock);
    }

    /// Asks the first `workers` for the same, all at once: a task that one of them wakes as it
    /// carries out the request finds that its own worker has been asked, too. They may not have
    /// their threads yet; those that have ended are left out. Returns which were asked.
    pub(crate) fn ask_first(&self, workers: usize, request: impl Fn() -> Request) -> Vec<usize> {
        let posts = &self.0[..workers];
        let mut slots: Vec<_> = posts.iter().map(|post| post.mailbox.open()).collect();
        // All are knocked at before the first slot is closed, and so before one of them can read.
        let knocks: Vec<_> = (0..workers)
            .zip(&mut slots)
            .filter_map(|(index, slot)| {
                slot.put(request()).ok().map(|()| (index, posts[index].inbox.knock()))
            })
            .collect();
        drop(slots);
        knocks.iter().for_each(|&(index, pushed)| posts[index].call(pushed));
        knocks.into_iter().map(|(index, _)| index).collect()
    }
}

//! The worker's own half of a post.

use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::Arc;
use lisle_runtime::internal::primitive::atomic::Ordering;

use super::counters::{Counter, Counters};
use super::{Notice, Post, Posts, Request};
use crate::carry::Mate;
use crate::driver::Driver;
use crate::processor::Thread;
use crate::task::Control;

/// After a sleep of this length nothing is likely to come soon, so memory that is kept for new
/// tasks is given back.
pub(crate) const LONG_SLEEP: Duration = Duration::from_millis(100);

/// The half of a post that is the worker's own. There is one for each post, and it stays on the
/// worker's thread.
pub(crate) struct PostOwner {
    post: NonNull<Post>,
    /// Keeps the post alive.
    _posts: Arc<Posts>,
    _stays_on_its_thread: PhantomData<*const ()>,
}

/// What a worker finds in its post.
pub(crate) enum Mail {
    /// Another thread has used a task's unparker, or dropped it.
    Notice(NonNull<Control>, Notice),
    Request(Request),
}

impl PostOwner {
    /// Makes the calling thread, whose driver is given, the owner of a post.
    ///
    /// # Panics
    ///
    /// If the post has had an owner.
    pub(crate) fn claim(posts: Arc<Posts>, index: usize, driver: &Driver) -> Self {
        let post = &posts.all()[index];
        let bell = driver.bell();
        let _ = post.mate.set(bell.mate());
        let _ = post.thread.set(Thread::this());
        let before = post.bell.lock().replace(bell);
        assert!(before.is_none(), "a post has one owner");
        Self { post: NonNull::from(post), _posts: posts, _stays_on_its_thread: PhantomData }
    }

    /// Whether this is the post.
    #[inline]
    pub(crate) fn is(&self, post: *const Post) -> bool {
        self.post.as_ptr().cast_const() == post
    }

    /// Whether there is a reason to read.
    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        self.inbox.has_mail()
    }

    /// Takes all that has come, wake-ups first.
    ///
    /// Requests are read after the wake-ups: if another worker has woken a task as it carried out a
    /// request to all, the task finds that its own worker has read that request, too.
    pub(crate) fn read(&self, mut receive: impl FnMut(Mail)) {
        if !self.has_mail() {
            return;
        }
        let knocked = self.inbox.drain(|task, notice| receive(Mail::Notice(task, notice)));
        if knocked {
            let requests = self.mailbox.take();
            requests.into_iter().for_each(|request| receive(Mail::Request(request)));
        }
    }

    /// Blocks the owner, whose driver is given, until something has come, a thread wakes it, a
    /// descriptor has woken a task, its next timer is due, in `timer` from now, or `pause` has
    /// passed. Does not block if it `is_wanted`, asked when it counts as asleep. Calls `rest`
    /// if that takes long; the owner counts as asleep then.
    pub(crate) fn sleep(
        &self,
        driver: &Driver,
        timer: Option<Duration>,
        pause: Option<Duration>,
        is_wanted: impl FnOnce() -> bool,
        rest: Option<impl FnOnce()>,
    ) {
        if self.falls_asleep(driver, timer, is_wanted) {
            self.stay_asleep(driver, timer, pause, rest);
            self.wake_up(driver);
        }
    }

    /// Sleeps as [`sleep`](Self::sleep) does, while the thread runs `mate`. False, and at once, if
    /// the owner must not sleep, or the mate does not rest. What `rest_to_come` gives is called if
    /// the sleep takes long: it is asked for when the mate has not called the owner back.
    pub(crate) fn sleep_and_carry<R: FnOnce()>(
        &self,
        mate: Mate,
        driver: &Driver,
        timer: Option<Duration>,
        is_wanted: impl FnOnce() -> bool,
        rest_to_come: impl FnOnce() -> Option<R>,
    ) -> bool {
        if !self.falls_asleep(driver, timer, is_wanted) {
            return false;
        }
        let carried = driver.carry(mate, timer);
        if carried && self.inbox.is_asleep() {
            self.stay_asleep(driver, timer, None, rest_to_come());
        }
        self.wake_up(driver);
        carried
    }

    /// Announces that the owner sleeps. False if it must not.
    fn falls_asleep(
        &self,
        driver: &Driver,
        timer: Option<Duration>,
        is_wanted: impl FnOnce() -> bool,
    ) -> bool {
        self.has_wake_source.store(timer.is_some() || driver.has_waits(), Ordering::Release);
        if !self.inbox.prepare_sleep() {
            return false;
        }
        if is_wanted() {
            self.inbox.end_sleep();
            return false;
        }
        self.add(|counters| &counters.sleeps, 1);
        true
    }

    fn wake_up(&self, driver: &Driver) {
        if !self.inbox.end_sleep() {
            driver.note_company();
        }
    }

    /// Blocks until something has ended the sleep.
    fn stay_asleep(
        &self,
        driver: &Driver,
        timer: Option<Duration>,
        pause: Option<Duration>,
        rest: Option<impl FnOnce()>,
    ) {
        let timeout = timer.into_iter().chain(pause).min();
        let start = Instant::now();
        // A model has no clock.
        let mut rest = rest.filter(|_| !cfg!(lisle_loom));
        let mut may_rest = driver.may_rest();
        while self.inbox.is_asleep() {
            let slept = start.elapsed();
            let left = timeout.map(|timeout| timeout.saturating_sub(slept));
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            if slept >= LONG_SLEEP
                && let Some(rest) = rest.take()
            {
                rest();
                continue;
            }
            if may_rest {
                may_rest = driver.rest(left);
                continue;
            }
            let until_rest = rest.as_ref().map(|_| LONG_SLEEP.saturating_sub(slept));
            if driver.block(left.into_iter().chain(until_rest).min()) {
                break;
            }
        }
    }

    /// Whether the owner was made the watcher. It is told once.
    pub(crate) fn was_appointed(&self) -> bool {
        // A sleep has ended, by the appointment if there was one: a load sees that.
        self.appointed.load(Ordering::Relaxed) && self.appointed.swap(false, Ordering::AcqRel)
    }

    /// Lets no more requests in: what is asked from now on is given back. False if there are some,
    /// which have to be read first.
    pub(crate) fn close(&self) -> bool {
        self.mailbox.close()
    }

    /// The owner wakes no task any more.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Adds to one of the counters.
    #[inline]
    pub(crate) fn add(&self, counter: impl FnOnce(&Counters) -> &Counter, more: u64) {
        let counter = counter(&self.counters);
        counter.set(counter.get() + more);
    }

    /// Sets the counters that say how many tasks there are.
    #[inline]
    pub(crate) fn publish(&self, live: u64, runnable: u64, stacks: u64) {
        let counters = &self.counters;
        counters.live.set(live);
        counters.runnable.set(runnable);
        counters.parked.set(live.saturating_sub(runnable));
        counters.stacks.set(stacks);
    }

    /// Sets one of the counters.
    pub(crate) fn set(&self, counter: impl FnOnce(&Counters) -> &Counter, value: u64) {
        counter(&self.counters).set(value);
    }

    /// Begins a sleep, for models that look at an owner from outside. False if something has come.
    #[cfg(all(test, lisle_loom))]
    pub(crate) fn begins_sleep(&self) -> bool {
        self.inbox.prepare_sleep()
    }
}

impl Deref for PostOwner {
    type Target = Post;

    #[inline]
    fn deref(&self) -> &Post {
        // SAFETY: the post is one of `_posts`, which this keeps alive.
        unsafe { self.post.as_ref() }
    }
}

//! Channels into which only the clock sends: `after`, `at` and `tick`.
//!
//! There is no thread and no waker behind them. A message comes into being when a receiver takes
//! it, and a receiver that waits parks with a deadline.

use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::Mutex;
use lisle_scheduler::internal::park_until;
use lisle_scheduler::now;
use lisle_scheduler::park::{Place, Reason, Wait, Wake};

use crate::error::{RecvTimeoutError, TryRecvError};

#[derive(Debug)]
pub(crate) struct Timer {
    messages: Mutex<Messages>,
    /// From one message to the next, if there is more than one.
    period: Option<Duration>,
}

#[derive(Debug)]
struct Messages {
    /// When the next one is sent. `None` when the last one was taken.
    due: Option<Instant>,
    /// How many were taken.
    taken: usize,
}

impl Timer {
    pub(crate) fn once(due: Instant) -> Self {
        Self::new(due, None)
    }

    pub(crate) fn periodic(due: Instant, period: Duration) -> Self {
        Self::new(due, Some(period))
    }

    fn new(due: Instant, period: Option<Duration>) -> Self {
        Self { messages: Mutex::new(Messages { due: Some(due), taken: 0 }), period }
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.messages.lock().due
    }

    /// How many messages were taken.
    pub(crate) fn taken(&self) -> usize {
        self.messages.lock().taken
    }

    /// Whether no message was taken since, nor is there one now. So there was none meanwhile, if
    /// there was none at first.
    pub(crate) fn is_unchanged(&self, taken: usize) -> bool {
        let messages = self.messages.lock();
        messages.taken == taken && messages.due.is_none_or(|due| now() < due)
    }

    pub(crate) fn is_due(&self) -> bool {
        self.due().is_some_and(|due| due <= now())
    }

    pub(crate) fn try_recv(&self) -> Result<Instant, TryRecvError> {
        let mut messages = self.messages.lock();
        let now = now();
        match messages.due {
            Some(next) if next <= now => {
                self.take(&mut messages, now);
                Ok(next)
            }
            _ => Err(TryRecvError::Empty),
        }
    }

    #[track_caller]
    pub(crate) fn recv(
        &self,
        deadline: Option<Instant>,
        place: Place,
    ) -> Result<Instant, RecvTimeoutError> {
        loop {
            let mut messages = self.messages.lock();
            let now = now();
            let message = messages.due;
            // Receivers that wait for ticks take them beforehand, one each: so the ticks are as far
            // apart as they should be, however late their receivers wake up.
            let in_time = |next| self.period.is_some() && deadline.is_none_or(|end| next <= end);
            match message {
                Some(next) if next <= now || in_time(next) => {
                    self.take(&mut messages, next.max(now));
                    drop(messages);
                    if now < next {
                        sleep_until(Some(next), place)?;
                    }
                    return Ok(next);
                }
                _ => drop(messages),
            }
            if deadline.is_some_and(|end| end <= now) {
                return Err(RecvTimeoutError::Timeout);
            }
            sleep_until(message.into_iter().chain(deadline).min(), place)?;
        }
    }

    /// Takes a message at `now`. None follows after the last representable time.
    fn take(&self, messages: &mut Messages, now: Instant) {
        messages.due = self.period.and_then(|period| now.checked_add(period));
        messages.taken += 1;
    }
}

/// Parks until `end`, or for ever. Fails in a task that is cancelled and unwinding already.
pub(crate) fn sleep_until(end: Option<Instant>, place: Place) -> Result<(), RecvTimeoutError> {
    const REASON: Reason = Reason::new("receiving from a timer channel");
    match park_until(Wait::on(&REASON).at(place), end) {
        Wake::TimedOut => Ok(()),
        Wake::Failed => Err(RecvTimeoutError::Disconnected),
        Wake::Unparked => unreachable!("nobody has the unparker"),
    }
}

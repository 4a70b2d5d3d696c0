//! A small channel on `park` alone, for programs in which tasks and threads talk: rendezvous,
//! bounded and unbounded. A party that waits lies in a queue with its unparker; a party that comes
//! from the other side serves the oldest.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lisle_scheduler::park::{Reason, Unparker, park};

use super::lock;

pub struct Channel<T>(Arc<Mutex<Core<T>>>);

struct Core<T> {
    buffer: VecDeque<T>,
    capacity: usize,
    offers: VecDeque<(u64, T, Unparker)>,
    requests: VecDeque<(u64, Slot<T>, Unparker)>,
    next_number: u64,
}

/// Where a receiver that waits finds its message.
type Slot<T> = Arc<Mutex<Option<T>>>;

impl<T> Channel<T> {
    pub fn bounded(capacity: usize) -> Self {
        Self(Arc::new(Mutex::new(Core {
            buffer: VecDeque::new(),
            capacity,
            offers: VecDeque::new(),
            requests: VecDeque::new(),
            next_number: 0,
        })))
    }

    pub fn unbounded() -> Self {
        Self::bounded(usize::MAX)
    }

    #[track_caller]
    pub fn send(&self, message: T) {
        assert!(self.send_until(message, None).is_ok(), "only a deadline ends a wait early");
    }

    #[track_caller]
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), T> {
        self.send_until(message, Some(Instant::now() + timeout))
    }

    #[track_caller]
    pub fn recv(&self) -> T {
        self.recv_until(None).expect("only a deadline ends a wait early")
    }

    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Option<T> {
        self.recv_until(Some(Instant::now() + timeout))
    }

    #[track_caller]
    fn send_until(&self, message: T, deadline: Option<Instant>) -> Result<(), T> {
        const REASON: Reason = Reason::new("offering a message");
        let mut core = lock(&self.0);
        if let Some((_, slot, receiver)) = core.requests.pop_front() {
            drop(core);
            *lock(&slot) = Some(message);
            receiver.unpark();
            return Ok(());
        }
        if core.buffer.len() < core.capacity {
            core.buffer.push_back(message);
            return Ok(());
        }
        let number = core.take_number();
        let mut refused = None;
        let _ = park(
            REASON,
            deadline,
            move |unparker| core.offers.push_back((number, message, unparker)),
            || {
                let mut core = lock(&self.0);
                let place = core.offers.iter().position(|offer| offer.0 == number)?;
                let (_, message, unparker) = core.offers.remove(place)?;
                refused = Some(message);
                Some(unparker)
            },
        );
        refused.map_or(Ok(()), Err)
    }

    #[track_caller]
    fn recv_until(&self, deadline: Option<Instant>) -> Option<T> {
        const REASON: Reason = Reason::new("awaiting a message");
        let mut core = lock(&self.0);
        let buffered = core.buffer.pop_front();
        if let Some((_, offered, sender)) = core.offers.pop_front() {
            let message = match buffered {
                Some(oldest) => {
                    core.buffer.push_back(offered);
                    oldest
                }
                None => offered,
            };
            drop(core);
            sender.unpark();
            return Some(message);
        }
        if buffered.is_some() {
            return buffered;
        }
        let number = core.take_number();
        let slot = Slot::default();
        let theirs = slot.clone();
        let _ = park(
            REASON,
            deadline,
            move |unparker| core.requests.push_back((number, theirs, unparker)),
            || {
                let mut core = lock(&self.0);
                let place = core.requests.iter().position(|request| request.0 == number)?;
                core.requests.remove(place).map(|request| request.2)
            },
        );
        lock(&slot).take()
    }
}

impl<T> Clone for Channel<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Core<T> {
    fn take_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }
}

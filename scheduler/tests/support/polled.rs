//! Futures that a test polls itself, here and in the crates above.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

/// Counts how often it was called.
#[derive(Default)]
pub struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Calls {
    pub fn new() -> (Arc<Self>, Waker) {
        let calls = Arc::new(Self::default());
        (calls.clone(), calls.into())
    }

    pub fn take(&self) -> usize {
        self.0.swap(0, SeqCst)
    }
}

pub fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Polls it with a waker that wakes nobody.
pub fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    poll(future, Waker::noop()).is_pending()
}

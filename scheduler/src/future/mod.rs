//! Futures: a task or a thread that waits for one, and futures that wait for tasks.
//!
//! [`block_on`] polls in its caller's frame, and parks between two polls until a waker is used. A
//! waker may be used from any thread, again and again, early and late; so what it rings is an
//! [`Alarm`] that it shares with the party. The protocol is that of a
//! [`WaitCell`](crate::wait_cell::WaitCell), which is cleared before each poll: a wake-up that
//! comes during a poll or after it finds the cell empty and leaves its event there, and the park
//! that follows ends at once.
//!
//! The other way, a future waits where tasks and threads do, by a [`FutureWait`].

mod alarm;
mod join;
#[cfg(all(test, lisle_loom))]
mod models;
mod party;

use std::mem::ManuallyDrop;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use lisle_runtime::no_suspend;

use self::alarm::Alarm;
pub use self::join::JoinFuture;
pub use self::party::FutureWait;
use crate::turn;

/// Waits for a future: the calling task parks, or the calling plain thread blocks, until the future
/// is ready.
///
/// The future is polled by the caller, on its stack, and nowhere else; it need not be `Send` nor
/// `'static`. Whatever drives it, such as a reactor of another runtime, has to run on a thread of
/// its own: [`BlockOn`] is for futures that look for that in a thread-local. A future that wakes
/// itself in its poll is polled again when the other tasks of the thread have had a turn.
///
/// It counts as one of the operations of a [`turn`](mod@crate::turn). Most calls do not allocate.
///
/// **Inside a poll.** A future whose `poll` calls this waits there, as it would in any other
/// operation that blocks: the task parks, or the thread of the executor blocks, until the inner
/// future is ready. Each call has its own wakers.
///
/// **Cancellation.** The wait is a cancellation point: a task that is cancelled, or whose
/// [`timeout`](crate::timeout) has passed, drops the future while it unwinds. In a destructor that
/// unwinds it waits all the same, as in a [`shield`](crate::shield()).
///
/// # Panics
///
/// Unwinds a task that is cancelled. Panics if it has to wait inside
/// [`no_suspend`](fn@lisle_runtime::no_suspend), and with the panic of the future.
///
/// # Aborts
///
/// If it has to wait in a destructor which cannot: that of a thread-local of a thread that ends.
///
/// # Examples
///
/// ```
/// async fn double(n: u32) -> u32 {
///     n * 2
/// }
///
/// let doubled = lisle::run(|| lisle::block_on(async { double(double(10).await).await + 2 }));
/// assert_eq!(doubled, 42);
/// ```
#[track_caller]
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future.into_future());
    wait_for(|context| future.as_mut().poll(context))
}

/// Calls `poll` until it is ready, and waits for its waker in between.
#[track_caller]
fn wait_for<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    if turn::spend() {
        turn::next();
    }
    let place = Location::caller();
    let alarm = Alarm::new();
    let waker = alarm.waker();
    let mut context = Context::from_waker(&waker);
    loop {
        alarm.silence();
        if let Poll::Ready(value) = poll(&mut context) {
            drop(waker);
            alarm.recycle();
            return value;
        }
        alarm.wait(place);
    }
}

/// [`block_on`] for futures that need a context which is entered on the thread, as those of tokio
/// do.
///
/// Such a context is a thread-local with a guard, and tasks share a thread: a guard that stays open
/// while its task waits would belong to the next task, too, and be closed out of order. So the
/// context is entered for each poll, and once more for the drop of the future.
///
/// # Examples
///
/// With tokio, `enter` would be `|| handle.enter()`, for the `Handle` of a runtime with threads of
/// its own. Here the context is a number:
///
/// ```
/// use lisle::future::BlockOn;
/// use std::cell::Cell;
///
/// thread_local! {
///     static CONTEXT: Cell<Option<u32>> = const { Cell::new(None) };
/// }
///
/// struct Entered;
///
/// fn enter() -> Entered {
///     CONTEXT.set(Some(7));
///     Entered
/// }
///
/// impl Drop for Entered {
///     fn drop(&mut self) {
///         CONTEXT.set(None);
///     }
/// }
///
/// lisle::run(|| {
///     let number = BlockOn::around_poll(enter).run(async { CONTEXT.get() });
///     assert_eq!(number, Some(7));
///     assert_eq!(CONTEXT.get(), None);
/// });
/// ```
#[must_use = "it does not wait by itself"]
#[derive(Clone, Copy, Debug)]
pub struct BlockOn<E> {
    enter: E,
}

impl<E: FnMut() -> G, G> BlockOn<E> {
    /// Calls `enter` before each poll and before the drop of the future, and drops what it returns
    /// afterwards.
    pub fn around_poll(enter: E) -> Self {
        Self { enter }
    }

    /// Waits for a future as [`block_on`] does.
    ///
    /// # Panics
    ///
    /// As [`block_on`]. Also if the poll itself waits, in an operation of Lisle that would suspend
    /// the task: the context would stay open meanwhile. The drop of the future must not wait
    /// either, which is not checked.
    #[track_caller]
    pub fn run<F: IntoFuture>(self, future: F) -> F::Output {
        let surrounded =
            Surrounded { future: ManuallyDrop::new(future.into_future()), enter: self.enter };
        let mut surrounded = std::pin::pin!(surrounded);
        wait_for(|context| surrounded.as_mut().poll(context))
    }
}

#[cfg(feature = "tokio")]
impl BlockOn<()> {
    /// For futures that need a runtime of tokio's, such as those of its sockets and timers: it is
    /// entered for each poll, and for the drop of the future.
    ///
    /// The runtime has to have threads of its own: a `new_multi_thread` one, or a `current_thread`
    /// one on which some thread is in `block_on`. They drive what the future waits for.
    ///
    /// With the feature `tokio`.
    ///
    /// # Examples
    ///
    /// ```ignore
    /// use lisle::future::BlockOn;
    ///
    /// let tokio = tokio::runtime::Runtime::new()?;
    /// let handle = tokio.handle();
    /// lisle::run(|| {
    ///     let sum = BlockOn::in_tokio(handle).run(async {
    ///         tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    ///         tokio::spawn(async { 40 }).await.unwrap() + 2
    ///     });
    ///     assert_eq!(sum, 42);
    /// });
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn in_tokio<'a>(
        handle: &'a tokio::runtime::Handle,
    ) -> BlockOn<impl FnMut() -> tokio::runtime::EnterGuard<'a>> {
        BlockOn::around_poll(|| handle.enter())
    }
}

/// A future and what surrounds its polls and its drop.
struct Surrounded<F, E: FnMut() -> G, G> {
    future: ManuallyDrop<F>,
    enter: E,
}

impl<F: Future, E: FnMut() -> G, G> Surrounded<F, E, G> {
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: nothing is moved out of it here; the future is only pinned on, and the closure
        // is never pinned.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: the future is part of what is pinned, and is dropped in place.
        let future = unsafe { Pin::new_unchecked(&mut *this.future) };
        no_suspend(|| {
            let _entered = (this.enter)();
            future.poll(context)
        })
    }
}

impl<F, E: FnMut() -> G, G> Drop for Surrounded<F, E, G> {
    fn drop(&mut self) {
        let _entered = (self.enter)();
        // SAFETY: this is the end of the struct, and the only drop of the future.
        unsafe { ManuallyDrop::drop(&mut self.future) };
    }
}

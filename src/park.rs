//! Park and unpark: what operations that wait are built on.
//!
//! Channels, `join` and `sleep` stand on [`park()`] alone, and so can an operation of your own. It
//! works for tasks and plain threads alike: a task that parks lets its thread run other tasks.
//!
//! - `park` makes an [`Unparker`], gives it to a closure that puts it where a waker will find it,
//!   and stops the caller.
//! - The waker calls [`Unparker::unpark`], which consumes it. So a wait is woken once, and no
//!   wake-up is spurious.
//! - When a deadline has passed instead, or the task is cancelled, a second closure takes the
//!   unparker back, and `park` unwinds a task that is cancelled. The [`Wake`] says what has ended
//!   the wait.
//! - The report of a deadlock shows the [`Reason`] and the caller's place; a [`Wait`] can tell
//!   more.
//!
//! An operation that succeeds more often than it waits counts itself by [`turn`](mod@turn), so that
//! other tasks have their turns all the same.
//!
//! ```
//! use lisle::park::{Reason, Unparker, Wake, park};
//! use std::mem::replace;
//! use std::sync::Mutex;
//!
//! /// Is rung once, and one task or thread waits for it.
//! enum Bell {
//!     Silent,
//!     Awaited(Unparker),
//!     Rung,
//! }
//!
//! static BELL: Mutex<Bell> = Mutex::new(Bell::Silent);
//!
//! fn ring() {
//!     let before = replace(&mut *BELL.lock().unwrap(), Bell::Rung);
//!     if let Bell::Awaited(unparker) = before {
//!         unparker.unpark();
//!     }
//! }
//!
//! fn wait() -> Wake {
//!     park(
//!         Reason::new("waiting for the bell"),
//!         None, // no deadline
//!         |unparker| {
//!             let mut bell = BELL.lock().unwrap();
//!             match *bell {
//!                 Bell::Rung => unparker.unpark(),
//!                 _ => *bell = Bell::Awaited(unparker),
//!             }
//!         },
//!         || {
//!             let mut bell = BELL.lock().unwrap();
//!             match replace(&mut *bell, Bell::Silent) {
//!                 Bell::Awaited(unparker) => Some(unparker),
//!                 other => {
//!                     *bell = other;
//!                     None
//!                 }
//!             }
//!         },
//!     )
//! }
//!
//! lisle::run(|| {
//!     let sleeper = lisle::spawn(wait);
//!     ring();
//!     assert_eq!(sleeper.join().unwrap(), Wake::Unparked);
//! });
//! ```

#[doc(inline)]
pub use lisle_scheduler::park::{
    AsWait, Object, Place, Reason, Unparker, Wait, Wake, in_task, park,
};
#[doc(inline)]
pub use lisle_scheduler::turn;

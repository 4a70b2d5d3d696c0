//! A race of tasks: the first value wins.

use lisle_runtime::internal::primitive::BriefMutex;

use super::{Scope, scope};
use crate::explore::points::pass_aside;

/// Runs all contenders, each as a task, and returns the first value. The others are cancelled then,
/// and waited for: when this returns, none of them runs any more.
///
/// Contenders may borrow. Those of different types are boxed:
/// `Box<dyn FnOnce() -> T + Send + '_>`. `None` if there are no contenders.
///
/// # Panics
///
/// With the first panic of a contender. It ends the race, too.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// lisle::run(|| {
///     let sleepers = [3600, 0, 60].map(|seconds| {
///         move || {
///             lisle::sleep(Duration::from_secs(seconds));
///             seconds
///         }
///     });
///     assert_eq!(lisle::task::race(sleepers), Some(0));
/// });
/// ```
#[track_caller]
pub fn race<F, T>(contenders: impl IntoIterator<Item = F>) -> Option<T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    let winner = BriefMutex::new(None);
    scope(|s| {
        for contender in contenders {
            let winner = &winner;
            let run = move || {
                let end = CancelOnDrop(s);
                let value = contender();
                let mut winner = winner.lock();
                let loses = if winner.is_none() {
                    *winner = Some(value);
                    None
                } else {
                    Some(value)
                };
                drop(winner);
                drop(end);
                drop(loses);
            };
            s.spawn(run);
        }
    });
    winner.lock().take()
}

/// Ends a race: with a value, or with a panic.
struct CancelOnDrop<'a, 'scope, 'env>(&'a Scope<'scope, 'env>);

impl Drop for CancelOnDrop<'_, '_, '_> {
    fn drop(&mut self) {
        pass_aside("cancels the tasks of a race", None);
        self.0.bonds.cancel();
    }
}

//! What a worker says about itself when the [`watch`](crate::watch) asks because one of its tasks
//! blocks its thread.

use lisle_runtime::internal::last_words::complain;

use super::Worker;
use crate::watch::{REMEDIES, Watched};

impl Worker {
    /// Tells of the running task, which has blocked the thread, if it holds up others. Called in a
    /// signal handler, at any instruction of the thread while it runs this worker: it reads what
    /// never changes, and what is atomic.
    pub(crate) fn tell_of_block(&self, watched: &Watched) {
        let others = self.other_tasks();
        let Some(current) = self.current.get_in_handler().filter(|_| others > 0) else { return };
        // SAFETY: the control block of the current task is alive. Its number, its name and the
        // place of its spawn were written before it became that.
        let task = unsafe { current.as_ref() };
        if !watched.is_news(task.spawned_at) {
            return;
        }
        // SAFETY: the call has no conditions.
        let thread = unsafe { libc::gettid() };
        let (s, it_waits) = if others == 1 { ("", "it waits") } else { ("s", "they wait") };
        complain(format_args!(
            "task {}, spawned at {}, has blocked {} for {:?}\n\
             {others} other task{s} cannot go on: {it_waits} for this worker's thread\n\
             {REMEDIES}",
            task.title(),
            task.spawned_at,
            watched.worker(&self.team.settings, thread),
            watched.patience,
        ));
    }

    /// How many tasks there are beside the running one that have started here, or wait to start
    /// here or anywhere. New ones that cannot start elsewhere are not counted: nothing that can be
    /// read here knows of them.
    fn other_tasks(&self) -> usize {
        let unstarted = self.post.backlog.len() + self.team.injector.len();
        self.started.len().saturating_sub(1) + unstarted
    }
}

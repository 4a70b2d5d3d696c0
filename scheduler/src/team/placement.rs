//! Placing new tasks: on the worker that has the least of something, whatever it does now.
//!
//! A started task stays where it is, so tasks that live long have to be apart from the start if
//! they are to run at the same time. The spawner says so, or it has just accepted what the task is
//! to serve. The worker is chosen by numbers that may be a little old, which does no harm.

use std::cmp::Reverse;

use lisle_runtime::internal::primitive::Arc;

use super::Team;
use crate::injector::NewTask;

/// What is to be balanced by placing a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Balance {
    /// Tasks that have not ended.
    Living,
    /// Those that serve what a task has accepted.
    Accepted,
}

impl Team {
    /// Puts a new task to the worker with the smallest load, starting its thread if it has none.
    /// `caller` is the worker that asks, if one does.
    ///
    /// # Errors
    ///
    /// The task, if it belongs on the caller's own worker, or if the team ends.
    pub(crate) fn place(
        this: &Arc<Self>,
        task: NewTask,
        balance: Balance,
        caller: Option<usize>,
    ) -> Result<(), NewTask> {
        let index = Self::find_least_loaded(this, balance, caller);
        if Some(index) == caller {
            return Err(task);
        }
        this.posts.all()[index].place(task, balance)
    }

    /// The workers but the caller that have nothing to do, or could be given a thread.
    pub(crate) fn find_idle(&self, caller: usize) -> Vec<usize> {
        let posts = self.posts.all();
        let threads = self.threads.lock();
        let may_start = self.may_start_another(&threads);
        (caller + 1..posts.len())
            .chain(0..caller)
            .filter(|&index| match index < threads.started {
                true => posts[index].has_nothing_to_do(),
                false => may_start,
            })
            .collect()
    }

    /// Puts a new task to this worker, starting its thread if it has none.
    ///
    /// # Errors
    ///
    /// The task, if there is no such thread, or if the team ends.
    pub(crate) fn place_on(this: &Arc<Self>, index: usize, task: NewTask) -> Result<(), NewTask> {
        let mut threads = this.threads.lock();
        while threads.started <= index {
            if !this.may_start_another(&threads) || !Self::start_another(this, &mut threads) {
                return Err(task);
            }
        }
        drop(threads);
        this.posts.all()[index].place(task, Balance::Living)
    }

    /// The worker with the smallest load; of several the caller's own, which need not be woken.
    fn find_least_loaded(this: &Arc<Self>, balance: Balance, caller: Option<usize>) -> usize {
        let posts = this.posts.all();
        let mut threads = this.threads.lock();
        let loads = posts[..threads.started].iter().map(|post| post.load(balance));
        let least =
            loads.enumerate().min_by_key(|&(index, load)| (load, Reverse(Some(index) == caller)));
        let (index, load) = least.expect("the first worker has a thread");
        let next = threads.started;
        if load > 0 && this.may_start_another(&threads) && Self::start_another(this, &mut threads) {
            return next;
        }
        index
    }
}

//! Stealing: an idle worker takes tasks that have not started from the backlog of another.

use std::time::{Duration, Instant};

use super::Worker;
use crate::post::Post;
use crate::run_queue::Mark;
use crate::trace::What;

/// This many tasks in a backlog are few: two that are to talk, or one and its partner not spawned
/// yet.
const FEW: usize = 4;

/// So long a worker has had a processor, without coming to its few tasks, if they are taken.
const MOMENT: Duration = Duration::from_micros(50);

/// So long they are left to one that has not. It may be waiting for them, and give its processor
/// away again and again meanwhile.
const LONGEST_HOLD: Duration = Duration::from_millis(20);

/// How far a backlog reached at some moment.
pub(super) struct Sight {
    mark: Mark,
    /// If the tasks were few: when that was, and how long their worker had had a processor.
    few: Option<(Instant, Duration)>,
}

impl Sight {
    fn of(post: &Post) -> Self {
        let are_few = !cfg!(lisle_loom) && (1..=FEW).contains(&post.backlog.len());
        let thread = post.thread().filter(|_| are_few);
        let spent = thread.and_then(|thread| thread.time());
        Self { mark: post.backlog.mark(), few: spent.map(|spent| (Instant::now(), spent)) }
    }

    /// Whether its worker has had the time to come to a task that is still there.
    fn has_lasted(&self, post: &Post) -> bool {
        post.backlog.has_lasted_since(self.mark) && !self.is_held_up(post)
    }

    /// Whether the worker is only waiting for a processor. It will come to its few tasks as soon as
    /// it has one, and a pair that is spawned or started just now would be torn apart. If it waits
    /// for something else, as in a system call, nobody knows how long it takes.
    fn is_held_up(&self, post: &Post) -> bool {
        let (Some((seen, spent)), Some(thread)) = (self.few, post.thread()) else { return false };
        let spent = thread.time().map_or(MOMENT, |now| now.saturating_sub(spent));
        spent < MOMENT
            && seen.elapsed() < LONGEST_HOLD
            && post.backlog.len() <= FEW
            && thread.is_runnable()
    }

    /// Looks again, unless the few tasks are still there: what their worker has had of a processor
    /// adds up.
    fn renew(&mut self, post: &Post) {
        if self.few.is_none() || !post.backlog.has_lasted_since(self.mark) {
            *self = Self::of(post);
        }
    }
}

impl Worker {
    /// Notes how far the others' backlogs reach now.
    pub(super) fn sight_backlogs(&self) -> Vec<Sight> {
        self.team.posts.others(self.index).map(Sight::of).collect()
    }

    /// Notes it again after a time, if [`steal`](Self::steal) has taken nothing.
    pub(super) fn renew_sights(&self, sights: &mut [Sight]) {
        let posts = self.team.posts.others(self.index);
        posts.zip(sights).for_each(|(post, sight)| sight.renew(post));
    }

    /// Takes tasks from a backlog that has lasted since it was sighted. A task that was spawned
    /// only just now is left to its worker, which has it in its cache and will come to it sooner
    /// than another could be woken.
    pub(super) fn steal(&self, sights: &[Sight]) -> bool {
        self.post.add(|counters| &counters.searches, 1);
        for (post, sight) in self.team.posts.others(self.index).zip(sights) {
            if !sight.has_lasted(post) {
                continue;
            }
            let loot = post.backlog.loot();
            let mut stolen = 0;
            while stolen < loot && self.reserve_stack().is_ok() {
                let Some(task) = post.backlog.steal() else {
                    self.cancel_reservation();
                    break;
                };
                self.adopt(task);
                stolen += 1;
            }
            if stolen > 0 {
                self.post.add(|counters| &counters.steals, stolen as u64);
                let from = self.team.posts.index_of(post).expect("it is a mate's") as u64;
                self.note(What::Steal { tasks: stolen as u64, from });
                return true;
            }
        }
        false
    }
}

//! A worker as the watch sees it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use lisle_runtime::internal::last_words::complain;

use super::kernel::{self, Switches};
use super::notice::{Ending, Keeping, Notice, Unanswered, WorkerTitle, title};
use super::question::{Before, Turn};
use super::seat::Seat;
use crate::park::Place;
use crate::post::{Post, Posts};
use crate::settings::Settings;

/// What the watch puts up with.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// How long a thread may wait in the kernel.
    pub(super) blocked: Duration,
    /// How long a turn may last, if that counts.
    turn: Option<Duration>,
}

impl Patience {
    /// `None` if nothing is to be watched.
    pub(super) fn of(settings: &Settings) -> Option<Self> {
        let blocked = [settings.stall_notice, settings.watch].into_iter().flatten().min()?;
        Some(Self { blocked, turn: settings.watch })
    }
}

pub(super) struct Sight<'a> {
    posts: &'a Posts,
    index: usize,
    patience: Patience,
    wait: Option<ThreadWait>,
    run: Option<Run>,
    /// How long it may wait before it is asked: longer each time that this brought nothing.
    wait_patience: Duration,
    /// How many turns of tasks the worker had counted when the thread began to wait.
    turns: u64,
    /// What it was asked about last.
    asked: Option<Asked>,
    /// The task that keeps it, when that was told, and since when it does.
    kept_by: Option<(String, Instant)>,
    /// What tasks are known to do, by the places of their spawns.
    told: HashSet<(Place, Kind)>,
    has_given_up: bool,
}

/// A thread that has waited in the kernel since an earlier look.
struct ThreadWait {
    thread: libc::pid_t,
    since: Instant,
    /// What was counted then, and is still, or it has run.
    switches: Switches,
    /// The turn that it waits in, read after `switches`.
    turn: Option<Turn>,
}

/// A turn that has lasted since an earlier look.
struct Run {
    /// On which thread. A turn stays on one, but the first look may have come too early for it.
    thread: libc::pid_t,
    turn: Turn,
    /// What the worker had counted. Two turns of one task differ in that.
    turns: u64,
    since: Instant,
    /// For how long the thread had wanted a processor by then.
    starved: Duration,
    /// How long it may last before it is asked about: longer each time.
    patience: Duration,
}

/// What a thread does, by one look and the one before.
enum Found {
    /// It runs, or has run since it was seen to wait.
    Running,
    /// It waits, and did not before: perhaps for a moment.
    Resting,
    /// It has waited since an earlier look.
    Waiting,
}

struct Asked {
    keeping: Keeping,
    since: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Blocks,
    Runs,
}

impl<'a> Sight<'a> {
    pub(super) fn new(posts: &'a Posts, index: usize, patience: Patience) -> Self {
        Self {
            posts,
            index,
            patience,
            wait: None,
            run: None,
            wait_patience: patience.blocked,
            turns: 0,
            asked: None,
            kept_by: None,
            told: HashSet::new(),
            has_given_up: false,
        }
    }

    fn post(&self) -> &'a Post {
        &self.posts.all()[self.index]
    }

    pub(super) fn seat(&self) -> &'a Seat {
        self.post().seat()
    }

    pub(super) fn look(&mut self, settings: &Settings) {
        self.say(settings);
        let post = self.post();
        let Some(thread) = post.kernel_thread().filter(|_| !post.is_asleep()) else {
            (self.wait, self.run) = (None, None);
            return;
        };
        match self.look_for_wait(thread, settings) {
            // It has a long turn, too, but there is more to say; and the time for which it waits is
            // none in which it computes.
            Found::Waiting => self.run = None,
            Found::Resting => {}
            Found::Running => {
                if let Some(longest) = self.patience.turn {
                    self.look_for_long_turn(thread, longest, settings);
                }
            }
        }
    }

    fn look_for_wait(&mut self, thread: libc::pid_t, settings: &Settings) -> Found {
        let Some(switches) = kernel::switches_of_waiting(thread) else {
            self.wait = None;
            return Found::Running;
        };
        match &self.wait {
            Some(wait) if (wait.thread, wait.switches) == (thread, switches) => {
                if wait.since.elapsed() >= self.wait_patience {
                    let ThreadWait { turn, since, .. } = *wait;
                    self.wait = None;
                    // A thread that takes a signal runs, and then looks as if it had begun anew.
                    self.wait_patience = self.wait_patience.saturating_mul(2);
                    let keeping = Keeping::Blocks(self.patience.blocked, kernel::call_of(thread));
                    self.ask(thread, turn, Asked { keeping, since }, settings);
                }
                Found::Waiting
            }
            _ => {
                let turns = self.post().metrics().switches;
                if turns != self.turns {
                    self.turns = turns;
                    self.wait_patience = self.patience.blocked;
                }
                let (since, turn) = (Instant::now(), self.seat().turn());
                match self.wait.replace(ThreadWait { thread, since, switches, turn }) {
                    None => Found::Resting,
                    Some(_) => Found::Running,
                }
            }
        }
    }

    fn look_for_long_turn(&mut self, thread: libc::pid_t, longest: Duration, settings: &Settings) {
        let Some(turn) = self.seat().turn() else {
            self.run = None;
            return;
        };
        let turns = self.post().metrics().switches;
        let starved = kernel::starved_for(thread).unwrap_or_default();
        match &mut self.run {
            Some(run) if (run.thread, run.turn, run.turns) == (thread, turn, turns) => {
                let since = run.since;
                let time = since.elapsed().saturating_sub(starved.saturating_sub(run.starved));
                if time >= run.patience {
                    run.patience = time.saturating_mul(2);
                    let keeping = Keeping::Runs(time);
                    self.ask(thread, Some(turn), Asked { keeping, since }, settings);
                }
            }
            _ => {
                let since = Instant::now();
                self.run = Some(Run { thread, turn, turns, since, starved, patience: longest });
            }
        }
    }

    /// The worker answers by itself if there is anything to tell. Where its thread takes no signals
    /// it does not, and then the watch says once what it knows.
    fn ask(&mut self, thread: libc::pid_t, turn: Option<Turn>, asked: Asked, settings: &Settings) {
        let Some(turn) = turn else { return };
        // One that could not be said yet.
        if self.seat().answer().is_some() {
            return;
        }
        self.seat().await_end(turn);
        let before = self.seat().ask(turn);
        self.posts.interrupt(thread);
        if before == Before::Unheard && !self.has_given_up && kernel::takes_messages() {
            self.has_given_up = true;
            let worker = WorkerTitle::new(self.index, settings, thread);
            complain(format_args!("{}", Unanswered { keeping: &asked.keeping, worker }));
        }
        self.asked = Some(asked);
    }

    /// Says what the worker has answered, and how a turn that was reported has ended. If an answer
    /// cannot be written now, the next look tries again: the watch, for which its runtime waits, is
    /// not to wait for a reader.
    pub(super) fn say(&mut self, settings: &Settings) {
        if let Some(answer) = self.seat().answer() {
            let Some(Asked { keeping, since }) = &self.asked else { return };
            if !self.told.contains(&(answer.spawned_at, keeping.kind())) {
                if !kernel::takes_messages() {
                    return;
                }
                self.told.insert((answer.spawned_at, keeping.kind()));
                let worker = WorkerTitle::new(self.index, settings, answer.thread);
                complain(format_args!("{}", Notice { answer: &answer, keeping, worker }));
                self.kept_by = Some((title(&answer).to_string(), *since));
            }
            self.seat().clear();
        }
        if let Some(end) = self.seat().take_end()
            && let Some((task, since)) = self.kept_by.take()
            && kernel::takes_messages()
        {
            let after = end.at.saturating_duration_since(since);
            complain(format_args!("{}", Ending { task: &task, after, end: &end }));
        }
    }
}

impl Keeping {
    fn kind(&self) -> Kind {
        match self {
            Self::Blocks(..) => Kind::Blocks,
            Self::Runs(_) => Kind::Runs,
        }
    }
}

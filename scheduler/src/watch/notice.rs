//! What the watch says.

use std::backtrace::BacktraceStatus;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::kernel::Call;
use super::question::{Answer, Name};
use super::seat::EndOfTurn;
use crate::settings::Settings;
use crate::task::Title;

/// What a task does that keeps its worker.
#[derive(Clone, Debug)]
pub(super) enum Keeping {
    /// It has waited in the kernel for this long, in a call that may be known.
    Blocks(Duration, Option<Call>),
    /// It has run for this long in one turn.
    Runs(Duration),
}

/// The task that keeps a worker, as it was answered.
pub(super) struct Notice<'a> {
    pub(super) answer: &'a Answer,
    pub(super) keeping: &'a Keeping,
    pub(super) worker: WorkerTitle<'a>,
}

/// Nobody has answered which task it is.
pub(super) struct Unanswered<'a> {
    pub(super) keeping: &'a Keeping,
    pub(super) worker: WorkerTitle<'a>,
}

/// The end of a turn that was reported.
pub(super) struct Ending<'a> {
    pub(super) task: &'a str,
    pub(super) after: Duration,
    pub(super) end: &'a EndOfTurn,
}

/// A worker's number, its thread, and the name of its runtime.
pub(super) struct WorkerTitle<'a> {
    index: usize,
    runtime: Option<&'a str>,
    thread: libc::pid_t,
}

/// The name of a task that was answered.
pub(super) fn title(answer: &Answer) -> Title<'_> {
    Title { id: answer.id, name: answer.name.as_ref().map(Name::as_str) }
}

impl Display for Notice<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { answer, keeping, worker } = self;
        let others = answer.others;
        write!(f, "task {}, spawned at {}, ", title(answer), answer.spawned_at)?;
        keeping.write_of(worker, f)?;
        let (s, it_waits) = if others == 1 { ("", "it waits") } else { ("s", "they wait") };
        write!(f, "\n{others} other task{s} cannot go on: {it_waits} for this worker's thread")?;
        write!(f, "\n{}", Remedy(keeping))?;
        write!(f, "\nother tasks spawned there that do so are not reported")
    }
}

impl Display for Unanswered<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { keeping, worker } = self;
        write!(f, "a task ")?;
        keeping.write_of(worker, f)?;
        write!(f, ", and no other task of this worker can go on\n{}", Remedy(keeping))?;
        write!(f, "\nwhich task it is is unknown: the signal SIGURG does not reach the thread")
    }
}

impl Display for Ending<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "task {} has let its worker go on after {:.1?}: ", self.task, self.after)?;
        match self.end.wait {
            Some((reason, place)) => write!(f, "it is {reason}\n    at {place}")?,
            None => write!(f, "it gives way to others")?,
        }
        match &self.end.backtrace {
            Some(trace) if trace.status() == BacktraceStatus::Captured => write!(f, "\n{trace}"),
            _ => Ok(()),
        }
    }
}

impl Keeping {
    /// What it has done to a worker.
    fn write_of(&self, worker: &WorkerTitle<'_>, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocks(time, _) => write!(f, "has blocked {worker} for {time:?}"),
            Self::Runs(time) => write!(f, "has kept {worker} for {time:.1?} in one turn"),
        }
    }
}

/// The likely reasons, and what to do instead.
struct Remedy<'a>(&'a Keeping);

const LOCK: &str = "a lock of std::sync that another task holds while it waits: let go of a guard \
    before a wait, or take one of lisle::sync";
const LAZY: &str = "a LazyLock, OnceLock or Once whose initialiser waits: make the value before \
    two tasks can want it";
const SLEEP: &str = "std::thread::sleep: use lisle::sleep";
const SYSTEM: &str = "a file, a socket, a child process of std: use those of lisle, or \
    lisle::blocking";
const BREAKS: &str = "it computes, or calls the system often: call lisle::yield_now now and then, \
    or let lisle::blocking do it";

impl Display for Remedy<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Keeping::Blocks(_, call) = self.0 else { return f.write_str(BREAKS) };
        let likely: &[&str] = match call {
            None => &[LOCK, LAZY, SLEEP, SYSTEM],
            Some(Call::Futex) => &[LOCK, LAZY],
            Some(Call::Sleep) => &[SLEEP],
            Some(Call::Child | Call::Descriptor { .. }) => &[SYSTEM],
        };
        write!(f, "the thread waits in the kernel")?;
        call.iter().try_for_each(|call| write!(f, ", {call}"))?;
        write!(f, ". Likely reason{}:", if likely.len() == 1 { "" } else { "s" })?;
        likely.iter().try_for_each(|reason| write!(f, "\n- {reason}"))
    }
}

impl<'a> WorkerTitle<'a> {
    pub(super) fn new(index: usize, settings: &'a Settings, thread: libc::pid_t) -> Self {
        Self { index, runtime: settings.name.as_deref(), thread }
    }
}

impl Display for WorkerTitle<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "worker {}", self.index)?;
        if let Some(name) = self.runtime {
            write!(f, " of runtime '{name}'")?;
        }
        write!(f, " (thread {})", self.thread)
    }
}

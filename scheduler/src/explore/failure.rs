//! What is said of a failure.

use std::any::Any;
use std::fmt;
use std::path::{Path, PathBuf};
use std::{env, fs};

use super::fault::Fault;
use super::shrink::Schedule;
use crate::deadlock::{Deadlock, TaskReport};
use crate::park::{Place, Reason};

/// How a program has failed under one of its schedules: [`Explorer::check`](super::Explorer::check)
/// returns it. Its text has the shortest history that was found, and how to see it again.
#[derive(Debug)]
pub struct Failure {
    cause: Cause,
    schedule: Schedule,
    history: History,
    executions: usize,
    is_repeatable: bool,
}

/// Why an execution has failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The program has panicked, with this message.
    Panic(String),
    /// All tasks wait.
    Deadlock(Deadlock),
    /// The program has ended, and tasks are left that wait for ever.
    Lost(Vec<TaskReport>),
    /// The program has not ended after this many choices.
    Endless(usize),
}

/// What has happened in an execution.
pub(super) type History = Vec<Event>;

#[derive(Clone, Debug)]
pub(super) struct Event {
    /// 0 if it is no task's.
    pub(super) task: u64,
    pub(super) what: What,
    pub(super) place: Option<Place>,
}

impl Event {
    fn is_like(&self, other: &Self) -> bool {
        (self.task, self.place, self.what) == (other.task, other.place, other.what)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Operation,
    /// What needs words, since its line is not one that says so.
    Aside(&'static str),
    Wait(Reason),
    Fault(Fault),
}

/// How much of a history is shown.
const SHOWN: usize = 60;

impl Cause {
    pub(super) fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Self::Panic(text.unwrap_or_else(|| "(no text)".to_owned()))
    }

    /// Whether it is another case of the same fault, as far as that can be told.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl Failure {
    pub(super) fn new(
        cause: Cause,
        schedule: Schedule,
        history: History,
        executions: usize,
        is_repeatable: bool,
    ) -> Self {
        Self { cause, schedule, history, executions, is_repeatable }
    }

    /// Why the execution has failed.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// How many executions it took to find it.
    pub fn executions(&self) -> usize {
        self.executions
    }

    /// How many choices out of turn it takes: at each of them another task goes on than the one
    /// that would have.
    pub fn switches(&self) -> usize {
        self.schedule.len()
    }

    /// Whether it failed again under the same schedule. If not, something else than the order of
    /// its tasks is not the same in each execution.
    pub fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    /// The value of `LISLE_EXPLORE_SEED` with which the program fails so at once.
    pub fn schedule(&self) -> String {
        self.schedule.to_string()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the program fails under a schedule that execution {} found", self.executions)?;
        writeln!(f, "\n{}\n", self.cause)?;
        if !self.is_repeatable {
            return write!(
                f,
                "under the same schedule it does not fail again: something else than the order of \
                 its tasks differs from execution to execution, such as input or the order of a \
                 HashMap"
            );
        }
        self.write_history(f)?;
        write!(f, "\nto see this again: LISLE_EXPLORE_SEED={}", self.schedule)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic(text) => write!(f, "it panics: {text}"),
            Self::Deadlock(deadlock) => write!(f, "{deadlock}"),
            Self::Lost(tasks) => {
                write!(f, "it has ended, and leaves tasks that wait for ever")?;
                tasks.iter().try_for_each(|task| write!(f, "\n\n{task}"))
            }
            Self::Endless(steps) => write!(f, "it has not ended after {steps} choices"),
        }
    }
}

impl Failure {
    /// Which task did what, in the order of the execution.
    fn write_history(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self.history.len().saturating_sub(SHOWN);
        let choices = match self.switches() {
            1 => "1 choice".to_owned(),
            several => format!("{several} choices"),
        };
        writeln!(f, "the shortest history that was found, with {choices} out of turn:")?;
        if skipped > 0 {
            writeln!(f, "  … {skipped} operations before")?;
        }
        let mut sources = Sources::default();
        for events in self.history[skipped..].chunk_by(Event::is_like) {
            let event = &events[0];
            let task = match event.task {
                0 => "clock".to_owned(),
                1 => "main".to_owned(),
                number => format!("task {number}"),
            };
            let times = if events.len() > 1 {
                format!("  ({} times)", events.len())
            } else {
                String::new()
            };
            let place = event.place.map_or_else(String::new, |place| place.to_string());
            write!(f, "  {task:<8} {place:<28} ")?;
            match event.what {
                What::Operation => {
                    let line = event.place.and_then(|place| sources.line(place));
                    writeln!(f, "{}{times}", line.unwrap_or_default())?;
                }
                What::Aside(what) => writeln!(f, "… {what}{times}")?,
                What::Wait(reason) => writeln!(f, "… waits, {reason}{times}")?,
                What::Fault(fault) => writeln!(f, "… {fault}{times}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// The lines of the program, where they can be found.
#[derive(Default)]
struct Sources(Vec<(&'static str, Option<String>)>);

impl Sources {
    fn line(&mut self, place: Place) -> Option<&str> {
        let file = place.file();
        let known = self.0.iter().position(|(name, _)| *name == file);
        let index = known.unwrap_or_else(|| {
            self.0.push((file, find(file).and_then(|path| fs::read_to_string(path).ok())));
            self.0.len() - 1
        });
        let text = self.0[index].1.as_ref()?;
        text.lines().nth(place.line() as usize - 1).map(str::trim)
    }
}

/// Tests run in the folder of their package, and paths begin at that of the workspace.
fn find(file: &str) -> Option<PathBuf> {
    let here = env::current_dir().ok()?;
    let candidates = here.ancestors().take(4).map(|folder| folder.join(Path::new(file)));
    candidates.into_iter().find(|path| path.is_file())
}

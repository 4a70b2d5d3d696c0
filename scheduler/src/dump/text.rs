//! The text of a [`Dump`].

use std::fmt::{self, Display, Formatter};

use super::{BusyWorker, Dump, RuntimeDump, TaskDump, TaskGroup, TaskState};
use crate::deadlock::{Count, FirstOf, Group, TaskReport, groups};

/// How many tasks of a group are looked at for backtraces that differ.
const TRACED: usize = 8;

impl Display for Dump {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.runtimes.is_empty() {
            return write!(f, "no runtime");
        }
        for (place, runtime) in self.runtimes.iter().enumerate() {
            write!(f, "{}{runtime}", if place == 0 { "" } else { "\n\n\n" })?;
        }
        let space = if self.runtimes.len() == 1 { "\n\n" } else { "\n\n\n" };
        self.hints.iter().try_for_each(|hint| write!(f, "{space}{hint}"))
    }
}

impl Display for RuntimeDump {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (tasks, workers) = (self.task_count(), self.workers);
        let plural = |count| if count == 1 { "" } else { "s" };
        write!(f, "runtime '{}': {} task{}", self.name, Count(tasks), plural(tasks))?;
        write!(f, " on {workers} worker{}", plural(workers))?;
        self.write_rest(f)
    }
}

impl RuntimeDump {
    /// All but the head.
    pub(crate) fn write_rest(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.busy.iter().try_for_each(|busy| write!(f, "\n\n{busy}"))?;
        self.groups.iter().try_for_each(|group| write!(f, "\n\n{group}"))
    }
}

impl Display for BusyWorker {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} (thread {}) is busy", self.worker, self.thread)?;
        if let Some((task, spawned_at)) = &self.running {
            write!(f, " with task {}", task.title())?;
            write!(f, "\n    spawned at {spawned_at}")?;
        }
        match self.described {
            0 => write!(f, "\n    and does not say what its tasks do: ")?,
            1 => return self.write_shown(f, "where another task is that has started"),
            count => {
                let what = format_args!("where {} other tasks are that have started", Count(count));
                return self.write_shown(f, what);
            }
        }
        write!(f, "{} when it last counted them", Count(self.tasks as usize))
    }
}

impl BusyWorker {
    fn write_shown(&self, f: &mut Formatter<'_>, what: impl Display) -> fmt::Result {
        write!(f, "\n    and shows {what}")?;
        match self.not_started {
            0 => Ok(()),
            1 => write!(f, "; 1 has not"),
            count => write!(f, "; {} have not", Count(count)),
        }
    }
}

impl Display for TaskGroup {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.state {
            TaskState::Waiting => self.write_waiting(f),
            TaskState::Running => self.write_alike(f, "running"),
            TaskState::Ready => self.write_alike(f, "ready to run"),
            TaskState::NotStarted => self.write_alike(f, "not started"),
        }
    }
}

impl TaskGroup {
    fn write_waiting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let reports = || self.tasks.iter().filter_map(TaskDump::wait);
        let mut alike = groups(reports());
        if alike.len() == 1 {
            alike[0].tally = self.tally;
        } else if self.tally.tasks > self.tasks.len() {
            // Of those that are not described it is not known what could end their waits.
            let bare: Vec<_> = reports().map(TaskReport::without_awaited).collect();
            let tasks = bare.iter().collect();
            write!(f, "{}", Group { tasks, tally: self.tally })?;
            return self.write_backtraces(f);
        }
        for (place, group) in alike.iter().enumerate() {
            write!(f, "{}{group}", if place == 0 { "" } else { "\n\n" })?;
        }
        self.write_backtraces(f)
    }

    fn write_alike(&self, f: &mut Formatter<'_>, what: &str) -> fmt::Result {
        let count = self.tally.tasks;
        match &self.tasks[..] {
            [only] if count == 1 => write!(f, "task {}: {what}", only.task.title())?,
            _ => write!(f, "{} tasks: {what}", Count(count))?,
        }
        write!(f, "\n    spawned at {}", self.spawned_at)?;
        if count > 1 {
            let named: Vec<_> = self.tasks.iter().map(TaskDump::task).collect();
            write!(f, "\n    these are {}", FirstOf { named: &named, of: count })?;
        }
        self.write_backtraces(f)
    }

    /// The different backtraces of the first tasks.
    fn write_backtraces(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut written = Vec::new();
        for task in self.tasks.iter().take(TRACED) {
            let Some(backtrace) = &task.backtrace else { continue };
            let text = backtrace.to_string();
            if !written.contains(&text) {
                write!(f, "\n    backtrace of {}:", task.task.title())?;
                text.lines().try_for_each(|line| write!(f, "\n    {line}"))?;
                written.push(text);
            }
        }
        Ok(())
    }
}

impl Display for TaskDump {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let what = match (&self.wait, self.state) {
            (Some(wait), _) => return wait.fmt(f),
            (None, TaskState::Running) => "running",
            (None, TaskState::Ready) => "ready to run",
            (None, TaskState::NotStarted) => "not started",
            (None, TaskState::Waiting) => "waiting",
        };
        write!(f, "task {}: {what}\n    spawned at {}", self.task.title(), self.spawned_at)
    }
}

//! A survey: what all workers of a team have to say of their parked tasks, which no other thread
//! may look at. The last to answer gets them all.

use std::mem;
use std::time::Duration;

use lisle_runtime::internal::primitive::Mutex;

use super::TaskReport;

pub(crate) struct Survey {
    pub(crate) purpose: Purpose,
    answers: Mutex<Answers>,
}

/// What becomes of the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Nothing can wake one of the tasks: the team ends with a report.
    Deadlock,
    /// They have waited for this long, and only a thread that is not the team's could wake one. A
    /// notice says so.
    Stall(Duration),
    /// The clock of a runtime with virtual time has stood for this long, and tasks wait for it.
    /// What holds it is said.
    Clock(Duration),
    /// The runtime ends, and all that is left of it waits in shields. What is awaited is said.
    Shields,
    /// The runtime ends, and all that is left of it waits in shields for what never comes: the
    /// process is aborted with a report.
    End,
}

struct Answers {
    /// Workers that have not answered yet.
    missing: usize,
    reports: Vec<TaskReport>,
}

impl Survey {
    /// A survey among `workers` workers.
    pub(crate) fn new(purpose: Purpose, workers: usize) -> Self {
        let answers = Answers { missing: workers, reports: Vec::new() };
        Self { purpose, answers: Mutex::new(answers) }
    }

    /// Takes the answer of a worker. Returns all answers if it was the last.
    pub(crate) fn answer(&self, reports: Vec<TaskReport>) -> Option<Vec<TaskReport>> {
        let mut answers = self.answers.lock();
        answers.reports.extend(reports);
        answers.missing -= 1;
        (answers.missing == 0).then(|| mem::take(&mut answers.reports))
    }
}

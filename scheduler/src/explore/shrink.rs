//! The fewest choices out of turn with which a program still fails.

use std::collections::BTreeMap;
use std::fmt;

use super::engine::Choice;
use super::failure::{Cause, Failure};
use super::{Explorer, quiet};

/// How many executions are spent on a shorter history.
const TRIALS: usize = 500;

/// The choices that are not the first one that there is: by the number of the choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Schedule(BTreeMap<usize, usize>);

impl Schedule {
    pub(super) fn of(choices: &[Choice]) -> Self {
        let choices = choices.iter().map(|choice| choice.chosen).enumerate();
        Self(choices.filter(|&(_, chosen)| chosen > 0).collect())
    }

    pub(super) fn at(&self, step: usize) -> usize {
        self.0.get(&step).copied().unwrap_or(0)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn without(&self, range: std::ops::Range<usize>) -> Self {
        let kept = self.0.iter().enumerate().filter(|(place, _)| !range.contains(place));
        Self(kept.map(|(_, (&step, &chosen))| (step, chosen)).collect())
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "@";
        if self.0.is_empty() {
            return write!(f, "@");
        }
        for (step, chosen) in &self.0 {
            write!(f, "{separator}{step}:{chosen}")?;
            separator = ",";
        }
        Ok(())
    }
}

pub(super) fn parse(text: &str) -> Option<Schedule> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    let choice = |part: &str| {
        let (step, chosen) = part.split_once(':')?;
        Some((step.parse().ok()?, chosen.parse().ok()?))
    };
    parts.map(choice).collect::<Option<_>>().map(Schedule)
}

/// Leaves choices out as long as the program fails without them: halves at first, and single ones
/// in the end.
pub(super) fn shrink(
    explorer: &Explorer,
    program: &(impl Fn() + Sync),
    cause: Cause,
    failing: Schedule,
    executions: usize,
) -> Failure {
    let _quiet = quiet::begin();
    let mut best = failing;
    let mut trials = TRIALS;
    let mut size = best.len().div_ceil(2).max(1);
    loop {
        let mut start = 0;
        let mut has_shrunk = false;
        while start < best.len() && trials > 0 {
            trials -= 1;
            let shorter = best.without(start..start + size);
            let (failed, _) = explorer.run_once(program, &shorter);
            if failed.is_some_and(|failed| failed.is_like(&cause)) {
                best = shorter;
                has_shrunk = true;
            } else {
                start += size;
            }
        }
        if trials == 0 || (size == 1 && !has_shrunk) {
            break;
        }
        if !has_shrunk {
            size = size.div_ceil(2);
        }
    }
    let (again, history) = explorer.run_once(program, &best);
    let is_repeatable = again.is_some();
    Failure::new(again.unwrap_or(cause), best, history, executions, is_repeatable)
}

//! The fewest choices out of turn with which a program still fails.

use std::collections::BTreeMap;
use std::fmt;

use super::engine::{Releases, State};
use super::failure::{Cause, Failure};
use super::{Explorer, quiet};

/// How many executions are spent on a shorter history.
const TRIALS: usize = 500;

/// The choices that are not the first one that there is: by the number of the choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Schedule {
    choices: BTreeMap<usize, usize>,
    releases: Releases,
}

/// In the text of a schedule: that releases of locks are seen.
const RELEASES: &str = "unlocks";

impl Schedule {
    pub(super) fn of(state: &State) -> Self {
        let choices = state.choices.iter().map(|choice| choice.chosen as usize).enumerate();
        let choices = choices.filter(|&(_, chosen)| chosen > 0).collect();
        Self { choices, releases: state.releases }
    }

    pub(super) fn at(&self, step: usize) -> usize {
        self.choices.get(&step).copied().unwrap_or(0)
    }

    pub(super) fn len(&self) -> usize {
        self.choices.len()
    }

    pub(super) fn releases(&self) -> Releases {
        self.releases
    }

    fn without(&self, range: std::ops::Range<usize>) -> Self {
        let kept = self.choices.iter().enumerate().filter(|(place, _)| !range.contains(place));
        let choices = kept.map(|(_, (&step, &chosen))| (step, chosen)).collect();
        Self { choices, releases: self.releases }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let releases = (self.releases == Releases::Seen).then(|| RELEASES.to_owned());
        let choices = self.choices.iter().map(|(step, chosen)| format!("{step}:{chosen}"));
        let parts: Vec<_> = releases.into_iter().chain(choices).collect();
        write!(f, "@{}", parts.join(","))
    }
}

pub(super) fn parse(text: &str) -> Option<Schedule> {
    let mut schedule = Schedule::default();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        if part == RELEASES {
            schedule.releases = Releases::Seen;
            continue;
        }
        let (step, chosen) = part.split_once(':')?;
        schedule.choices.insert(step.parse().ok()?, chosen.parse().ok()?);
    }
    Some(schedule)
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

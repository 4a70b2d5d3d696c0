//! How the choices of an execution are made.

use std::str::FromStr;

use super::engine::{Choice, Extent, Kind, Releases};
use super::exhaustive::Exhaustive;
use super::shrink::Schedule;

/// How an [`Explorer`](super::Explorer) makes its choices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// By turns [`Random`](Self::Random) and [`Pct`](Self::Pct) with depths of 2 and 3.
    #[default]
    Mixed,
    /// Each task that could go on is as likely as any other, at each choice.
    Random,
    /// Tasks have random priorities, and the highest one runs; at `depth - 1` random moments the
    /// one that runs gets the lowest. It finds what takes few preemptions in long programs: a fault
    /// that takes `depth` of them to come in the right order is found in one of n·k^(depth-1)
    /// executions or fewer, for n tasks and k choices.
    Pct {
        /// In how many places the order matters.
        depth: usize,
    },
    /// One schedule after the other, all of those in which tasks that could go on are interrupted
    /// this many times at most, and those with the fewest interruptions first. A
    /// [fault](super::Fault) counts as an interruption.
    Exhaustive {
        /// How many times.
        preemptions: usize,
    },
}

impl FromStr for Strategy {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number.parse().map_err(|_| ())?)),
            None => (text, None),
        };
        match name {
            "mixed" => Ok(Self::Mixed),
            "random" => Ok(Self::Random),
            "pct" => Ok(Self::Pct { depth: number.unwrap_or(3) }),
            "exhaustive" => Ok(Self::Exhaustive { preemptions: number.unwrap_or(2) }),
            _ => Err(()),
        }
    }
}

/// What the executions so far mean for those to come.
pub(super) struct Search {
    strategy: Strategy,
    seed: u64,
    executions: u64,
    /// How much there was to choose in the longest execution so far.
    most: Extent,
    /// For an exhaustive search.
    exhaustive: Option<Exhaustive>,
}

impl Search {
    pub(super) fn new(strategy: Strategy, seed: u64) -> Self {
        let exhaustive = Self::exhaustive(strategy);
        Self { strategy, seed, executions: 0, most: Extent::default(), exhaustive }
    }

    fn exhaustive(strategy: Strategy) -> Option<Exhaustive> {
        match strategy {
            Strategy::Exhaustive { preemptions } => Some(Exhaustive::new(preemptions)),
            _ => None,
        }
    }

    /// Whether releases of locks are seen in the next execution: if it was looked at locks in one.
    pub(super) fn releases(&self) -> Releases {
        if self.most.looks { Releases::Seen } else { Releases::Unseen }
    }

    pub(super) fn has_more(&self) -> bool {
        self.exhaustive.as_ref().is_none_or(Exhaustive::has_more)
    }

    pub(super) fn next(&mut self) -> Plan {
        self.executions += 1;
        let mut chance = Chance::new(spread(spread(self.seed) ^ self.executions));
        chance.hazards = self.most.hazards;
        let turns = self.most.turns;
        let pct = |chance: Chance, depth| Plan::Pct(Pct::new(chance, depth, turns));
        match self.strategy {
            Strategy::Mixed => match chance.below(4) {
                depth @ 2..=3 => pct(chance, depth),
                _ => Plan::Random(chance),
            },
            Strategy::Random => Plan::Random(chance),
            Strategy::Pct { depth } => pct(chance, depth),
            Strategy::Exhaustive { .. } => {
                Plan::Exhaustive(self.exhaustive.as_ref().map(Exhaustive::next).unwrap_or_default())
            }
        }
    }

    /// Takes the choices of an execution that has ended.
    pub(super) fn learn(&mut self, choices: &[Choice], extent: Extent) {
        self.most.turns = self.most.turns.max(extent.turns);
        self.most.hazards = self.most.hazards.max(extent.hazards);
        if extent.looks && !self.most.looks {
            // There are more choices from now on.
            self.most.looks = true;
            self.exhaustive = Self::exhaustive(self.strategy);
        } else if let Some(exhaustive) = &mut self.exhaustive {
            exhaustive.learn(choices);
        }
    }
}

/// How the choices of one execution are made.
pub(crate) enum Plan {
    Random(Chance),
    Pct(Pct),
    /// Answers to begin with. Those that follow are the first ones.
    Exhaustive(Vec<u32>),
    Given(Schedule),
}

impl Plan {
    /// Which of `of` answers is chosen. `number` is that of the choice.
    pub(super) fn choose(&mut self, kind: Kind, number: usize, of: usize) -> usize {
        match self {
            Self::Random(chance) | Self::Pct(Pct { chance, .. }) if kind == Kind::Fault => {
                usize::from(chance.strikes())
            }
            Self::Random(chance) | Self::Pct(Pct { chance, .. }) => chance.below(of),
            Self::Exhaustive(prefix) => {
                prefix.get(number).map_or(0, |&chosen| (chosen as usize).min(of - 1))
            }
            Self::Given(schedule) => schedule.at(number).min(of - 1),
        }
    }

    /// A task asks for others to run.
    pub(super) fn note_yield(&mut self, task: u64) {
        if let Self::Pct(pct) = self {
            pct.demote(task);
        }
    }
}

/// Probabilistic concurrency testing: priorities, and moments at which they change.
pub(crate) struct Pct {
    chance: Chance,
    /// By the number of the task. 0 if it has none yet.
    priorities: Vec<u64>,
    changes: Vec<usize>,
    /// Lower than all priorities that were given.
    lowest: u64,
}

impl Pct {
    fn new(mut chance: Chance, depth: usize, turns: usize) -> Self {
        // How long an execution is, the first one shows.
        let turns = if turns == 0 { 20 } else { turns.max(2) };
        // Not at the first choice, which comes before all that tasks do.
        let changes = (1..depth).map(|_| 1 + chance.below(turns - 1)).collect();
        Self { chance, priorities: Vec::new(), changes, lowest: 1 << 32 }
    }

    /// Which task goes on, of those that have a number. The one that parts with its turn comes
    /// last from now on if this is a moment for it.
    pub(super) fn choose(
        &mut self,
        turn: usize,
        of: usize,
        parting: Option<u64>,
        number: impl Fn(usize) -> u64,
    ) -> usize {
        if let Some(task) = parting
            && self.changes.contains(&turn)
        {
            self.demote(task);
        }
        let highest = (0..of).max_by_key(|&place| self.priority(number(place)));
        highest.expect("there is a choice")
    }

    fn priority(&mut self, task: u64) -> u64 {
        let random = 1 << 33 | u64::from(self.chance.next());
        let priority = self.place(task);
        if *priority == 0 {
            *priority = random;
        }
        *priority
    }

    /// Has a task come after all others.
    fn demote(&mut self, task: u64) {
        self.lowest -= 1;
        *self.place(task) = self.lowest;
    }

    fn place(&mut self, task: u64) -> &mut u64 {
        let index = task as usize;
        if index >= self.priorities.len() {
            self.priorities.resize(index + 8, 0);
        }
        &mut self.priorities[index]
    }
}

/// Numbers that look like chance (xorshift, after Marsaglia).
#[derive(Clone, Copy)]
pub(crate) struct Chance {
    state: u64,
    /// How often a fault can strike in an execution, as far as is known.
    hazards: usize,
}

impl Chance {
    fn new(state: u64) -> Self {
        Self { state, hazards: 0 }
    }

    fn next(&mut self) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 32) as u32
    }

    fn below(&mut self, limit: usize) -> usize {
        ((u64::from(self.next()) * limit as u64) >> 32) as usize
    }

    /// Whether a fault strikes: about one in each execution.
    fn strikes(&mut self) -> bool {
        self.below(self.hazards.max(2)) == 0
    }
}

/// Spreads a number over all bits, so that numbers that are near to each other begin series that
/// are not (after splitmix64). Never 0.
fn spread(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (number ^ (number >> 31)) | 1
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_order_changes_amid_an_execution() {
        for (turns, end) in [(0, 20), (1, 2), (2, 2), (8, 8), (1_000, 1_000)] {
            for seed in 0..100 {
                let pct = Pct::new(Chance::new(spread(seed)), 4, turns);
                assert_eq!(pct.changes.len(), 3);
                assert!(pct.changes.iter().all(|change| (1..end).contains(change)));
            }
        }
    }
}

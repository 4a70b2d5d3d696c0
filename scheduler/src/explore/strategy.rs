//! How the choices of an execution are made.

use std::collections::HashMap;
use std::str::FromStr;

use super::engine::{Choice, Kind};
use super::shrink::Schedule;

/// How an [`Explorer`](super::Explorer) makes its choices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// By turns [`Random`](Self::Random) and [`Pct`](Self::Pct) with depths from 1 to 3.
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
    /// this many times at most.
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
    /// The longest execution so far.
    longest: usize,
    last: Vec<Choice>,
    /// For an exhaustive search: the choices with which the next execution begins. `None` if there
    /// are no more.
    prefix: Option<Vec<usize>>,
}

impl Search {
    pub(super) fn new(strategy: Strategy, seed: u64) -> Self {
        Self {
            strategy,
            seed,
            executions: 0,
            longest: 0,
            last: Vec::new(),
            prefix: Some(Vec::new()),
        }
    }

    pub(super) fn has_more(&self) -> bool {
        self.prefix.is_some()
    }

    pub(super) fn next(&mut self) -> Plan {
        self.executions += 1;
        let mut chance = Chance(spread(spread(self.seed) ^ self.executions));
        let pct = |chance: Chance, depth| Plan::Pct(Pct::new(chance, depth, self.longest));
        match self.strategy {
            Strategy::Mixed => match chance.below(6) {
                depth @ 1..=3 => pct(chance, depth),
                _ => Plan::Random(chance),
            },
            Strategy::Random => Plan::Random(chance),
            Strategy::Pct { depth } => pct(chance, depth),
            Strategy::Exhaustive { preemptions } => {
                Plan::Exhaustive { prefix: self.prefix.clone().unwrap_or_default(), preemptions }
            }
        }
    }

    /// Takes the choices of an execution that has ended.
    pub(super) fn learn(&mut self, choices: Vec<Choice>, steps: usize) {
        self.longest = self.longest.max(steps);
        if let Strategy::Exhaustive { .. } = self.strategy {
            // The last choice for which there is another answer gets the next one.
            let next = choices.iter().rposition(|choice| choice.chosen + 1 < choice.of);
            self.prefix = next.map(|place| {
                let before = choices[..place].iter().map(|choice| choice.chosen);
                before.chain([choices[place].chosen + 1]).collect()
            });
        }
        self.last = choices;
    }

    pub(super) fn last_schedule(&self) -> Schedule {
        Schedule::of(&self.last)
    }
}

/// How the choices of one execution are made.
pub(crate) enum Plan {
    Random(Chance),
    Pct(Pct),
    Exhaustive { prefix: Vec<usize>, preemptions: usize },
    Given(Schedule),
}

impl Plan {
    /// Which of `options` is chosen, and how many answers there are. `step` is the number of the
    /// choice.
    pub(super) fn choose(&mut self, kind: Kind, step: usize, options: &[u64]) -> (usize, usize) {
        let len = options.len();
        match self {
            Self::Random(chance) => (chance.below(len), len),
            Self::Pct(pct) if kind == Kind::Thing => (pct.chance.below(len), len),
            Self::Pct(pct) => (pct.choose(options), len),
            Self::Exhaustive { prefix, preemptions } => {
                let answers = if kind == Kind::MayPreempt && *preemptions == 0 { 1 } else { len };
                let chosen = prefix.get(step).copied().unwrap_or(0).min(answers - 1);
                if kind == Kind::MayPreempt && chosen > 0 {
                    *preemptions -= 1;
                }
                (chosen, answers)
            }
            Self::Given(schedule) => (schedule.at(step).min(len - 1), len),
        }
    }

    /// A task has come to an operation, or parts with its turn.
    pub(super) fn note_step(&mut self, step: usize, task: Option<u64>) {
        if let (Self::Pct(pct), Some(task)) = (self, task)
            && pct.changes.contains(&step)
        {
            pct.demote(task);
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
    priorities: HashMap<u64, u64>,
    changes: Vec<usize>,
    /// Lower than all priorities that were given.
    lowest: u64,
}

impl Pct {
    fn new(mut chance: Chance, depth: usize, longest: usize) -> Self {
        let changes = (1..depth).map(|_| chance.below(longest.max(20))).collect();
        Self { chance, priorities: HashMap::new(), changes, lowest: 1 << 32 }
    }

    fn choose(&mut self, options: &[u64]) -> usize {
        for &task in options {
            let chance = &mut self.chance;
            self.priorities.entry(task).or_insert_with(|| 1 << 33 | u64::from(chance.next()));
        }
        let highest = (0..options.len()).max_by_key(|&option| self.priorities[&options[option]]);
        highest.expect("there is a choice")
    }

    /// Has a task come after all others.
    fn demote(&mut self, task: u64) {
        self.lowest -= 1;
        self.priorities.insert(task, self.lowest);
    }
}

/// Numbers that look like chance (xorshift, after Marsaglia).
#[derive(Clone, Copy)]
pub(crate) struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }

    fn below(&mut self, limit: usize) -> usize {
        ((u64::from(self.next()) * limit as u64) >> 32) as usize
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

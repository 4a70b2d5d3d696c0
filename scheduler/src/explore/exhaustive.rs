//! All schedules of a program, up to a number of interruptions.
//!
//! Those with the fewest interruptions come first, since most faults take few (after Musuvathi and
//! Qadeer). No schedule comes twice: one that has an interruption more is derived from an execution
//! that is the same up to there, and has taken each first answer from there on. Such executions are
//! kept until that has been done.

use std::collections::VecDeque;

use super::engine::Choice;

pub(super) struct Exhaustive {
    /// How many interruptions there are at most.
    most: usize,
    /// The answers with which the next execution begins; the others are the first ones. `None` if
    /// there are no more executions.
    prefix: Option<Vec<u32>>,
    /// How many of them there are up to the last interruption: those stay as they are until another
    /// one is derived.
    fixed: usize,
    /// How many interruptions there are among them.
    interruptions: usize,
    /// Those with fewer interruptions before those with more.
    bases: VecDeque<Base>,
}

/// An execution from which others are derived by one interruption more.
struct Base {
    choices: Box<[Choice]>,
    interruptions: usize,
    /// Where the last one that was derived has its own, and what was answered there.
    place: usize,
    answer: u32,
}

impl Exhaustive {
    pub(super) fn new(most: usize) -> Self {
        let bases = VecDeque::new();
        Self { most, prefix: Some(Vec::new()), fixed: 0, interruptions: 0, bases }
    }

    pub(super) fn has_more(&self) -> bool {
        self.prefix.is_some()
    }

    /// With which answers the next execution begins.
    pub(super) fn next(&self) -> Vec<u32> {
        self.prefix.clone().unwrap_or_default()
    }

    /// Takes the choices of an execution that has begun so.
    pub(super) fn learn(&mut self, choices: &[Choice]) {
        let Some(prefix) = &self.prefix else { return };
        if self.interruptions < self.most {
            self.bases.push_back(Base {
                choices: choices.into(),
                interruptions: self.interruptions,
                place: prefix.len(),
                answer: 0,
            });
        }
        let last = choices.iter().rposition(Choice::has_another_answer);
        self.prefix = match last {
            Some(place) if place >= self.fixed => {
                Some(up_to(choices, place, choices[place].chosen + 1))
            }
            _ => self.interrupt(),
        };
    }

    /// Derives an execution with one more interruption, if there is one left.
    fn interrupt(&mut self) -> Option<Vec<u32>> {
        loop {
            let base = self.bases.front_mut()?;
            if base.advance() {
                let prefix = up_to(&base.choices, base.place, base.answer);
                self.fixed = prefix.len();
                self.interruptions = base.interruptions + 1;
                return Some(prefix);
            }
            self.bases.pop_front();
        }
    }
}

impl Base {
    /// Goes on to the next answer that interrupts. False if there are no more.
    fn advance(&mut self) -> bool {
        self.answer += 1;
        while let Some(choice) = self.choices.get(self.place) {
            if choice.interrupts && self.answer < choice.of {
                return true;
            }
            self.place += 1;
            self.answer = 1;
        }
        false
    }
}

impl Choice {
    fn has_another_answer(&self) -> bool {
        !self.interrupts && self.chosen + 1 < self.of
    }
}

/// The answers before a place, and one for it.
fn up_to(choices: &[Choice], place: usize, answer: u32) -> Vec<u32> {
    choices[..place].iter().map(|choice| choice.chosen).chain([answer]).collect()
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// A program: for the choices made so far, whether the next one interrupts, and how many
    /// answers it has.
    type Next = fn(&[Choice]) -> Option<(bool, u32)>;

    fn executions(most: usize, next: Next) -> Vec<Vec<Choice>> {
        let mut search = Exhaustive::new(most);
        let mut all = Vec::new();
        while search.has_more() {
            let prefix = search.next();
            let mut choices = Vec::new();
            while let Some((interrupts, of)) = next(&choices) {
                let chosen = prefix.get(choices.len()).copied().unwrap_or(0);
                assert!(chosen < of);
                choices.push(Choice { chosen, of, interrupts });
            }
            search.learn(&choices);
            all.push(choices);
        }
        all
    }

    fn interruptions(choices: &[Choice]) -> usize {
        choices.iter().filter(|choice| choice.interrupts && choice.chosen > 0).count()
    }

    /// Each schedule comes once, those with fewer interruptions before those with more.
    #[test]
    fn all_schedules_come_once_and_in_order() {
        // How many choices there are, and of what kind, depends on what was chosen.
        let next: Next = |choices| {
            let sum: u32 = choices.iter().map(|choice| choice.chosen).sum();
            let number = choices.len() as u32;
            (number + sum < 7).then_some(((number + sum) % 3 != 1, 2 + (number + sum) % 2))
        };
        // All that there are, by the plainest of searches.
        fn count(choices: &mut Vec<Choice>, left: usize, next: Next) -> usize {
            let Some((interrupts, of)) = next(choices) else { return 1 };
            let mut sum = 0;
            for chosen in 0..of {
                let Some(left) = left.checked_sub(usize::from(interrupts && chosen > 0)) else {
                    break;
                };
                choices.push(Choice { chosen, of, interrupts });
                sum += count(choices, left, next);
                choices.pop();
            }
            sum
        }
        for most in 0..8 {
            let all = executions(most, next);
            assert_eq!(all.len(), count(&mut Vec::new(), most, next));
            assert!(all.is_sorted_by_key(|choices| interruptions(choices)));
            assert_eq!(interruptions(all.last().unwrap()).min(1), most.min(1));
            let answers = |choices: &Vec<Choice>| up_to(choices, choices.len(), 0);
            let different: HashSet<_> = all.iter().map(answers).collect();
            assert_eq!(different.len(), all.len());
        }
    }
}

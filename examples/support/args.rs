//! [`Args`]: the arguments of an example.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::process;

use super::grouped;

/// The arguments that were not taken yet.
///
/// Take the flags and the options first, then the number, and then [`finish`](Args::finish). What
/// cannot be understood ends the program with a message and exit code 2.
pub struct Args {
    example: &'static str,
    parameters: &'static str,
    rest: Vec<String>,
}

impl Args {
    /// The arguments of this process. `parameters` is how a usage line shows them.
    pub fn new(example: &'static str, parameters: &'static str) -> Self {
        let rest = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into()).collect();
        let mut args = Self { example, parameters, rest };
        if args.flag("--help") {
            println!("{}", args.usage());
            process::exit(0);
        }
        args
    }

    /// Whether `name` is given.
    pub fn flag(&mut self, name: &str) -> bool {
        let place = self.rest.iter().position(|arg| arg == name);
        place.map(|place| self.rest.remove(place)).is_some()
    }

    /// The number behind `name`, if `name` is given.
    pub fn option(&mut self, name: &str) -> Option<usize> {
        let place = self.rest.iter().position(|arg| arg == name)?;
        self.rest.remove(place);
        if place == self.rest.len() {
            self.reject(format!("{name} needs a number behind it"));
        }
        let value = self.rest.remove(place);
        Some(self.number(name, &value, 0..=usize::MAX))
    }

    /// The port behind `name`, if `name` is given. 0 stands for any that is free.
    pub fn port(&mut self, name: &str) -> Option<u16> {
        let value = self.text(name)?;
        Some(self.number(name, &value, 0..=u16::MAX.into()) as u16)
    }

    /// The word behind `name`, if `name` is given.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let place = self.rest.iter().position(|arg| arg == name)?;
        self.rest.remove(place);
        if place == self.rest.len() {
            self.reject(format!("{name} needs a value behind it"));
        }
        Some(self.rest.remove(place))
    }

    /// The argument that is neither a flag nor an option: how many.
    pub fn count(&mut self, name: &str, default: usize) -> usize {
        let Some(place) = self.rest.iter().position(|arg| !arg.starts_with('-')) else {
            return default;
        };
        let value = self.rest.remove(place);
        self.number(name, &value, 1..=1_000_000_000)
    }

    /// Makes sure that nothing is left.
    pub fn finish(self) {
        if let Some(arg) = self.rest.first() {
            self.reject(format!("there is no argument '{arg}'"));
        }
    }

    /// Ends the program, because it cannot do what it was asked for.
    pub fn reject(&self, problem: impl Display) -> ! {
        eprintln!("{}: {problem}\n{}", self.example, self.usage());
        process::exit(2)
    }

    fn usage(&self) -> String {
        let Self { example, parameters, .. } = self;
        match *parameters {
            "" => format!("usage: cargo run --release --example {example}"),
            _ => format!("usage: cargo run --release --example {example} -- {parameters}"),
        }
    }

    fn number(&self, name: &str, value: &str, range: RangeInclusive<usize>) -> usize {
        match value.replace('_', "").parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let (least, most) = (range.start(), grouped(*range.end()));
                self.reject(format!(
                    "{name} must be a number from {least} to {most}, not '{value}'"
                ))
            }
        }
    }
}

//! The command line of a program.

/// What to measure, with which numbers.
#[derive(Clone, Debug)]
pub struct Params {
    system: String,
    bench: String,
    numbers: Vec<(String, u64)>,
}

impl Params {
    /// From `SYSTEM BENCHMARK NAME=NUMBER…`.
    ///
    /// # Panics
    ///
    /// If that is not what it is.
    pub fn from_args(mut args: impl Iterator<Item = String>) -> Self {
        let mut word = || args.next().expect("usage: PROGRAM SYSTEM BENCHMARK NAME=NUMBER…");
        let (system, bench) = (word(), word());
        let numbers = args
            .map(|arg| {
                let (name, number) = arg.split_once('=').expect("parameters are NAME=NUMBER");
                (name.to_owned(), number.parse().expect("parameters are NAME=NUMBER"))
            })
            .collect();
        Self { system, bench, numbers }
    }

    /// The name in the result, such as `tokio-ct`.
    pub fn system(&self) -> &str {
        &self.system
    }

    /// The name of the benchmark.
    pub fn bench(&self) -> &str {
        &self.bench
    }

    /// A number of the benchmark.
    ///
    /// # Panics
    ///
    /// If it was not given.
    pub fn get(&self, name: &str) -> u64 {
        let found = self.numbers.iter().find(|(given, _)| given == name);
        found.unwrap_or_else(|| panic!("{} needs {name}=NUMBER", self.bench)).1
    }

    /// The number of threads that run tasks.
    pub fn workers(&self) -> usize {
        self.get("workers") as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let args = ["tokio-ct", "yield", "workers=2", "tasks=1000"];
        let params = Params::from_args(args.into_iter().map(str::to_owned));
        assert_eq!((params.system(), params.bench()), ("tokio-ct", "yield"));
        assert_eq!((params.workers(), params.get("tasks")), (2, 1000));
    }

    #[test]
    #[should_panic(expected = "yield needs rounds=NUMBER")]
    fn a_number_that_is_not_given() {
        let args = ["lisle", "yield"].into_iter().map(str::to_owned);
        Params::from_args(args).get("rounds");
    }
}

//! The command line.

use std::path::PathBuf;

use crate::peer;
use crate::plan;

pub const USAGE: &str = "\
usage: compare [--only BENCH,…] [--peers SYSTEM,…] [--rounds N] [--busy N]
               [--csv FILE] [--plot DIR] [--quick]

  --only    these benchmarks, not all
  --peers   these systems beside Lisle, not all; `tokio` includes `tokio-ct`
  --rounds  how many times the systems take turns; 5 without it
  --busy    beside this many processes that compute all the time
  --csv     writes the results to a file
  --plot    draws them into a folder, an SVG a benchmark
  --quick   tiny sizes, to see that everything works; the figures mean nothing";

/// What is to be done.
#[derive(Debug, PartialEq)]
pub struct Args {
    only: Option<Vec<String>>,
    peers: Option<Vec<String>>,
    pub rounds: usize,
    pub busy: usize,
    pub csv: Option<PathBuf>,
    pub plot: Option<PathBuf>,
    pub scale: Scale,
}

/// How much work is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    Full,
    Quick,
}

impl Args {
    /// # Errors
    ///
    /// What is wrong, for the user.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self {
            only: None,
            peers: None,
            rounds: 5,
            busy: 0,
            csv: None,
            plot: None,
            scale: Scale::Full,
        };
        while let Some(option) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{option} needs a value"));
            match &*option {
                "--only" => args.only = Some(list(&value()?, &bench_names(), "benchmark")?),
                "--peers" => args.peers = Some(list(&value()?, &system_names(), "system")?),
                "--rounds" => {
                    args.rounds = match value()?.parse() {
                        Ok(rounds) if rounds > 0 => rounds,
                        _ => return Err("--rounds needs a number from 1 on".to_owned()),
                    }
                }
                "--busy" => {
                    args.busy = value()?.parse().map_err(|_| "--busy needs a number".to_owned())?;
                }
                "--csv" => args.csv = Some(value()?.into()),
                "--plot" => args.plot = Some(value()?.into()),
                "--quick" => args.scale = Scale::Quick,
                _ => return Err(format!("there is no option {option}")),
            }
        }
        Ok(args)
    }

    pub fn wants_bench(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|wanted| wanted == name))
    }

    /// Lisle is always wanted: the others are compared with it.
    pub fn wants_system(&self, name: &str) -> bool {
        let base = base(name);
        base == "lisle"
            || self
                .peers
                .as_ref()
                .is_none_or(|peers| peers.iter().any(|wanted| wanted == name || wanted == base))
    }
}

/// The system of which `name` is a form: `may` of `may-spsc`.
fn base(name: &str) -> &str {
    name.split_once('-').map_or(name, |(base, _)| base)
}

fn list(value: &str, known: &[&str], what: &str) -> Result<Vec<String>, String> {
    value
        .split(',')
        .map(|name| match known.contains(&name) {
            true => Ok(name.to_owned()),
            false => Err(format!("there is no {what} {name}; there are: {}", known.join(", "))),
        })
        .collect()
}

fn bench_names() -> Vec<&'static str> {
    plan::BENCHES.iter().map(|bench| bench.name).collect()
}

fn system_names() -> Vec<&'static str> {
    let names = peer::PEERS.iter().flat_map(|peer| peer.systems).copied();
    names.clone().map(base).chain(names).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn everything_by_default() {
        let args = parse("").unwrap();
        assert_eq!((args.rounds, args.busy, args.scale), (5, 0, Scale::Full));
        assert!(args.wants_bench("yield") && args.wants_system("go"));
        assert_eq!((args.csv, args.plot), (None, None));
    }

    #[test]
    fn all_options() {
        let args = "--only yield,idle --peers go,may-spsc --rounds 3 --busy 4 --csv a.csv --plot b \
                    --quick";
        let args = parse(args).unwrap();
        assert!(args.wants_bench("idle") && !args.wants_bench("sieve"));
        assert!(args.wants_system("may-spsc") && !args.wants_system("may"));
        assert!(args.wants_system("lisle") && args.wants_system("lisle-64k"));
        assert_eq!((args.rounds, args.busy, args.scale), (3, 4, Scale::Quick));
        assert_eq!((args.csv, args.plot), (Some("a.csv".into()), Some("b".into())));
    }

    #[test]
    fn a_system_includes_its_forms() {
        let args = parse("--peers tokio").unwrap();
        assert!(args.wants_system("tokio") && args.wants_system("tokio-ct"));
        assert!(!args.wants_system("kanal"));
    }

    #[test]
    fn mistakes() {
        assert_eq!(parse("--rounds"), Err("--rounds needs a value".to_owned()));
        assert_eq!(parse("--rounds 0"), Err("--rounds needs a number from 1 on".to_owned()));
        assert_eq!(parse("--fast"), Err("there is no option --fast".to_owned()));
        assert_eq!(parse("--busy very"), Err("--busy needs a number".to_owned()));
        assert!(parse("--only nothing").unwrap_err().contains("no benchmark nothing"));
        assert!(parse("--peers erlang").unwrap_err().contains("no system erlang"));
    }
}

//! Running the programs, one at a time.

use std::io::{IsTerminal, Read};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::peer::{self, System};
use crate::plan::{Bench, Case};
use crate::results::{Gap, Results, Why};

/// A measurement that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(120);
/// How often it is looked whether a program has ended.
const GLANCE: Duration = Duration::from_millis(20);

/// Lisle is measured with its defaults.
const LISLE_SETTINGS: [&str; 4] =
    ["LISLE_WORKERS", "LISLE_STACK_SIZE", "LISLE_STACK_GUARD", "LISLE_CARRY"];

/// What a program said.
#[derive(Debug, PartialEq)]
enum Said {
    Figures(Vec<(String, f64)>),
    NoEqual(String),
    /// Nothing to say, and nothing that anybody would miss.
    NotPlayed,
}

/// Lets the systems take turns at each case, A B C A B C. One without a figure in the first round
/// is not asked again.
pub fn bench(bench: &'static Bench, systems: &[System], args: &Args, results: &mut Results) {
    let cases = bench.cases(args.scale);
    for (number, case) in cases.iter().enumerate() {
        let mut players: Vec<_> = systems.iter().collect();
        for round in 1..=args.rounds {
            players.retain(|system| {
                let place = format!("{}/{}", number + 1, cases.len());
                progress(&format!(
                    "{} {place} {}: round {round} of {}, {}",
                    bench.name, case.params, args.rounds, system.name
                ));
                play(bench.name, case, system, results)
            });
        }
    }
    progress("");
}

/// Whether there was a figure.
fn play(bench: &'static str, case: &Case, system: &System, results: &mut Results) -> bool {
    let why = match measure(system, &case.args(system.name, bench)).and_then(|line| parse(&line)) {
        Ok(Said::Figures(figures)) => {
            for (unit, value) in figures {
                results.add(bench, &case.params, system.name, &unit, value);
            }
            return true;
        }
        Ok(Said::NoEqual(reason)) => Why::NoEqual(reason),
        Ok(Said::NotPlayed) => return false,
        Err(reason) => {
            progress("");
            eprintln!("{} {bench} {} failed: {reason}", system.name, case.params);
            Why::Failed(reason)
        }
    };
    let params = case.params.clone();
    results.gaps.push(Gap { bench, params, system: system.name, why });
    false
}

/// On a terminal, a line that the next one overwrites.
fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{text}");
    } else if !text.is_empty() {
        eprintln!("{text}");
    }
}

/// The line that the program prints.
fn measure(system: &System, args: &[String]) -> Result<String, String> {
    let mut command = Command::new(&system.program);
    for setting in LISLE_SETTINGS {
        command.env_remove(setting);
    }
    let clients = peer::clients().map_err(|error| error.to_string())?;
    let mut child = command
        .args(args)
        .env("LISLE_LOAD", clients)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{} cannot be started: {error}", system.program.display()))?;
    let said = read_all(child.stdout.take().expect("it is a pipe"));
    let complaints = read_all(child.stderr.take().expect("it is a pipe"));
    let ended = wait(&mut child);
    let (said, complaints) = (said.join(), complaints.join());
    let status = ended?;
    if !status.success() {
        let complaints = complaints.unwrap_or_default();
        let lines = complaints.lines().map(str::trim).filter(|line| !line.is_empty());
        return Err(format!("{status}: {}", lines.take(2).collect::<Vec<_>>().join(" ")));
    }
    Ok(said.unwrap_or_default())
}

fn read_all(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is as good as nothing: `parse` will say so.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn wait(child: &mut Child) -> Result<std::process::ExitStatus, String> {
    let start = Instant::now();
    loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => return Ok(status),
            None if start.elapsed() < LIMIT => thread::sleep(GLANCE),
            None => {
                child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
                return Err(format!("not finished after {} s", LIMIT.as_secs()));
            }
        }
    }
}

fn parse(line: &str) -> Result<Said, String> {
    let line = line.trim();
    if let Some(reason) = line.strip_prefix("none") {
        return Ok(match reason.trim() {
            "" => Said::NotPlayed,
            reason => Said::NoEqual(reason.to_owned()),
        });
    }
    let words: Vec<_> = line.split_whitespace().collect();
    let figures: Option<Vec<_>> = words
        .chunks(2)
        .map(|pair| match pair {
            [unit, value] => {
                let value = value.parse::<f64>().ok().filter(|value| value.is_finite());
                Some((unit.to_string(), value?))
            }
            _ => None,
        })
        .collect();
    match figures {
        Some(figures) if !figures.is_empty() => Ok(Said::Figures(figures)),
        _ => Err(format!("it said {line:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let figure = |unit: &str, value| (unit.to_owned(), value);
        assert_eq!(parse("ns 63.1\n"), Ok(Said::Figures(vec![figure("ns", 63.1)])));
        assert_eq!(
            parse("bytes 4425 ns 2100.5"),
            Ok(Said::Figures(vec![figure("bytes", 4425.0), figure("ns", 2100.5)]))
        );
        assert_eq!(parse("none no select"), Ok(Said::NoEqual("no select".to_owned())));
        assert_eq!(parse("none\n"), Ok(Said::NotPlayed));
    }

    #[test]
    fn nonsense() {
        for line in ["", "ns", "ns fast", "ns 1 bytes", "ns inf"] {
            assert_eq!(parse(line), Err(format!("it said {line:?}")));
        }
    }

    fn shell(script: &str) -> Result<String, String> {
        let system = System { name: "sh", program: "sh".into() };
        measure(&system, &["-c".to_owned(), script.to_owned()])
    }

    #[test]
    fn what_a_program_says_and_how_it_ends() {
        assert_eq!(shell("echo ns 5").as_deref(), Ok("ns 5\n"));
        let error = shell("echo ns 5; echo wrong sum >&2; exit 3").unwrap_err();
        assert!(error.contains("exit status: 3") && error.contains("wrong sum"), "{error}");
        let system = System { name: "none", program: "/no/such/program".into() };
        assert!(measure(&system, &[]).unwrap_err().contains("cannot be started"));
    }
}

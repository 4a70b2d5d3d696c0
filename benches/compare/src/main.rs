//! Lisle measured side by side with its peers.
//!
//! Every measurement is a process of its own: a program of `peers/` does one benchmark, checks its
//! result and prints one line. This program builds those that can be built here ([`peer`]), runs
//! what [`plan`] lists so that the systems take turns ([`run`]), and shows what came out:
//! [`table`], [`target`], [`csv`] and [`plot`].

mod args;
mod busy;
mod csv;
mod machine;
mod peer;
mod plan;
mod plot;
mod results;
mod run;
mod table;
mod target;

use std::error::Error;
use std::process::ExitCode;

use args::Args;
use busy::Busy;
use results::Results;

fn main() -> ExitCode {
    if busy::is_one() {
        busy::compute();
        return ExitCode::SUCCESS;
    }
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(message) => {
            eprintln!("{message}\n\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    match compare(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// # Errors
///
/// If something could not be written, and at the end if a figure is missing that there should be.
fn compare(args: &Args) -> Result<(), Box<dyn Error>> {
    let prepared = peer::prepare(args)?;
    let missing = prepared.missing.join("\n");
    let machine = machine::describe();
    println!("{}\n{missing}", machine.join("\n"));

    let busy = Busy::start(args.busy)?;
    println!("{busy}");
    let mut results = Results::default();
    for bench in plan::BENCHES.iter().filter(|bench| args.wants_bench(bench.name)) {
        run::bench(bench, &prepared.systems, args, &mut results);
        print!("{}", table::of(bench, &results));
        if let Some(file) = &args.csv {
            // Each time, so that a run that is interrupted was not for nothing.
            std::fs::write(file, csv::rows(&results))?;
        }
    }
    drop(busy);
    println!("{}\n{missing}", target::report(&results));

    if let Some(folder) = &args.plot {
        std::fs::create_dir_all(folder)?;
        for bench in plan::BENCHES {
            plot::draw(bench, &results, &machine, folder)?;
        }
    }
    match (prepared.broken, results.failures()) {
        (0, 0) => Ok(()),
        (broken, failed) => {
            Err(format!("{broken} programs not built, {failed} measurements failed").into())
        }
    }
}

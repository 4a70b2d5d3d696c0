//! The same programs under the explorers of Lisle, shuttle and loom: how many executions each needs
//! to find the fault, and how many it carries out in a second.
//!
//! `cargo run --release` prints the tables; `README.md` has those that were measured last. With an
//! argument it takes as many seeds instead of 201.

mod executions;
mod libraries;
mod programs;

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, panic, process};

use lisle::explore::{Explorer, Strategy};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

use self::libraries::{with_lisle, with_loom, with_shuttle};

/// After how many executions a search is given up.
const MOST: usize = 3_000;
/// How long loom may search.
const PATIENCE: Duration = Duration::from_secs(20);
/// By how many interruptions of a task exhaustive searches are bounded.
const PREEMPTIONS: usize = 2;

fn main() {
    let mut arguments = env::args().skip(1);
    match arguments.next().as_deref() {
        Some("loom") => search_by_loom(&arguments.next().expect("the name of a program")),
        Some("speed") => print_speeds(),
        Some("profile") => {
            let name = arguments.next().expect("the name of a program");
            profile(&name, arguments.next().and_then(|n| n.parse().ok()).expect("a number"));
        }
        Some(seeds) => print_searches(seeds.parse().expect("a number of seeds")),
        None => {
            print_searches(201);
            print_speeds();
        }
    }
}

fn print_searches(seeds: u64) {
    panic::set_hook(Box::new(|_| ()));
    println!("executions until the fault is found, the mean of {seeds} seeds\n");
    print!("| Program | Lisle | shuttle | Lisle random | pct | shuttle random | pct ");
    println!("| Lisle exh. | loom |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let programs = with_lisle::FAULTY.into_iter().zip(with_shuttle::FAULTY);
    for ((name, lisle), (_, shuttle)) in programs {
        let exhaustive = |seed| {
            lisle_finds(lisle, Strategy::Exhaustive { preemptions: PREEMPTIONS }, seed)
        };
        let lisle = |strategy| mean(seeds, |seed| lisle_finds(lisle, strategy, seed));
        let random = mean(seeds, |seed| {
            shuttle_finds(shuttle, RandomScheduler::new_from_seed(seed, MOST))
        });
        let pct = mean(seeds, |seed| {
            shuttle_finds(shuttle, PctScheduler::new_from_seed(seed, 3, MOST))
        });
        println!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |",
            said(lisle(Strategy::Mixed)),
            said(random.min(pct)),
            said(lisle(Strategy::Random)),
            said(lisle(Strategy::Pct { depth: 3 })),
            said(random),
            said(pct),
            said(mean(1, exhaustive)),
            loom_finds(name),
        );
    }
}

/// A search that was given up counts as one that has found the fault in its last execution.
fn mean(seeds: u64, search: impl FnMut(u64) -> Option<u64>) -> f64 {
    let found = (1..=seeds).map(search).map(|n| n.unwrap_or(MOST as u64));
    found.sum::<u64>() as f64 / seeds as f64
}

fn said(executions: f64) -> String {
    match executions {
        most if most >= MOST as f64 => format!("> {MOST}"),
        executions => format!("{executions:.1}"),
    }
}

fn lisle_finds(program: fn(), strategy: Strategy, seed: u64) -> Option<u64> {
    let explorer = Explorer::new().seed(seed).iterations(MOST).strategy(strategy);
    explorer.check(program).err().map(|failure| failure.executions() as u64)
}

fn shuttle_finds(program: fn(), scheduler: impl Scheduler + 'static) -> Option<u64> {
    executions::take();
    let mut config = Config::new();
    config.failure_persistence = shuttle::FailurePersistence::None;
    let run = || Runner::new(scheduler, config).run(program);
    catch_unwind(AssertUnwindSafe(run)).err().map(|_| executions::take())
}

/// In a process of its own, which a deadlock aborts.
fn loom_finds(name: &str) -> String {
    let path = env::temp_dir().join(format!("explore-{}", process::id()));
    let counts = File::options().read(true).write(true).create(true).truncate(true).open(&path);
    let counts = counts.expect("a file for the count");
    let program = env::current_exe().expect("this program has a path");
    let mut child = Command::new(program)
        .args(["loom", name])
        .env("EXPLORE_COUNT", &path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program starts");
    let start = Instant::now();
    let found = loop {
        match child.try_wait().expect("the child can be waited for") {
            Some(status) => break Some(!status.success()),
            None if start.elapsed() > PATIENCE => break None,
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    if found.is_none() {
        child.kill().and_then(|()| child.wait()).expect("the child can be ended");
    }
    let mut count = [0; 8];
    let read = counts.read_exact_at(&mut count, 0);
    let count = read.map_or(0, |()| u64::from_le_bytes(count));
    std::fs::remove_file(&path).expect("the file is there");
    match found {
        Some(true) => count.to_string(),
        Some(false) => format!("not in all {count}"),
        None => format!("> {count}"),
    }
}

fn search_by_loom(name: &str) {
    let path = env::var_os("EXPLORE_COUNT").expect("EXPLORE_COUNT names a file");
    let file = File::options().write(true).open(path).expect("the file is there");
    executions::FILE.set(file).expect("it is set once");
    let mut faulty = with_loom::FAULTY.into_iter();
    let (_, program) = faulty.find(|(known, _)| *known == name).expect("a program of this name");
    loom_model().check(program);
}

fn loom_model() -> loom::model::Builder {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(PREEMPTIONS);
    model
}

fn print_speeds() {
    const RUNS: usize = 5_000;
    println!("\nµs an execution, the least of 15 interleaved runs\n");
    println!("| Program | Lisle | shuttle | loom | shuttle / Lisle | loom / Lisle |");
    println!("|---|---|---|---|---|---|");
    let programs = with_lisle::CORRECT.into_iter().zip(with_shuttle::CORRECT);
    for (((name, lisle), (_, shuttle)), (_, loom)) in programs.zip(with_loom::CORRECT) {
        let mut least = [Duration::MAX; 3];
        for _ in 0..15 {
            let times = [
                an_execution(|| {
                    let explorer = Explorer::new().iterations(RUNS).strategy(Strategy::Random);
                    black_box(explorer.run(lisle));
                }),
                an_execution(|| shuttle::check_random(shuttle, RUNS)),
                an_execution(|| {
                    let mut model = loom_model();
                    model.max_permutations = Some(1_000);
                    model.check(loom);
                }),
            ];
            least = std::array::from_fn(|n| least[n].min(times[n]));
        }
        let [lisle, shuttle, loom] = least.map(|time| time.as_secs_f64() * 1e6);
        println!(
            "| {name} | {lisle:.2} | {shuttle:.2} | {loom:.1} | {:.1} | {:.0} |",
            shuttle / lisle,
            loom / lisle
        );
    }
}

/// Runs a program with Lisle alone, for a profiler.
fn profile(name: &str, executions: usize) {
    let mut correct = with_lisle::CORRECT.into_iter();
    let (_, program) = correct.find(|(known, _)| *known == name).expect("a program of this name");
    Explorer::new().iterations(executions).strategy(Strategy::Random).run(program);
}

/// How long an execution takes, of the many that the call carries out.
fn an_execution(call: impl FnOnce()) -> Duration {
    executions::take();
    let start = Instant::now();
    call();
    start.elapsed() / executions::take().max(1) as u32
}

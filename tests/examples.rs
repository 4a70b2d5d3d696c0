//! Runs every example as its user would, with a small size, and looks at what it says.
#![cfg(not(lisle_loom))]

#[path = "examples/servers.rs"]
mod servers;
#[path = "../examples/support/mod.rs"]
mod support;
#[path = "support/mod.rs"]
mod testing;

use std::env;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::Progress;
use testing::command;

/// How an example ended, and what it wrote.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    /// Panics with all that the example wrote unless it ended with `code`.
    #[track_caller]
    fn assert_code(&self, code: i32) {
        let Self { stdout, stderr, .. } = self;
        assert_eq!(self.code, Some(code), "\nstdout:\n{stdout}\nstderr:\n{stderr}");
    }

    /// The number in the line of the standard output that reads `before`, number, `after`, ….
    #[track_caller]
    fn number(&self, before: &str, after: &str) -> usize {
        let found = self.stdout.lines().find_map(|line| {
            let number = line.trim_start().strip_prefix(before)?;
            let end = number.find(|c: char| !c.is_ascii_digit() && c != ',');
            let (digits, rest) = number.split_at(end.unwrap_or(number.len()));
            rest.starts_with(after).then(|| digits.replace(',', "").parse().ok())?
        });
        found.unwrap_or_else(|| panic!("no '{before}…{after}' in:\n{}", self.stdout))
    }
}

/// Runs an example that must succeed.
#[track_caller]
fn run(example: &str, args: &[&str]) -> Run {
    let run = start(example, args);
    run.assert_code(0);
    run
}

fn start(example: &str, args: &[&str]) -> Run {
    let output = command(path_of(example))
        .args(args)
        .env_remove("LISLE_STACK_SIZE")
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Cargo puts this program into `deps`, in the folder that has the examples of the same build in
/// `examples`. A plain `cargo test` builds them first; with `--test` or `--all-targets` it does
/// not, and those of an earlier build are run.
fn path_of(example: &str) -> PathBuf {
    let this = env::current_exe().unwrap();
    let build = this.parent().and_then(|deps| deps.parent()).unwrap();
    let path = build.join("examples").join(example).with_extension(env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "{} is not there: a plain `cargo test` builds the examples, but with `--test` or \
         `--all-targets` they need a `cargo build --examples` of the same profile before",
        path.display()
    );
    path
}

#[test]
fn ping_pong_plays_on_tasks() {
    let run = run("ping_pong", &["2000"]);
    assert_eq!(run.number("tasks: ", " round trips in "), 2000);
    assert!(run.number("", " round trips a second") > 0);
    assert!(!run.stdout.contains("threads"), "{}", run.stdout);
}

#[test]
fn ping_pong_plays_on_threads_too_if_asked() {
    let run = run("ping_pong", &["--threads", "2_000"]);
    assert_eq!(run.number("tasks: ", " round trips in "), 2000);
    assert_eq!(run.number("threads: ", " round trips in "), 20);
}

#[test]
fn progress_is_told_every_second_on_a_terminal_and_seldom_elsewhere() {
    let start = Instant::now();
    let lines_of_a_minute = |is_terminal| {
        let mut progress = Progress::start("rounds", 60_000, is_terminal, start);
        let lines = (0..=60_000).filter_map(|millis: usize| {
            progress.line(millis, start + Duration::from_millis(millis as u64))
        });
        lines.collect::<Vec<_>>()
    };
    assert_eq!(lines_of_a_minute(true).len(), 60);
    let shares = ["2 %", "5 %", "12 %", "25 %", "52 %"];
    let seldom = lines_of_a_minute(false);
    assert_eq!(seldom.len(), shares.len(), "{seldom:?}");
    for (line, share) in seldom.iter().zip(shares) {
        assert!(line.ends_with(&format!(" of 60,000 rounds ({share})")), "{line}");
    }
}

#[test]
fn prime_sieve_finds_the_primes() {
    for (n, prime) in [("1", 2), ("2", 3), ("100", 541), ("300", 1987)] {
        let run = run("prime_sieve", &[n]);
        assert_eq!(run.number(&format!("prime number {n} is "), ""), prime);
        assert!(run.stdout.contains("a plain sieve finds the same primes"), "{}", run.stdout);
    }
}

#[test]
fn producer_consumer_loses_nothing() {
    let run = run("producer_consumer", &[]);
    let consumed = |consumer| run.number(&format!("consumer {consumer}: "), " numbers");
    assert!(consumed(1) > 0 && consumed(2) > 0, "{}", run.stdout);
    assert_eq!(consumed(1) + consumed(2), 30_000);
    assert_eq!(run.number("together: ", " as it should be"), 449_985_000);
}

#[test]
fn worker_pool_outlives_a_panic() {
    let run = run("worker_pool", &[]);
    for result in ["27 reaches 1 in 111 steps", "8400511 reaches 1 in 685 steps"] {
        assert!(run.stdout.contains(result), "{}", run.stdout);
    }
    assert_eq!(run.stdout.matches("reaches 1 in").count(), 7, "{}", run.stdout);
    assert_eq!(run.stdout.matches("panicked: 0 never reaches 1").count(), 1, "{}", run.stdout);
    assert_eq!(run.stderr.matches("panicked at").count(), 1, "{}", run.stderr);
    assert_eq!(run.stderr.matches("\nin task ").count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains(" 'worker "), "{}", run.stderr);
}

#[test]
fn dump_says_what_the_tasks_do() {
    let run = run("dump", &[]);
    for told in [
        "runtime 'example': 106 tasks on 1 worker\n\n100 tasks: sleeping",
        "\n\n4 tasks: receiving from a channel",
        "    1 sender is alive\n    these are ",
        " 'main': running\n    spawned at examples/dump.rs:",
        ": not started\n    spawned at examples/dump.rs:",
    ] {
        assert!(run.stdout.contains(told), "no '{told}':\n{}", run.stdout);
    }
}

#[test]
fn dump_is_printed_when_the_signal_comes() {
    let mut command = command(path_of("dump"));
    let pipes = command.arg("--serve").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = pipes.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(process.stdout.take().unwrap());
    said.read_line(&mut String::new()).unwrap();
    let mut dumps = BufReader::new(process.stderr.take().unwrap());
    for _ in 0..2 {
        // SAFETY: the process has not been waited for, so the number is its own.
        assert_eq!(unsafe { libc::kill(process.id() as i32, libc::SIGQUIT) }, 0);
        let mut line = String::new();
        while !line.starts_with("runtime 'example': 10") {
            line.clear();
            assert_ne!(dumps.read_line(&mut line).unwrap(), 0, "it has ended");
        }
    }
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success());
}

#[test]
fn trace_writes_a_page_and_says_where() {
    let folder = env::temp_dir().join(format!("lisle-trace-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let run = run("trace", &["20", "--to", folder.to_str().unwrap()]);
    assert!(run.stdout.starts_with("prime number 20 is 71\n"), "{}", run.stdout);
    assert!(run.number("", " turns of tasks, in ") > 20, "{}", run.stdout);
    for file in ["trace.html", "trace.json"] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        assert!(text.contains("filter 7"), "{file}: {text}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn metrics_are_lines_that_prometheus_reads() {
    let run = run("metrics", &["10"]);
    // Of all workers: it is open which of them runs the tasks.
    let sum = |name: &str, label: &str| -> f64 {
        let lines =
            run.stdout.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    };
    assert!(sum("lisle_turns_total{", "") >= 1000.0, "{}", run.stdout);
    assert!(sum("lisle_stacks ", "") >= 1.0, "{}", run.stdout);
    let samples = sum("lisle_queue_delay_seconds_count{", "");
    assert!(samples >= 1.0, "{}", run.stdout);
    assert_eq!(sum("lisle_queue_delay_seconds_bucket{", "le=\"+Inf\""), samples);
    for line in run.stdout.lines() {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("lisle_") && value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn deadlock_is_reported_and_nothing_else() {
    let run = start("deadlock", &[]);
    run.assert_code(101);
    let told_in_order = [
        "panicked at examples/deadlock.rs",
        "deadlock: all tasks are asleep",
        "'main': joining a task",
        "'Ann': receiving from a channel",
        "at examples/deadlock.rs:",
        "spawned at examples/deadlock.rs:",
        "'Bob': receiving from a channel",
    ];
    let mut rest = run.stderr.as_str();
    for words in told_in_order {
        let (_, after) = rest
            .split_once(words)
            .unwrap_or_else(|| panic!("no '{words}' in its place:\n{}", run.stderr));
        rest = after;
    }
    assert_eq!(run.stderr.matches("panicked at").count(), 1, "{}", run.stderr);
    assert_eq!(run.stdout, "");
}

#[test]
fn million_tasks_shows_what_the_kernel_counts() {
    let run = run("million_tasks", &["3000"]);
    assert_eq!(run.number("", " tasks, each with a stack of 256 KiB"), 3000);
    let resident = run.number("resident memory: ", " bytes a task");
    let page_tables = run.number("page tables: ", " bytes a task");
    // One page is touched at least; the kernel's count may lag behind by some pages a processor.
    assert!((3500..32_768).contains(&resident), "{}", run.stdout);
    assert!((400..8192).contains(&page_tables), "{}", run.stdout);
    assert_eq!(run.number("in all: ", " bytes a task"), resident + page_tables);
    assert!(run.stdout.contains("woken and joined: "), "{}", run.stdout);
}

#[test]
fn million_tasks_takes_the_stack_size() {
    let run = run("million_tasks", &["--stack-size", "65536", "100"]);
    assert_eq!(run.number("100 tasks, each with a stack of ", " KiB"), 64);
}

#[test]
fn coroutines_pass_values_and_end() {
    let run = run("coroutines", &[]);
    let expected = "before the first number: Suspended\n\
                    10 makes 10\n\
                    20 makes 15\n\
                    60 makes 30\n\
                    nothing more: the body returned \"3 numbers\"\n\
                    after the last: the coroutine cannot be resumed: it is finished\n\
                    a panic inside comes out of resume: \"no such number\"\n\
                    dropped half-way: the body cleans up\n";
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (expected, ""));
}

#[test]
fn generators_count_and_walk() {
    let run = run("generators", &[]);
    let expected = "iota: 0, 1, 2, 3, 4\n\
                    words in order: apple cherry fig lemon mango peach plum\n\
                    the first after g: lemon\n\
                    the walk was left early, and has cleaned up\n";
    assert_eq!(run.stdout, expected);
}

#[test]
fn symmetric_passes_every_item() {
    for (items, sum, transfers) in
        [(1, 0_u64, 1), (8, 28, 1), (9, 36, 3), (100_000, 4_999_950_000, 24_999)]
    {
        let run = run("symmetric", &[&items.to_string()]);
        assert_eq!(run.number("produced: ", " items"), items);
        assert_eq!(run.number("consumed: ", " items, sum "), items);
        assert_eq!(run.number("", " transfers, at one depth of the stack"), transfers);
        let consumed = run.stdout.lines().nth(1).unwrap().replace(',', "");
        assert!(consumed.ends_with(&format!(" {sum}")), "{}", run.stdout);
    }
}

#[test]
fn await_shows_steps_and_results() {
    let run = run("await", &[]);
    let expected = "the cook: weigh the flour\n\
                    the cook: knead\n\
                    the cook: let it rest\n\
                    the cook: put in dough\n\
                    the cook: peel an apple\n\
                    the cook: peel an apple\n\
                    the cook: put in apples\n\
                    the pie: dough and 2 apples\n";
    assert_eq!(run.stdout, expected);
}

#[test]
fn supervisor_starts_anew_and_gives_up() {
    let run = run("supervisor", &[]);
    let expected = "steady: done after 1 start\n\
                    shaky: done after 3 starts\n\
                    broken: given up after 4 starts: it is beyond repair\n\
                    stuck: given up after 4 starts: it takes too long\n";
    assert_eq!(run.stdout, expected);
}

#[test]
fn pipeline_ends_with_the_first_error() {
    let run = run("pipeline", &[]);
    let expected = "good: 10,000 numbers, sum 50,005,000\n\
                    bad: line 5,000 is no number: 'many'\n";
    assert_eq!(run.stdout, expected);
}

#[test]
fn rate_limit_is_kept() {
    let run = run("rate_limit", &[]);
    assert_eq!(run.number("20 requests, 5 at once and then one each 2 ms: at least ", " ms"), 30);
}

#[test]
fn bank_loses_no_money() {
    let run = run("bank", &[]);
    let expected = "4,000 transfers between 10 accounts, some of them given up; all accounts \
                    together: 10,000\n";
    assert_eq!(run.stdout, expected);
}

#[test]
fn actor_counts_alone() {
    assert_eq!(run("actor", &[]).stdout, "1,000 deposits by 10 clients: 5,500\n");
}

#[test]
fn tiny_os_spawns_waits_sleeps_and_kills() {
    let run = run("tiny_os", &[]);
    let told_in_order = [
        "init is process 1",
        "worker 2 is done",
        "worker 3 is done",
        "both have ended: 2 and 3",
        "slept for 10 ticks",
        "the process that hangs cleans up",
        "killed it: true, and again: false",
        "the shell has ended with 0",
        "all processes have ended, after 93 ticks",
    ];
    let mut rest = run.stdout.as_str();
    for words in told_in_order {
        rest = rest.split_once(words).unwrap_or_else(|| panic!("no '{words}': {}", run.stdout)).1;
    }
}

#[test]
fn bad_arguments_are_explained() {
    for (example, args, explanation) in [
        ("ping_pong", &["many"] as &[_], "ROUNDS must be a number"),
        ("ping_pong", &["0"], "ROUNDS must be a number from 1 to 1,000,000,000, not '0'"),
        ("ping_pong", &["--tasks"], "there is no argument '--tasks'"),
        ("prime_sieve", &["-1"], "there is no argument '-1'"),
        ("prime_sieve", &["10", "20"], "there is no argument '20'"),
        ("prime_sieve", &["1000000001"], "N must be a number"),
        ("prime_sieve", &["99999999999999999999"], "N must be a number"),
        ("producer_consumer", &["3"], "there is no argument '3'"),
        ("worker_pool", &["3"], "there is no argument '3'"),
        ("dump", &["now"], "there is no argument 'now'"),
        ("trace", &["100", "7"], "there is no argument '7'"),
        ("deadlock", &["now"], "there is no argument 'now'"),
        ("coroutines", &["3"], "there is no argument '3'"),
        ("generators", &["3"], "there is no argument '3'"),
        ("symmetric", &["0"], "N must be a number from 1 to 1,000,000,000, not '0'"),
        ("supervisor", &["3"], "there is no argument '3'"),
        ("pipeline", &["3"], "there is no argument '3'"),
        ("rate_limit", &["3"], "there is no argument '3'"),
        ("bank", &["3"], "there is no argument '3'"),
        ("actor", &["3"], "there is no argument '3'"),
        ("tiny_os", &["3"], "there is no argument '3'"),
        ("await", &["3"], "there is no argument '3'"),
        ("chat", &["--port"], "--port needs a value behind it"),
        ("chat", &["257"], "the room of the demonstration has 256 places"),
        ("http_server", &["--port", "x"], "--port must be a number from 0 to 65,535"),
        ("key_value", &["--port", "65536"], "--port must be a number from 0 to 65,535"),
        ("echo_server", &["there"], "CLIENTS must be a number"),
        ("proxy", &["there"], "CLIENTS must be a number"),
        ("million_tasks", &["--stack-size"], "--stack-size needs a number behind it"),
        ("million_tasks", &["--stack-size", "64K"], "--stack-size must be a number"),
    ] {
        let run = start(example, args);
        run.assert_code(2);
        assert_eq!(run.stdout, "", "{example} {args:?}");
        let expected = format!("{example}: {explanation}");
        assert!(run.stderr.starts_with(&expected), "{example} {args:?}:\n{}", run.stderr);
        let usage = format!("usage: cargo run --release --example {example}");
        assert!(run.stderr.contains(&usage), "{example} {args:?}:\n{}", run.stderr);
    }
}

#[test]
fn help_is_given() {
    let run = run("prime_sieve", &["--help"]);
    assert_eq!(run.stdout, "usage: cargo run --release --example prime_sieve -- [N]\n");
}

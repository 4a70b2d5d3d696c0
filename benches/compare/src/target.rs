//! What Lisle wants to reach, and how far it is from it.

use std::fmt::Write;

use crate::results::{Results, Series};
use crate::table::number;

/// A bound for one figure of Lisle's.
struct Target {
    bench: &'static str,
    /// Each of these is among the case's parameters.
    params: &'static [&'static str],
    unit: &'static str,
    /// The form of Lisle that is meant.
    lisle: &'static str,
    bound: Bound,
}

/// What a figure is held against. What is less is better, but for speed-ups.
enum Bound {
    /// This many times that of the best peer.
    Best(f64),
    /// This many times that of this peer.
    Of(&'static str, f64),
    /// This many times Lisle's own figure of this benchmark, whose case has these parameters and,
    /// if they do not say otherwise, as many workers.
    Own(&'static str, &'static [&'static str], f64),
    /// This number.
    Absolute(f64),
}

use Bound::{Absolute, Best, Of, Own};

const fn ns(bench: &'static str, params: &'static [&'static str], bound: Bound) -> Target {
    Target { bench, params, unit: "ns", lisle: "lisle", bound }
}

const fn ms(bench: &'static str, params: &'static [&'static str], bound: Bound) -> Target {
    Target { bench, params, unit: "ms", lisle: "lisle", bound }
}

const fn latency(unit: &'static str) -> Target {
    Target { bench: "latency", params: &[], unit, lisle: "lisle", bound: Best(1.0) }
}

/// A pair that is apart against one on one worker.
const TIMES_A_PAIR: Bound = Own("pingpong", &["workers=1"], 5.0);

const TARGETS: &[Target] = &[
    ns("switch", &[], Of("corosensei", 1.0)),
    ns("yield", &["tasks=2"], Best(0.2)),
    ns("yield", &["tasks=1000"], Best(0.35)),
    ns("yield", &["tasks=20000"], Best(0.25)),
    ns("yield", &["tasks=100000"], Best(0.35)),
    ns("pingpong", &[], Best(0.45)),
    ns("pingpong", &[], Of("go", 0.15)),
    ns("buffered", &["pairs=1"], Best(0.8)),
    ns("buffered", &["pairs=4"], Best(0.8)),
    ns("unbounded", &[], Best(1.0)),
    ns("spawn", &[], Best(0.35)),
    ns("mutex", &["tasks=1"], Of("parking_lot", 1.2)),
    ns("mutex", &["workers=2", "tasks=100", "yields=0"], Of("go", 0.5)),
    ns("mutex", &["workers=2", "tasks=100", "yields=0"], Of("tokio", 0.5)),
    ns("mutex", &["yields=1"], Best(0.5)),
    ns("rwlock", &[], Of("tokio", 1.0)),
    ns("semaphore", &[], Of("tokio", 1.0)),
    ns("waitgroup", &[], Of("tokio", 1.0)),
    ns("broadcast", &[], Of("tokio", 1.0)),
    ns("scope", &[], Own("spawn", &["batch=1000"], 1.2)),
    ns("timeout", &[], Absolute(60.0)),
    ms("skynet", &[], Of("go", 0.4)),
    ms("skynet", &[], Best(1.0)),
    ms("sieve", &["workers=1"], Best(0.35)),
    ms("sieve", &["workers=2"], Best(0.5)),
    Target {
        bench: "idle",
        params: &["tasks=1000000"],
        unit: "bytes",
        lisle: "lisle-64k",
        bound: Absolute(4_500.0),
    },
    Target {
        bench: "idle",
        params: &["tasks=1000000"],
        unit: "bytes",
        lisle: "lisle",
        bound: Absolute(4_900.0),
    },
    ns("idle", &["tasks=1000000"], Of("go", 0.8)),
    ns("select", &[], Best(0.4)),
    Target {
        bench: "timers",
        params: &["tasks=100000"],
        unit: "late_us",
        lisle: "lisle",
        bound: Of("go", 0.5),
    },
    Target {
        bench: "timers",
        params: &["tasks=100000"],
        unit: "cpu_ms",
        lisle: "lisle",
        bound: Of("tokio", 1.0),
    },
    Target {
        bench: "forkjoin",
        params: &[],
        unit: "speedup",
        lisle: "lisle",
        bound: Of("threads", 0.9),
    },
    ms("forkjoin", &[], Of("go", 1.0)),
    Target {
        bench: "imbalance",
        params: &[],
        unit: "speedup",
        lisle: "lisle",
        bound: Of("threads", 0.9),
    },
    ms("imbalance", &[], Of("go", 1.0)),
    ns("torn", &[], Of("go", 1.0)),
    ns("torn", &[], TIMES_A_PAIR),
    ns("across", &[], Of("go", 1.0)),
    ns("across", &[], TIMES_A_PAIR),
    ns("stream-across", &[], Best(1.0)),
    ns("ask-across", &[], Of("go", 1.0)),
    ns("ask-across", &[], Of("crossbeam", 1.0)),
    Target {
        bench: "actors",
        params: &[],
        unit: "speedup",
        lisle: "lisle",
        bound: Of("threads", 0.85),
    },
    Target {
        bench: "jobs",
        params: &[],
        unit: "speedup",
        lisle: "lisle",
        bound: Of("threads", 0.85),
    },
    ns("echo", &["workers=1", "connections=64"], Of("epoll", 1.0)),
    ns("echo", &["workers=1", "connections=1000"], Of("epoll", 1.0)),
    ns("echo", &["workers=1"], Of("go", 1.0)),
    ns("echo", &["workers=1"], Of("tokio-ct", 1.0)),
    ns("echo", &["workers=1"], Of("may", 1.0)),
    ns("echo", &["workers=2"], Best(0.91)),
    latency("p50_us"),
    latency("p99_us"),
    ns("blocking", &["workers=1"], Of("tokio-ct", 1.0)),
    ns("blocking", &[], Of("tokio", 1.0)),
];

/// A target held against a figure.
#[derive(Debug)]
struct Verdict {
    /// Above 1 if it is missed, and by how much.
    miss: f64,
    line: String,
}

/// All targets that these results can be held against, the largest miss first.
pub fn report(results: &Results) -> String {
    let mut verdicts: Vec<_> = TARGETS.iter().flat_map(|target| target.verdicts(results)).collect();
    if verdicts.is_empty() {
        return String::new();
    }
    verdicts.sort_by(|a, b| b.miss.total_cmp(&a.miss));
    let mut text = format!(
        "\ntargets, by the median: 1.00 is reached exactly, more is missed\n  \
         {:>6}  {:<42} {:>10}   {}\n",
        "", "", "Lisle", "held against"
    );
    for verdict in verdicts {
        writeln!(text, "  {:>6.2}  {}", verdict.miss, verdict.line)
            .expect("a string can be written to");
    }
    text
}

impl Target {
    fn verdicts(&self, results: &Results) -> Vec<Verdict> {
        let mine = |series: &&Series| {
            let params: Vec<_> = series.params.split(';').collect();
            (series.system, &*series.unit) == (self.lisle, self.unit)
                && self.params.iter().all(|param| params.contains(param))
        };
        results
            .of_bench(self.bench)
            .filter(mine)
            .filter_map(|series| self.verdict(series, results))
            .collect()
    }

    /// `None` if the peer was not measured.
    fn verdict(&self, lisle: &Series, results: &Results) -> Option<Verdict> {
        let peers = || {
            results.of_bench(self.bench).filter(|peer| {
                !peer.is_lisle() && (&peer.params, &peer.unit) == (&lisle.params, &lisle.unit)
            })
        };
        let of_peer = |peer: &Series, factor: f64| {
            let median = number(peer.median());
            (factor * peer.median(), format!("{factor} × {} {median}", peer.system))
        };
        let (bound, words) = match self.bound {
            Best(factor) => of_peer(peers().min_by(|a, b| a.cost().total_cmp(&b.cost()))?, factor),
            Of(name, factor) => of_peer(peers().find(|peer| peer.system == name)?, factor),
            Own(bench, params, factor) => {
                let mut params = params.to_vec();
                if !params.iter().any(|param| param.starts_with("workers=")) {
                    params.extend(lisle.params.split(';').filter(|p| p.starts_with("workers=")));
                }
                let mut own = results.of_bench(bench).filter(|own| own.system == lisle.system);
                let own = own.find(|own| {
                    let theirs: Vec<_> = own.params.split(';').collect();
                    params.iter().all(|param| theirs.contains(param))
                })?;
                (factor * own.median(), format!("{factor} × {bench} {}", number(own.median())))
            }
            Absolute(bound) => (bound, number(bound)),
        };
        let miss = match self.unit {
            "speedup" => bound / lisle.median(),
            _ => lisle.median() / bound,
        };
        let what = [self.bench, &lisle.params, self.unit];
        let what: Vec<_> = what.into_iter().filter(|word| !word.is_empty()).collect();
        let line = format!("{:<42} {:>10}   {words}", what.join(" "), number(lisle.median()));
        Some(Verdict { miss, line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(figures: &[(&'static str, &str, &'static str, &str, f64)]) -> Results {
        let mut results = Results::default();
        for &(bench, params, system, unit, value) in figures {
            results.add(bench, params, system, unit, value);
        }
        results
    }

    #[test]
    fn the_largest_miss_comes_first() {
        let report = report(&results(&[
            ("yield", "workers=1;tasks=2", "lisle", "ns", 10.0),
            ("yield", "workers=1;tasks=2", "may", "ns", 100.0),
            ("yield", "workers=1;tasks=2", "go", "ns", 200.0),
            ("pingpong", "workers=1", "lisle", "ns", 90.0),
            ("pingpong", "workers=1", "kanal", "ns", 100.0),
        ]));
        let lines: Vec<_> = report.lines().filter(|line| line.contains('×')).collect();
        assert!(lines[0].contains("2.00  pingpong workers=1 ns"), "{report}");
        assert!(lines[0].ends_with("0.45 × kanal 100"), "{report}");
        assert!(lines[1].contains("0.50  yield workers=1;tasks=2 ns"), "{report}");
        assert!(lines[1].ends_with("0.2 × may 100"), "{report}");
        assert_eq!(lines.len(), 2, "there is no figure of Go's for pingpong: {report}");
    }

    #[test]
    fn a_pair_that_is_apart_is_held_against_one_that_is_not() {
        let report = report(&results(&[
            ("pingpong", "workers=1", "lisle", "ns", 30.0),
            ("pingpong", "workers=2", "lisle", "ns", 40.0),
            ("across", "workers=2", "lisle", "ns", 300.0),
        ]));
        assert!(report.contains("2.00  across workers=2 ns"), "{report}");
        assert!(report.contains("5 × pingpong 30"), "{report}");
    }

    #[test]
    fn a_scope_is_held_against_the_spawns_of_as_many_workers() {
        let report = report(&results(&[
            ("spawn", "workers=1;batch=1", "lisle", "ns", 70.0),
            ("spawn", "workers=1;batch=1000", "lisle", "ns", 40.0),
            ("spawn", "workers=2;batch=1000", "lisle", "ns", 50.0),
            ("scope", "workers=2;tasks=100", "lisle", "ns", 30.0),
        ]));
        assert!(report.contains("0.50  scope workers=2;tasks=100 ns"), "{report}");
        assert!(report.contains("1.2 × spawn 50"), "{report}");
    }

    #[test]
    fn a_speedup_should_be_large() {
        let report = report(&results(&[
            ("forkjoin", "", "lisle", "speedup", 0.9),
            ("forkjoin", "", "threads", "speedup", 2.0),
        ]));
        assert!(report.contains("2.00  forkjoin"), "{report}");
    }

    #[test]
    fn a_form_of_lisle_is_no_peer() {
        let report = report(&results(&[
            ("idle", "tasks=1000000", "lisle-64k", "bytes", 4_500.0),
            ("idle", "tasks=1000000", "lisle", "bytes", 4_900.0),
        ]));
        assert_eq!(report.matches("1.00  idle").count(), 2, "{report}");
    }
}

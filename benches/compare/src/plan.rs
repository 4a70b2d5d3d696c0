//! What is measured: every benchmark with its sizes, as data.
//!
//! What a benchmark does is told by its function in `peers/lisle`; those of the same name elsewhere
//! do the same.

use crate::args::Scale;

/// A benchmark.
pub struct Bench {
    pub name: &'static str,
    /// For the head of its table.
    pub title: &'static str,
    /// It is played with each of these numbers of workers; empty if workers mean nothing to it.
    workers: &'static [u64],
    variants: &'static [Variant],
}

/// The sizes of one way to play a benchmark.
struct Variant {
    /// They decide what is measured, and are shown.
    params: &'static [Size],
    /// It decides only how long it is measured.
    repeat: Option<Size>,
}

/// A number by name: the one that counts, and one that only shows that everything works.
struct Size(&'static str, u64, u64);

/// What a program is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Such as `workers=2;tasks=1000`.
    pub params: String,
    repeat: Option<(&'static str, u64)>,
}

/// What is so slow that it is measured with fewer repetitions: this many times fewer.
const SLOW: &[(&str, &str, u64)] = &[
    ("crossbeam", "pingpong", 100),
    ("crossbeam", "select", 50),
    ("crossbeam", "torn", 10),
    ("crossbeam", "across", 10),
    ("crossbeam", "ask-across", 10),
    ("parking_lot", "mutex", 10),
    ("parking_lot", "rwlock", 10),
    ("threads", "spawn", 50),
    ("swapcontext", "switch", 20),
    ("may", "spawn", 10),
    ("boost", "pingpong", 20),
    ("boost", "buffered", 40),
    ("boost", "spawn", 10),
    ("may", "rwlock", 10),
    ("may", "semaphore", 10),
    ("may", "waitgroup", 10),
];

const BOTH: &[u64] = &[1, 2];

pub const BENCHES: &[Bench] = &[
    Bench {
        name: "switch",
        title: "one switch, into a coroutine or out of it",
        workers: &[],
        variants: &[Variant { params: &[], repeat: Some(Size("rounds", 20_000_000, 1_000)) }],
    },
    Bench {
        name: "yield",
        title: "a turn of one of N tasks that do nothing but yield",
        workers: BOTH,
        variants: &[
            Variant {
                params: &[Size("tasks", 2, 2)],
                repeat: Some(Size("rounds", 1_000_000, 1_000)),
            },
            Variant {
                params: &[Size("tasks", 1_000, 10)],
                repeat: Some(Size("rounds", 3_000, 100)),
            },
            Variant {
                params: &[Size("tasks", 20_000, 100)],
                repeat: Some(Size("rounds", 100, 10)),
            },
            Variant {
                params: &[Size("tasks", 100_000, 1_000)],
                repeat: Some(Size("rounds", 30, 2)),
            },
        ],
    },
    Bench {
        name: "pingpong",
        title: "a round trip: a message there and one back, each a rendezvous",
        workers: BOTH,
        variants: &[Variant { params: &[], repeat: Some(Size("rounds", 1_000_000, 1_000)) }],
    },
    Bench {
        name: "buffered",
        title: "a message through a buffer, from N senders to N receivers",
        workers: BOTH,
        variants: &[
            Variant {
                params: &[Size("pairs", 1, 1), Size("capacity", 128, 128)],
                repeat: Some(Size("messages", 4_000_000, 1_000)),
            },
            Variant {
                params: &[Size("pairs", 4, 4), Size("capacity", 128, 128)],
                repeat: Some(Size("messages", 1_000_000, 1_000)),
            },
        ],
    },
    Bench {
        name: "unbounded",
        title: "a message through a channel without a limit; the sender yields after each burst",
        workers: BOTH,
        variants: &[Variant {
            params: &[Size("burst", 1_024, 1_024)],
            repeat: Some(Size("messages", 4_000_000, 10_000)),
        }],
    },
    Bench {
        name: "spawn",
        title: "a task spawned and joined, each alone or a batch at a time",
        workers: BOTH,
        variants: &[
            Variant {
                params: &[Size("batch", 1, 1)],
                repeat: Some(Size("batches", 1_000_000, 1_000)),
            },
            Variant {
                params: &[Size("batch", 1_000, 100)],
                repeat: Some(Size("batches", 1_000, 10)),
            },
        ],
    },
    Bench {
        name: "skynet",
        title: "a tree of tasks: each sums up ten children through a channel with room for as many",
        workers: BOTH,
        variants: &[
            Variant {
                params: &[Size("leaves", 1_000_000, 1_000), Size("room", 10, 10)],
                repeat: None,
            },
            Variant {
                params: &[Size("leaves", 1_000_000, 1_000), Size("room", 0, 0)],
                repeat: None,
            },
        ],
    },
    Bench {
        name: "sieve",
        title: "a chain of tasks that finds primes through rendezvous channels",
        workers: BOTH,
        variants: &[Variant { params: &[Size("primes", 2_000, 50)], repeat: None }],
    },
    Bench {
        name: "idle",
        title: "N tasks that wait: memory and creation of each",
        workers: &[1],
        variants: &[
            Variant { params: &[Size("tasks", 100_000, 1_000)], repeat: None },
            Variant { params: &[Size("tasks", 1_000_000, 2_000)], repeat: None },
        ],
    },
    Bench {
        name: "select",
        title: "a message received by a select over four rendezvous channels",
        workers: BOTH,
        variants: &[Variant { params: &[], repeat: Some(Size("messages", 250_000, 1_000)) }],
    },
    Bench {
        name: "timers",
        title: "N tasks that sleep until some time of the same second: lateness, processor time",
        workers: BOTH,
        variants: &[
            Variant { params: &[Size("tasks", 10_000, 100)], repeat: None },
            Variant { params: &[Size("tasks", 100_000, 1_000)], repeat: None },
        ],
    },
    Bench {
        name: "forkjoin",
        title: "computing spread by tasks that split in two; compared with one thread alone",
        workers: &[2],
        variants: &[Variant {
            params: &[Size("leaves", 1_024, 16), Size("steps", 100_000, 1_000)],
            repeat: None,
        }],
    },
    Bench {
        name: "imbalance",
        title: "computing by tasks of which some have 64 times the work of others",
        workers: &[2],
        variants: &[Variant {
            params: &[Size("tasks", 64, 16), Size("steps", 100_000, 1_000)],
            repeat: None,
        }],
    },
    Bench {
        name: "torn",
        title: "a round trip of two tasks whose spawner computed for 3 ms between the two spawns",
        workers: &[2],
        variants: &[Variant { params: &[], repeat: Some(Size("rounds", 20_000, 100)) }],
    },
    Bench {
        name: "across",
        title: "a round trip of two tasks that have started on two workers, each way a rendezvous",
        workers: &[2],
        variants: &[Variant { params: &[], repeat: Some(Size("rounds", 20_000, 100)) }],
    },
    Bench {
        name: "stream-across",
        title: "a message through a buffer, from one worker to another",
        workers: &[2],
        variants: &[Variant {
            params: &[Size("capacity", 128, 128)],
            repeat: Some(Size("messages", 1_000_000, 1_000)),
        }],
    },
    Bench {
        name: "ask-across",
        title: "a request and its answer: tasks of one worker ask a server on another",
        workers: &[2],
        variants: &[Variant {
            params: &[Size("clients", 100, 10)],
            repeat: Some(Size("requests", 5_000, 10)),
        }],
    },
    Bench {
        name: "actors",
        title: "computing by tasks that were spawned in a burst, and get their work when all wait",
        workers: &[2],
        variants: &[Variant {
            params: &[Size("actors", 8, 8), Size("steps", 12_500_000, 1_000)],
            repeat: None,
        }],
    },
    Bench {
        name: "jobs",
        title: "computing by a pool of tasks that wait for jobs",
        workers: &[2],
        variants: &[Variant {
            params: &[Size("pool", 8, 8), Size("jobs", 16, 16), Size("steps", 6_250_000, 1_000)],
            repeat: None,
        }],
    },
    Bench {
        name: "echo",
        title: "64 bytes to a server and back, on N connections at once",
        workers: BOTH,
        variants: &[
            Variant {
                params: &[Size("connections", 1, 1)],
                repeat: Some(Size("requests", 100_000, 100)),
            },
            Variant {
                params: &[Size("connections", 64, 4)],
                repeat: Some(Size("requests", 300_000, 400)),
            },
            Variant {
                params: &[Size("connections", 1_000, 16)],
                repeat: Some(Size("requests", 300_000, 400)),
            },
        ],
    },
    Bench {
        name: "latency",
        title: "64 bytes to a server and back, from when they are due, at half the rate of `echo`",
        workers: BOTH,
        variants: &[Variant {
            params: &[Size("connections", 64, 4)],
            repeat: Some(Size("requests", 100_000, 400)),
        }],
    },
    Bench {
        name: "blocking",
        title: "an empty closure that is run by a thread for calls that may block, by N tasks",
        workers: BOTH,
        variants: &[
            Variant { params: &[Size("callers", 1, 1)], repeat: Some(Size("calls", 50_000, 100)) },
            Variant { params: &[Size("callers", 64, 8)], repeat: Some(Size("calls", 2_000, 20)) },
        ],
    },
    Bench {
        name: "mutex",
        title: "N tasks that add 1 under a lock, held over some yields",
        workers: BOTH,
        variants: &[
            Variant {
                params: &[Size("tasks", 1, 1), Size("yields", 0, 0)],
                repeat: Some(Size("rounds", 20_000_000, 1_000)),
            },
            Variant {
                params: &[Size("tasks", 100, 10), Size("yields", 0, 0)],
                repeat: Some(Size("rounds", 40_000, 100)),
            },
            Variant {
                params: &[Size("tasks", 100, 10), Size("yields", 1, 1)],
                repeat: Some(Size("rounds", 10_000, 100)),
            },
        ],
    },
    Bench {
        name: "rwlock",
        title: "N tasks that read under a lock, and write at each hundredth time",
        workers: BOTH,
        variants: &[Variant {
            params: &[Size("tasks", 8, 4)],
            repeat: Some(Size("rounds", 500_000, 1_000)),
        }],
    },
    Bench {
        name: "semaphore",
        title: "N tasks that take one of the permits and keep it over a yield",
        workers: BOTH,
        variants: &[Variant {
            params: &[Size("tasks", 100, 10), Size("permits", 10, 3)],
            repeat: Some(Size("rounds", 10_000, 100)),
        }],
    },
    Bench {
        name: "waitgroup",
        title: "a batch of tasks spawned and waited for, for each task",
        workers: BOTH,
        variants: &[Variant {
            params: &[Size("batch", 100, 10)],
            repeat: Some(Size("batches", 10_000, 100)),
        }],
    },
    Bench {
        name: "broadcast",
        title: "a message that each of N receivers gets, for each of them",
        workers: BOTH,
        variants: &[Variant {
            params: &[Size("receivers", 8, 3), Size("burst", 128, 16)],
            repeat: Some(Size("bursts", 2_000, 20)),
        }],
    },
    Bench {
        name: "scope",
        title: "a scope or a set of tasks that is awaited, for each of its tasks",
        workers: BOTH,
        variants: &[Variant {
            params: &[Size("tasks", 100, 10)],
            repeat: Some(Size("scopes", 10_000, 100)),
        }],
    },
    Bench {
        name: "timeout",
        title: "a time limit around a call that is over long before, beyond the call",
        workers: &[1],
        variants: &[Variant { params: &[], repeat: Some(Size("rounds", 2_000_000, 1_000)) }],
    },
];

impl Bench {
    pub fn cases(&self, scale: Scale) -> Vec<Case> {
        let every_workers: Vec<_> = match self.workers {
            [] => vec![None],
            some => some.iter().map(Some).collect(),
        };
        every_workers
            .iter()
            .flat_map(|workers| self.variants.iter().map(move |variant| (workers, variant)))
            .map(|(workers, variant)| {
                let workers = workers.map(|workers| format!("workers={workers}"));
                let sizes = variant.params.iter();
                let sizes = sizes.map(|size| format!("{}={}", size.0, size.number(scale)));
                Case {
                    params: workers.into_iter().chain(sizes).collect::<Vec<_>>().join(";"),
                    repeat: variant.repeat.as_ref().map(|size| (size.0, size.number(scale))),
                }
            })
            .collect()
    }
}

impl Size {
    fn number(&self, scale: Scale) -> u64 {
        match scale {
            Scale::Full => self.1,
            Scale::Quick => self.2,
        }
    }
}

impl Case {
    /// The arguments for the program that plays `bench` on `system`.
    pub fn args(&self, system: &str, bench: &str) -> Vec<String> {
        let slow = SLOW.iter().find(|slow| (slow.0, slow.1) == (system, bench));
        let fewer = slow.map_or(1, |slow| slow.2);
        let repeat = self.repeat.map(|(name, n)| format!("{name}={}", (n / fewer).max(10)));
        let params = self.params.split(';').filter(|param| !param.is_empty());
        let names = [system, bench].into_iter().chain(params).map(str::to_owned);
        names.chain(repeat).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench(name: &str) -> &'static Bench {
        BENCHES.iter().find(|bench| bench.name == name).unwrap()
    }

    #[test]
    fn cases_are_workers_by_variants() {
        let params: Vec<_> =
            bench("buffered").cases(Scale::Full).into_iter().map(|case| case.params).collect();
        assert_eq!(
            params,
            [
                "workers=1;pairs=1;capacity=128",
                "workers=1;pairs=4;capacity=128",
                "workers=2;pairs=1;capacity=128",
                "workers=2;pairs=4;capacity=128",
            ]
        );
    }

    #[test]
    fn arguments() {
        let case = &bench("pingpong").cases(Scale::Full)[1];
        let args = case.args("go", "pingpong");
        assert_eq!(args, ["go", "pingpong", "workers=2", "rounds=1000000"]);
        let args = case.args("crossbeam", "pingpong");
        assert_eq!(args, ["crossbeam", "pingpong", "workers=2", "rounds=10000"]);
        let case = &bench("switch").cases(Scale::Quick)[0];
        assert_eq!(case.args("lisle", "switch"), ["lisle", "switch", "rounds=1000"]);
    }

    #[test]
    fn names_are_different() {
        let mut names: Vec<_> = BENCHES.iter().map(|bench| bench.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), BENCHES.len());
    }
}

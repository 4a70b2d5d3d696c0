//! Exploring the schedules of a program: it runs many times, and each time its tasks take turns in
//! another order.
//!
//! | File | Holds |
//! |---|---|
//! | `mod.rs` | [`explore`] and [`Explorer`], which run a program again and again |
//! | `engine.rs` | what the scheduler asks at each choice, and what it tells |
//! | `strategy.rs` | how the answers are found |
//! | `exhaustive.rs` | all the answers that there are, in the order of their interruptions |
//! | `points.rs` | what operations ask that end no turn elsewhere |
//! | `fault.rs` | what else can go wrong around a program |
//! | `shrink.rs` | the fewest answers out of turn with which the program still fails |
//! | `failure.rs` | what is said of a failure |
//! | `atomic.rs` | std's atomics, with a choice before each operation |
//!
//! A program that is explored runs on one worker, with [virtual
//! time](crate::RuntimeBuilder::virtual_time), in a thread of its own. There is a *choice* before
//! each operation of a channel, a lock, a join or an atomic of [`atomic`]: which of the tasks goes
//! on that could. All choices of an execution follow from a number, its *seed*.
//!
//! The idea comes from loom and shuttle, which have threads of their own kind and their own locks
//! and channels; here the program under test is what will run in the end. PCT is due to Burckhardt,
//! Kothari, Musuvathi and Nagarakatte (2010), bounded preemption to Musuvathi and Qadeer (2007).

pub mod atomic;
mod engine;
mod exhaustive;
mod failure;
mod fault;
pub(crate) mod points;
mod quiet;
mod shrink;
mod strategy;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use std::{env, thread};

pub(crate) use self::engine::{Engine, Kind};
pub use self::failure::{Cause, Failure};
pub use self::fault::Fault;
use self::fault::Faults;
pub(crate) use self::fault::may_spawn;
pub(crate) use self::points::Passage;
pub use self::strategy::Strategy;
use self::strategy::{Plan, Search};
use crate::deadlock::ForeignThreads;
use crate::runtime::{Runtime, RuntimeBuilder};
use crate::sleep::sleep;
use crate::turn;
use crate::worker::{self, Worker};

/// Runs `program` under many schedules of its tasks, as [`Explorer::new`] does, and panics with a
/// report if it fails under one of them.
///
/// # Panics
///
/// If `program` panics, or one of its tasks that nobody joins does, or if it deadlocks, leaves a
/// task behind that waits for ever, or does not end, under one of the schedules.
///
/// # Examples
///
/// Two tasks that read, add and write lose an addition, if one of them comes between the other's
/// read and write:
///
/// ```should_panic
/// use lisle::explore::atomic::{AtomicU32, Ordering};
/// use lisle::explore::explore;
///
/// explore(|| {
///     let count = AtomicU32::new(0);
///     lisle::scope(|scope| {
///         for _ in 0..2 {
///             scope.spawn(|| count.store(count.load(Ordering::SeqCst) + 1, Ordering::SeqCst));
///         }
///     });
///     assert_eq!(count.load(Ordering::SeqCst), 2);
/// });
/// ```
#[track_caller]
pub fn explore(program: impl Fn() + Sync) {
    Explorer::new().run(program);
}

/// A point at which another task may go first, in a program that is explored. Elsewhere it does
/// nothing.
///
/// # Examples
///
/// ```
/// lisle::explore::point();
/// ```
#[inline]
#[track_caller]
pub fn point() {
    if turn::spend() {
        turn::next();
    }
}

/// How a program is explored.
///
/// The variables `LISLE_EXPLORE_SEED`, `LISLE_EXPLORE_ITERATIONS` and `LISLE_EXPLORE_STRATEGY`
/// take precedence over the settings here.
///
/// # Examples
///
/// ```
/// use lisle::explore::{Explorer, Strategy};
///
/// let executions = Explorer::new()
///     .strategy(Strategy::Exhaustive { preemptions: 2 })
///     .run(|| {
///         let (tx, rx) = lisle::channel::bounded(1);
///         lisle::spawn(move || tx.send(7).unwrap());
///         assert_eq!(rx.recv(), Ok(7));
///     });
/// println!("all {executions} schedules are right");
/// ```
#[derive(Clone, Debug)]
#[must_use = "an explorer does nothing until it runs a program"]
pub struct Explorer {
    iterations: usize,
    seed: u64,
    strategy: Strategy,
    max_steps: usize,
    allows_lost_tasks: bool,
    faults: Faults,
}

/// As long as a program may sleep, so that a task that still waits then waits for ever.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

impl Default for Explorer {
    fn default() -> Self {
        Self::new()
    }
}

impl Explorer {
    /// An explorer of at most 1,000 schedules, which are the same each time.
    pub fn new() -> Self {
        Self {
            iterations: 1_000,
            seed: 0,
            strategy: Strategy::default(),
            max_steps: 100_000,
            allows_lost_tasks: false,
            faults: Faults::default(),
        }
    }

    /// Runs the program at most this many times.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::explore::Explorer;
    ///
    /// assert_eq!(Explorer::new().iterations(50).run(lisle::yield_now), 50);
    /// ```
    pub fn iterations(mut self, iterations: usize) -> Self {
        self.iterations = iterations;
        self
    }

    /// The number from which all choices follow. 0 by default.
    ///
    /// # Examples
    ///
    /// The same seed makes the same choices:
    ///
    /// ```
    /// use lisle::explore::Explorer;
    ///
    /// let orders = |seed| {
    ///     let order = std::sync::Mutex::new(Vec::new());
    ///     Explorer::new().seed(seed).iterations(10).run(|| {
    ///         lisle::scope(|scope| {
    ///             for n in 0..3 {
    ///                 scope.spawn({
    ///                     let order = &order;
    ///                     move || order.lock().unwrap().push(n)
    ///                 });
    ///             }
    ///         });
    ///     });
    ///     order.into_inner().unwrap()
    /// };
    /// assert_eq!(orders(1), orders(1));
    /// assert_ne!(orders(1), orders(2));
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How the choices are made.
    ///
    /// # Examples
    ///
    /// An exhaustive search ends when there are no more schedules:
    ///
    /// ```
    /// use lisle::explore::{Explorer, Strategy};
    ///
    /// let all = Strategy::Exhaustive { preemptions: 2 };
    /// let executions = Explorer::new().strategy(all).run(|| {
    ///     let task = lisle::spawn(lisle::yield_now);
    ///     lisle::yield_now();
    ///     task.join().unwrap();
    /// });
    /// assert!((2..100).contains(&executions));
    /// ```
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// After how many choices an execution counts as one that does not end. 100,000 by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::explore::Explorer;
    ///
    /// let endless = || loop {
    ///     lisle::yield_now();
    /// };
    /// let failure = Explorer::new().max_steps(1_000).check(endless).unwrap_err();
    /// assert!(failure.to_string().contains("1000"));
    /// ```
    pub fn max_steps(mut self, steps: usize) -> Self {
        self.max_steps = steps;
        self
    }

    /// Whether tasks may be left that wait for ever when the program has ended. By default that is
    /// a failure.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::explore::Explorer;
    ///
    /// // It waits for ever, as its caller keeps a sender that is never used and never dropped.
    /// let program = || {
    ///     let (tx, rx) = lisle::channel::unbounded::<()>();
    ///     lisle::spawn(move || rx.recv());
    ///     std::mem::forget(tx);
    /// };
    /// assert!(Explorer::new().check(program).is_err());
    /// Explorer::new().allow_lost_tasks(true).run(program);
    /// ```
    pub fn allow_lost_tasks(mut self, allowed: bool) -> Self {
        self.allows_lost_tasks = allowed;
        self
    }

    /// Injects these faults into the program now and then, in most executions one or a few, to test
    /// what it does then. [`Fault::ALL`] is all that there are; by default there are none.
    ///
    /// In a test it is `#[lisle::test(explore, faults)]`.
    ///
    /// # Examples
    ///
    /// The program must not take it for granted that its message arrives:
    ///
    /// ```
    /// use lisle::explore::{Explorer, Fault};
    ///
    /// let program = || {
    ///     let (tx, rx) = lisle::channel::bounded(1);
    ///     let task = lisle::spawn(move || rx.recv());
    ///     tx.send(7).unwrap();
    ///     assert_eq!(task.join().unwrap(), Ok(7));
    /// };
    /// Explorer::new().run(program);
    /// let failure = Explorer::new().faults([Fault::ReceiverGone]).check(program).unwrap_err();
    /// assert!(failure.to_string().contains("finds no receiver"));
    /// ```
    pub fn faults(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        faults.into_iter().for_each(|fault| self.faults.add(fault));
        self
    }

    /// Runs `program` under many schedules. Returns how many there were.
    ///
    /// # Panics
    ///
    /// With a report, if the program fails under one of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::explore::Explorer;
    ///
    /// let executions = Explorer::new().run(|| {
    ///     let task = lisle::spawn(|| 7);
    ///     assert_eq!(task.join().unwrap(), 7);
    /// });
    /// assert_eq!(executions, 1_000);
    /// ```
    #[track_caller]
    pub fn run(self, program: impl Fn() + Sync) -> usize {
        // Not `unwrap_or_else`: a panic in a closure would not be located at the caller.
        match self.check(program) {
            Ok(executions) => executions,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Runs `program` under many schedules. Returns how many there were.
    ///
    /// # Errors
    ///
    /// The first [`Failure`], with the shortest history that was found for it.
    ///
    /// # Panics
    ///
    /// If a variable of the environment has a value that is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::explore::Explorer;
    ///
    /// let failure = Explorer::new().check(|| panic!("found")).unwrap_err();
    /// assert!(failure.to_string().contains("found"));
    /// ```
    #[track_caller]
    pub fn check(mut self, program: impl Fn() + Sync) -> Result<usize, Failure> {
        let mut replayed = None;
        if let Some(text) = variable("LISLE_EXPLORE_SEED") {
            if let Some(schedule) = text.strip_prefix('@') {
                replayed = Some(shrink::parse(schedule).unwrap_or_else(|| refuse(&text)));
            } else {
                self.seed = number(&text).unwrap_or_else(|| refuse(&text));
            }
        }
        if let Some(text) = variable("LISLE_EXPLORE_ITERATIONS") {
            self.iterations = text.parse().unwrap_or_else(|_| refuse(&text));
        }
        if let Some(text) = variable("LISLE_EXPLORE_STRATEGY") {
            self.strategy = text.parse().unwrap_or_else(|()| refuse(&text));
        }
        thread::scope(|scope| {
            // The program sees thread-locals that are as new as those of a program that starts.
            let name = thread::current().name().unwrap_or("explored").to_owned();
            let thread = thread::Builder::new().name(name);
            let explored = thread.spawn_scoped(scope, || match replayed {
                Some(schedule) => self.replay(&program, schedule),
                None => self.search(&program),
            });
            match explored.expect("a thread for the program can be had").join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn search(&self, program: &(impl Fn() + Sync)) -> Result<usize, Failure> {
        let mut search = Search::new(self.strategy, self.seed);
        let mut executions = 0;
        while executions < self.iterations && search.has_more() {
            let left = self.iterations - executions;
            let (ran, failed) = self.run_batch(program, &mut search, left);
            executions += ran;
            if let Some((cause, failing)) = failed {
                return Err(shrink::shrink(self, program, cause, failing, executions));
            }
        }
        Ok(executions)
    }

    fn replay(
        &self,
        program: &(impl Fn() + Sync),
        schedule: shrink::Schedule,
    ) -> Result<usize, Failure> {
        let (cause, history) = self.run_once(program, &schedule);
        match cause {
            None => Ok(1),
            Some(cause) => Err(Failure::new(cause, schedule, history, 1, true)),
        }
    }

    /// Runs the program until it fails, or `most` times, in one runtime. Returns how often it has
    /// run.
    fn run_batch(
        &self,
        program: &(impl Fn() + Sync),
        search: &mut Search,
        most: usize,
    ) -> (usize, Option<(Cause, shrink::Schedule)>) {
        let engine = Arc::new(Engine::new(self.max_steps, self.faults));
        let mut executions = 0;
        let ended = runtime(&engine).run(|| {
            while executions < most && search.has_more() {
                executions += 1;
                engine.begin(search.next(), search.releases());
                let is_clean = self.execute(program, &engine);
                let state = engine.state();
                search.learn(&state.choices, state.extent);
                if !is_clean {
                    return;
                }
            }
        });
        let cause = engine.cause_of(ended);
        let failed = cause.map(|cause| (cause, shrink::Schedule::of(&engine.state())));
        (executions, failed)
    }

    /// Runs the program once, under the given schedule.
    fn run_once(
        &self,
        program: &(impl Fn() + Sync),
        schedule: &shrink::Schedule,
    ) -> (Option<Cause>, failure::History) {
        let engine = Arc::new(Engine::new(self.max_steps, self.faults));
        engine.begin(Plan::Given(schedule.clone()), schedule.releases());
        engine.record();
        let ended = runtime(&engine).run(|| _ = self.execute(program, &engine));
        (engine.cause_of(ended), engine.take_history())
    }

    /// False if the program has failed, or has left something behind.
    fn execute(&self, program: &(impl Fn() + Sync), engine: &Engine) -> bool {
        let result = catch_unwind(AssertUnwindSafe(program));
        engine.end();
        if let Err(panic) = result {
            engine.note_panic(&*panic);
            return false;
        }
        if worker::with_current(|worker| !worker.is_some_and(Worker::is_alone_here)) {
            // All that goes on by itself does so before that.
            sleep(CENTURY);
        }
        let left = worker::with_current(|worker| {
            worker.map(|worker| worker.reset_after_execution()).unwrap_or_default()
        });
        let is_clean = left.is_empty();
        if !is_clean && !self.allows_lost_tasks {
            engine.note_lost(left);
        }
        is_clean && !engine.has_failed()
    }
}

fn runtime(engine: &Arc<Engine>) -> RuntimeBuilder {
    points::begin_use();
    Runtime::builder()
        .workers(1)
        .virtual_time(true)
        .foreign_threads(ForeignThreads::NeverWake)
        .panic_note(false)
        .engine(engine.clone())
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[track_caller]
fn refuse<T>(value: &str) -> T {
    panic!(
        "a variable of LISLE_EXPLORE has the value {value:?}: LISLE_EXPLORE_SEED is a number or \
         a schedule that a failure has printed, _ITERATIONS a number, and _STRATEGY `mixed`, \
         `random`, `pct:3` or `exhaustive:2`"
    )
}

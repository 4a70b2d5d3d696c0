//! A thread that runs the worker of another: nothing that code takes for its thread changes,
//! signals find a thread-local block of their own, and everybody is at home in the end.

#![cfg(not(lisle_loom))]

#[cfg(target_arch = "x86_64")]
mod kernel;
#[cfg(target_arch = "x86_64")]
mod seen;
#[cfg(target_arch = "x86_64")]
#[path = "../support/mod.rs"]
mod support;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use std::{hint, ptr};

use lisle::channel::{Receiver, Sender, bounded};
use lisle::deadlock::ForeignThreads;
use lisle::task::JoinHandle;
use lisle::{Runtime, RuntimeBuilder};

/// Whether this build and this machine can carry.
fn carries() -> bool {
    let built = cfg!(all(
        target_arch = "x86_64",
        target_env = "gnu",
        not(lisle_switch = "ucontext"),
        not(lisle_sanitize = "address"),
        not(lisle_sanitize = "thread"),
        not(lisle_sanitize = "valgrind"),
    ));
    // SAFETY: the call has no conditions.
    built && unsafe { libc::getauxval(libc::AT_HWCAP2) } & 2 != 0
}

fn kernel_thread() -> i32 {
    // SAFETY: the call has no conditions.
    unsafe { libc::gettid() }
}

fn two_workers() -> RuntimeBuilder {
    Runtime::builder().workers(2).carry(true).foreign_threads(ForeignThreads::NeverWake)
}

/// Starts a task on another worker than the caller's, which computes until the task has begun.
fn spawn_elsewhere<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let begun = Arc::new(AtomicBool::new(false));
    let task = lisle::spawn({
        let begun = begun.clone();
        move || {
            begun.store(true, Ordering::Release);
            task()
        }
    });
    while !begun.load(Ordering::Acquire) {
        hint::spin_loop();
    }
    task
}

/// Answers all that comes.
fn echo(requests: Receiver<u64>, answers: Sender<u64>) {
    for request in requests {
        if answers.send(request).is_err() {
            return;
        }
    }
}

/// Two ends of an exchange with a task on another worker.
fn exchange() -> (Sender<u64>, Receiver<u64>, JoinHandle<()>) {
    let (ask, requests) = bounded(0);
    let (answers, hear) = bounded(0);
    let task = spawn_elsewhere(move || echo(requests, answers));
    (ask, hear, task)
}

/// Calls `body` in the first task of a runtime, while another thread runs that than the one on
/// which it was born, `times` times.
#[cfg(target_arch = "x86_64")]
fn while_away(builder: RuntimeBuilder, times: usize, body: impl Fn()) {
    let main = || {
        let (home, start) = (kernel_thread(), Instant::now());
        let (ask, hear, _task) = exchange();
        let mut called = 0;
        while called < times {
            assert!(start.elapsed() < Duration::from_secs(60), "nothing was carried");
            for n in 0..20 {
                ask.send(n).unwrap();
                assert_eq!(hear.recv(), Ok(n));
            }
            if kernel_thread() != home {
                body();
                called += 1;
            }
        }
    };
    builder.run(main).unwrap();
}

thread_local! {
    static MINE: RefCell<Option<Rc<Cell<u64>>>> = const { RefCell::new(None) };
    /// The kernel thread that computes.
    static USER: AtomicI32 = const { AtomicI32::new(0) };
}

/// What a task sees of its thread.
struct Thread {
    id: thread::ThreadId,
    mine: Rc<Cell<u64>>,
    local: *const RefCell<Option<Rc<Cell<u64>>>>,
    errno: *mut i32,
    lock: Mutex<u64>,
}

impl Thread {
    fn new() -> Self {
        let mine = MINE.with_borrow_mut(|mine| mine.get_or_insert_default().clone());
        Self {
            id: thread::current().id(),
            mine,
            local: MINE.with(ptr::from_ref),
            // SAFETY: the call has no conditions.
            errno: unsafe { libc::__errno_location() },
            lock: Mutex::new(0),
        }
    }

    /// Has `wait` called, and compares what was before and is after.
    fn stays_the_same_over<R>(&self, wait: impl FnOnce() -> R) -> R {
        let count = self.mine.get();
        let guard = self.lock.lock().unwrap();
        let result = wait();
        drop(guard);
        assert_eq!(thread::current().id(), self.id);
        assert!(MINE.with_borrow(|mine| Rc::ptr_eq(mine.as_ref().unwrap(), &self.mine)));
        assert!(ptr::eq(MINE.with(ptr::from_ref), self.local));
        // SAFETY: the call has no conditions.
        assert_eq!(unsafe { libc::__errno_location() }, self.errno);
        self.mine.set(self.mine.get() + 1);
        assert!(self.mine.get() > count);
        drop(vec![vec![1_u8; 100]; 3]);
        assert!(!thread::panicking());
        result
    }
}

#[test]
fn what_a_task_takes_for_its_thread_stays_the_same() {
    if !carries() {
        return;
    }
    // A machine that is busy may have the exchange done without carrying for a while.
    let start = Instant::now();
    let mut carried = false;
    while !carried {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing was carried");
        let kernel_threads = two_workers()
            .run(|| {
                let (ask, requests) = bounded(0);
                let (answers, hear) = bounded(0);
                let other = spawn_elsewhere(move || {
                    let thread = Thread::new();
                    let mut kernel_threads = BTreeSet::new();
                    while let Ok(request) = thread.stays_the_same_over(|| requests.recv()) {
                        kernel_threads.insert(kernel_thread());
                        thread.stays_the_same_over(|| answers.send(request)).unwrap();
                    }
                    kernel_threads
                });
                let thread = Thread::new();
                for n in 0..2_000_u64 {
                    thread.stays_the_same_over(|| ask.send(n)).unwrap();
                    assert_eq!(thread.stays_the_same_over(|| hear.recv()), Ok(n));
                    if n % 100 == 0 {
                        assert!(catch_unwind(|| thread.lock.lock().map(|_| ()).unwrap()).is_ok());
                    }
                }
                drop(ask);
                other.join().unwrap()
            })
            .unwrap();
        carried = kernel_threads.len() > 1;
    }
}

#[test]
fn a_panic_is_caught_on_whichever_thread() {
    let caught = two_workers()
        .run(|| {
            let (ask, hear, _task) = exchange();
            (0..50)
                .filter(|&n| {
                    let caught = catch_unwind(std::panic::AssertUnwindSafe(|| {
                        ask.send(n).unwrap();
                        hear.recv().unwrap();
                        std::panic::resume_unwind(Box::new(n));
                    }));
                    ask.send(n).unwrap();
                    hear.recv().unwrap();
                    caught.is_err() && !thread::panicking()
                })
                .count()
        })
        .unwrap();
    assert_eq!(caught, 50);
}

/// How often a handler has found another kernel thread in its thread-locals.
static INTRUSIONS: AtomicU64 = AtomicU64::new(0);
static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn on_signal(_: i32) {
    let user = USER.with(|user| user.load(Ordering::SeqCst));
    if user != 0 && user != kernel_thread() {
        INTRUSIONS.fetch_add(1, Ordering::Relaxed);
    }
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// Computes for a moment, and says so in a thread-local.
fn compute() {
    USER.with(|user| user.store(kernel_thread(), Ordering::SeqCst));
    (0..200).for_each(|_| hint::spin_loop());
    USER.with(|user| user.store(0, Ordering::SeqCst));
}

#[test]
fn a_signal_never_meets_another_kernel_thread_in_its_thread_locals() {
    // SAFETY: the handler does nothing that a handler must not.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as *const () as usize;
        action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(libc::SIGUSR2, &raw const action, ptr::null_mut()), 0);
    }
    two_workers()
        .run(|| {
            let over = Arc::new(AtomicBool::new(false));
            let threads = Arc::new(Mutex::new(BTreeSet::from([kernel_thread()])));
            let (ask, hear, _task) = exchange();
            let sender = thread::spawn({
                let (over, threads) = (over.clone(), threads.clone());
                move || {
                    while !over.load(Ordering::Relaxed) {
                        for &thread in &*threads.lock().unwrap() {
                            // SAFETY: the threads last longer than this one.
                            unsafe {
                                libc::syscall(
                                    libc::SYS_tgkill,
                                    libc::getpid(),
                                    thread,
                                    libc::SIGUSR2,
                                )
                            };
                        }
                        thread::sleep(Duration::from_micros(50));
                    }
                }
            });
            let start = Instant::now();
            let mut n = 0;
            while n < 2_000 || SIGNALS.load(Ordering::Relaxed) < 200 {
                assert!(start.elapsed() < Duration::from_secs(60), "no signal was taken");
                ask.send(n).unwrap();
                compute();
                assert_eq!(hear.recv(), Ok(n));
                if n % 64 == 0 {
                    threads.lock().unwrap().insert(kernel_thread());
                }
                n += 1;
            }
            over.store(true, Ordering::Relaxed);
            sender.join().unwrap();
        })
        .unwrap();
    assert_eq!(INTRUSIONS.load(Ordering::Relaxed), 0);
}

#[test]
fn every_run_returns_on_the_thread_that_called_it() {
    let me = kernel_thread();
    for rounds in 0..100 {
        two_workers()
            .run(|| {
                let (ask, hear, task) = exchange();
                for n in 0..rounds {
                    ask.send(n).unwrap();
                    assert_eq!(hear.recv(), Ok(n));
                }
                if rounds % 2 == 0 {
                    drop(ask);
                    task.join().unwrap();
                }
            })
            .unwrap();
        assert_eq!(kernel_thread(), me);
    }
}

/// The mate was called without a ring: its keeper finds that out at its next nap.
#[test]
fn a_task_that_computes_after_it_has_called_a_mate_does_not_hold_that_up() {
    two_workers()
        .run(|| {
            let (ask, requests) = bounded::<u64>(0);
            let (answers, hear) = bounded(0);
            let heard = Arc::new(AtomicU64::new(0));
            spawn_elsewhere({
                let heard = heard.clone();
                move || {
                    for request in requests {
                        heard.store(request, Ordering::Release);
                        if request % 1_000 != 0 {
                            answers.send(request).unwrap();
                        }
                    }
                }
            });
            for n in 1..=20_000 {
                ask.send(n).unwrap();
                if n % 1_000 == 0 {
                    while heard.load(Ordering::Acquire) != n {
                        hint::spin_loop();
                    }
                } else {
                    assert_eq!(hear.recv(), Ok(n));
                }
            }
        })
        .unwrap();
}

#[test]
fn a_task_that_computes_holds_up_only_its_own_worker() {
    let released = two_workers()
        .foreign_threads(ForeignThreads::MayWake)
        .run(|| {
            let released = Arc::new(AtomicBool::new(false));
            let (from_outside, to_inside) = bounded::<()>(0);
            // On the worker of main.
            lisle::spawn_local({
                let released = released.clone();
                move || {
                    let _ = to_inside.recv();
                    released.store(true, Ordering::Release);
                }
            });
            lisle::yield_now();
            let (ask, requests) = bounded::<u64>(0);
            let (answers, hear) = bounded(0);
            spawn_elsewhere({
                let released = released.clone();
                move || {
                    for request in requests {
                        if request == 1_000 {
                            thread::spawn(move || drop(from_outside));
                            while !released.load(Ordering::Acquire) {
                                hint::spin_loop();
                            }
                            return answers.send(request).unwrap();
                        }
                        answers.send(request).unwrap();
                    }
                }
            });
            for n in 0..=1_000 {
                ask.send(n).unwrap();
                assert_eq!(hear.recv(), Ok(n));
            }
            released.load(Ordering::Acquire)
        })
        .unwrap();
    assert!(released);
}

#[test]
fn the_timers_of_a_worker_that_is_carried_or_rests_are_kept() {
    two_workers()
        .run(|| {
            let (ask, hear, _task) = exchange();
            let sleeper = lisle::spawn_local(|| {
                for _ in 0..20 {
                    let (start, pause) = (Instant::now(), Duration::from_millis(1));
                    lisle::sleep(pause);
                    assert!(start.elapsed() >= pause);
                }
            });
            let mut n = 0;
            while !sleeper.is_finished() {
                ask.send(n).unwrap();
                assert_eq!(hear.recv(), Ok(n));
                n += 1;
            }
            // All wait, and only a timer ends that.
            lisle::sleep(Duration::from_millis(20));
            sleeper.join().unwrap();
        })
        .unwrap();
}

#[test]
fn a_deadlock_after_an_exchange_is_reported() {
    for rounds in [1, 10, 1_000] {
        let deadlock = two_workers()
            .run(|| {
                let (ask, hear, task) = exchange();
                for n in 0..rounds {
                    ask.send(n).unwrap();
                    assert_eq!(hear.recv(), Ok(n));
                }
                task.join().unwrap(); // it waits for more
            })
            .unwrap_err();
        assert_eq!(deadlock.tasks().len(), 2);
    }
}

#[test]
fn many_workers_pass_a_token_round() {
    for workers in [2, 3, 4] {
        two_workers()
            .workers(workers)
            .run(|| {
                let (first, mut last) = bounded::<u64>(0);
                for _ in 1..workers {
                    let (next, then) = bounded(0);
                    let inbound = std::mem::replace(&mut last, then);
                    spawn_elsewhere(move || {
                        let thread = Thread::new();
                        while let Ok(token) = thread.stays_the_same_over(|| inbound.recv()) {
                            if next.send(token + 1).is_err() {
                                return;
                            }
                        }
                    });
                }
                for n in 0..1_000 {
                    first.send(n).unwrap();
                    assert_eq!(last.recv(), Ok(n + workers as u64 - 1));
                }
            })
            .unwrap();
    }
}

#[test]
fn a_fork_amid_an_exchange_disturbs_neither_process() {
    two_workers()
        .run(|| {
            let (ask, hear, _task) = exchange();
            for n in 0..1_000 {
                ask.send(n).unwrap();
                assert_eq!(hear.recv(), Ok(n));
            }
            // SAFETY: the child ends at once.
            let child = unsafe { libc::fork() };
            if child == 0 {
                let is_same = MINE.with_borrow(Option::is_none);
                // SAFETY: as above.
                unsafe { libc::_exit(if is_same { 0 } else { 1 }) };
            }
            let mut status = 0;
            // SAFETY: the status is written during the call.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert_eq!(status, 0);
            ask.send(7).unwrap();
            assert_eq!(hear.recv(), Ok(7));
        })
        .unwrap();
}

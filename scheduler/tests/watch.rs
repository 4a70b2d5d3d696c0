//! Workers that one of their tasks keeps, because it is blocked in the kernel or computes: what is
//! said of them, and of which nothing is.
#![cfg(not(lisle_loom))]

mod support;

use std::env;
use std::ffi::c_int;
use std::fs::{self, File};
use std::io::{Read, Write, pipe, stderr};
use std::mem;
use std::os::fd::AsFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use lisle_scheduler::{
    Builder, ForeignThreads, Runtime, RuntimeBuilder, sleep, spawn, spawn_local, yield_now,
};
use support::sys::{self, SIGURG, in_fork_child};
use support::{Bell, Said, block_until, in_child, on_each_worker};

/// The notice ends so.
const LAST_WORDS: &str = "that do so are not reported\n";

/// It does if the worker has not answered.
const UNANSWERED: &str = "the signal SIGURG does not reach the thread\n";

const PATIENCE: Duration = Duration::from_millis(50);

/// Longer than any test lasts.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// One that wants notice of stalls, and does not ask for long turns.
fn watched(workers: usize) -> RuntimeBuilder {
    Runtime::builder().workers(workers).stall_notice(PATIENCE)
}

/// What is said when `notices` notices have been given of what `body` does in a child, which ends
/// then.
fn said_of(name: &str, notices: usize, body: impl FnOnce() + Send + 'static) -> String {
    let ended = in_child(name, &[], || {
        let mut to_parent = File::from(stderr().as_fd().try_clone_to_owned().unwrap());
        let said = Said::begin(name);
        thread::spawn(body);
        let endings = [LAST_WORDS, UNANSWERED];
        let count = || endings.iter().map(|end| said.text().matches(end).count()).sum::<usize>();
        block_until(|| count() >= notices);
        to_parent.write_all(said.text().as_bytes()).unwrap();
    });
    ended.assert_success();
    ended.stderr
}

fn named(name: &str, body: impl FnOnce() + 'static) {
    drop(Builder::new().name(name).spawn_local(body).unwrap());
}

#[track_caller]
fn assert_blocked(said: &str, task: &str, worker: &str, others: &str) {
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("lisle: task "), "{said}");
    assert!(
        lines[0].contains(&format!(" '{task}', spawned at scheduler/tests/watch.rs:")),
        "{said}"
    );
    assert!(lines[0].contains(&format!(", has blocked {worker} (thread ")), "{said}");
    assert!(lines[0].ends_with(") for 50ms"), "{said}");
    assert_eq!(lines[1], others, "{said}");
    assert_eq!(said.matches("lisle: ").count(), 1, "{said}");
}

/// What it waits in is told, too. An emulator waits in other calls, with other numbers.
fn assert_waits(said: &str, call: &str, reason: &str) {
    if env::var_os("LISLE_TEST_RUNNER").is_none() {
        assert!(said.contains(&format!("\nthe thread waits in the kernel, {call}")), "{said}");
        assert!(said.contains(&format!("\n- {reason}")), "{said}");
    }
}

const TWO: &str = "2 other tasks cannot go on: they wait for this worker's thread";
const ONE: &str = "1 other task cannot go on: it waits for this worker's thread";

#[test]
fn an_initialiser_that_waits() {
    static VALUE: LazyLock<u32> = LazyLock::new(|| {
        yield_now();
        5
    });
    let said = said_of("an_initialiser_that_waits", 1, || {
        let builder = watched(1).name("lazy");
        let done = builder.run(|| {
            named("first", || assert_eq!(*VALUE, 5));
            named("second", || assert_eq!(*VALUE, 5));
            Bell::new().wait();
        });
        unreachable!("{done:?}");
    });
    assert_blocked(&said, "second", "worker 0 of runtime 'lazy'", TWO);
    assert_waits(&said, "for a futex", "a LazyLock, OnceLock or Once whose initialiser waits: ");
}

#[test]
fn a_lock_that_is_held_over_a_wait() {
    let said = said_of("a_lock_that_is_held_over_a_wait", 1, || {
        let runtime = watched(1).start().unwrap();
        let lock = Arc::new(Mutex::new(()));
        runtime.spawn(move || {
            let theirs = lock.clone();
            let _held = lock.lock().unwrap();
            named("wants", move || drop(theirs.lock().unwrap()));
            yield_now();
        });
        thread::sleep(FOR_EVER);
    });
    assert_blocked(&said, "wants", "worker 0", ONE);
    assert_waits(
        &said,
        "for a futex",
        "a lock of std::sync that another task holds while it waits",
    );
}

/// A task that comes from outside finds no worker either.
#[test]
fn a_thread_that_sleeps() {
    let said = said_of("a_thread_that_sleeps", 1, || {
        let runtime = watched(1).start().unwrap();
        let (runs, may_sleep) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (set, get) = (runs.clone(), may_sleep.clone());
        let sleeper = Builder::new().name("sleeper").spawn_on(runtime.handle(), move || {
            drop(spawn(|| ()));
            set.store(true, Ordering::Release);
            block_until(|| get.load(Ordering::Acquire));
            thread::sleep(FOR_EVER);
        });
        block_until(|| runs.load(Ordering::Acquire));
        let outsider = runtime.spawn(|| ());
        may_sleep.store(true, Ordering::Release);
        drop((sleeper, outsider));
        thread::sleep(FOR_EVER);
    });
    assert_blocked(&said, "sleeper", "worker 0", TWO);
    assert_waits(&said, "in a sleep", "std::thread::sleep: use lisle::sleep\n");
}

/// Each of several workers is watched, and only the one is told of that is blocked.
#[test]
fn one_worker_of_several() {
    let said = said_of("one_worker_of_several", 1, || {
        let done = watched(3).run(|| {
            let tasks = on_each_worker(3, move |n| {
                if n != 1 {
                    return;
                }
                named("other", || Bell::new().wait());
                named("sleeper", || thread::sleep(FOR_EVER));
                Bell::new().wait();
            });
            tasks.into_iter().for_each(|task| task.join().unwrap());
            Bell::new().wait();
        });
        unreachable!("{done:?}");
    });
    assert!(said.contains(" 'sleeper', spawned at "), "{said}");
    assert_eq!(said.matches("lisle: ").count(), 1, "{said}");
}

/// What the thread waits in goes on, and the tasks do when it has ended.
#[test]
fn a_read_that_is_told_of_goes_on() {
    let ended = in_child("a_read_that_is_told_of_goes_on", &[], || {
        let said = Said::begin("a_read_that_is_told_of_goes_on");
        let (mut reader, mut writer) = pipe().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                block_until(|| said.text().ends_with(LAST_WORDS));
                assert_waits(&said.text(), "in a read of descriptor ", "a file, a socket, ");
                writer.write_all(b"late").unwrap();
            });
            let done = watched(1).run(move || {
                let other = spawn(|| 7);
                let mut text = [0; 4];
                // Not `read_exact`, which would hide that a read was interrupted.
                assert_eq!(reader.read(&mut text).unwrap(), 4);
                assert_eq!((&text, other.join().unwrap()), (b"late", 7));
            });
            done.unwrap();
        });
    });
    ended.assert_success();
}

/// Also where long turns are looked for: the time that it waits does not count as one.
#[test]
fn a_task_that_is_blocked_is_not_taken_for_one_that_computes() {
    let name = "a_task_that_is_blocked_is_not_taken_for_one_that_computes";
    let ended = in_child(name, &[], || {
        let said = Said::begin(name);
        let (mut reader, mut writer) = pipe().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                block_until(|| said.text().ends_with(LAST_WORDS));
                // Not for the sake of this test, which then only proves less: for the watch to look
                // a few times more.
                thread::sleep(10 * PATIENCE);
                writer.write_all(b"late").unwrap();
            });
            let done = Runtime::builder().workers(1).watch(PATIENCE).run(move || {
                let other = spawn(|| 7);
                assert_eq!(reader.read(&mut [0; 4]).unwrap(), 4);
                assert_eq!(other.join().unwrap(), 7);
            });
            done.unwrap();
        });
        let text = said.text();
        assert_eq!(text.matches(LAST_WORDS).count(), 1, "{text}");
        assert!(!text.contains("in one turn"), "{text}");
    });
    ended.assert_success();
}

/// One that computes, as far as the watch can see.
#[test]
fn a_turn_that_is_too_long() {
    let name = "a_turn_that_is_too_long";
    let ended = in_child(name, &[("LISLE_WATCH", "50ms")], || {
        let mut to_parent = File::from(stderr().as_fd().try_clone_to_owned().unwrap());
        let said = Arc::new(Said::begin(name));
        let done = Runtime::builder().workers(1).name("slow").run(|| {
            let (bell, text) = (Bell::new(), said.clone());
            let (theirs, of_task) = (bell.clone(), text.clone());
            let task = Builder::new().name("computes").spawn_local(move || {
                block_until(|| of_task.text().ends_with(LAST_WORDS));
                theirs.wait();
            });
            yield_now();
            while !text.text().contains("has let its worker go on") {
                sleep(Duration::from_millis(1));
            }
            assert!(bell.ring());
            task.unwrap().join().unwrap();
        });
        done.unwrap();
        to_parent.write_all(said.text().as_bytes()).unwrap();
    });
    ended.assert_success();
    let said = ended.stderr;
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("lisle: task 2 'computes', spawned at scheduler/"), "{said}");
    assert!(lines[0].contains(", has kept worker 0 of runtime 'slow' (thread "), "{said}");
    assert!(lines[0].ends_with("ms in one turn") || lines[0].ends_with("s in one turn"), "{said}");
    assert_eq!(lines[1], ONE, "{said}");
    assert!(lines[2].starts_with("it computes, or calls the system often: "), "{said}");
    let end = "lisle: task 2 'computes' has let its worker go on after ";
    assert!(lines[4].starts_with(end), "{said}");
    assert!(lines[4].ends_with(": it is waiting for a bell"), "{said}");
    assert!(lines[5].starts_with("    at scheduler/tests/watch.rs:"), "{said}");
    assert_eq!(lines.len(), 6, "{said}");
}

/// Turns follow each other, of one task or of several, and none is long.
#[test]
fn turns_are_told_apart() {
    const PATIENCE: Duration = Duration::from_millis(300);
    let ended = in_child("turns_are_told_apart", &[], || {
        let take_turns = || {
            let start = Instant::now();
            while start.elapsed() < 3 * PATIENCE {
                let turn = Instant::now();
                while turn.elapsed() < PATIENCE / 10 {
                    std::hint::spin_loop();
                }
                yield_now();
            }
        };
        for partners in [0, 1] {
            let done = Runtime::builder().workers(1).watch(PATIENCE).run(|| {
                spawn_local(|| Bell::new().wait());
                let partners = (0..partners).map(|_| spawn_local(take_turns));
                let partners: Vec<_> = partners.collect();
                take_turns();
                partners.into_iter().for_each(|partner| partner.join().unwrap());
            });
            done.unwrap();
        }
        // Nobody watches, whatever the environment says.
        let before = threads();
        let unwatched = Runtime::builder().workers(1).watch(Duration::ZERO);
        let done = unwatched.run(|| {
            spawn_local(|| Bell::new().wait());
            yield_now();
            thread::sleep(PATIENCE / 2);
            threads()
        });
        // A thread that has ended is listed for a moment.
        assert!(done.unwrap() <= before, "the runtime has none but the caller's");
    });
    ended.assert_success();
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_time_that_cannot_be_understood() {
    let name = "a_time_that_cannot_be_understood";
    let ended = in_child(name, &[("LISLE_WATCH", "10")], || {
        let error = Runtime::builder().start().unwrap_err();
        let words = "LISLE_WATCH must be a time such as 10ms, 2s or 500us, or off, but is \"10\"";
        assert_eq!(error.to_string(), words);
        Runtime::builder().watch(PATIENCE).start().unwrap();
    });
    ended.assert_success();
}

/// One that is told of by the same words every time would be too much.
#[test]
fn a_spawn_site_is_told_of_once_in_a_row() {
    let said = said_of("a_spawn_site_is_told_of_once_in_a_row", 2, || {
        let done = watched(1).run(|| {
            spawn_local(|| Bell::new().wait());
            let often = || Builder::new().name("often").spawn_local(|| thread::sleep(6 * PATIENCE));
            for _ in 0..3 {
                often().unwrap().join().unwrap();
            }
            named("last", || thread::sleep(FOR_EVER));
            Bell::new().wait();
        });
        unreachable!("{done:?}");
    });
    assert_eq!(said.matches("lisle: ").count(), 2, "{said}");
    assert_eq!((said.matches("'often'").count(), said.matches("'last'").count()), (1, 1), "{said}");
}

/// Without its signal a worker cannot say which task it is.
#[test]
fn a_worker_that_does_not_answer() {
    let said = said_of("a_worker_that_does_not_answer", 1, || {
        let done = watched(1).name("deaf").run(|| {
            sys::ignore(SIGURG);
            drop(spawn(|| ()));
            thread::sleep(FOR_EVER);
        });
        unreachable!("{done:?}");
    });
    assert!(
        said.starts_with("lisle: a task has blocked worker 0 of runtime 'deaf' (thread "),
        "{said}"
    );
    let rest = ") for 50ms, and no other task of this worker can go on\nthe thread waits";
    assert!(said.contains(rest), "{said}");
}

/// What blocks the calling thread's signal SIGURG, until it is dropped.
struct Deaf;

impl Deaf {
    fn new() -> Self {
        Self::mask(libc::SIG_BLOCK);
        Self
    }

    fn mask(how: c_int) {
        // SAFETY: for this plain C struct all bytes zero is a valid value.
        let mut set: libc::sigset_t = unsafe { mem::zeroed() };
        // SAFETY: the calls read and write `set`, and change a setting of this thread.
        unsafe {
            libc::sigaddset(&mut set, SIGURG);
            libc::pthread_sigmask(how, &set, ptr::null_mut());
        }
    }

    /// Whether the signal has come.
    fn has_missed_one(&self) -> bool {
        // SAFETY: as above.
        let mut set: libc::sigset_t = unsafe { mem::zeroed() };
        // SAFETY: the calls read and write `set`.
        unsafe { libc::sigpending(&mut set) == 0 && libc::sigismember(&set, SIGURG) == 1 }
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        Self::mask(libc::SIG_UNBLOCK);
    }
}

/// The one that has blocked the worker is over by then, and the next one is not to blame.
#[test]
fn a_signal_that_comes_late_names_nobody() {
    let ended = in_child("a_signal_that_comes_late_names_nobody", &[], || {
        let said = Said::begin("a_signal_that_comes_late_names_nobody");
        let done = watched(1).run(|| {
            spawn_local(|| Bell::new().wait());
            let first = Builder::new().name("first").spawn_local(|| {
                let deaf = Deaf::new();
                while !deaf.has_missed_one() {
                    thread::sleep(2 * PATIENCE);
                }
                mem::forget(deaf);
            });
            // Most likely it has the control block that was the first one's.
            let next = || {
                Builder::new().name("next").spawn_local(|| {
                    drop(Deaf);
                    // What was answered is said by then.
                    thread::sleep(PATIENCE / 2);
                })
            };
            first.unwrap().join().unwrap();
            next().unwrap().join().unwrap();
        });
        done.unwrap();
        assert!(!said.text().contains("'next'"), "{}", said.text());
    });
    ended.assert_success();
}

/// As when the program has had a handler of its own for a while.
#[test]
fn a_signal_that_was_lost_is_sent_anew() {
    let said = said_of("a_signal_that_was_lost_is_sent_anew", 2, || {
        let done = watched(1).run(|| {
            // SAFETY: for this plain C struct all bytes zero is a valid value.
            let (mut ours, mut ignored): (libc::sigaction, libc::sigaction) =
                unsafe { mem::zeroed() };
            ignored.sa_sigaction = libc::SIG_IGN;
            // SAFETY: the handler that was there is put back.
            unsafe { libc::sigaction(SIGURG, &ignored, &mut ours) };
            drop(spawn(|| ()));
            named("other", || Bell::new().wait());
            // The watch has given up when it has asked twice.
            thread::sleep(6 * PATIENCE);
            // SAFETY: as above.
            unsafe { libc::sigaction(SIGURG, &ours, ptr::null_mut()) };
            named("blocks", || thread::sleep(FOR_EVER));
            Bell::new().wait();
        });
        unreachable!("{done:?}");
    });
    assert!(said.contains(" 'blocks', spawned at "), "{said}");
}

/// A worker does not wait for a reader of what is said of it, nor does the end of its runtime.
#[test]
fn nobody_reads_what_is_said() {
    let ended = in_child("nobody_reads_what_is_said", &[], || {
        sys::die_in(60);
        let _unread = sys::intercept_stderr();
        // SAFETY: the calls change how this process's standard error behaves, and write to it.
        unsafe {
            libc::fcntl(2, libc::F_SETFL, libc::O_NONBLOCK);
            while libc::write(2, [b'.'; 4096].as_ptr().cast(), 4096) > 0 {}
            libc::fcntl(2, libc::F_SETFL, 0);
        }
        let done = watched(1).run(|| {
            let other = spawn(|| 7);
            thread::sleep(6 * PATIENCE);
            assert_eq!(other.join().unwrap(), 7);
        });
        done.unwrap();
    });
    ended.assert_success();
}

/// The signal may mean something to the program.
#[test]
fn the_handler_that_was_there_is_called_for_signals_of_others() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    static IS_ELSEWHERE: AtomicBool = AtomicBool::new(false);
    extern "C" fn count(_: c_int) {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: for this plain C struct all bytes zero is a valid value.
        let mut signal_stack: libc::stack_t = unsafe { mem::zeroed() };
        // SAFETY: the call writes to the variable.
        unsafe { libc::sigaltstack(ptr::null(), &mut signal_stack) };
        if signal_stack.ss_flags & libc::SS_ONSTACK != 0 {
            IS_ELSEWHERE.store(true, Ordering::Relaxed);
        }
    }
    let name = "the_handler_that_was_there_is_called_for_signals_of_others";
    let ended = in_child(name, &[], || {
        sys::handle(SIGURG, count);
        let said = Said::begin(name);
        for round in 1..=3 {
            let done = watched(1).run(|| {
                sys::send_here(SIGURG);
                assert_eq!(CALLS.load(Ordering::Relaxed), round);
                drop(spawn(|| ()));
                let notices = || said.text().matches(LAST_WORDS).count();
                while notices() < round {
                    thread::sleep(2 * PATIENCE);
                }
            });
            done.unwrap();
            assert_eq!(CALLS.load(Ordering::Relaxed), round, "not for those of the watch");
        }
        // Threads that are no workers, and those that have been one.
        sys::send_here(SIGURG);
        thread::spawn(|| sys::send_here(SIGURG)).join().unwrap();
        assert_eq!(CALLS.load(Ordering::Relaxed), 5);
        assert!(!IS_ELSEWHERE.load(Ordering::Relaxed), "it has not asked for a signal stack");
    });
    ended.assert_success();
}

#[test]
fn nothing_is_said_of_workers_that_are_not_blocked() {
    let ended = in_child("nothing_is_said_of_workers_that_are_not_blocked", &[], || {
        let while_it_lasts = |mut body: Box<dyn FnMut()>| {
            let start = Instant::now();
            while start.elapsed() < 6 * PATIENCE {
                body();
            }
        };
        for workers in [1, 2] {
            // Tasks that compute, that sleep, and that wait for each other.
            let done = watched(workers).run(|| {
                let tasks = on_each_worker(workers, |_| drop(spawn(|| ())));
                while_it_lasts(Box::new(std::hint::spin_loop));
                sleep(6 * PATIENCE);
                while_it_lasts(Box::new(|| sleep(Duration::from_micros(100))));
                while_it_lasts(Box::new(|| spawn(yield_now).join().unwrap()));
                tasks.into_iter().for_each(|task| task.join().unwrap());
            });
            done.unwrap();
            // Short waits of the thread.
            let done = watched(workers).run(|| {
                drop(spawn(|| ()));
                while_it_lasts(Box::new(|| thread::sleep(Duration::from_millis(1))));
            });
            done.unwrap();
        }
        // One that holds up nobody.
        watched(1).run(|| thread::sleep(6 * PATIENCE)).unwrap();
        // Nobody asks.
        let settings = Runtime::builder().workers(1);
        let blocks = || {
            drop(spawn(|| ()));
            thread::sleep(6 * PATIENCE);
        };
        settings.clone().run(blocks).unwrap();
        settings.deadlock_detection(false).stall_notice(PATIENCE).run(blocks).unwrap();
    });
    ended.assert_success();
    assert_eq!(ended.stderr, "");
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// However long the patience is.
#[test]
fn the_watch_begins_and_ends_with_its_runtime() {
    let ended = in_child("the_watch_begins_and_ends_with_its_runtime", &[], || {
        sys::become_the_only_thread();
        let builder = Runtime::builder().workers(1).stall_notice(FOR_EVER);
        for _ in 0..50 {
            // A thread that was waited for may be listed for a moment.
            let only_one_is_left = || block_until(|| threads() == 1);
            assert_eq!(builder.clone().run(threads).unwrap(), 2);
            only_one_is_left();
            let started = builder.clone().start().unwrap();
            assert_eq!(started.spawn(threads).join().unwrap(), 3);
            drop(started);
            only_one_is_left();
        }
        // A task of the runtime does not wait for its end, nor does the watch keep it up.
        let started = builder.start().unwrap();
        let handle = started.handle().clone();
        drop(handle.spawn(move || drop(started)));
        block_until(|| threads() == 1);
    });
    ended.assert_success();
    assert_eq!(ended.stderr, "");
}

/// The thread of the watch wakes nobody.
#[test]
fn the_watch_puts_no_report_of_a_deadlock_off() {
    let policies =
        [ForeignThreads::MayWake, ForeignThreads::NeverWake, ForeignThreads::LaterMayWake];
    let ended = in_child("the_watch_puts_no_report_of_a_deadlock_off", &[], || {
        sys::become_the_only_thread();
        sys::die_in(60);
        for policy in policies {
            for workers in [1, 2, 4] {
                let builder = Runtime::builder().workers(workers).stall_notice(FOR_EVER);
                let outcome = builder.foreign_threads(policy).run(|| {
                    drop(on_each_worker(workers, |_| Bell::new().wait()));
                    Bell::new().wait();
                });
                assert_eq!(outcome.unwrap_err().tasks().len(), workers + 1);
            }
        }
    });
    ended.assert_success();
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_fork_child_has_a_watch_of_its_own_runtimes_alone() {
    let name = "a_fork_child_has_a_watch_of_its_own_runtimes_alone";
    let ended = in_child(name, &[], || {
        let said = Said::begin(name);
        watched(2)
            .run(|| {
                let ended = in_fork_child(|| {
                    // It goes on as a task of a worker that nobody watches.
                    assert_eq!(threads(), 1);
                    thread::sleep(4 * PATIENCE);
                    assert_eq!(said.text(), "");
                    let runtime = watched(1).name("child").start().unwrap();
                    let blocked = || {
                        drop(spawn(|| ()));
                        thread::sleep(FOR_EVER);
                    };
                    drop(runtime.spawn(blocked));
                    block_until(|| said.text().ends_with(LAST_WORDS));
                    std::mem::forget(runtime);
                });
                assert!(ended.success(), "{ended}");
            })
            .unwrap();
        assert!(said.text().contains(" has blocked worker 0 of runtime 'child' "));
    });
    ended.assert_success();
}

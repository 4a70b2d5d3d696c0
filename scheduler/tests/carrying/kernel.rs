//! What the kernel and the C library keep for the kernel's thread, and what becomes of it when that
//! runs another worker.

use std::arch::asm;
use std::fs;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::atomic::AtomicU32;

use lisle::task::Builder;

use super::support::sys::in_fork_child;
use super::support::{in_child, sys};
use super::*;

/// Changes the group to which all threads could go back, as far as that is allowed, and finds that
/// all have obeyed.
fn change_credentials() {
    static LAST: AtomicU32 = AtomicU32::new(1_000);
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    const KEEP: u32 = u32::MAX;
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    // SAFETY: the call has no conditions.
    if unsafe { libc::geteuid() } != 0 {
        // SAFETY: nothing is changed.
        return assert_eq!(unsafe { libc::setresgid(KEEP, KEEP, KEEP) }, 0);
    }
    let group = LAST.fetch_add(1, Ordering::Relaxed);
    // SAFETY: nothing depends on the group.
    assert_eq!(unsafe { libc::setresgid(KEEP, KEEP, group) }, 0);
    for thread in fs::read_dir("/proc/self/task").unwrap() {
        // A thread may have ended.
        let Ok(status) = fs::read_to_string(thread.unwrap().path().join("status")) else {
            continue;
        };
        let groups = status.lines().find(|line| line.starts_with("Gid:")).unwrap();
        assert_eq!(groups.split_whitespace().nth(3), Some(&*group.to_string()), "{status}");
    }
}

#[test]
fn all_threads_obey_when_a_task_changes_the_credentials_of_the_process() {
    if carries() {
        while_away(two_workers(), 20, change_credentials);
    }
}

#[test]
fn threads_that_run_other_workers_obey_when_the_credentials_of_the_process_change() {
    two_workers()
        .run(|| {
            let over = Arc::new(AtomicBool::new(false));
            let (ask, hear, _task) = exchange();
            let changer = thread::spawn({
                let over = over.clone();
                move || {
                    (0..20).for_each(|_| change_credentials());
                    over.store(true, Ordering::Release);
                }
            });
            while !over.load(Ordering::Acquire) {
                ask.send(1).unwrap();
                assert_eq!(hear.recv(), Ok(1));
            }
            changer.join().unwrap();
        })
        .unwrap();
}

/// The processors on which the calling thread may run.
fn processors() -> Vec<usize> {
    // SAFETY: a set is plain data, and is written during the call.
    unsafe {
        let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed().assume_init();
        assert_eq!(libc::sched_getaffinity(0, size_of_val(&set), &raw mut set), 0);
        (0..libc::CPU_SETSIZE as usize).filter(|&n| libc::CPU_ISSET(n, &set)).collect()
    }
}

#[test]
fn the_kernel_of_a_fork_child_writes_to_the_identity_that_forked() {
    if !carries() {
        return;
    }
    while_away(two_workers(), 3, || {
        let ended = in_fork_child(|| {
            for processor in processors() {
                // SAFETY: a set is plain data.
                unsafe {
                    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed().assume_init();
                    libc::CPU_SET(processor, &mut set);
                    assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &raw const set), 0);
                    // The C library reads it where the kernel has been told to write it.
                    assert_eq!(libc::sched_getcpu(), processor as i32);
                }
            }
        });
        assert!(ended.success(), "{ended}");
    });
}

static RAISED_HERE: AtomicU64 = AtomicU64::new(0);

extern "C" fn on_raised(_: i32) {
    RAISED_HERE.store(MINE.with(|mine| ptr::from_ref(mine).addr()) as u64, Ordering::SeqCst);
}

#[test]
fn a_signal_that_a_task_raises_strikes_at_once_and_finds_its_thread_locals() {
    sys::handle(libc::SIGUSR1, on_raised);
    let raise = || {
        let here = MINE.with(|mine| ptr::from_ref(mine).addr()) as u64;
        RAISED_HERE.store(0, Ordering::SeqCst);
        // SAFETY: it is handled.
        assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
        assert_eq!(RAISED_HERE.load(Ordering::SeqCst), here);
    };
    if carries() {
        while_away(two_workers(), 50, raise);
    }
}

#[test]
fn a_lock_of_the_c_library_that_knows_its_owner_stays_its_owners() {
    if !carries() {
        return;
    }
    two_workers()
        .run(|| {
            let (ask, hear, _task) = exchange();
            // SAFETY: the lock is used as it is to be, by one thread, and stays where it is.
            unsafe {
                let mut kind = MaybeUninit::zeroed().assume_init();
                libc::pthread_mutexattr_init(&raw mut kind);
                libc::pthread_mutexattr_settype(&raw mut kind, libc::PTHREAD_MUTEX_RECURSIVE);
                let mut lock = MaybeUninit::<libc::pthread_mutex_t>::zeroed().assume_init();
                libc::pthread_mutex_init(&raw mut lock, &raw const kind);
                let mut kernel_threads = BTreeSet::new();
                let start = Instant::now();
                while kernel_threads.len() < 2 {
                    assert!(start.elapsed() < Duration::from_secs(60), "nothing was carried");
                    assert_eq!(libc::pthread_mutex_lock(&raw mut lock), 0);
                    ask.send(1).unwrap();
                    assert_eq!(hear.recv(), Ok(1));
                    kernel_threads.insert(kernel_thread());
                    assert_eq!(libc::pthread_mutex_trylock(&raw mut lock), 0);
                    assert_eq!(libc::pthread_mutex_unlock(&raw mut lock), 0);
                    assert_eq!(libc::pthread_mutex_unlock(&raw mut lock), 0);
                }
            }
        })
        .unwrap();
}

#[test]
fn a_task_that_is_carried_and_overflows_its_stack_is_named() {
    fn recurse(depth: u64) -> u64 {
        let frame = black_box([depth; 64]);
        if depth == u64::MAX { 0 } else { recurse(depth + 1) + frame[depth as usize % 64] }
    }
    if !carries() {
        return;
    }
    let name = "kernel::a_task_that_is_carried_and_overflows_its_stack_is_named";
    let ended = in_child(name, &[], || {
        while_away(two_workers(), 1, || {
            let deep = Builder::new().name("deep").spawn_local(|| {
                black_box(recurse(0));
            });
            deep.unwrap().join().unwrap();
        });
    });
    ended.assert_aborted();
    ended.assert_says("\ntask 'deep' has overflowed its stack\n");
}

fn vector_controls() -> u32 {
    let mut controls = 0_u32;
    // SAFETY: the word is stored.
    unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut controls, options(nostack)) };
    controls & !0x3f
}

fn set_vector_controls(controls: u32) {
    // SAFETY: the word is valid, and nothing here computes with fractions meanwhile.
    unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const controls, options(nostack)) };
}

#[test]
fn what_a_worker_has_set_for_computing_with_fractions_stays_there() {
    const FLUSH_TO_ZERO: u32 = 1 << 15;
    if !carries() {
        return;
    }
    let usual = vector_controls();
    two_workers()
        .run(|| {
            let (ask, requests) = bounded::<u64>(0);
            let (answers, hear) = bounded(0);
            let other = spawn_elsewhere(move || {
                for request in requests {
                    assert_eq!(vector_controls(), usual);
                    answers.send(request).unwrap();
                }
            });
            let (home, start) = (kernel_thread(), Instant::now());
            let mut is_away = false;
            set_vector_controls(usual | FLUSH_TO_ZERO);
            for n in 0.. {
                ask.send(n).unwrap();
                assert_eq!(hear.recv(), Ok(n));
                assert_eq!(vector_controls(), usual | FLUSH_TO_ZERO);
                is_away |= kernel_thread() != home;
                if n > 1_000 && is_away {
                    break;
                }
                assert!(start.elapsed() < Duration::from_secs(60), "nothing was carried");
            }
            set_vector_controls(usual);
            drop(ask);
            other.join().unwrap();
        })
        .unwrap();
}

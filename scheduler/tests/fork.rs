//! What a fork child can do: it has none of its parent's threads, and nothing that it calls may
//! wait for them.
#![cfg(not(lisle_loom))]

mod support;

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lisle_scheduler::internal::{Direction, Patience, Source};
use lisle_scheduler::park::Reason;
use lisle_scheduler::{Builder, Handle, Runtime, run, spawn, yield_now};
use support::sys::in_fork_child;
use support::{block_until, in_child};

#[test]
fn a_child_has_a_default_runtime_of_its_own() {
    let ended = in_child("a_child_has_a_default_runtime_of_its_own", &[], || {
        assert_eq!(spawn(|| 1).join().unwrap(), 1);
        for _ in 0..3 {
            let ended = in_fork_child(|| {
                assert_eq!(spawn(|| 2).join().unwrap(), 2);
                assert_eq!(spawn(|| 3).join().unwrap(), 3);
                // A child has children.
                assert!(in_fork_child(|| assert_eq!(spawn(|| 4).join().unwrap(), 4)).success());
            });
            assert!(ended.success(), "{ended}");
            assert_eq!(spawn(|| 5).join().unwrap(), 5, "the parent's lives on");
        }
    });
    ended.assert_success();
}

#[test]
fn a_runtime_of_the_parent_is_an_error_in_the_child() {
    let ended = in_child("a_runtime_of_the_parent_is_an_error_in_the_child", &[], || {
        let started = Runtime::builder().workers(2).start().unwrap();
        started.spawn(|| ()).join().unwrap();
        let ended = in_fork_child(|| {
            let error = Builder::new().spawn_on(started.handle(), || ()).unwrap_err();
            assert!(
                error.to_string().starts_with("this runtime was started before the process forked")
            );
            let fresh = Runtime::builder().workers(2).start().unwrap();
            assert_eq!(fresh.spawn(|| 7).join().unwrap(), 7);
            // There is nothing to wait for.
            started.shutdown_timeout(Duration::MAX).unwrap();
        });
        assert!(ended.success(), "{ended}");
    });
    ended.assert_success();
}

/// The child goes on as the task that has forked, and with nothing else of its runtime.
#[test]
fn a_task_may_fork() {
    let ended = in_child("a_task_may_fork", &[], || {
        let main = || {
            // A second thread has a part in it.
            let (up, down) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
            let (set, clear) = (up.clone(), down.clone());
            let task = spawn(move || {
                set.store(true, Ordering::Release);
                block_until(|| clear.load(Ordering::Acquire));
            });
            block_until(|| up.load(Ordering::Acquire));
            let ended = in_fork_child(|| {
                let error = Builder::new().spawn(|| ()).unwrap_err();
                assert!(error.to_string().contains("before the process forked"), "{error}");
                let thread = thread::spawn(|| spawn(|| 8).join().unwrap());
                assert_eq!(thread.join().unwrap(), 8, "on the default runtime");
            });
            down.store(true, Ordering::Release);
            task.join().unwrap();
            assert!(ended.success(), "{ended}");
        };
        Runtime::builder().workers(2).run(main).unwrap();
        let ended = in_fork_child(|| assert_eq!(run(|| spawn(|| 9).join().unwrap()), 9));
        assert!(ended.success(), "{ended}");
    });
    ended.assert_success();
}

/// The child waits for what its parent has registered, and takes nothing away from it.
#[test]
fn a_descriptor_of_the_parent_is_waited_for_in_the_child() {
    let ended = in_child("a_descriptor_of_the_parent_is_waited_for_in_the_child", &[], || {
        let pair = || {
            let (ours, theirs) = UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            (Arc::new(Source::new(ours)), theirs)
        };
        let ((shared, mut far), (dropped, mut dropped_far), (awaited, mut awaited_far)) =
            (pair(), pair(), pair());
        run(|| {
            let soon = || Some(Instant::now() + Duration::from_micros(100));
            for source in [&shared, &dropped, &awaited] {
                assert_eq!(read(source, soon()).unwrap_err().kind(), io::ErrorKind::TimedOut);
            }
            // This one waits on a stack that the child does not have.
            let waiter = spawn({
                let awaited = awaited.clone();
                move || read(&awaited, None)
            });
            yield_now();
            let mut dropped = Some(dropped);
            let ended = in_fork_child(|| {
                drop(dropped.take());
                let error = read(&shared, soon()).unwrap_err();
                assert!(error.to_string().contains("before the process forked"), "{error}");
                let (shared, awaited, mut far) = (shared.clone(), awaited.clone(), &far);
                // All on a plain thread: this one would hear by the parent's epoll.
                let wait_anew = || {
                    let runs = Arc::new(AtomicBool::new(false));
                    let set = runs.clone();
                    // Twice: what waits again asks for the registration.
                    let task = spawn(move || {
                        set.store(true, Ordering::Release);
                        [(); 2].map(|()| read(&shared, None).unwrap())
                    });
                    assert_eq!(read(&awaited, soon()).unwrap_err().kind(), io::ErrorKind::TimedOut);
                    awaited.close();
                    block_until(|| runs.load(Ordering::Acquire));
                    for byte in [1, 2] {
                        thread::sleep(Duration::from_millis(2)); // the task waits by now
                        far.write_all(&[byte]).unwrap();
                    }
                    assert_eq!(task.join().unwrap(), [1, 2]);
                };
                thread::scope(|scope| scope.spawn(wait_anew).join().unwrap());
            });
            assert!(ended.success(), "{ended}");
            // They are still registered.
            let dropped = dropped.expect("the child's was another");
            for (source, far) in [(shared, &mut far), (dropped, &mut dropped_far)] {
                let task = spawn(move || read(&source, None).unwrap());
                yield_now();
                far.write_all(&[3]).unwrap();
                assert_eq!(task.join().unwrap(), 3);
            }
            awaited_far.write_all(&[4]).unwrap();
            assert_eq!(waiter.join().unwrap().unwrap(), 4);
        });
    });
    ended.assert_success();
}

fn read(source: &Source<UnixStream>, deadline: Option<Instant>) -> io::Result<u8> {
    const READING: Reason = Reason::new("reading from a test's socket");
    let patience = || deadline.map_or(Patience::Endless, Patience::Until);
    let mut byte = [0];
    source.attempt(Direction::Read, READING, patience, |mut stream| stream.read(&mut byte))?;
    Ok(byte[0])
}

/// In the child, a handle to what its parent runs, or has run, spawns nothing.
fn assert_refuses(handle: &Handle) {
    for _ in 0..2 {
        let shared = Arc::new(());
        let theirs = shared.clone();
        let error = handle.spawn(move || drop(theirs)).unwrap_err();
        assert!(error.to_string().contains("before the process forked"), "{error}");
        assert_eq!(Arc::strong_count(&shared), 1, "the closure is dropped");
    }
    assert!(!handle.metrics().workers().is_empty(), "what they had done until the fork");
}

#[test]
fn a_handle_to_a_run_is_an_error_in_the_child_of_its_task() {
    let ended = in_child("a_handle_to_a_run_is_an_error_in_the_child_of_its_task", &[], || {
        let handle = run(|| {
            let handle = Handle::current().unwrap();
            let ended = in_fork_child(|| assert_refuses(&handle));
            assert!(ended.success(), "{ended}");
            assert_eq!(handle.spawn(|| 1).unwrap().join().unwrap(), 1, "as before");
            handle
        });
        let ended = in_fork_child(|| {
            assert_refuses(&handle);
            assert_eq!(run(|| spawn(|| 2).join().unwrap()), 2);
        });
        assert!(ended.success(), "the run has ended, too: {ended}");
    });
    ended.assert_success();
}

/// Threads spawn, so that a lock may be held when the process forks.
#[test]
fn a_handle_to_a_run_is_an_error_in_the_child_of_another_thread() {
    let name = "a_handle_to_a_run_is_an_error_in_the_child_of_another_thread";
    let ended = in_child(name, &[], || {
        run(|| {
            let over = Arc::new(AtomicBool::new(false));
            let threads: [_; 2] = std::array::from_fn(|_| {
                let (handle, over) = (Handle::current().unwrap(), over.clone());
                thread::spawn(move || {
                    while !over.load(Ordering::Acquire) {
                        handle.spawn(|| ()).unwrap().join().unwrap();
                    }
                })
            });
            let handle = Handle::current().unwrap();
            let forker = spawn(move || {
                thread::spawn(move || {
                    for _ in 0..20 {
                        let ended = in_fork_child(|| assert_refuses(&handle));
                        assert!(ended.success(), "{ended}");
                    }
                })
            });
            let forker = forker.join().unwrap();
            while !forker.is_finished() {
                yield_now();
            }
            over.store(true, Ordering::Release);
            while !threads.iter().all(|thread| thread.is_finished()) {
                yield_now();
            }
            forker.join().unwrap();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    });
    ended.assert_success();
}

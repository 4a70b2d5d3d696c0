//! What a fork child finds: the stack it runs on, no other one, and a pool that works.
#![cfg(target_env = "gnu")]

mod support;

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};

use lisle_runtime::stack::{GuardKind, Stack, StackCache, StackSize};
use lisle_runtime::{Coroutine, CoroutineState};
use support::stack::{in_child, run_on, writable};

/// A stack on which the forking code does not run.
static OTHER: AtomicPtr<Stack> = AtomicPtr::new(ptr::null_mut());
static CACHE: AtomicPtr<StackCache> = AtomicPtr::new(ptr::null_mut());
static CHILD_SAID: AtomicI32 = AtomicI32::new(-1);

/// What the child has found, as an exit code: zero if all is well. It must not panic, since the
/// harness around it belongs to the parent.
fn examine() -> i32 {
    // SAFETY: the child has a copy of the variable; it drops that, and the parent its own.
    let other = unsafe { OTHER.load(Ordering::Relaxed).read() };
    if writable(other.top().addr() - 16) {
        return 1;
    }
    let Ok(new) = Stack::allocate(StackSize::DEFAULT) else {
        return 2;
    };
    if !writable(new.top().addr() - 16) || writable(new.guard().start) {
        return 3;
    }
    // The cache of the parent may use up its promises here, but gets no new ones.
    // SAFETY: the test keeps the cache alive and does not use it at the same time.
    let inherited = unsafe { &mut *CACHE.load(Ordering::Relaxed) };
    if (0..100_000).all(|_| inherited.reserve().is_ok()) {
        return 4;
    }
    // Returning stacks that are gone must not put them into the pool, nor touch what now lies at
    // their addresses.
    // SAFETY: a byte of a stack that this process has just got.
    unsafe { new.bottom().write(9) };
    drop(other);
    *inherited = StackCache::new(StackSize::DEFAULT);
    // SAFETY: as above.
    if unsafe { new.bottom().read() } != 9 {
        return 5;
    }
    match Stack::allocate(StackSize::DEFAULT) {
        Ok(second) if second.guard() != new.guard() && !writable(second.guard().start) => 0,
        _ => 6,
    }
}

extern "C" fn fork_and_wait() {
    // SAFETY: the child uses memory of its own and ends with `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let code = examine();
        // SAFETY: ends the child without the parent's exit handlers.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: waits for the child made above.
    unsafe { libc::waitpid(child, &mut status, 0) };
    let code = if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else {
        1000 + libc::WTERMSIG(status)
    };
    CHILD_SAID.store(code, Ordering::Relaxed);
}

fn fork_twice() {
    let mut cache = StackCache::new(StackSize::DEFAULT);
    for _ in 0..3 {
        cache.reserve().unwrap();
    }
    let ours = cache.take().unwrap();
    let mut other = cache.take().unwrap();
    cache.put(Stack::allocate(StackSize::DEFAULT).unwrap());
    OTHER.store(&mut other, Ordering::Relaxed);
    CACHE.store(&mut cache, Ordering::Relaxed);

    fork_and_wait();
    assert_eq!(CHILD_SAID.swap(-1, Ordering::Relaxed), 0, "on a thread's stack");
    for _ in 0..2 {
        run_on(&ours, fork_and_wait);
        assert_eq!(CHILD_SAID.swap(-1, Ordering::Relaxed), 0, "on our stack");
    }
    // The parent has lost nothing.
    for stack in [&ours, &other] {
        assert!(writable(stack.top().addr() - 16) && !writable(stack.guard().start));
    }
    cache.take().unwrap();
}

#[test]
fn a_child_runs_on_and_starts_afresh() {
    in_child("a_child_runs_on_and_starts_afresh", &[], || {
        println!("guards: {:?}", GuardKind::of_process().unwrap());
        fork_twice();
    })
    .assert_success();
}

#[test]
fn a_child_runs_on_with_mprotect_guards_too() {
    let name = "a_child_runs_on_with_mprotect_guards_too";
    in_child(name, &[("LISLE_STACK_GUARD", "mprotect")], fork_twice).assert_success();
}

/// Makes and ends some coroutines, which leaves their stacks with the thread.
fn use_coroutines() {
    let adder = || Coroutine::<u32, (), u32>::new(|_, n| n + 1);
    let some: Vec<_> = (0..10).map(|_| adder()).collect();
    assert!(some.iter().all(|one| one.resume(1) == CoroutineState::Returned(2)));
}

/// The thread's spare stacks stay behind, and the child gets new ones, if it wants some. It ends by
/// way of the destructors of its thread-locals.
#[test]
fn a_child_runs_on_with_coroutines_of_its_own() {
    in_child("a_child_runs_on_with_coroutines_of_its_own", &[], || {
        for used_by_child in [false, true] {
            use_coroutines();
            // SAFETY: the process has one thread that does anything.
            let child = unsafe { libc::fork() };
            if child == 0 {
                if used_by_child {
                    use_coroutines();
                }
                // SAFETY: it has no exit handlers but those of the C library.
                unsafe { libc::exit(0) };
            }
            let mut status = -1;
            // SAFETY: waits for the child made above.
            unsafe { libc::waitpid(child, &mut status, 0) };
            assert_eq!(status, 0, "the child has ended in good order");
        }
        use_coroutines();
    })
    .assert_success();
}

/// As when a channel's waiter lies there.
#[test]
fn a_child_that_touches_a_stack_of_its_parent_is_told() {
    let ended = in_child("a_child_that_touches_a_stack_of_its_parent_is_told", &[], || {
        let stack = Stack::allocate(StackSize::DEFAULT).unwrap();
        let place = stack.top().cast::<u8>().wrapping_sub(64);
        // SAFETY: the process has one thread that does anything.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: nothing runs on the stack. In the child there is nothing at all.
            unsafe { place.write_volatile(1) };
            // SAFETY: ends the child without the parent's exit handlers.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: waits for the child made above.
        unsafe { libc::waitpid(child, &mut status, 0) };
        assert!(libc::WIFSIGNALED(status), "{status:#x}");
        assert_eq!(libc::WTERMSIG(status), libc::SIGABRT);
    });
    ended.assert_success();
    let said = "\nthis process, a fork child, needs the stack of a task of its parent, which it";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

/// Another thread may be in the middle of it.
#[test]
fn a_child_can_make_stacks_whatever_the_other_threads_did() {
    const SIZE: usize = 64 << 10;
    let name = "a_child_can_make_stacks_whatever_the_other_threads_did";
    in_child(name, &[], || {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    drop(Stack::allocate(StackSize::new(SIZE)).unwrap());
                }
            });
            let _done = SetOnDrop(&done);
            for _ in 0..200 {
                // SAFETY: the child uses memory of its own and ends with `_exit`, or by the alarm.
                let child = unsafe { libc::fork() };
                if child == 0 {
                    // SAFETY: these calls are allowed in any child.
                    unsafe {
                        libc::alarm(30);
                        libc::_exit(i32::from(Stack::allocate(StackSize::new(SIZE)).is_err()));
                    }
                }
                let mut status = 0;
                // SAFETY: waits for the child made above.
                unsafe { libc::waitpid(child, &mut status, 0) };
                assert_eq!(status, 0);
            }
        });
    })
    .assert_success();
}

/// Also if an assertion fails: the scope waits for a thread that watches the flag.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

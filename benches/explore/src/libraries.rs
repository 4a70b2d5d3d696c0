//! The names that the programs use, by library.

/// Lisle.
pub mod with_lisle {
    use lisle::channel::unbounded as channel;
    use lisle::explore::atomic::AtomicUsize;
    use lisle::sync::{Condvar, Mutex, MutexGuard};
    use lisle::spawn;
    use lisle::task::JoinHandle;

    fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock()
    }

    fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
        mutex.try_lock()
    }

    fn wait<'a, T>(condvar: &Condvar, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        condvar.wait(&mut guard);
        guard
    }

    crate::programs!();
}

/// shuttle.
pub mod with_shuttle {
    use shuttle::sync::atomic::AtomicUsize;
    use shuttle::sync::mpsc::channel;
    use shuttle::sync::{Condvar, Mutex, MutexGuard};
    use shuttle::thread::{JoinHandle, spawn};

    fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }

    fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
        mutex.try_lock().ok()
    }

    fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        condvar.wait(guard).unwrap()
    }

    crate::programs!();
}

/// loom.
pub mod with_loom {
    use loom::sync::atomic::AtomicUsize;
    use loom::sync::mpsc::channel;
    use loom::sync::{Condvar, Mutex, MutexGuard};
    use loom::thread::{JoinHandle, spawn};

    fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }

    fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
        mutex.try_lock().ok()
    }

    fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        condvar.wait(guard).unwrap()
    }

    crate::programs!();
}

//! Loom models of the lock. The parties are plain threads; a time-out stands for a cancellation
//! too, since both leave by `leave_queue`.

use std::time::Instant;

use lisle_runtime::internal::primitive::Arc;

use super::{RawRwLock, Reading, Writing};
use crate::models::{Number, here, in_a_thread};

/// A number that writers change and readers read.
struct Guarded {
    lock: RawRwLock,
    number: Number,
}

impl Guarded {
    fn new() -> Arc<Self> {
        Arc::new(Self { lock: RawRwLock::new(), number: Number::new(0) })
    }

    fn write(&self) {
        self.lock.lock::<Writing>(here());
        self.number.add(1);
        // SAFETY: the lock is held.
        unsafe { self.lock.unlock_exclusive() };
    }

    fn read(&self) -> u32 {
        self.lock.lock::<Reading>(here());
        self.look_and_unlock()
    }

    fn look_and_unlock(&self) -> u32 {
        let number = self.number.get();
        // SAFETY: the lock is held.
        unsafe { self.lock.unlock_shared() };
        number
    }

    /// The lock is free, and nobody waits.
    fn end(&self) {
        assert_eq!(self.lock.state.load(std::sync::atomic::Ordering::Relaxed), 0);
        assert_eq!(self.lock.waiting.lock().reader_count, 0);
    }
}

/// A writer, two readers: nobody waits for ever, and no accesses overlap.
///
/// Seen to fail: with a Relaxed `take`, or Relaxed releases of either kind, accesses to the number
/// overlap; with a `leave_to_waiting` that forgets the readers, or an `enter_queue` that does not
/// look whether the party may have the lock by now, loom reports a deadlock.
#[test]
fn model_of_readers_against_a_writer() {
    loom::model(|| {
        let guarded = Guarded::new();
        let readers = [(); 2].map(|()| in_a_thread(&guarded, Guarded::read));
        guarded.write();
        for reader in readers {
            assert!(reader.join().unwrap() <= 1);
        }
        guarded.end();
    });
}

/// Two writers and a reader.
///
/// Seen to fail: with a `leave_to_writer` that does nothing, loom reports a deadlock.
#[test]
fn model_of_writers_against_a_reader() {
    loom::model(|| {
        let guarded = Guarded::new();
        let writer = in_a_thread(&guarded, Guarded::write);
        let reader = in_a_thread(&guarded, Guarded::read);
        guarded.write();
        writer.join().unwrap();
        assert!(reader.join().unwrap() <= 2);
        guarded.end();
    });
}

/// A writer gives up behind a reader, while another reader comes, which may wait for the writer
/// alone.
///
/// Seen to fail: with a `leave_queue` that leaves the readers where they are, loom reports a
/// deadlock.
#[test]
fn model_of_a_writer_that_gives_up() {
    loom::model(|| {
        let guarded = Guarded::new();
        guarded.lock.lock::<Reading>(here());
        let reader = in_a_thread(&guarded, Guarded::read);
        let deadline = || Some(Instant::now());
        assert!(!guarded.lock.lock_until::<Writing>(deadline, here()));
        assert_eq!(reader.join().unwrap(), 0); // although the first reader is still there
        guarded.look_and_unlock();
        guarded.end();
    });
}

/// The last reader leaves the lock to a writer that gives up at this moment. Both write then.
///
/// Seen to fail: with a `leave_to_writer` that does not look at the state again, accesses to the
/// number overlap.
#[test]
fn model_of_a_writer_that_gives_up_what_it_is_to_get() {
    loom::model(|| {
        let guarded = Guarded::new();
        guarded.lock.lock::<Reading>(here());
        let reader = in_a_thread(&guarded, |guarded| {
            guarded.look_and_unlock();
            guarded.write();
        });
        let deadline = || Some(Instant::now());
        if guarded.lock.lock_until::<Writing>(deadline, here()) {
            // SAFETY: the lock is held.
            unsafe { guarded.lock.unlock_exclusive() };
        }
        guarded.write();
        reader.join().unwrap();
        guarded.end();
    });
}

/// A writer becomes a reader while a reader and a writer come.
///
/// Seen to fail: with a `downgrade` that forgets the readers that wait, loom reports a deadlock;
/// with a `leave_to_writer` that loads the state Relaxed, accesses to the number overlap.
#[test]
fn model_of_a_downgrade() {
    loom::model(|| {
        let guarded = Guarded::new();
        guarded.lock.lock::<Writing>(here());
        let reader = in_a_thread(&guarded, Guarded::read);
        let writer = in_a_thread(&guarded, Guarded::write);
        guarded.number.add(1);
        // SAFETY: the lock is held.
        unsafe { guarded.lock.downgrade() };
        assert_eq!(guarded.look_and_unlock(), 1);
        assert!(reader.join().unwrap() >= 1);
        writer.join().unwrap();
        guarded.end();
    });
}

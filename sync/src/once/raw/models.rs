//! Loom models. The parties are plain threads.

use lisle_runtime::internal::primitive::Arc;
use lisle_scheduler::park::Wake;

use super::RawOnce;
use crate::models::{Number, here, in_a_thread};

/// A number that its initialiser writes, and that is read from then on.
struct Lazy {
    once: RawOnce,
    number: Number,
}

impl Lazy {
    fn new() -> Arc<Self> {
        Arc::new(Self { once: RawOnce::new(), number: Number::new(0) })
    }

    /// The number, which one initialiser has made, perhaps this one.
    fn get(&self) -> u32 {
        if !self.once.is_done()
            && let Some(initialising) = self.once.begin("number", here())
        {
            self.number.add(1);
            initialising.finish();
        }
        self.number.get()
    }
}

/// All want the number. It is made once, and all see it.
///
/// Seen to fail: with a Relaxed load in `is_done` or a Relaxed store in `finish`, accesses to the
/// number overlap; with an `inherit` that does not look at the state again, loom reports a
/// deadlock.
#[test]
fn model_of_initialisers_against_each_other() {
    loom::model(|| {
        let lazy = Lazy::new();
        let others = [(); 2].map(|()| in_a_thread(&lazy, Lazy::get));
        assert_eq!(lazy.get(), 1);
        for other in others {
            assert_eq!(other.join().unwrap(), 1);
        }
    });
}

/// One that has begun is unwound, while another one wants the number, and a third one waits for it.
///
/// Seen to fail: with a drop that wakes the heir without leaving it its turn, or an `inherit` that
/// takes EMPTY for DONE, the number is 0; with one that forgets the heir, or a `wait` that does not
/// look again, loom reports a deadlock.
#[test]
fn model_of_an_initialiser_that_is_unwound() {
    loom::model(|| {
        let lazy = Lazy::new();
        let failing = lazy.once.begin("number", here());
        let heir = in_a_thread(&lazy, Lazy::get);
        let waiting = in_a_thread(&lazy, |lazy| {
            assert_eq!(lazy.once.wait(None, here()), Wake::Unparked);
            lazy.number.get()
        });
        drop(failing);
        assert_eq!(heir.join().unwrap(), 1);
        assert_eq!(waiting.join().unwrap(), 1);
    });
}

//! A ring that is copied while it is written.

use loom::sync::Arc;
use loom::thread;

use super::{Copied, Ring};

/// Writes events one after the other, the first of which has the number `from`. The words of each
/// are alike, and are never those of a slot that was not written.
fn write(ring: &Ring, from: u64, events: u64) {
    (from..from + events).for_each(|n| ring.write([n + 1; 4]));
}

/// Asserts that all are whole, and those that were written one after the other, as the numbers of
/// the lost ones say.
fn assert_whole(copied: Copied) {
    for (words, number) in copied.events.iter().zip(copied.lost..) {
        assert_eq!(words, &[number + 1; 4], "a copy has a part of another event");
    }
}

/// The writer overwrites what the reader copies. Seen to fail without either of the fences, when
/// the count is written or read without an ordering, and when the reader does not leave out the
/// event that may be about to be overwritten.
///
/// The reader is the new thread: loom then also has it begin after some of the events. It looks for
/// another order at the last access to a word, and the writer reads the count before it writes it.
#[test]
fn a_copy_has_whole_events_only() {
    loom::model(|| {
        let ring = Arc::new(Ring::of(2));
        write(&ring, 0, 2);
        let reader = {
            let ring = ring.clone();
            thread::spawn(move || assert_whole(ring.copy()))
        };
        write(&ring, 2, 2);
        reader.join().unwrap();
        let copied = ring.copy();
        assert_eq!((copied.events.len(), copied.lost), (1, 3));
        assert_whole(copied);
    });
}

use super::*;
use crate::primitive::{Arc, atomic};

impl_word!(atomic::AtomicUsize);

/// A region is given back and its entry used for another one, while a handler looks: it finds
/// one of the two as they are, or nothing, and no mixture.
///
/// Seen to fail: without the second look at the version; when `start` or `guard` is stored
/// Relaxed in `replace`, or `start` is loaded Relaxed in `read`. A version that arrives before
/// the region, which its Release and Acquire exclude, is not among what loom shows.
#[test]
fn a_reader_never_mixes_two_regions() {
    const OLD: Region = Region { start: 0x1000, length: 0x1000, stride: 0x400, guard: 0x40 };
    const NEW: Region = Region { start: 0x8000, length: 0x8000, stride: 0x800, guard: 0x80 };
    loom::model(|| {
        let entry: Arc<Entry<atomic::AtomicUsize>> = Arc::new(Entry::new(OLD));
        let writer = loom::thread::spawn({
            let entry = entry.clone();
            move || {
                entry.replace(Region::NONE);
                entry.replace(NEW);
            }
        });
        if let Some(region) = entry.read() {
            assert!([OLD, Region::NONE, NEW].contains(&region), "{region:?}");
        }
        writer.join().unwrap();
        assert_eq!(entry.read(), Some(NEW));
    });
}

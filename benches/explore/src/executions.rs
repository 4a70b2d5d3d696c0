//! How many executions there were.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Where the count is kept, too: in a process that its program may abort.
pub static FILE: OnceLock<File> = OnceLock::new();

/// An execution begins.
pub fn note() {
    let count = COUNT.fetch_add(1, Relaxed) + 1;
    if let Some(file) = FILE.get() {
        file.write_all_at(&count.to_le_bytes(), 0).expect("the count can be kept");
    }
}

/// How many there were since the last call.
pub fn take() -> u64 {
    COUNT.swap(0, Relaxed)
}

//! What a debugger reads, and the script `lisle-gdb.py`: where the control blocks are, and what is
//! where in them. A program that is built for release does not say that otherwise.
//!
//! All control blocks of the process are in chunks that stay, so that these are the list of all
//! tasks, whatever their state; a block without a task has the number 0. The script goes by the
//! names of the entries, and finds the [`View`] by its section, which is there also when a program
//! was stripped.

use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

use lisle_runtime::internal::STACK_LAYOUT;
use lisle_runtime::switch;

use crate::park::Place;
use crate::task::{self, CHUNK, Control};
use crate::worker;

/// A fact that the script wants to know, most often the place of a field.
#[repr(C)]
pub(crate) struct Entry {
    name: Text,
    value: usize,
}

#[repr(C)]
struct Text {
    start: *const u8,
    length: usize,
}

// SAFETY: it is the address of a text that stays and does not change.
unsafe impl Sync for Text {}

impl Entry {
    pub(crate) const fn new(name: &'static str, value: usize) -> Self {
        Self { name: Text::new(name), value }
    }
}

impl Text {
    const fn new(text: &'static str) -> Self {
        Self { start: text.as_ptr(), length: text.len() }
    }
}

/// What the script begins with.
#[repr(C)]
struct View {
    marker: [u8; 8],
    /// The newest chunk.
    chunks: AtomicPtr<Chunk>,
    tables: [Table; 3],
    /// How a suspended task is continued.
    switch: Text,
    /// A place, and what it says: the script finds out how places are laid out.
    sample: Place,
    sample_file: Text,
    sample_line: u32,
    sample_column: u32,
}

#[repr(C)]
struct Table {
    start: *const Entry,
    length: usize,
}

// SAFETY: it is the address of entries that stay and do not change.
unsafe impl Sync for Table {}

impl Table {
    const fn new(entries: &'static [Entry]) -> Self {
        Self { start: entries.as_ptr(), length: entries.len() }
    }
}

const SAMPLE: Place = Location::caller();

static OWN: [Entry; 3] = [
    Entry::new("chunk.blocks", CHUNK),
    Entry::new("stack.bottom", STACK_LAYOUT[0]),
    Entry::new("stack.size", STACK_LAYOUT[1]),
];

#[used]
#[unsafe(link_section = "lisle_view")]
static VIEW: View = View {
    marker: *b"lisle 1\0",
    chunks: AtomicPtr::new(ptr::null_mut()),
    tables: [Table::new(&OWN), Table::new(&task::LAYOUT), Table::new(&worker::LAYOUT)],
    switch: Text::new(switch::BACKEND),
    sample: SAMPLE,
    sample_file: Text::new(SAMPLE.file()),
    sample_line: SAMPLE.line(),
    sample_column: SAMPLE.column(),
};

/// One more array of control blocks, in all of which the number is 0.
#[repr(C)]
struct Chunk {
    next: *mut Chunk,
    blocks: NonNull<Control>,
}

/// Has debuggers look into a new array of control blocks, which stays.
pub(crate) fn show_chunk(blocks: NonNull<Control>) {
    let chunks = &VIEW.chunks;
    let chunk = Box::leak(Box::new(Chunk { next: chunks.load(Ordering::Relaxed), blocks }));
    let publish = |next, chunk| {
        chunks.compare_exchange_weak(next, chunk, Ordering::Release, Ordering::Relaxed)
    };
    while let Err(next) = publish(chunk.next, chunk) {
        chunk.next = next;
    }
}

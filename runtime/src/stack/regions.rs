//! The list of all regions, by which a signal handler finds the stack that an address belongs to.
//!
//! It is read without a lock, at any time, while other threads map regions and give them back. So
//! an entry is never freed and never taken out of the list: it is emptied before its region is
//! unmapped, and describes another region later. A *version* that is odd during a change, and
//! another one afterwards, tells a reader that it may have mixed up two regions. It then passes the
//! entry over: its address lies on a stack in use, and the region of such a stack does not change.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::fork::generation;

/// Address space that is cut into rooms of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub start: usize,
    pub length: usize,
    /// How far apart the rooms lie.
    pub stride: usize,
    /// How much of each is the guard.
    pub guard: usize,
}

impl Region {
    const NONE: Self = Self { start: 0, length: 0, stride: 0, guard: 0 };

    fn room_at(self, address: usize) -> Option<Room> {
        let offset = address.wrapping_sub(self.start);
        (offset < self.length).then(|| {
            let start = address - offset % self.stride;
            Room { start, bottom: start + self.guard, top: start + self.stride }
        })
    }
}

/// The room for one stack, found by an address in it: its guard, and above `bottom` what can be
/// used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub start: usize,
    pub bottom: usize,
    pub top: usize,
}

impl Room {
    pub(super) fn guards(self, address: usize) -> bool {
        (self.start..self.bottom).contains(&address)
    }
}

/// What an entry is made of: an atomic integer of std's or, in a model, of loom's.
trait Word {
    fn new(value: usize) -> Self;
    fn get(&self, ordering: Ordering) -> usize;
    fn set(&self, value: usize, ordering: Ordering);
}

macro_rules! impl_word {
    ($atomic:ty) => {
        impl Word for $atomic {
            fn new(value: usize) -> Self {
                Self::new(value)
            }

            fn get(&self, ordering: Ordering) -> usize {
                self.load(ordering)
            }

            fn set(&self, value: usize, ordering: Ordering) {
                self.store(value, ordering);
            }
        }
    };
}

impl_word!(AtomicUsize);

/// A region that may be replaced, by one thread at a time, while others read it.
struct Entry<W> {
    version: W,
    start: W,
    length: W,
    stride: W,
    guard: W,
}

impl<W: Word> Entry<W> {
    fn new(region: Region) -> Self {
        Self {
            version: W::new(0),
            start: W::new(region.start),
            length: W::new(region.length),
            stride: W::new(region.stride),
            guard: W::new(region.guard),
        }
    }

    /// Replaces the region. Writers take turns.
    fn replace(&self, region: Region) {
        let version = self.version.get(Ordering::Relaxed);
        self.version.set(version + 1, Ordering::Relaxed);
        // Release: a reader that finds one of these finds the odd version, or a later one, after
        // it.
        self.start.set(region.start, Ordering::Release);
        self.length.set(region.length, Ordering::Release);
        self.stride.set(region.stride, Ordering::Release);
        self.guard.set(region.guard, Ordering::Release);
        // Release: a reader that finds this version first finds all of the above.
        self.version.set(version + 2, Ordering::Release);
    }

    /// The region, unless it is being replaced.
    fn read(&self) -> Option<Region> {
        let version = self.version.get(Ordering::Acquire);
        let region = Region {
            start: self.start.get(Ordering::Acquire),
            length: self.length.get(Ordering::Acquire),
            stride: self.stride.get(Ordering::Acquire),
            guard: self.guard.get(Ordering::Acquire),
        };
        let unchanged = self.version.get(Ordering::Relaxed) == version;
        (unchanged && version.is_multiple_of(2)).then_some(region)
    }
}

/// An entry of the list. Never freed.
struct Node {
    entry: Entry<AtomicUsize>,
    /// The process in which the region was mapped. A fork child does not have it.
    generation: u32,
    next: *const Node,
}

static HEAD: AtomicPtr<Node> = AtomicPtr::new(ptr::null_mut());

/// Held while the list is changed.
pub(super) static CHANGES: Mutex<()> = Mutex::new(());

/// All nodes, the newest first, with those of the process's ancestors.
fn nodes() -> impl Iterator<Item = &'static Node> {
    let mut next: *const Node = HEAD.load(Ordering::Acquire);
    std::iter::from_fn(move || {
        // SAFETY: nodes are never freed, and the acquiring load of the head makes this one and all
        // older ones visible.
        let node = unsafe { next.as_ref() }?;
        next = node.next;
        Some(node)
    })
}

/// The entries of this process.
fn entries() -> impl Iterator<Item = &'static Entry<AtomicUsize>> {
    let own = generation();
    nodes().take_while(move |node| node.generation == own).map(|node| &node.entry)
}

/// Lists a region, before any of its stacks is handed out.
pub(super) fn register(region: Region) {
    let _turn = CHANGES.lock();
    match entries().find(|entry| entry.read() == Some(Region::NONE)) {
        Some(entry) => entry.replace(region),
        None => {
            let node = Box::new(Node {
                entry: Entry::new(region),
                generation: generation(),
                next: HEAD.load(Ordering::Relaxed),
            });
            // Release: a thread that sees the node sees its fields.
            HEAD.store(Box::leak(node), Ordering::Release);
        }
    }
}

/// Takes a region off the list, before it is unmapped, when none of its stacks is in use.
pub(super) fn unregister(start: usize) {
    let _turn = CHANGES.lock();
    let mine = |entry: &&Entry<_>| entry.read().is_some_and(|region| region.start == start);
    entries().find(mine).expect("the region is listed").replace(Region::NONE);
}

/// The room that `address` lies in, if it lies in any. Takes no lock and allocates nothing.
pub(super) fn locate(address: usize) -> Option<Room> {
    entries().find_map(|entry| entry.read()?.room_at(address))
}

/// The room of an ancestor of this fork child that `address` lay in.
pub(super) fn locate_lost(address: usize) -> Option<Room> {
    let own = generation();
    let lost = nodes().skip_while(|node| node.generation == own);
    lost.filter_map(|node| node.entry.read()?.room_at(address)).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: usize = 0x10_0000;
    const FIRST: Region = Region { start: AT, length: 0x4000, stride: 0x1000, guard: 0x100 };

    #[test]
    fn an_address_is_in_the_room_that_begins_below_it() {
        for (address, room) in [(AT, AT), (AT + 0xfff, AT), (AT + 0x3fff, AT + 0x3000)] {
            let found = FIRST.room_at(address).unwrap();
            assert_eq!(found, Room { start: room, bottom: room + 0x100, top: room + 0x1000 });
            assert_eq!(found.guards(address), address == AT);
        }
        assert_eq!(FIRST.room_at(AT - 1), None);
        assert_eq!(FIRST.room_at(AT + 0x4000), None);
        assert_eq!(Region::NONE.room_at(0), None);
    }

    #[test]
    fn an_entry_that_is_being_replaced_is_passed_over() {
        let entry: Entry<AtomicUsize> = Entry::new(FIRST);
        assert_eq!(entry.read(), Some(FIRST));
        entry.version.set(1, Ordering::Relaxed);
        assert_eq!(entry.read(), None);
        entry.version.set(2, Ordering::Relaxed);
        entry.replace(Region::NONE);
        assert_eq!(entry.read(), Some(Region::NONE));
    }
}

#[cfg(all(test, lisle_loom))]
mod models;

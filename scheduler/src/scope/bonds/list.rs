//! The memory of bonds: chunks, in which a free place is used again.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr::{self, NonNull};

use lisle_runtime::internal::primitive::cell::UnsafeCell;

use super::Bonds;
use crate::task::Control;

/// What a task knows of its scope. It lies in the scope's memory.
pub(crate) struct Bond {
    bonds: NonNull<Bonds>,
    entry: UnsafeCell<Entry>,
    /// Whether it is in the list of the scope's home.
    is_near: bool,
}

/// A task that can be cancelled or, if the lowest bit of the address is set, the next free bond,
/// which may be null.
#[derive(Clone, Copy)]
struct Entry(*mut ());

const IS_FREE: usize = 1;

const _: () = assert!(align_of::<Control>() > IS_FREE && align_of::<Bond>() > IS_FREE);

impl Bond {
    /// The bonds, and whether they have this one in the list of the home.
    ///
    /// # Safety
    ///
    /// The scope is there.
    #[inline]
    pub(super) unsafe fn owner(this: NonNull<Self>) -> (NonNull<Bonds>, bool) {
        // SAFETY: the caller's promise; neither field changes.
        unsafe { (this.as_ref().bonds, this.as_ref().is_near) }
    }

    /// Takes the task out, and puts the place on top of the free ones.
    ///
    /// # Safety
    ///
    /// The scope is there, and nobody else uses the entry meanwhile.
    #[inline]
    pub(super) unsafe fn vacate(this: NonNull<Self>, free: &mut Option<NonNull<Self>>) {
        let vacant = Entry::free(free.replace(this));
        // SAFETY: the caller's promise.
        unsafe { this.as_ref().entry.with_mut(|entry| *entry = vacant) }
    }
}

impl Entry {
    #[inline]
    fn task(task: NonNull<Control>) -> Self {
        Self(task.as_ptr().cast())
    }

    #[inline]
    fn free(next: Option<NonNull<Bond>>) -> Self {
        let next = next.map_or(ptr::null_mut(), NonNull::as_ptr);
        Self(next.map_addr(|address| address | IS_FREE).cast())
    }

    fn to_task(self) -> Option<NonNull<Control>> {
        let is_free = self.0.addr() & IS_FREE != 0;
        if is_free { None } else { NonNull::new(self.0.cast()) }
    }

    /// What comes after a free bond.
    #[inline]
    fn next(self) -> Option<NonNull<Bond>> {
        debug_assert!(self.0.addr() & IS_FREE != 0);
        NonNull::new(self.0.map_addr(|address| address & !IS_FREE).cast())
    }
}

/// Bonds. They stay where they are as long as the list.
pub(super) struct List {
    first: Option<NonNull<Chunk>>,
    last: Option<NonNull<Chunk>>,
    /// The places of the last chunk that have not been used.
    unused: Range<*mut Bond>,
    free: Option<NonNull<Bond>>,
}

struct Chunk<Places: ?Sized = [MaybeUninit<Bond>]> {
    next: Option<NonNull<Chunk>>,
    places: Places,
}

/// Most scopes have few tasks. A large chunk has somewhat less than 1 KiB, as much as allocators
/// give and take back by a list.
const FEW: usize = 4;
const MANY: usize = 40;

impl List {
    /// Makes a bond for the task. Places that were vacated elsewhere come from `returned`, which is
    /// asked if there is no other.
    ///
    /// # Safety
    ///
    /// The bonds are those whose list this is, and nobody else uses its entries meanwhile.
    #[inline(always)]
    pub(super) unsafe fn enter(
        &mut self,
        bonds: NonNull<Bonds>,
        is_near: bool,
        task: NonNull<Control>,
        returned: impl FnOnce() -> Option<NonNull<Bond>>,
    ) -> NonNull<Bond> {
        if self.free.is_none() {
            if self.unused.is_empty() {
                self.free = returned();
            }
            if self.free.is_none() {
                let entry = UnsafeCell::new(Entry::task(task));
                return self.add(Bond { bonds, entry, is_near });
            }
        }
        // SAFETY: the caller's promise; the bond is one of the list, and is free.
        unsafe {
            let bond = self.free.expect("there is one now");
            self.free = bond.as_ref().entry.with_mut(|entry| {
                let next = (*entry).next();
                *entry = Entry::task(task);
                next
            });
            bond
        }
    }

    #[inline(always)]
    fn add(&mut self, bond: Bond) -> NonNull<Bond> {
        if self.unused.is_empty() {
            self.grow();
        }
        let place = self.unused.start;
        // SAFETY: it is a place of a chunk that is there until the list ends, and was not used; so
        // there is one behind it, or its end.
        unsafe {
            place.write(bond);
            self.unused.start = place.add(1);
            NonNull::new_unchecked(place)
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        const NEW: MaybeUninit<Bond> = MaybeUninit::uninit();
        let chunk: Box<Chunk> = match self.last {
            None => Box::new(Chunk { next: None, places: [NEW; FEW] }),
            Some(_) => Box::new(Chunk { next: None, places: [NEW; MANY] }),
        };
        let chunk = NonNull::from(Box::leak(chunk));
        match self.last.replace(chunk) {
            // SAFETY: it is there until the list ends, and nobody else uses the link.
            Some(last) => unsafe { (*last.as_ptr()).next = Some(chunk) },
            None => self.first = Some(chunk),
        }
        // SAFETY: the chunk is there.
        let places = unsafe { Chunk::places(chunk) };
        let start = places.cast::<Bond>().as_ptr();
        // SAFETY: that is the end of the places.
        self.unused = start..unsafe { start.add(places.len()) };
    }

    /// Takes the task of a bond of this list out.
    ///
    /// # Safety
    ///
    /// As for [`Bond::vacate`].
    #[inline]
    pub(super) unsafe fn leave(&mut self, bond: NonNull<Bond>) {
        // SAFETY: the caller's promise.
        unsafe { Bond::vacate(bond, &mut self.free) }
    }

    /// Calls `visit` with each task of the list.
    ///
    /// # Safety
    ///
    /// Nobody else uses the entries meanwhile.
    pub(super) unsafe fn for_each(&self, visit: impl Fn(&Control)) {
        for chunk in self.chunks() {
            // SAFETY: the chunk is there, and it is a place of it.
            let place = |n| unsafe { Chunk::places(chunk).cast::<Bond>().add(n) };
            // SAFETY: as above.
            let places = (0..unsafe { Chunk::places(chunk) }.len()).map(place);
            let is_used = |bond: &NonNull<Bond>| !self.unused.contains(&bond.as_ptr());
            // SAFETY: what was used was written.
            for bond in places.take_while(is_used).map(|bond| unsafe { bond.as_ref() }) {
                // SAFETY: the entries are the caller's.
                if let Some(task) = bond.entry.with(|entry| unsafe { *entry }).to_task() {
                    // SAFETY: a task in an entry has not finished.
                    visit(unsafe { task.as_ref() });
                }
            }
        }
    }

    fn chunks(&self) -> impl Iterator<Item = NonNull<Chunk>> {
        // SAFETY: a chunk is there until the list ends, and its link was written before.
        std::iter::successors(self.first, |chunk| unsafe { (*chunk.as_ptr()).next })
    }
}

impl Chunk {
    /// # Safety
    ///
    /// The chunk is there.
    unsafe fn places(this: NonNull<Self>) -> NonNull<[MaybeUninit<Bond>]> {
        // SAFETY: the caller's promise. No reference is made, since tasks use their bonds.
        unsafe { NonNull::new_unchecked(&raw mut (*this.as_ptr()).places) }
    }
}

impl Default for List {
    fn default() -> Self {
        Self { first: None, last: None, unused: ptr::null_mut()..ptr::null_mut(), free: None }
    }
}

impl Drop for List {
    fn drop(&mut self) {
        let mut next = self.first;
        while let Some(chunk) = next {
            // SAFETY: it is a box that was leaked to this list. No task has a bond in it any more,
            // and bonds have nothing to drop.
            next = unsafe { Box::from_raw(chunk.as_ptr()) }.next;
        }
    }
}

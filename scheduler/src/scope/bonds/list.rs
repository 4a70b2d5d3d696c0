//! The memory of bonds: chunks that grow, in which a free place is used again.

use std::mem::{self, MaybeUninit};
use std::ops::Range;
use std::ptr::{self, NonNull};

use lisle_runtime::internal::primitive::cell::UnsafeCell;

use super::Bonds;
use crate::task::Control;

/// What a task knows of its scope. It lies in the scope's memory.
pub(crate) struct Bond {
    bonds: NonNull<Bonds>,
    /// Whether it is in the list of the scope's home.
    is_near: bool,
    entry: UnsafeCell<Entry>,
}

enum Entry {
    /// A task that can be cancelled.
    Task(NonNull<Control>),
    /// The next free bond.
    Free(Option<NonNull<Bond>>),
}

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
        let vacant = Entry::Free(free.replace(this));
        // SAFETY: the caller's promise.
        unsafe { this.as_ref().entry.with_mut(|entry| *entry = vacant) }
    }
}

/// Bonds. They stay where they are as long as the list.
pub(super) struct List {
    chunks: Vec<NonNull<[MaybeUninit<Bond>]>>,
    /// The places of the last chunk that have not been used.
    unused: Range<*mut Bond>,
    free: Option<NonNull<Bond>>,
}

/// The first chunk has this many bonds, each further one twice as many, up to the largest.
const SMALLEST: usize = 4;
const LARGEST: usize = 64;

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
                let entry = UnsafeCell::new(Entry::Task(task));
                return self.add(Bond { bonds, is_near, entry });
            }
        }
        // SAFETY: the caller's promise; the bond is one of the list, and is free.
        unsafe {
            let bond = self.free.expect("there is one now");
            let entry = Entry::Task(task);
            match bond.as_ref().entry.with_mut(|place| mem::replace(&mut *place, entry)) {
                Entry::Free(next) => self.free = next,
                Entry::Task(_) => unreachable!("it was free"),
            }
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
        let length = self.chunks.last().map_or(SMALLEST, |last| LARGEST.min(2 * last.len()));
        let chunk = NonNull::from(Box::leak(Box::new_uninit_slice(length)));
        self.chunks.push(chunk);
        let start = chunk.cast::<Bond>().as_ptr();
        // SAFETY: that is the end of the chunk.
        self.unused = start..unsafe { start.add(length) };
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
        for chunk in &self.chunks {
            let bonds = (0..chunk.len()).map(|n| {
                // SAFETY: it is a place of the chunk.
                unsafe { chunk.cast::<Bond>().add(n) }
            });
            let is_used = |bond: &NonNull<Bond>| !self.unused.contains(&bond.as_ptr());
            // SAFETY: what was used was written.
            for bond in bonds.take_while(is_used).map(|bond| unsafe { bond.as_ref() }) {
                // SAFETY: the entries are the caller's; a task in one of them has not finished.
                if let Some(task) = bond.entry.with(|entry| unsafe { (*entry).task() }) {
                    visit(task);
                }
            }
        }
    }
}

impl Entry {
    /// # Safety
    ///
    /// The task stays as long as the result is used.
    unsafe fn task<'a>(&self) -> Option<&'a Control> {
        match self {
            // SAFETY: the caller's promise.
            Self::Task(task) => Some(unsafe { task.as_ref() }),
            Self::Free(_) => None,
        }
    }
}

impl Default for List {
    fn default() -> Self {
        Self { chunks: Vec::new(), unused: ptr::null_mut()..ptr::null_mut(), free: None }
    }
}

impl Drop for List {
    fn drop(&mut self) {
        for chunk in self.chunks.drain(..) {
            // SAFETY: it is a box that was leaked to this list. No task has a bond in it any more,
            // and bonds have nothing to drop.
            drop(unsafe { Box::from_raw(chunk.as_ptr()) });
        }
    }
}

//! Regions of address space, cut into slots of one size: how they are mapped and given back.

use std::io;
use std::ptr::{self, NonNull};

use super::regions::{self, Region};
use super::size::{StackSize, page_size};
use super::{fork, overflow};
use crate::sanitizer;

/// Address space that must be left over when a region has been mapped. A process that gives its
/// last byte to stacks cannot allocate what it needs to report the error, or to go on without.
pub(super) const HEADROOM: usize = 1 << 20;

/// The least size of a guard. Rust's functions touch each page of their frames in order and would
/// be caught by a single page; those of C need not, and jump over a guard that is smaller than
/// their frame.
const GUARD: usize = 32 << 10;

/// The lowest usable byte of the room for one stack. The guard is below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(NonNull<u8>);

// SAFETY: a slot is an address; what may be done there is up to the owner of the stack.
unsafe impl Send for Slot {}

impl Slot {
    /// The slot `n` places above this one.
    ///
    /// # Safety
    ///
    /// Both are slots of `size` in one region.
    pub(super) unsafe fn nth(self, n: usize, size: StackSize) -> Self {
        // SAFETY: the result is in the region, which is one mapping.
        Self(unsafe { self.0.add(n * stride(size)) })
    }

    pub(super) fn bottom(self) -> NonNull<u8> {
        self.0
    }

    /// The pages that are the guard, or will be.
    pub(super) fn guard(self, size: StackSize) -> libc::iovec {
        let length = guard_size(size);
        libc::iovec { iov_base: self.0.as_ptr().wrapping_sub(length).cast(), iov_len: length }
    }

    /// The usable pages, except the highest ones that make up `keep` bytes.
    pub(super) fn usable(self, size: StackSize, keep: usize) -> libc::iovec {
        let keep = keep.next_multiple_of(page_size());
        libc::iovec { iov_base: self.0.as_ptr().cast(), iov_len: size.bytes().saturating_sub(keep) }
    }
}

/// How far apart the slots of a region lie: a number of pages that leaves 3 or 5 if it is divided
/// by 8.
///
/// It is odd because the processor's large translation buffer finds its entries by the low bits of
/// a page's number. At distances of 64 pages the tops of all stacks, which are what is used of
/// most, would share two of its 128 sets, and every switch among more than some dozens of tasks
/// would walk the page tables. It is no neighbour of a multiple of 8 because eight entries of a
/// page table share a cache line: among 20,000 tasks that yield in turn, a switch takes 36 to 38 ns
/// at distances of 67, 69, 75 and 77 pages, and 44 to 55 ns at 71 and 73.
pub(super) fn stride(size: StackSize) -> usize {
    let page = page_size();
    let mut pages = (size.bytes() + GUARD).div_ceil(page);
    while !matches!(pages % 8, 3 | 5) {
        pages += 1;
    }
    pages * page
}

/// The guard is all that the stack leaves of its room.
pub(super) fn guard_size(size: StackSize) -> usize {
    stride(size) - size.bytes()
}

/// Maps room for `count` stacks and returns the lowest slot. No page of it is touched.
pub(super) fn map(size: StackSize, count: usize) -> io::Result<Slot> {
    let length = stride(size).checked_mul(count);
    let asked = length.and_then(|length| length.checked_add(HEADROOM));
    let (Some(length), Some(asked)) = (length, asked) else {
        return Err(io::Error::from_raw_os_error(libc::ENOMEM));
    };
    // SAFETY: a new mapping at an address of the kernel's choice disturbs nothing.
    let mapping = unsafe {
        libc::mmap(
            ptr::null_mut(),
            asked,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if mapping == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // The kernel fills address space downwards: with the headroom cut off below, neighbouring
    // regions touch, and the kernel counts them as one map.
    // SAFETY: the range is the lower part of the mapping that was just made.
    if unsafe { libc::munmap(mapping, HEADROOM) } != 0 {
        let error = io::Error::last_os_error();
        // SAFETY: nobody else knows of the mapping.
        unsafe { libc::munmap(mapping, asked) };
        return Err(error);
    }
    // SAFETY: `HEADROOM` is less than the length of the mapping.
    let region = unsafe { mapping.byte_add(HEADROOM) };
    // Both are refinements, and a kernel built without the feature refuses the advice: huge pages
    // would give a stack 2 MiB for its first byte, and a fork would copy every stack.
    // SAFETY: the range is the upper part of the mapping, which holds nothing yet.
    unsafe {
        libc::madvise(region, length, libc::MADV_NOHUGEPAGE);
        libc::madvise(region, length, libc::MADV_DONTFORK);
    }
    fork::watch();
    overflow::install();
    let (start, guard) = (region.addr(), guard_size(size));
    regions::register(Region { start, length, stride: stride(size), guard });
    sanitizer::mapped(start, stride(size), count);
    let bottom = region.cast::<u8>().wrapping_add(guard);
    Ok(Slot(NonNull::new(bottom).expect("no mapping lies at address zero")))
}

/// Gives a region back to the kernel, all of it.
///
/// # Safety
///
/// [`map`] has returned `first` for that size and count. Nobody has any of the stacks, and nobody
/// will use one again.
pub(super) unsafe fn unmap(first: Slot, size: StackSize, count: usize) {
    let start = first.guard(size).iov_base;
    let length = stride(size) * count;
    // Before the address space can be mapped anew, for something that is no stack.
    regions::unregister(start.addr());
    sanitizer::unmapped(start.addr(), length);
    // Should the kernel refuse (it has to split a map, and there are as many as it allows), the
    // region stays where it is and is never used again. SAFETY: the range is a mapping of ours that
    // nobody uses, says the caller.
    unsafe { libc::munmap(start, length) };
}

#[cfg(test)]
mod tests {
    use super::regions::{Room, locate};
    use super::*;

    #[test]
    fn every_address_of_a_region_finds_its_room() {
        let size = StackSize::new(64 * 1024);
        let first = map(size, 3).unwrap();
        let start = first.guard(size).iov_base.addr();
        for index in 0..3 {
            let start = start + index * stride(size);
            let room = Room { start, bottom: start + guard_size(size), top: start + stride(size) };
            assert_eq!(room.top - room.bottom, size.bytes());
            for address in [start, room.bottom - 1, room.bottom, room.top - 1] {
                assert_eq!(locate(address), Some(room));
                assert_eq!(room.guards(address), address < room.bottom);
            }
        }
        let outside = Box::new(0_u8);
        assert_eq!(locate(ptr::from_ref(&*outside).addr()), None);
        assert_eq!(locate(0), None);
        // SAFETY: nobody uses the region.
        unsafe { unmap(first, size, 3) };
    }

    #[test]
    fn a_region_that_was_given_back_is_not_found_and_the_others_are() {
        // No other test has stacks of this size.
        let size = StackSize::new(7 << 20);
        let slots: Vec<_> = (0..4).map(|_| map(size, 2).unwrap()).collect();
        let address = |slot: Slot| slot.bottom().addr().get();
        let (kept, given_back) = slots.split_at(2);
        // SAFETY: nobody uses the regions.
        given_back.iter().for_each(|slot| unsafe { unmap(*slot, size, 2) });
        assert!(kept.iter().all(|slot| locate(address(*slot)).is_some()));
        let again = map(size, 2).unwrap();
        for slot in given_back.iter().filter(|slot| **slot != again) {
            // Another test may have mapped something else there by now.
            let found = locate(address(*slot));
            assert!(found.is_none_or(|room| room.top - room.bottom != size.bytes()), "{found:?}");
        }
        for slot in kept.iter().chain([&again]) {
            assert_eq!(locate(address(*slot)).unwrap().bottom, address(*slot));
            // SAFETY: nobody uses the regions.
            unsafe { unmap(*slot, size, 2) };
        }
    }

    #[test]
    fn the_distance_of_slots_suits_the_caches_and_leaves_guards_of_32_kib() {
        for kib in [32, 64, 100, 256, 1024, 5000] {
            let size = StackSize::new(kib * 1024);
            let apart = stride(size);
            assert!(guard_size(size) >= 32 << 10);
            assert!(guard_size(size) < (32 << 10) + 8 * page_size());
            assert!([3, 5].contains(&(apart / page_size() % 8)));
            assert!(apart.is_multiple_of(page_size()));
        }
    }

    #[test]
    fn impossible_lengths_are_errors() {
        let huge = StackSize::new(usize::MAX);
        assert!(map(huge, 1).is_err());
        assert!(map(huge, 3).is_err());
    }
}

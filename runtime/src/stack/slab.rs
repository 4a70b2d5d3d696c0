//! Regions of address space, cut into slots of one size, and the list of all regions.
//!
//! A region is mapped once and never unmapped. The list only grows and is read without a lock, so
//! that a signal handler can ask which stack an address belongs to.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

use super::fork;
use super::size::{StackSize, page_size};
use crate::sanitizer;

/// Address space that must be left over when a region has been mapped. A process that gives its
/// last byte to stacks cannot allocate what it needs to report the error, or to go on without.
const HEADROOM: usize = 1 << 20;

/// The lowest byte of the room for one stack: its guard page, then its usable pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(NonNull<u8>);

// SAFETY: a slot is an address; what may be done there is up to whoever owns the stack.
unsafe impl Send for Slot {}

impl Slot {
    /// The slot `n` places above this one.
    ///
    /// # Safety
    ///
    /// Both are slots of `size` in one region.
    pub unsafe fn nth(self, n: usize, size: StackSize) -> Self {
        // SAFETY: the result is in the region, which is one mapping.
        Self(unsafe { self.0.add(n * stride(size)) })
    }

    pub fn base(self) -> NonNull<u8> {
        self.0
    }

    /// The page that is the guard, or will be.
    pub fn guard(self) -> libc::iovec {
        libc::iovec { iov_base: self.0.as_ptr().cast(), iov_len: page_size() }
    }

    /// The usable pages, except the highest ones that make up `keep` bytes.
    pub fn usable(self, size: StackSize, keep: usize) -> libc::iovec {
        let page = page_size();
        let keep = keep.next_multiple_of(page);
        libc::iovec {
            iov_base: self.0.as_ptr().wrapping_add(page).cast(),
            iov_len: (size.bytes() - page).saturating_sub(keep),
        }
    }
}

/// How far apart the slots of a region lie: an odd number of pages.
///
/// The processor's large translation buffer finds its entries by the low bits of a page's number. At
/// distances of 64 pages the tops of all stacks, which are what is used of most, would share two of its
/// 128 sets, and every switch among more than some dozens of tasks would walk the page tables.
fn stride(size: StackSize) -> usize {
    let pages = size.bytes() / page_size();
    (pages | 1) * page_size()
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
    let slot = Slot(NonNull::new(region.cast()).expect("no mapping lies at address zero"));
    register(slot, length, size);
    sanitizer::mapped(slot.base().addr().get(), stride(size), count);
    Ok(slot)
}

/// An entry of the list of regions. Never freed, never changed once it is listed.
struct Region {
    start: usize,
    length: usize,
    stride: usize,
    /// What a stack has of that.
    bytes: usize,
    next: *const Region,
}

static REGIONS: AtomicPtr<Region> = AtomicPtr::new(ptr::null_mut());

fn register(first: Slot, length: usize, size: StackSize) {
    let region = Box::leak(Box::new(Region {
        start: first.base().addr().get(),
        length,
        stride: stride(size),
        bytes: size.bytes(),
        next: ptr::null(),
    }));
    let mut head = REGIONS.load(Ordering::Relaxed);
    loop {
        region.next = head;
        // Release: whoever finds the entry finds its fields.
        match REGIONS.compare_exchange_weak(head, region, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => head = now,
        }
    }
}

/// Empties the list: in a fork child the regions are gone.
pub(super) fn forget_all() {
    REGIONS.store(ptr::null_mut(), Ordering::Release);
}

/// The room for one stack, found by an address in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub start: usize,
    pub bytes: usize,
}

impl Room {
    pub fn guards(self, address: usize) -> bool {
        address.wrapping_sub(self.start) < page_size()
    }
}

/// The room that `address` lies in, if it lies in any. Takes no lock and allocates nothing.
pub(super) fn locate(address: usize) -> Option<Room> {
    let mut next: *const Region = REGIONS.load(Ordering::Acquire);
    // SAFETY: listed entries are never freed or changed, and the acquiring load of the head makes
    // this one and all older ones visible.
    while let Some(region) = unsafe { next.as_ref() } {
        let offset = address.wrapping_sub(region.start);
        if offset < region.length {
            let offset = offset % region.stride;
            let room = Room { start: address - offset, bytes: region.bytes };
            return (offset < room.bytes).then_some(room);
        }
        next = region.next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_a_region_finds_its_room() {
        let size = StackSize::new(64 * 1024);
        let first = map(size, 3).unwrap();
        let start = first.base().addr().get();
        for index in 0..3 {
            let room = Room { start: start + index * stride(size), bytes: size.bytes() };
            for offset in [0, page_size() - 1, page_size(), size.bytes() - 1] {
                let address = room.start + offset;
                assert_eq!(locate(address), Some(room));
                assert_eq!(room.guards(address), offset < page_size());
            }
            assert_eq!(locate(room.start + size.bytes()), None, "a page that nobody uses");
        }
        let outside = Box::new(0_u8);
        assert_eq!(locate(ptr::from_ref(&*outside).addr()), None);
        assert_eq!(locate(0), None);
    }

    #[test]
    fn slots_lie_an_odd_number_of_pages_apart() {
        for kib in [32, 64, 68, 100, 256, 1024] {
            let size = StackSize::new(kib * 1024);
            let apart = stride(size);
            assert!(apart >= size.bytes() && apart <= size.bytes() + page_size());
            assert_eq!(apart / page_size() % 2, 1);
        }
    }

    #[test]
    fn impossible_lengths_are_errors() {
        let huge = StackSize::new(usize::MAX);
        assert!(map(huge, 1).is_err());
        assert!(map(huge, 3).is_err());
    }
}

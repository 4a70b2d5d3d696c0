//! Room for one value whose type its keeper does not know: small values lie in place, larger ones
//! in a box.

use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr;

/// Room of the size and the alignment of `Room`, for a value of any type or the address of its box.
///
/// It never drops the value: only [`take`](Self::take) knows what it is.
#[derive(Debug)]
#[repr(transparent)]
pub struct Erased<Room>(MaybeUninit<Room>);

impl<Room> Erased<Room> {
    /// Whether a `V` lies in place.
    const fn holds<V>() -> bool {
        const { assert!(size_of::<*mut ()>() <= size_of::<Room>()) };
        const { assert!(align_of::<*mut ()>() <= align_of::<Room>()) };
        size_of::<V>() <= size_of::<Room>() && align_of::<V>() <= align_of::<Room>()
    }

    /// Room that holds nothing.
    #[inline]
    #[must_use]
    pub fn empty() -> Self {
        Self(MaybeUninit::uninit())
    }

    /// Room that holds `value`.
    #[inline]
    #[must_use]
    pub fn new<V>(value: V) -> Self {
        let mut room = Self::empty();
        // SAFETY: `room` is valid and empty.
        unsafe { Self::put(&raw mut room, value) };
        room
    }

    /// Puts `value` in, over whatever the room holds.
    ///
    /// # Safety
    ///
    /// `this` is valid for writes.
    #[inline]
    pub unsafe fn put<V>(this: *mut Self, value: V) {
        let value = ManuallyDrop::new(value);
        let place = if Self::holds::<V>() {
            this.cast::<V>()
        } else {
            // Not `Box::new`, through which a debug build copies a large value several times.
            let place = Box::into_raw(Box::<V>::new_uninit()).cast::<V>();
            // SAFETY: `holds` asserts that a pointer fits.
            unsafe { this.cast::<*mut V>().write(place) };
            place
        };
        // SAFETY: the place is the box's, or the room, which `holds` has found large and aligned
        // enough. The value is not used again.
        unsafe { place.copy_from_nonoverlapping(&raw const *value, 1) };
    }

    /// Takes the value out.
    ///
    /// # Safety
    ///
    /// `this` is valid for reads and holds a `V`, which was not taken yet.
    #[inline]
    pub unsafe fn take<V>(this: *mut Self) -> V {
        if Self::holds::<V>() {
            // SAFETY: `put::<V>` has made the same choice.
            unsafe { ptr::read(this.cast::<V>()) }
        } else {
            // SAFETY: as above; the address came from a box.
            *unsafe { Box::from_raw(ptr::read(this.cast::<*mut V>())) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comes_back<Room, V: Clone + PartialEq + std::fmt::Debug>(value: V) {
        let mut room = Erased::<Room>::new(value.clone());
        // SAFETY: the room holds a `V`.
        assert_eq!(unsafe { Erased::take::<V>(&raw mut room) }, value);
        // SAFETY: the room is valid, and empty now.
        unsafe { Erased::put(&raw mut room, value.clone()) };
        // SAFETY: the room holds a `V`.
        assert_eq!(unsafe { Erased::take::<V>(&raw mut room) }, value);
    }

    fn all_come_back<Room>() {
        #[derive(Clone, PartialEq, Debug)]
        #[repr(align(64))]
        struct Aligned(u8);
        comes_back::<Room, _>(());
        comes_back::<Room, _>(7_u8);
        comes_back::<Room, _>(String::from("a value"));
        comes_back::<Room, _>([1_u64; 8]);
        comes_back::<Room, _>([1_u64; 9]);
        comes_back::<Room, _>(["a", "b", "c", "d", "e"].map(String::from));
        comes_back::<Room, _>(u128::MAX);
        comes_back::<Room, _>(Aligned(1));
        comes_back::<Room, _>(vec![Aligned(2)]);
        comes_back::<Room, _>([0_u8; 10_000]);
    }

    #[test]
    fn values_of_all_sizes_and_alignments_come_back() {
        all_come_back::<usize>();
        all_come_back::<[u64; 8]>();
        all_come_back::<[u128; 3]>();
    }

    #[test]
    fn what_fits_lies_in_place() {
        assert!(Erased::<[u64; 8]>::holds::<[u64; 8]>());
        assert!(!Erased::<[u64; 8]>::holds::<[u64; 9]>());
        assert!(!Erased::<[u64; 8]>::holds::<u128>());
        assert!(Erased::<[u128; 3]>::holds::<u128>());
    }

    #[test]
    fn a_value_that_is_not_taken_is_not_dropped() {
        struct Loud;
        impl Drop for Loud {
            fn drop(&mut self) {
                unreachable!("nothing knows that this is here");
            }
        }
        drop(Erased::<usize>::new(Loud));
    }
}

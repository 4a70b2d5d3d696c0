//! The blocks of all sources, which are never freed, and the tokens by which pollers name them.

use std::ptr;

use super::block::Block;

pub(super) use pool::{give, take};

/// A token is the address of a block, of which the lowest bits are zero and the highest ones the
/// system's, and in their place its generation.
const GENERATION_BITS: u32 = 22;
const ALIGN_BITS: u32 = align_of::<Block>().trailing_zeros();

pub(super) fn next_generation(generation: u32) -> u32 {
    (generation + 1) & ((1 << GENERATION_BITS) - 1)
}

impl Block {
    pub(super) fn token(&self) -> u64 {
        let address = ptr::from_ref(self).expose_provenance() as u64;
        debug_assert!(
            address >> (64 + ALIGN_BITS - GENERATION_BITS) == 0,
            "an address of the system"
        );
        (address >> ALIGN_BITS) << GENERATION_BITS | u64::from(self.lock().generation)
    }
}

/// The block with this token, and the generation that it had when the token was made.
///
/// # Safety
///
/// The token was made by [`Block::token`].
pub(super) unsafe fn block_of(token: u64) -> (&'static Block, u32) {
    let address = (token >> GENERATION_BITS << ALIGN_BITS) as usize;
    // SAFETY: it is the address of a block, says the caller, and blocks are never freed.
    let block = unsafe { &*ptr::with_exposed_provenance::<Block>(address) };
    (block, token as u32 & ((1 << GENERATION_BITS) - 1))
}

/// The blocks that no source uses.
#[cfg(not(lisle_loom))]
mod pool {
    use lisle_runtime::internal::primitive::Mutex;

    use super::Block;
    use crate::per_process::PerProcess;

    const CHUNK: usize = 64;

    static FREE: PerProcess<Mutex<Vec<&'static Block>>> = PerProcess::new();

    fn free() -> &'static Mutex<Vec<&'static Block>> {
        FREE.get_or(Mutex::default)
    }

    pub(in super::super) fn take() -> &'static Block {
        let mut free = free().lock();
        if free.is_empty() {
            let chunk: Box<[Block]> = (0..CHUNK).map(|_| Block::new()).collect();
            free.extend(Box::leak(chunk).iter());
        }
        free.pop().expect("some were just made")
    }

    pub(in super::super) fn give(block: &'static Block) {
        free().lock().push(block);
    }
}

/// A model makes a new block for each source: what one execution leaves behind is no use to the
/// next.
#[cfg(lisle_loom)]
mod pool {
    use super::Block;

    pub(in super::super) fn take() -> &'static Block {
        Box::leak(Box::new(Block::new()))
    }

    pub(in super::super) fn give(_: &'static Block) {}
}

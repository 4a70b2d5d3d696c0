//! What goes wrong when a stack is wanted, in words that say what to do about it.

use std::io;

use super::guard::{GuardKind, VARIABLE};
use super::size::StackSize;
use super::{limits, slab};

/// A region for one more stack could not be mapped.
pub(super) fn cannot_map(size: StackSize, in_use: usize, source: io::Error) -> io::Error {
    let limit = limits::in_the_way_of(slab::stride(size).saturating_add(slab::HEADROOM));
    io::Error::new(
        source.kind(),
        format!(
            "no address space for another stack of {bytes} bytes with {in_use} of them in use: \
             take smaller stacks (LISLE_STACK_SIZE, Builder::stack_size) or {advice} ({source})",
            bytes = size.bytes(),
            advice = limit.advice(),
        ),
    )
}

/// The kernel refused a guard.
pub(super) fn cannot_guard(
    size: StackSize,
    in_use: usize,
    kind: GuardKind,
    source: io::Error,
) -> io::Error {
    let advice = match (kind, source.raw_os_error()) {
        (GuardKind::Mprotect, _) => {
            "each stack takes two memory maps: raise vm.max_map_count, keep fewer tasks, or use \
             Linux 6.13 or later, where guards take no maps"
                .to_string()
        }
        (GuardKind::Install, Some(libc::EINVAL)) => format!(
            "the kernel refuses this kind of guard in locked memory: do not lock it (mlockall), \
             or set {VARIABLE}=mprotect"
        ),
        (GuardKind::Install, _) => {
            "the kernel has no memory for page tables: raise the memory limit or keep fewer tasks"
                .to_string()
        }
    };
    io::Error::new(
        source.kind(),
        format!(
            "no guard page for another stack of {bytes} bytes with {in_use} of them in use: \
             {advice} ({source})",
            bytes = size.bytes(),
        ),
    )
}

//! What Lisle's other crates use and users do not. It changes without notice.

pub use crate::attached::attached;
pub use crate::chained::Chained;
pub use crate::erased::Erased;
pub use crate::here::{Hidden, StaysHere};
pub use crate::no_suspend::{in_section, never_suspend_again};
pub use crate::prefetch::prefetch;
pub use crate::stack::{LAYOUT as STACK_LAYOUT, staggered_top};
pub use crate::stack_pointer::stack_pointer;

/// How much the stacks of the process take.
pub mod stacks {
    pub use crate::stack::pool::{Usage, usage};
}

/// Messages where a panic is not allowed, and before an abort.
pub mod last_words {
    pub use crate::last_words::{AbortOnUnwind, abort_on_unwind, abort_with, complain};
}

/// Which process this is, as far as forks are concerned.
pub mod fork {
    pub use crate::stack::fork::{borrowing_from, generation, watched_generation};
}

/// What a scheduler does so that an overflow is reported by the name of its task.
pub mod overflow {
    pub use crate::stack::describe::{Describer, Running, set_describer};
    pub use crate::stack::signal_stack::ensure_signal_stack;
}

/// How panics are set aside while their stack is left.
pub mod panics {
    pub use crate::panics::{Aside, Note, helper_threads, set_aside, set_note, under_way};
}

/// The shim that lets loom see every shared access of a modelled protocol.
pub mod primitive {
    pub use crate::primitive::*;
}

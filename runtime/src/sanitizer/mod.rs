//! What tools that watch the memory of a program must be told about stacks.
//!
//! Such a tool keeps books on the stack of each thread, and takes a switch for a gross error unless
//! it is told. `RUSTFLAGS='--cfg lisle_sanitize="…"'` compiles that in, for one tool:
//!
//! - `address`: AddressSanitizer, together with the compiler's `-Zsanitizer=address`.
//! - `thread`: ThreadSanitizer, together with the compiler's `-Zsanitizer=thread`.
//! - `valgrind`: memcheck and the other tools of valgrind.
//!
//! Without it nothing of this is left. There is one file for each tool, with these functions:
//!
//! - `mapped(base, stride, count)`: `count` stacks lie side by side there;
//! - `KEEPS_REGIONS`: whether they have to stay there for ever;
//! - `fresh(top, entry, data)`: a stack will begin with `entry(data)`; returns how it really
//!   begins;
//! - `leave(to)`, the switch, `arrive(departure)`: a stack is left and continued later;
//! - `leave_for_good(to, nowhere)`: it is left, and will never be continued. Its memory is free for
//!   any use. Returns the place, `nowhere` or a better one, for the continuation that is not
//!   wanted;
//! - `visit()` and `leave_visit(stay)`: the first and the last thing to be done by what runs on top
//!   of a suspended stack. The visitor calls `leave` and `arrive` on its own side.

#[cfg(not(any(
    lisle_sanitize = "address",
    lisle_sanitize = "thread",
    lisle_sanitize = "valgrind"
)))]
#[path = "none.rs"]
mod tool;

#[cfg(lisle_sanitize = "address")]
#[path = "address.rs"]
mod tool;

#[cfg(lisle_sanitize = "thread")]
#[path = "thread.rs"]
mod tool;

#[cfg(lisle_sanitize = "valgrind")]
#[path = "valgrind.rs"]
mod tool;

pub(crate) use self::tool::*;

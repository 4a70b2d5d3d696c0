//! The guide: twelve short pages that one reads, next to the items that one looks up.
//!
//! | Page | Read it |
//! |---|---|
//! | [`start`] | first: tasks, channels, `select!`, time, how a program ends |
//! | [`blocking_and_io`] | before the first file, socket or lock: what blocks a worker |
//! | [`servers`] | before the first server or client: sockets, time-outs, a good end |
//! | [`stacks_and_memory`] | when there are many tasks, deep recursion or large values |
//! | [`cancelling`] | to stop tasks, to limit their time, to wait for all of them |
//! | [`choosing_a_lock`] | to share a value, or to wait for each other |
//! | [`seeing_inside`] | when a program hangs or is slow: dumps, traces, metrics |
//! | [`testing`] | to test what hangs, what takes time, what depends on the order |
//! | [`safety`] | for thread-locals, `unsafe`, destructors that wait, `panic = "abort"` |
//! | [`from_go`] | if you know goroutines: there and here, side by side |
//! | [`from_tokio`] | if you know `async`, or want crates that do: futures and tasks together |
//! | [`from_std_and_crossbeam`] | if you have threads and channels already and want to move over |
//!
//! Every program on these pages runs as a test, but for one that shows how a worker hangs.

pub mod start {
    #![doc = include_str!("start.md")]
}

pub mod blocking_and_io {
    #![doc = include_str!("blocking_and_io.md")]
}

#[cfg(all(feature = "net", not(lisle_loom)))]
pub mod servers {
    #![doc = include_str!("servers.md")]
}

pub mod stacks_and_memory {
    #![doc = include_str!("stacks_and_memory.md")]
}

pub mod cancelling {
    #![doc = include_str!("cancelling.md")]
}

pub mod choosing_a_lock {
    #![doc = include_str!("choosing_a_lock.md")]
}

#[cfg(all(feature = "net", not(lisle_loom)))]
pub mod seeing_inside {
    #![doc = include_str!("seeing_inside.md")]
}

pub mod testing {
    #![doc = include_str!("testing.md")]
}

pub mod safety {
    #![doc = include_str!("safety.md")]
}

pub mod from_go {
    #![doc = include_str!("from_go.md")]
}

pub mod from_std_and_crossbeam {
    #![doc = include_str!("from_std_and_crossbeam.md")]
}

pub mod from_tokio {
    #![doc = include_str!("from_tokio.md")]
}

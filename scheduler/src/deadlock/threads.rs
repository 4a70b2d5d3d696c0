//! The threads of this process, by the kernel's list.

use std::fs;
use std::process;

/// The numbers of the threads, or `None` if the kernel does not tell. A model has no such list.
pub(super) fn list() -> Option<Vec<u32>> {
    if cfg!(lisle_loom) {
        return None;
    }
    // Asked first: a thread that has ended stays so, and has started no other since.
    let ended = leader_has_ended().then(process::id);
    let entries = fs::read_dir("/proc/self/task").ok()?;
    let numbers: Option<Vec<u32>> =
        entries.map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    let mut threads = numbers?;
    threads.retain(|thread| Some(*thread) != ended);
    Some(threads)
}

/// Whether the process goes on without the thread that its `main` was called on. That one stays in
/// the list until the others have ended too.
fn leader_has_ended() -> bool {
    let stat = fs::read_to_string(format!("/proc/self/task/{}/stat", process::id()));
    // The name, in parentheses, may contain anything; the state is the word behind it.
    stat.is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

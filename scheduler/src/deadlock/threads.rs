//! The threads of this process, as the kernel knows them.

use std::fs;
use std::process;

/// How often a list is read anew that threads have changed meanwhile.
const ATTEMPTS: usize = 10;

/// How many threads there are, or `None` if the kernel does not tell. A model has no such number.
pub(super) fn count() -> Option<usize> {
    if cfg!(lisle_loom) {
        return None;
    }
    Some(Status::read()?.alive())
}

/// The numbers of the threads, or `None` if the kernel does not tell, or if they come and go all
/// the time.
///
/// The kernel's list ends early if a thread ends while it is being read. So it is read until two
/// lists are the same and the number of threads in between was theirs: then all of them were there
/// at that moment, and no others.
pub(super) fn list() -> Option<Vec<u32>> {
    if cfg!(lisle_loom) {
        return None;
    }
    let mut before = read_list()?;
    for _ in 0..ATTEMPTS {
        let status = Status::read()?;
        let after = read_list()?;
        if before == after && after.len() == status.threads {
            before.retain(|thread| !(status.leader_has_ended && *thread == process::id()));
            return Some(before);
        }
        before = after;
    }
    None
}

fn read_list() -> Option<Vec<u32>> {
    let entries = fs::read_dir("/proc/self/task").ok()?;
    entries.map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// What the kernel says of the process.
struct Status {
    threads: usize,
    /// Whether the process goes on without the thread that its `main` was called on. That one
    /// counts until the others have ended too.
    leader_has_ended: bool,
}

impl Status {
    fn read() -> Option<Self> {
        // That of the first thread, which has the same numbers as the file of the process: an
        // emulator may show a process that it has made up.
        let path = format!("/proc/self/task/{}/stat", process::id());
        Self::parse(&fs::read_to_string(path).ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        /// How many fields lie between the state and the number of threads.
        const BETWEEN: usize = 16;
        // The name, in parentheses, may contain anything.
        let mut fields = stat.rsplit(')').next()?.split_ascii_whitespace();
        let state = fields.next()?;
        let threads = fields.nth(BETWEEN)?.parse().ok()?;
        Some(Self { threads, leader_has_ended: state == "Z" })
    }

    fn alive(&self) -> usize {
        self.threads - usize::from(self.leader_has_ended)
    }
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn the_number_of_threads_stands_behind_a_name_of_any_kind() {
        let stat = "7 (a) 9 (b) Z 1 7 7 0 -1 4194304 111 0 0 0 0 0 0 0 20 0 3 0 4711 8192";
        let status = Status::parse(stat).unwrap();
        assert_eq!((status.threads, status.leader_has_ended, status.alive()), (3, true, 2));
        assert!(Status::parse("7 (a) R 1 7").is_none());
    }

    #[test]
    fn threads_are_listed_while_others_come_and_go() {
        const STAYING: usize = 8;
        let come_and_go = || (0..300).for_each(|_| thread::spawn(|| ()).join().unwrap());
        let (stay, leave) = (Barrier::new(STAYING + 1), Barrier::new(STAYING + 1));
        thread::scope(|scope| {
            for _ in 0..STAYING {
                scope.spawn(|| {
                    stay.wait();
                    leave.wait();
                });
            }
            stay.wait();
            let restless = scope.spawn(come_and_go);
            while !restless.is_finished() {
                assert!(list().is_none_or(|threads| threads.len() > STAYING));
                assert!(count().unwrap() > STAYING);
            }
            leave.wait();
        });
    }
}

//! What the kernel says of a thread: whether it waits, and how often it had a processor; and of
//! standard error.

use std::fs;

/// How often a thread has given up a processor, and how often one was taken from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Switches {
    voluntary: u64,
    involuntary: u64,
}

/// The switches of a thread that waits in the kernel. `None` if it does not wait, has ended, or
/// nothing is known of it.
pub(super) fn switches_of_waiting(thread: libc::pid_t) -> Option<Switches> {
    parse(&fs::read_to_string(format!("/proc/self/task/{thread}/status")).ok()?)
}

fn parse(status: &str) -> Option<Switches> {
    let field = |name: &str| {
        // The first line is the name of the thread, in which a newline is escaped.
        let mut lines = status.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(field, _)| *field == name).map(|(_, value)| value.trim())
    };
    if !field("State")?.starts_with(['S', 'D']) {
        return None;
    }
    Some(Switches {
        voluntary: field("voluntary_ctxt_switches")?.parse().ok()?,
        involuntary: field("nonvoluntary_ctxt_switches")?.parse().ok()?,
    })
}

/// Whether a message to standard error is written at once, or fails at once. A pipe that is full
/// makes its writer wait until somebody reads.
pub(super) fn takes_messages() -> bool {
    let mut stderr = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
    // SAFETY: the call writes to `stderr`, and returns at once.
    unsafe { libc::poll(&mut stderr, 1, 0) != 0 }
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    const STATUS: &str = "Name:\tState:\tR\\nState:\tR\nUmask:\t0022\nState:\tS (sleeping)\n\
                          voluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n";

    #[test]
    fn a_status_is_read_by_the_names_of_its_lines() {
        let switches = Switches { voluntary: 12, involuntary: 3 };
        assert_eq!(parse(STATUS), Some(switches));
        assert_eq!(parse(&STATUS.replace("S (sleeping)", "D (disk sleep)")), Some(switches));
        for state in ["R (running)", "T (stopped)", "t (tracing stop)", "Z (zombie)"] {
            assert_eq!(parse(&STATUS.replace("S (sleeping)", state)), None);
        }
        assert_eq!(parse("State:\tS (sleeping)\n"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn a_thread_is_known_to_wait_and_to_have_run_again() {
        let ((told, number), (go_on, goes_on)) = (channel(), channel());
        let waiter = thread::spawn(move || {
            // SAFETY: the call has no conditions.
            told.send(unsafe { libc::gettid() }).unwrap();
            goes_on.iter().for_each(drop);
        });
        let number = number.recv().unwrap();
        let other_than = |before| {
            loop {
                let now = switches_of_waiting(number);
                if now.is_some() && now != before {
                    return now;
                }
                thread::yield_now();
            }
        };
        let before = other_than(None);
        go_on.send(()).unwrap();
        other_than(before);
        drop(go_on);
        waiter.join().unwrap();
        assert_eq!(switches_of_waiting(-1), None);
    }
}

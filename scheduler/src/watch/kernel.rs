//! What the kernel says of a thread: whether it waits and in which call, how often it had a
//! processor, and for how long it wanted one in vain; and of standard error.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, fs};

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

/// For how long a thread has wanted a processor that others had, since it began. `None` if the
/// kernel does not count that.
pub(super) fn starved_for(thread: libc::pid_t) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    text.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

/// The call in which a thread waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// A futex: a lock of the standard library, say.
    Futex,
    Sleep,
    /// One with this name, on a descriptor that stands for something.
    Descriptor {
        name: &'static str,
        number: u64,
        file: Option<PathBuf>,
    },
    /// For a child process.
    Child,
}

/// The call in which a thread waits. `None` for one that says little, and if it is not known.
pub(super) fn call_of(thread: libc::pid_t) -> Option<Call> {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).ok()?;
    let call = parse_call(&text)?;
    let Call::Descriptor { name, number, .. } = call else { return Some(call) };
    let file = fs::read_link(format!("/proc/self/fd/{number}")).ok();
    Some(Call::Descriptor { name, number, file })
}

fn parse_call(text: &str) -> Option<Call> {
    let mut words = text.split_whitespace();
    let call = words.next()?.parse().ok()?;
    let name = match call {
        libc::SYS_futex => return Some(Call::Futex),
        libc::SYS_nanosleep | libc::SYS_clock_nanosleep => return Some(Call::Sleep),
        libc::SYS_wait4 | libc::SYS_waitid => return Some(Call::Child),
        libc::SYS_read | libc::SYS_readv | libc::SYS_pread64 | libc::SYS_preadv => "read",
        libc::SYS_write | libc::SYS_writev | libc::SYS_pwrite64 | libc::SYS_pwritev => "write",
        libc::SYS_recvfrom | libc::SYS_recvmsg => "recv",
        libc::SYS_sendto | libc::SYS_sendmsg => "send",
        libc::SYS_accept | libc::SYS_accept4 => "accept",
        libc::SYS_connect => "connect",
        libc::SYS_fsync | libc::SYS_fdatasync => "fsync",
        libc::SYS_flock => "flock",
        libc::SYS_fcntl => "fcntl",
        _ => return None,
    };
    let number = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    Some(Call::Descriptor { name, number, file: None })
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Futex => write!(f, "for a futex"),
            Self::Sleep => write!(f, "in a sleep"),
            Self::Child => write!(f, "for a child process"),
            Self::Descriptor { name, number, file } => {
                write!(f, "in a {name} of descriptor {number}")?;
                file.iter().try_for_each(|file| write!(f, ", which is {}", file.display()))
            }
        }
    }
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
    fn a_call_is_known_by_its_number() {
        let text = |call: libc::c_long, descriptor| format!("{call} 0x{descriptor:x} 0x0 0x1\n");
        assert_eq!(parse_call(&text(libc::SYS_futex, 7)), Some(Call::Futex));
        assert_eq!(parse_call(&text(libc::SYS_clock_nanosleep, 0)), Some(Call::Sleep));
        assert_eq!(parse_call(&text(libc::SYS_wait4, 0)), Some(Call::Child));
        let read = Call::Descriptor { name: "read", number: 27, file: None };
        assert_eq!(parse_call(&text(libc::SYS_read, 27)), Some(read));
        for text in ["", "running\n", "-1 0x7ffd 0x0\n", &text(libc::SYS_getpid, 0)] {
            assert_eq!(parse_call(text), None, "{text}");
        }
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

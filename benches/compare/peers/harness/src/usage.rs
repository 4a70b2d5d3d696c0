//! What the process has of the machine, by the kernel's own accounts.

use std::mem::MaybeUninit;
use std::time::Duration;

/// Memory and processor time up to now.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Resident pages and the page tables that map them, in bytes.
    pub memory: u64,
    /// Processor time of all threads, in the program and in the kernel.
    pub cpu: Duration,
}

impl Usage {
    /// What it is now.
    ///
    /// # Panics
    ///
    /// If the kernel does not tell.
    pub fn now() -> Self {
        Self { memory: memory(), cpu: cpu() }
    }
}

fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("there is /proc");
    ["VmRSS:", "VmPTE:"].into_iter().map(|field| field_of(&status, field)).sum()
}

fn field_of(status: &str, field: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = value.and_then(|value| value.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_else(|| panic!("/proc/self/status has no {field}")) * 1024
}

fn cpu() -> Duration {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the pointer is good for the whole struct, which the call fills in.
    let answer = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    assert_eq!(answer, 0, "getrusage knows RUSAGE_SELF");
    // SAFETY: the call has succeeded.
    let usage = unsafe { usage.assume_init() };
    [usage.ru_utime, usage.ru_stime]
        .into_iter()
        .map(|time| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1_000))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let status = "Name:\tx\nVmRSS:\t    1412 kB\nVmPTE:\t      40 kB\n";
        assert_eq!(field_of(status, "VmRSS:"), 1412 * 1024);
        assert_eq!(field_of(status, "VmPTE:"), 40 * 1024);
    }

    #[test]
    fn a_process_has_memory() {
        assert!(Usage::now().memory > 0);
    }
}

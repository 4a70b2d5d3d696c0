//! Which limit of the process or of the system has kept the kernel from mapping more.
//!
//! The kernel says no more than `ENOMEM`. So the limits that could be meant are compared with what
//! the process has. Nothing is allocated for that: there may be no memory.

use std::fs::File;
use std::io::Read;

/// Why memory could not be mapped, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    AddressSpace,
    Data,
    Maps,
    Commit,
    /// None of these.
    Unknown,
}

impl Limit {
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::AddressSpace => "raise RLIMIT_AS (ulimit -v)",
            Self::Data => "raise RLIMIT_DATA (ulimit -d)",
            Self::Maps => "raise vm.max_map_count, of which the process has all",
            Self::Commit => {
                "the system does not promise more memory than it has: set vm.overcommit_memory to \
                 0, or raise vm.overcommit_ratio"
            }
            Self::Unknown => {
                "look at the other limits of the process (ulimit -a) and of its control group"
            }
        }
    }
}

/// The limit that has kept the kernel from mapping `bytes` just now.
pub(super) fn in_the_way_of(bytes: usize) -> Limit {
    if exceeds(libc::RLIMIT_AS, "VmSize:", bytes) {
        Limit::AddressSpace
    } else if exceeds(libc::RLIMIT_DATA, "VmData:", bytes) {
        Limit::Data
    } else if number("/proc/sys/vm/overcommit_memory") == Some(2) {
        Limit::Commit
    } else if number("/proc/sys/vm/max_map_count").is_some_and(|most| count_maps() + 8 > most) {
        Limit::Maps
    } else {
        Limit::Unknown
    }
}

/// Whether the process would have more than a limit allows if it got `bytes` more.
fn exceeds(resource: libc::__rlimit_resource_t, field: &str, bytes: usize) -> bool {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: 0 };
    // SAFETY: the call writes to `limit` only.
    unsafe { libc::getrlimit(resource, &mut limit) };
    if limit.rlim_cur == libc::RLIM_INFINITY {
        return false;
    }
    let mut status = [0; 4096];
    let has = read("/proc/self/status", &mut status)
        .and_then(|text| text.lines().find_map(|line| line.strip_prefix(field)))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok());
    has.is_some_and(|kib| (kib * 1024).saturating_add(bytes) as u64 > limit.rlim_cur)
}

fn number(path: &str) -> Option<usize> {
    read(path, &mut [0; 32])?.trim().parse().ok()
}

fn read<'a>(path: &str, buffer: &'a mut [u8]) -> Option<&'a str> {
    let length = File::open(path).ok()?.read(buffer).ok()?;
    std::str::from_utf8(&buffer[..length]).ok()
}

fn count_maps() -> usize {
    File::open("/proc/self/maps").map_or(0, count_lines)
}

fn count_lines(mut text: impl Read) -> usize {
    let (mut buffer, mut count) = ([0; 4096], 0);
    while let Ok(length @ 1..) = text.read(&mut buffer) {
        count += buffer[..length].iter().filter(|byte| **byte == b'\n').count();
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_limited_is_not_in_the_way() {
        let limit = in_the_way_of(1 << 40);
        assert!(![Limit::Data, Limit::Maps].contains(&limit), "{limit:?}");
    }

    #[test]
    fn the_maps_of_the_process_are_counted() {
        assert!(count_maps() > 10);
        for lines in [0, 1, 5000] {
            assert_eq!(count_lines("a map\n".repeat(lines).as_bytes()), lines);
        }
    }

    #[test]
    fn numbers_of_the_system_are_read() {
        assert!(number("/proc/sys/vm/max_map_count").is_some_and(|most| most > 1000));
        assert_eq!(number("/proc/self/status"), None);
        assert_eq!(number("/proc/nothing"), None);
    }
}

//! [`StackSize`]: how much room a stack has, and the page it is counted in.

use std::ffi::OsStr;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

const KIB: usize = 1024;
const VARIABLE: &str = "LISLE_STACK_SIZE";

/// The size of a stack in bytes: the address space that its frames can use. The guard comes on top.
///
/// There are few sizes, so that a stack which is returned is good for many others: between a power
/// of two and the next lie three more, and any other size is rounded up. Address space is not
/// memory: a task pays only for the pages that it touches, and for the page tables above them (584
/// bytes a stack at the default size).
///
/// # Examples
///
/// ```
/// use lisle_runtime::stack::StackSize;
///
/// assert_eq!(StackSize::default().bytes(), 256 * 1024);
/// assert_eq!(StackSize::new(1 << 20).bytes(), 1 << 20);
/// assert_eq!(StackSize::new(100_000).bytes(), 112 * 1024); // of 64, 80, 96, 112, 128 KiB
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StackSize(usize);

/// How many sizes lie from a power of two up to the next, which is not counted.
const STEPS: usize = 4;

impl StackSize {
    /// 256 KiB.
    pub const DEFAULT: Self = Self(256 * KIB);

    /// 32 KiB. A panic that prints a backtrace alone needs about 20 KiB, and a task that cannot
    /// even panic is of no use.
    ///
    /// Where pages are larger than that, [`StackSize::new`] gives a page at least.
    pub const MIN: Self = Self(32 * KIB);

    /// Half of all addresses. It is a power of two, so that no size is rounded beyond it.
    const MOST: usize = isize::MAX as usize / 2 + 1;

    /// A size of at least `bytes`: zero and small sizes become [`StackSize::MIN`], and any other is
    /// rounded up to the next of the sizes.
    ///
    /// An absurdly large size is accepted here; getting a stack of that size fails with an error.
    ///
    /// ```
    /// use lisle::coroutine::StackSize;
    ///
    /// assert_eq!(StackSize::new(1), StackSize::MIN);
    /// assert_eq!(StackSize::new(1 << 20).bytes(), 1 << 20);
    /// assert_eq!(StackSize::new((1 << 20) + 1).bytes(), 5 << 18); // the next of four a doubling
    /// ```
    pub fn new(bytes: usize) -> Self {
        let bytes = bytes.clamp(Self::MIN.0, Self::MOST);
        let step = (1 << bytes.ilog2()) / STEPS;
        Self(bytes.next_multiple_of(step).next_multiple_of(page_size()))
    }

    /// The size that the environment variable `LISLE_STACK_SIZE` asks for, else the default.
    ///
    /// The variable holds a number of bytes, or a number followed by `K`, `M` or `G` (also `KiB`,
    /// `MiB`, `GiB`; upper or lower case), all powers of 1,024. Unset and empty mean the default.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, with a text that names the variable and its value, if it is anything else.
    ///
    /// ```
    /// use lisle::coroutine::StackSize;
    ///
    /// # // SAFETY: the program has one thread.
    /// # unsafe { std::env::remove_var("LISLE_STACK_SIZE") };
    /// assert_eq!(StackSize::from_env()?, StackSize::DEFAULT); // the variable is not set
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn from_env() -> io::Result<Self> {
        Self::from_value(std::env::var_os(VARIABLE).as_deref())
    }

    fn from_value(value: Option<&OsStr>) -> io::Result<Self> {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Ok(Self::DEFAULT);
        };
        match value.to_str().and_then(parse_bytes) {
            Some(bytes) => Ok(Self::new(bytes)),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{VARIABLE}={} is not a stack size: give bytes, or a number with K, M or G, \
                     for example {VARIABLE}=512K",
                    value.display()
                ),
            )),
        }
    }

    /// The size in bytes.
    ///
    /// ```
    /// assert_eq!(lisle::coroutine::StackSize::DEFAULT.bytes(), 256 * 1024);
    /// ```
    pub const fn bytes(self) -> usize {
        self.0
    }
}

impl Default for StackSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

fn parse_bytes(text: &str) -> Option<usize> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" => 1,
        "k" | "kib" => KIB,
        "m" | "mib" => KIB * KIB,
        "g" | "gib" => KIB * KIB * KIB,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(factor)
}

/// The size of a page.
pub(super) fn page_size() -> usize {
    static PAGE: AtomicUsize = AtomicUsize::new(0);
    let known = PAGE.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    // SAFETY: `sysconf` reads a constant of the system and touches no memory of ours.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page = usize::try_from(page).expect("the page size is known");
    PAGE.store(page, Ordering::Relaxed);
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn from(value: &str) -> io::Result<StackSize> {
        StackSize::from_value(Some(OsStr::new(value)))
    }

    #[test]
    fn small_sizes_become_the_minimum() {
        let least = StackSize::new(0);
        assert_eq!(StackSize::new(1), least);
        assert_eq!(StackSize::new(StackSize::MIN.bytes()), least);
        assert_eq!(least.bytes(), StackSize::MIN.bytes().max(page_size()));
    }

    #[test]
    fn sizes_are_rounded_up_to_four_a_doubling() {
        for power in 18..40 {
            let (low, step) = (1_usize << power, 1 << (power - 2));
            for n in 0..4 {
                let size = low + n * step;
                assert_eq!(StackSize::new(size).bytes(), size);
                assert_eq!(StackSize::new(size + 1).bytes(), size + step);
                assert_eq!(StackSize::new(size + step - 1).bytes(), size + step);
            }
        }
        assert_eq!(StackSize::new(StackSize::DEFAULT.bytes()), StackSize::DEFAULT);
    }

    #[test]
    fn there_are_few_sizes_and_each_is_a_whole_number_of_pages() {
        let sizes: BTreeSet<_> = (0..100_000).map(|n| StackSize::new(n * 4096)).collect();
        assert!(sizes.len() <= 60, "{} sizes up to 400 MB", sizes.len());
        assert!(sizes.iter().all(|size| size.bytes().is_multiple_of(page_size())));
    }

    #[test]
    fn the_largest_size_is_still_a_whole_number_of_pages() {
        let size = StackSize::new(usize::MAX);
        assert!(size.bytes().is_multiple_of(page_size()) && size.bytes() <= isize::MAX as usize);
        assert_eq!(StackSize::new(size.bytes()), size);
    }

    #[test]
    fn the_variable_takes_bytes_and_units() {
        for (text, bytes) in [
            ("1048576", 1 << 20),
            ("512K", 512 << 10),
            ("512kib", 512 << 10),
            (" 2 MiB ", 2 << 20),
            ("1g", 1 << 30),
            ("3GIB", 3 << 30),
        ] {
            assert_eq!(from(text).unwrap().bytes(), bytes, "{text:?}");
        }
        assert_eq!(from("0").unwrap(), StackSize::new(0));
        assert_eq!(from("").unwrap(), StackSize::DEFAULT);
        assert_eq!(StackSize::from_value(None).unwrap(), StackSize::DEFAULT);
    }

    #[test]
    fn a_bad_value_is_named_with_an_example_of_a_good_one() {
        for text in [
            "lots",
            "12Q",
            "-1",
            "K",
            "1.5M",
            "0x1000",
            " ",
            "99999999999999999999",
            "99999999999G",
        ] {
            let error = from(text).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{text:?}");
            let said = error.to_string();
            assert!(said.contains(&format!("LISLE_STACK_SIZE={text} ")), "{said}");
            assert!(said.contains("LISLE_STACK_SIZE=512K"), "{said}");
        }
    }
}

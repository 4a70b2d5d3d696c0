//! [`StackSize`]: how much address space a stack takes, and the page it is counted in.

use std::ffi::OsStr;
use std::io;
use std::sync::OnceLock;

const KIB: usize = 1024;
const VARIABLE: &str = "LISLE_STACK_SIZE";

/// The size of a stack in bytes of address space, its guard page included.
///
/// Always a multiple of the page size. Address space is not memory: a task pays only for the pages
/// that it touches, and for the page tables above them (520 bytes a stack at the default size).
///
/// # Examples
///
/// ```
/// use lisle_runtime::stack::StackSize;
///
/// assert_eq!(StackSize::default().bytes(), 256 * 1024);
/// assert_eq!(StackSize::new(1 << 20).bytes(), 1 << 20);
/// assert_eq!(StackSize::new(100_000).bytes() % 4096, 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StackSize(usize);

impl StackSize {
    /// 256 KiB.
    pub const DEFAULT: Self = Self(256 * KIB);

    /// 32 KiB. A panic that prints a backtrace alone needs about 20 KiB, and a task that cannot
    /// even panic helps nobody.
    ///
    /// Where pages are larger than 4 KiB the guard page is larger too, and [`StackSize::new`] gives
    /// somewhat more than this.
    pub const MIN: Self = Self(32 * KIB);

    /// A size of at least `bytes`: zero and small sizes become [`StackSize::MIN`], and any other is
    /// rounded up to a whole number of pages.
    ///
    /// An absurdly large size is accepted here; getting a stack of that size fails with an error.
    pub fn new(bytes: usize) -> Self {
        let page = page_size();
        let least = page + (Self::MIN.0 - 4 * KIB);
        let most = isize::MAX as usize & !(page - 1);
        Self(bytes.max(least).min(most).next_multiple_of(page))
    }

    /// The size that the environment variable `LISLE_STACK_SIZE` asks for, else the default.
    ///
    /// The variable holds a number of bytes, or a number followed by `K`, `M` or `G` (also `KiB`,
    /// `MiB`, `GiB`; upper or lower case), all powers of 1,024. Unset and empty mean the default.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, with a text that names the variable and its value, if it is anything else.
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

/// The size of a page, which is also the size of a guard.
pub(super) fn page_size() -> usize {
    static PAGE: OnceLock<usize> = OnceLock::new();
    *PAGE.get_or_init(|| {
        // SAFETY: `sysconf` reads a constant of the system and touches no memory of ours.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(page).expect("the page size is known")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(value: &str) -> io::Result<StackSize> {
        StackSize::from_value(Some(OsStr::new(value)))
    }

    #[test]
    fn small_sizes_become_the_minimum_and_odd_ones_whole_pages() {
        let page = page_size();
        let least = StackSize::new(0);
        assert!(least >= StackSize::MIN);
        assert_eq!(StackSize::new(1), least);
        if page == 4096 {
            assert_eq!(least, StackSize::MIN);
        }
        for bytes in [least.bytes(), 100_000, 262_145, 1 << 30] {
            let size = StackSize::new(bytes).bytes();
            assert!(size >= bytes && size < bytes + page && size.is_multiple_of(page));
        }
        assert!(StackSize::DEFAULT.bytes().is_multiple_of(page));
    }

    #[test]
    fn the_largest_size_is_still_a_whole_number_of_pages() {
        let size = StackSize::new(usize::MAX).bytes();
        assert!(size.is_multiple_of(page_size()) && size <= isize::MAX as usize);
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

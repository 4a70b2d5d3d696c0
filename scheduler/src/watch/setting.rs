//! The variable that switches the watch on.

use std::ffi::OsString;
use std::time::Duration;
use std::{env, io};

const VARIABLE: &str = "LISLE_WATCH";

/// How long a turn may last by the environment. `None` if that says nothing, or that none is
/// watched.
pub(crate) fn from_env() -> io::Result<Option<Duration>> {
    match env::var_os(VARIABLE) {
        None => Ok(None),
        Some(value) => parse(&value.to_string_lossy()).ok_or_else(|| misunderstood(&value)),
    }
}

fn parse(text: &str) -> Option<Option<Duration>> {
    let text = text.trim();
    if matches!(text, "" | "0" | "off") {
        return Some(None);
    }
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u32 = digits.parse().ok().filter(|number| *number > 0)?;
    let unit = match &text[digits.len()..] {
        "us" | "µs" => Duration::from_micros(1),
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        _ => return None,
    };
    Some(Some(unit * number))
}

fn misunderstood(value: &OsString) -> io::Error {
    let text =
        format!("{VARIABLE} must be a time such as 10ms, 2s or 500us, or off, but is {value:?}");
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(parse("10ms"), Some(Some(Duration::from_millis(10))));
        assert_eq!(parse(" 2s\n"), Some(Some(Duration::from_secs(2))));
        for text in ["500us", "500µs"] {
            assert_eq!(parse(text), Some(Some(Duration::from_micros(500))));
        }
        for text in ["", "0", "off"] {
            assert_eq!(parse(text), Some(None));
        }
        for text in ["10", "ms", "0ms", "1.5s", "-1s", "10 ms", "5000000000s", "on", "1h"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

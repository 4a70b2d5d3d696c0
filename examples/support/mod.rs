//! What the examples share: arguments, progress, and numbers that are easy to read.
#![allow(dead_code, unused_imports, reason = "no example needs all of it")]

mod args;
mod progress;

pub use args::Args;
pub use progress::Progress;

/// `number` with a comma between each three digits.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

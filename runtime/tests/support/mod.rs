//! What the tests of this crate share, by what is tested.
#![allow(dead_code, reason = "no test program needs all of it")]

pub mod coroutine;
pub mod stack;
pub mod switch;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
pub mod unwind;

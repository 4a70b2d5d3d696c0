//! C libraries that do input and output by themselves, in tasks.
//!
//! A task must not wait below the frames of such a library. OpenSSL's errors lie in a queue of the
//! thread, where another task's call would find and clear them; others hold locks. So the library
//! is given a socket that never waits, and says in which direction it could not go on. Its call
//! returns, the task waits for that, and calls again.

pub mod openssl;
pub mod ssh;

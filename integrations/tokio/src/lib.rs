//! Nothing to copy: `BlockOn::in_tokio` and `io::Async` are Lisle's own.

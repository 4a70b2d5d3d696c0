//! The examples, and what they do not show: time-outs, ends without a word, cancelling.

#[path = "../examples/https.rs"]
mod https;
#[path = "../examples/tls_echo.rs"]
mod tls_echo;

#[test]
fn tls_echo() {
    tls_echo::main().unwrap();
}

#[test]
fn https() {
    https::main().unwrap();
}

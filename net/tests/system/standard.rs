//! The standard streams, in a child of this test.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lisle_net::io::{stderr, stdin, stdout};
use lisle_net::process::Stdio;
use lisle_scheduler::{Runtime, blocking, spawn, yield_now};

use crate::{is_child, this_program_for};

/// Two tasks share the lines, each of which goes to one of them, whole. The runtime ends while a
/// task waits for more, which does not come.
#[test]
fn lines_go_to_one_reader_each_and_a_reader_that_waits_unwinds() {
    const NAME: &str = "standard::lines_go_to_one_reader_each_and_a_reader_that_waits_unwinds";
    const LINES: usize = 200;
    if is_child(NAME) {
        for workers in [1, 2] {
            let seen = Arc::new(AtomicUsize::new(0));
            let main = || {
                for _ in 0..3 {
                    let seen = seen.clone();
                    spawn(move || {
                        for line in stdin().lines() {
                            let line = line.unwrap();
                            assert!(line.len() == 8 && line.ends_with(" a line"), "{line:?}");
                            writeln!(stdout(), "{line}").unwrap();
                            seen.fetch_add(1, Ordering::AcqRel);
                        }
                    });
                }
                while seen.load(Ordering::Acquire) < LINES {
                    yield_now();
                }
            };
            Runtime::builder().workers(workers).run(main).unwrap();
            writeln!(stdout(), "enough").unwrap();
        }
        assert_eq!(std::thread::spawn(|| stdin().lines().count()).join().unwrap(), 1);
        std::process::exit(0);
    }
    let mut command = this_program_for(NAME);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let mut count = [0; 10];
        for n in 0..LINES {
            // Torn in the middle now and then, and several at a time.
            write!(input, "{} a", n % 10).unwrap();
            if n % 7 == 0 {
                input.write_all(b" ").unwrap();
                input.write_all(b"line\n").unwrap();
            } else {
                input.write_all(b" line\n").unwrap();
            }
        }
        loop {
            let line = output.next().unwrap().unwrap();
            if line == "enough" {
                break;
            }
            // Before the first one the harness of the child has printed something.
            let digit = line.strip_suffix(" a line").and_then(|line| line.chars().last());
            if let Some(digit) = digit.and_then(|digit| digit.to_digit(10)) {
                count[digit as usize] += 1;
            }
        }
        assert_eq!(count, [LINES / 10; 10]);
    }
    input.write_all(b"last without an end").unwrap();
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn bytes_are_read_and_a_line_that_is_no_text_is_an_error() {
    const NAME: &str = "standard::bytes_are_read_and_a_line_that_is_no_text_is_an_error";
    if is_child(NAME) {
        let main = || {
            let mut bytes = [0; 3];
            assert_eq!(stdin().read(&mut []).unwrap(), 0);
            stdin().read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"abc");
            let mut line = String::from("before ");
            assert_eq!(stdin().read_line(&mut line).unwrap(), 5);
            assert_eq!(line, "before def\r\n");
            let error = stdin().read_line(&mut line).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
            assert_eq!(line, "before def\r\n");
            assert_eq!(blocking(|| stdin().lines().next()).unwrap().unwrap(), "ghi");
            let mut rest = String::new();
            stdin().read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "the rest");
            assert_eq!(stdin().read_line(&mut rest).unwrap(), 0);
            assert!(stdin().lines().next().is_none());
            stdout().write_all(b"printed\n").unwrap();
            stdout().flush().unwrap();
            write!(stderr(), "said {}", 1).unwrap();
        };
        Runtime::builder().workers(1).run(main).unwrap();
        std::process::exit(0);
    }
    let mut command = this_program_for(NAME);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"abcdef\r\n\xff\xff\nghi\nthe rest").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.ends_with("said 1"), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("printed\n"));
}

/// The mode of the streams, which the shell shares, stays what it was.
#[test]
fn the_streams_stay_in_blocking_mode() {
    const NAME: &str = "standard::the_streams_stay_in_blocking_mode";
    if is_child(NAME) {
        let main = || {
            stdin().read_line(&mut String::new()).unwrap();
            writeln!(stdout(), "x").unwrap();
            for descriptor in 0..3 {
                // SAFETY: the call touches no memory.
                let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFL) };
                assert_eq!(flags & libc::O_NONBLOCK, 0);
            }
        };
        Runtime::builder().workers(1).run(main).unwrap();
        std::process::exit(0);
    }
    let mut child = this_program_for(NAME);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(child.wait().unwrap().success());
}

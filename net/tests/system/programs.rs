//! Other programs.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lisle_net::process::{Command, Stdio};
use lisle_scheduler::{Cancelled, Runtime, blocking, spawn, yield_now};

use crate::in_tasks_and_on_a_thread;

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn a_program_says_how_it_has_ended() {
    in_tasks_and_on_a_thread(|| {
        assert!(shell("exit 0").status().unwrap().success());
        assert_eq!(shell("exit 7").status().unwrap().code(), Some(7));
        assert_eq!(shell("kill -9 $$").status().unwrap().signal(), Some(9));
        let error = Command::new("/no/such/program").spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);

        let mut child = shell("exit 3").spawn().unwrap();
        assert!(child.id() > 0 && format!("{child:?}").contains(&child.id().to_string()));
        assert_eq!(child.wait().unwrap().code(), Some(3));
        assert_eq!(child.wait().unwrap().code(), Some(3), "again");
        assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(3));
        child.kill().unwrap();
    });
}

#[test]
fn settings_reach_the_program() {
    in_tasks_and_on_a_thread(|| {
        let mut command = shell("echo $ONE $TWO $HOME; pwd");
        command.env_clear().env("ONE", "1").envs([("TWO", "2"), ("HOME", "3")]).env_remove("HOME");
        command.current_dir("/");
        let output = command.output().unwrap();
        assert_eq!(output.stdout, b"1 2\n/\n", "{output:?}");
        let from_std: std::process::Command = {
            let mut command = std::process::Command::new("echo");
            command.arg("std");
            command
        };
        assert_eq!(Command::from(from_std).output().unwrap().stdout, b"std\n");
        command.as_std_mut().env("ONE", "one");
        assert_eq!(command.output().unwrap().stdout, b"one 2\n/\n");
    });
}

#[test]
fn settings_of_unix_reach_the_program() {
    in_tasks_and_on_a_thread(|| {
        let mut command = shell("echo $0; cut -d ' ' -f 5 /proc/$$/stat; echo $$");
        command.arg0("its-name").process_group(0).current_dir("/").env("A", "1").env_remove("B");
        // SAFETY: the call is one of those that are allowed between fork and exec.
        unsafe {
            command.pre_exec(|| match libc::getpid() {
                ..=1 => Err(std::io::ErrorKind::Other.into()),
                _ => Ok(()),
            });
        }
        let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let lines: Vec<_> = output.lines().collect();
        assert_eq!(lines[0], "its-name");
        assert_eq!(lines[1], lines[2], "a group of its own");
        assert_eq!(command.get_program(), "sh");
        assert_eq!(command.get_args().next().unwrap(), "-c");
        assert_eq!(command.get_current_dir(), Some(Path::new("/")));
        let variables: Vec<_> = command.get_envs().collect();
        assert_eq!(variables, [("A".as_ref(), Some("1".as_ref())), ("B".as_ref(), None)]);
        assert_eq!(Command::new("/no/such").exec().kind(), ErrorKind::NotFound);
        // SAFETY: the calls touch no memory.
        let (user, group) = unsafe { (libc::getuid(), libc::getgid()) };
        assert!(shell("true").uid(user).gid(group).status().unwrap().success());
    });
}

/// The pipe goes from one program to the other, in the mode in which it was made.
#[test]
fn a_program_reads_what_another_one_writes() {
    in_tasks_and_on_a_thread(|| {
        let mut first = shell("sleep 0.01; echo passed on");
        let mut first = first.stdout(Stdio::piped()).spawn().unwrap();
        let pipe = first.stdout.take().unwrap();
        let output = Command::new("cat").stdin(pipe).output().unwrap();
        assert_eq!(output.stdout, b"passed on\n");
        assert!(first.wait().unwrap().success());
    });
}

/// More than fits into either pipe.
#[test]
fn all_output_is_read_whichever_pipe_is_full() {
    in_tasks_and_on_a_thread(|| {
        let script = "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero; \
                      head -c 300000 /dev/zero >&2; cat; exit 4";
        let output = shell(script).output().unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (300_000, 600_000));
        assert_eq!(output.status.code(), Some(4));

        let mut only_errors = shell("echo out; echo err >&2");
        only_errors.stdout(Stdio::null());
        let output = only_errors.output().unwrap();
        assert_eq!((output.stdout.len(), &*output.stderr), (0, &b"err\n"[..]));
    });
}

#[test]
fn a_task_talks_with_a_program_while_others_run() {
    in_tasks_and_on_a_thread(|| {
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        for n in 0..3_u8 {
            stdin.write_all(&[n]).unwrap();
            let mut byte = [0xff];
            stdout.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [n]);
        }
        drop(stdin);
        assert_eq!(stdout.read(&mut [0]).unwrap(), 0);
        assert!(child.wait().unwrap().success());
    });
    // What ends the program is another task of the worker.
    Runtime::builder()
        .workers(1)
        .run(|| {
            let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            let stdin = child.stdin.take().unwrap();
            let waiter = spawn(move || child.wait().unwrap());
            yield_now();
            assert!(!waiter.is_finished());
            drop(stdin);
            assert!(waiter.join().unwrap().success());
        })
        .unwrap();
}

#[test]
fn a_wait_has_a_time_out() {
    in_tasks_and_on_a_thread(|| {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        assert!(child.try_wait().unwrap().is_none());
        for timeout in [Duration::ZERO, Duration::from_millis(2)] {
            assert_eq!(child.wait_timeout(timeout).unwrap_err().kind(), ErrorKind::TimedOut);
        }
        drop(stdin);
        assert!(child.wait_timeout(Duration::from_secs(100)).unwrap().success());
        assert!(child.wait_timeout(Duration::ZERO).unwrap().success());
    });
}

/// Whether a process with this number is there, or its remains.
fn exists(id: u32) -> bool {
    // SAFETY: no signal is sent.
    unsafe { libc::kill(id.cast_signed(), 0) == 0 }
}

#[test]
fn a_child_is_killed_with_its_task_if_that_is_wanted() {
    let started = Arc::new(AtomicBool::new(false));
    let theirs = started.clone();
    let (sender, receiver) = std::sync::mpsc::channel();
    let task = Runtime::builder().workers(1).run(move || {
        let task = spawn(move || {
            let mut child = Command::new("cat");
            let mut child = child.stdin(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
            let _open = child.stdin.take();
            sender.send(child.id()).unwrap();
            theirs.store(true, Ordering::Release);
            let _ = child.wait();
        });
        while !started.load(Ordering::Acquire) {
            yield_now();
        }
        task
    });
    assert!(task.unwrap().join().unwrap_err().is::<Cancelled>());
    let id = receiver.recv().unwrap();
    // Somebody takes its remains away.
    while exists(id) {
        blocking(|| std::thread::sleep(Duration::from_millis(1)));
    }
    // One that has ended is left alone.
    let mut child = Command::new("true").kill_on_drop(true).spawn().unwrap();
    assert!(child.wait().unwrap().success());
}

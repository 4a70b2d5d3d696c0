//! What the tests of stacks share: children that may die, and code that runs on a stack of ours.

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::ptr;

use lisle_runtime::stack::Stack;

const CHILD: &str = "LISLE_TEST_CHILD";

/// How a child ended, and what it wrote to standard error.
pub struct Ended {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stderr: String,
}

impl Ended {
    /// Panics with the child's words unless it went through its body.
    #[track_caller]
    pub fn assert_success(&self) {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
    }

    #[track_caller]
    pub fn assert_killed_by(&self, signal: i32) {
        assert_eq!(self.signal, Some(signal), "{}", self.stderr);
    }
}

/// Runs `body` in a process of its own, with `variables` set.
///
/// The child is this test program, started for the test `name` alone; there, this function runs
/// `body` and ends the process. So `name` must be the name of the test that calls this, which calls
/// it before it does anything else, and once.
pub fn in_child(name: &str, variables: &[(&str, &str)], body: impl FnOnce()) -> Ended {
    if env::var_os(CHILD).is_some_and(|child| child == name) {
        leave_no_core_dump();
        body();
        std::process::exit(0);
    }
    let Output { status, stderr, .. } = this_program()
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env_remove("LISLE_STACK_SIZE")
        .env_remove("LISLE_STACK_GUARD")
        .env(CHILD, name)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    Ended {
        code: status.code(),
        signal: status.signal(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// The command that runs programs of a foreign architecture, if this is one: the kernel cannot
/// start them itself.
const RUNNER: &str = "LISLE_TEST_RUNNER";

/// This test program, under the same emulator if it runs under one.
fn this_program() -> Command {
    let program = env::current_exe().unwrap();
    match env::var(RUNNER) {
        Ok(runner) => {
            let mut command = Command::new(runner);
            command.arg(program);
            command
        }
        Err(_) => Command::new(program),
    }
}

fn leave_no_core_dump() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call reads the limit and changes a setting of this process.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) };
}

/// The `libc` crate has these for some architectures only.
#[cfg(target_env = "gnu")]
mod context {
    use libc::{c_int, ucontext_t};

    unsafe extern "C" {
        pub fn getcontext(context: *mut ucontext_t) -> c_int;
        pub fn makecontext(context: *mut ucontext_t, entry: extern "C" fn(), count: c_int, ...);
        pub fn swapcontext(from: *mut ucontext_t, to: *const ucontext_t) -> c_int;
    }
}

/// Calls `entry` on `stack`, and returns when it returns.
#[cfg(target_env = "gnu")]
pub fn run_on(stack: &Stack, entry: extern "C" fn()) {
    // SAFETY: both contexts are filled in by `getcontext` before they are used, and live until the
    // entry has returned through `uc_link`; the stack is ours and nothing else runs on it.
    unsafe {
        let mut here: libc::ucontext_t = std::mem::zeroed();
        let mut there: libc::ucontext_t = std::mem::zeroed();
        assert_eq!(context::getcontext(&mut there), 0);
        there.uc_stack.ss_sp = stack.bottom().cast();
        there.uc_stack.ss_size = stack.top().addr() - stack.bottom().addr();
        there.uc_link = ptr::from_mut(&mut here);
        context::makecontext(&mut there, entry, 0);
        assert_eq!(context::swapcontext(&mut here, &there), 0);
    }
}

/// Whether the kernel can write at `address`. It says so where we would fault.
pub fn writable(address: usize) -> bool {
    // SAFETY: the kernel writes 16 bytes to a stack that nobody runs on, or refuses.
    unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, address) == 0 }
}

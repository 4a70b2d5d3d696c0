//! The few calls of the C library that the tests make, for 64-bit Linux.

use std::ffi::{c_int, c_long, c_uint};
use std::io::PipeReader;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;

#[repr(C)]
struct Limit {
    soft: u64,
    hard: u64,
}

unsafe extern "C" {
    safe fn alarm(seconds: c_uint) -> c_uint;
    safe fn raise(signal: c_int) -> c_int;
    safe fn fork() -> c_int;
    #[link_name = "_exit"]
    safe fn leave(code: c_int) -> !;
    fn waitpid(process: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
    safe fn dup2(old: c_int, new: c_int) -> c_int;
    safe fn signal(signal: c_int, handler: usize) -> usize;
    fn sched_getaffinity(thread: c_int, size: usize, processors: *mut u64) -> c_int;
    fn sched_setaffinity(thread: c_int, size: usize, processors: *const u64) -> c_int;
    fn setrlimit(resource: c_int, limit: *const Limit) -> c_int;
}

pub const SIGABRT: c_int = 6;
pub const SIGURG: c_int = 23;

const CORE_FILE: c_int = 4;
const PROCESSES: c_int = 6;
const ADDRESS_SPACE: c_int = 9;

/// Has the kernel end this process after this many seconds.
pub fn die_in(seconds: u32) {
    alarm(seconds);
}

/// Keeps the calling thread, and those that it starts from now on, on one processor.
pub fn stay_on_one_processor() {
    let mut processors = [0_u64; 16];
    let size = size_of_val(&processors);
    // SAFETY: the call writes as many bytes as it is told, at most.
    assert!(unsafe { sched_getaffinity(0, size, processors.as_mut_ptr()) } >= 0);
    let mut words = processors.iter_mut().skip_while(|word| **word == 0);
    let first = words.next().expect("the thread has a processor");
    *first &= first.wrapping_neg();
    words.for_each(|word| *word = 0);
    // SAFETY: the call reads as many bytes as it is told.
    assert_eq!(unsafe { sched_setaffinity(0, size, processors.as_ptr()) }, 0);
}

/// Has all that this process writes to standard error from now on come out of the result.
pub fn intercept_stderr() -> PipeReader {
    let (reader, writer) = std::io::pipe().unwrap();
    assert_eq!(dup2(writer.as_raw_fd(), 2), 2);
    reader
}

/// Has a signal ignored.
pub fn ignore(number: c_int) {
    const IGNORE: usize = 1;
    signal(number, IGNORE);
}

/// Has a function called when a signal comes.
pub fn handle(number: c_int, handler: extern "C" fn(c_int)) {
    signal(number, handler as usize);
}

/// Sends the calling thread a signal.
pub fn send_here(number: c_int) {
    assert_eq!(raise(number), 0);
}

/// Returns on the only thread of a new process. The old process waits until that has ended, and
/// ends in the same way.
///
/// A fork copies locks as they are, so it waits until the one other thread there may be, that of
/// the test harness, sleeps: it then waits for the test to end and holds none.
pub fn become_the_only_thread() {
    let harness = format!("/proc/self/task/{}/stat", std::process::id());
    while !std::fs::read_to_string(&harness).unwrap().contains(") S ") {
        std::thread::yield_now();
    }
    let child = fork();
    assert_ne!(child, -1, "a process more");
    if child == 0 {
        return;
    }
    let mut status = 0;
    // SAFETY: the call writes to `status`.
    unsafe { waitpid(child, &mut status, 0) };
    let status = std::process::ExitStatus::from_raw(status);
    if let Some(signal) = status.signal() {
        raise(signal);
    }
    std::process::exit(status.code().expect("the child was not killed"));
}

/// Ends the calling thread and no other, without telling anything. Its stack stays.
pub fn end_this_thread() -> ! {
    const EXIT: c_long = if cfg!(target_arch = "x86_64") { 60 } else { 93 };
    // SAFETY: nothing is unwound and nothing runs after it; frames and thread-locals are leaked.
    unsafe { syscall(EXIT, 0) };
    unreachable!("the thread has ended");
}

/// What this process says from now on goes to a file.
pub fn redirect_stderr(path: &str) {
    const STDERR: c_int = 2;
    let file = std::fs::File::options().write(true).open(path).unwrap();
    assert_eq!(dup2(file.as_raw_fd(), STDERR), STDERR);
}

/// Runs `body` in a fork child, which it ends, and says how. A child that hangs is killed.
pub fn in_fork_child(body: impl FnOnce()) -> std::process::ExitStatus {
    let child = fork();
    assert_ne!(child, -1, "a process more");
    if child == 0 {
        die_in(60);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        leave(if outcome.is_ok() { 0 } else { 101 });
    }
    let mut status = 0;
    // SAFETY: the call writes to `status`.
    unsafe { waitpid(child, &mut status, 0) };
    std::process::ExitStatus::from_raw(status)
}

/// This process leaves no core dump.
pub fn leave_no_core_dump() {
    limit(CORE_FILE, 0);
}

/// This process gets `more` bytes of address space beside what it has.
pub fn limit_address_space(more: u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
    limit(ADDRESS_SPACE, kib * 1024 + more);
}

/// This process gets all the address space again that there is.
pub fn unlimit_address_space() {
    limit(ADDRESS_SPACE, u64::MAX);
}

fn limit(resource: c_int, soft: u64) {
    let limit = Limit { soft, hard: u64::MAX };
    // SAFETY: the call reads the limit and changes a setting of this process.
    let failed = unsafe { setrlimit(resource, &limit) };
    // A hard limit cannot be raised; where it is lower already, it will do.
    if failed != 0 {
        // SAFETY: as above.
        unsafe { setrlimit(resource, &Limit { soft, hard: soft }) };
    }
}

/// Lets the calling thread start no others. False if that cannot be had.
pub fn forbid_threads() -> bool {
    const SETRESUID: c_long = if cfg!(target_arch = "x86_64") { 117 } else { 147 };
    const NOBODY: c_uint = 65_534;
    let none = Limit { soft: 0, hard: 0 };
    // SAFETY: the calls read `none` and change settings of this process, and the user of this
    // thread: the limit is not for root.
    unsafe {
        let limited = setrlimit(PROCESSES, &none) == 0;
        let _ = syscall(SETRESUID, NOBODY, NOBODY, NOBODY);
        limited && std::thread::Builder::new().spawn(|| ()).is_err()
    }
}

/// A line of the process's accounts of its memory, in KiB.
pub fn memory(field: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

//! What the tests of profilers share: a signal handler that unwinds what it has interrupted, as
//! that of a sampling profiler does, and counts how far it got.

use std::ffi::{c_int, c_void};
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::Relaxed};

/// The unwinder that std brings along.
mod unwinder {
    use std::ffi::{c_int, c_void};

    /// A frame.
    pub enum Frame {}

    pub type OnFrame = extern "C" fn(*mut Frame, *mut c_void) -> c_int;

    pub const GO_ON: c_int = 0;
    pub const STOP: c_int = 4;
    pub const END_OF_STACK: c_int = 5;

    unsafe extern "C" {
        #[link_name = "_Unwind_Backtrace"]
        pub fn backtrace(on_frame: OnFrame, data: *mut c_void) -> c_int;
        #[link_name = "_Unwind_GetIP"]
        pub fn instruction(frame: *mut Frame) -> usize;
        #[link_name = "_Unwind_GetCFA"]
        pub fn stack_pointer(frame: *mut Frame) -> usize;
        #[link_name = "_Unwind_FindEnclosingFunction"]
        pub fn function(address: *mut c_void) -> *mut c_void;
    }
}

/// How the unwinding of the samples went.
#[derive(Debug)]
pub struct Tally {
    pub samples: usize,
    /// Led from caller to caller to the base of the interrupted stack.
    pub whole: usize,
    /// Ended at the interrupted function, as its tables say.
    pub cut: usize,
    /// Led elsewhere.
    pub lost: usize,
    /// Where a lost one was taken.
    pub lost_at: *const c_void,
}

// One test to a process.
static SAMPLES: AtomicUsize = AtomicUsize::new(0);
static WHOLE: AtomicUsize = AtomicUsize::new(0);
static CUT: AtomicUsize = AtomicUsize::new(0);
static LOST: AtomicUsize = AtomicUsize::new(0);
static LOST_AT: AtomicUsize = AtomicUsize::new(0);

/// The functions at the bases of stacks.
static BASES: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];

impl Tally {
    pub fn so_far() -> Self {
        Self {
            samples: SAMPLES.load(Relaxed),
            whole: WHOLE.load(Relaxed),
            cut: CUT.load(Relaxed),
            lost: LOST.load(Relaxed),
            lost_at: ptr::without_provenance(LOST_AT.load(Relaxed)),
        }
    }

    fn since(self, before: &Self) -> Self {
        Self {
            samples: self.samples - before.samples,
            whole: self.whole - before.whole,
            cut: self.cut - before.cut,
            lost: self.lost - before.lost,
            ..self
        }
    }
}

/// Learns which function is at the base of the stack of the caller. Must have been called on each
/// kind of stack that is to be interrupted, on which it is certain that unwinding works.
pub fn learn_the_base() {
    let base = unwind(None).outermost;
    assert_ne!(base, 0);
    let known = |slot: &&AtomicUsize| [0, base].contains(&slot.load(Relaxed));
    BASES.iter().find(known).expect("room for another base").store(base, Relaxed);
}

/// Unwinds and counts at each `signal`.
pub fn sample_at(signal: c_int) {
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_signal;
    // SAFETY: the action is filled in. What the handler does is allowed in one, or else this test
    // fails, whose subject it is.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        assert_eq!(libc::sigaction(signal, &action, ptr::null_mut()), 0);
    }
}

/// Does `work` on this thread, which is interrupted again and again, `samples` times in all. `work`
/// ends when [`is_over`] says so. Returns how the samples went.
pub fn under_fire(samples: usize, work: impl FnOnce()) -> Tally {
    sample_at(libc::SIGPROF);
    let before = Tally::so_far();
    // SAFETY: all zeroes are a valid value of it. The timer signals this thread, and is deleted
    // below.
    let timer = unsafe {
        let mut event: libc::sigevent = mem::zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGPROF;
        event.sigev_notify_thread_id = libc::gettid();
        let mut timer = ptr::null_mut();
        let made = libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer);
        assert_eq!(made, 0, "{}", std::io::Error::last_os_error());
        timer
    };
    TIMER.store(timer, Relaxed);
    GOAL.store(before.samples + samples, Relaxed);
    next_shot();
    work();
    assert!(is_over());
    // SAFETY: it was created above, and the last of its signals has come.
    unsafe { libc::timer_delete(timer) };
    Tally::so_far().since(&before)
}

/// The thread that is under fire has been interrupted often enough.
pub fn is_over() -> bool {
    SAMPLES.load(Relaxed) >= GOAL.load(Relaxed)
}

/// What interrupts the thread that is under fire, until there are enough samples.
static TIMER: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
static GOAL: AtomicUsize = AtomicUsize::new(0);

/// Sets the timer. Not a periodic one: however long a handler takes, the thread gets on in between.
fn next_shot() {
    if !is_over() {
        // Intervals that have nothing in common with those of any loop.
        let nanoseconds = 2_000 + (SAMPLES.load(Relaxed) * 7_919 % 20_000) as libc::c_long;
        // SAFETY: the timer exists as long as there are samples to come.
        unsafe {
            let mut when: libc::itimerspec = mem::zeroed();
            when.it_value.tv_nsec = nanoseconds;
            libc::timer_settime(TIMER.load(Relaxed), 0, &when, ptr::null_mut());
        }
    }
}

/// Does `work`, and interrupts it after each single instruction. Returns how the samples went.
#[cfg(target_arch = "x86_64")]
pub fn step_through(work: impl FnOnce()) -> Tally {
    sample_at(libc::SIGTRAP);
    let before = Tally::so_far();
    STEPPING.store(true, Relaxed);
    // SAFETY: the signal has a handler.
    unsafe { libc::raise(libc::SIGTRAP) };
    work();
    STEPPING.store(false, Relaxed);
    Tally::so_far().since(&before)
}

/// What was interrupted is to be interrupted again one instruction later.
static STEPPING: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(signal: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes the registers of what it has interrupted.
    let interrupted = unsafe { instruction_of(context.cast()) };
    #[cfg(target_arch = "x86_64")]
    if signal == libc::SIGTRAP {
        const TRAP_FLAG: i64 = 1 << 8;
        // SAFETY: they are the handler's until it returns.
        let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
        let flags = &mut context.uc_mcontext.gregs[libc::REG_EFL as usize];
        if STEPPING.load(Relaxed) {
            *flags |= TRAP_FLAG;
        } else {
            *flags &= !TRAP_FLAG;
        }
    }
    let walk = unwind(Some(interrupted));
    let at_a_base = BASES.iter().any(|base| base.load(Relaxed) == walk.outermost);
    if walk.ended && !walk.astray && at_a_base {
        WHOLE.fetch_add(1, Relaxed);
    } else if walk.ended && walk.frames == 1 {
        CUT.fetch_add(1, Relaxed);
    } else {
        LOST.fetch_add(1, Relaxed);
        LOST_AT.store(interrupted, Relaxed);
    }
    SAMPLES.fetch_add(1, Relaxed);
    if signal == libc::SIGPROF {
        next_shot();
    }
}

struct Walk {
    /// The instruction at which it begins, if that is not the present one.
    from: Option<usize>,
    frames: usize,
    stack_pointer: usize,
    /// The last frame's function, of those that have unwinding tables.
    outermost: usize,
    /// A caller's frame was not above that of what it calls, or not on the same stack.
    astray: bool,
    /// The unwinder has said that there are no more frames.
    ended: bool,
}

fn unwind(from: Option<usize>) -> Walk {
    let mut walk =
        Walk { from, frames: 0, stack_pointer: 0, outermost: 0, astray: false, ended: false };
    // SAFETY: the function gets what it expects.
    let code = unsafe { unwinder::backtrace(on_frame, (&raw mut walk).cast()) };
    walk.ended = code == unwinder::END_OF_STACK;
    walk
}

extern "C" fn on_frame(frame: *mut unwinder::Frame, data: *mut c_void) -> c_int {
    // SAFETY: `unwind` passes a walk, which nobody else uses meanwhile.
    let walk = unsafe { &mut *data.cast::<Walk>() };
    // SAFETY: the frame is the unwinder's, and the address is only looked up.
    let (instruction, stack_pointer, function) = unsafe {
        let instruction = unwinder::instruction(frame);
        let function = unwinder::function(ptr::without_provenance_mut(instruction));
        (instruction, unwinder::stack_pointer(frame), function.addr())
    };
    let before = walk.from.is_some_and(|from| walk.frames == 0 && from != instruction);
    let beyond = instruction == 0;
    if before || beyond {
        return unwinder::GO_ON;
    }
    walk.frames += 1;
    if walk.frames > 1 {
        const LARGEST_STACK: usize = 1 << 20;
        walk.astray |= stack_pointer.wrapping_sub(walk.stack_pointer) > LARGEST_STACK;
    }
    walk.stack_pointer = stack_pointer;
    if function != 0 {
        walk.outermost = function;
    }
    // An unwinder that does not find the end goes on for ever.
    if walk.frames < 100 { unwinder::GO_ON } else { unwinder::STOP }
}

/// # Safety
///
/// `context` is what a signal handler got as its third argument.
unsafe fn instruction_of(context: *const libc::ucontext_t) -> usize {
    // SAFETY: as the caller promises.
    let machine = unsafe { &(*context).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    return machine.gregs[libc::REG_RIP as usize] as usize;
    #[cfg(target_arch = "aarch64")]
    return machine.pc as usize;
    #[cfg(target_arch = "riscv64")]
    return machine.__gregs[libc::REG_PC] as usize;
}

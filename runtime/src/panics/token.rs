//! Tokens: stacks that are suspended in the middle of a panic.

use std::cell::Cell;
use std::io;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::thread::{self, ScopedJoinHandle, panicking};

use crate::stack::{Stack, StackSize};
use crate::switch::{Context, prepare, switch, switch_for_good};

/// A panic that has begun and waits. It counts on the thread on which it has begun.
#[derive(Debug)]
#[must_use = "a token that is lost counts for ever"]
pub(super) struct Token(NonNull<Core>);

/// A token that has ended, or has not begun.
#[derive(Debug)]
pub(super) struct Spare(NonNull<Core>);

// SAFETY: what lies on the stack of a token is a panic without a payload and frames that refer to
// the core and to nothing of a thread: see `panic_once`. Its owner alone enters it.
unsafe impl Send for Token {}
// SAFETY: as above.
unsafe impl Send for Spare {}

/// At the top of a token's stack.
struct Core {
    /// Where the token goes on.
    context: Cell<Context>,
    /// Where the code that entered it goes on.
    user: Cell<Context>,
    /// It is entered for the last time.
    retires: Cell<bool>,
    /// The next in a list of spares.
    next: Cell<Option<Spare>>,
    stack: ManuallyDrop<Stack>,
}

impl Spare {
    pub(super) fn new() -> io::Result<Self> {
        let stack = Stack::allocate(StackSize::DEFAULT)?;
        let place = stack.top().wrapping_sub(size_of::<Core>()).map_addr(|address| address & !15);
        let core = place.cast::<Core>();
        // SAFETY: the place is aligned, and at the end of a stack that is ours alone; the rest of
        // it is left to `base`.
        unsafe {
            core.write(Core {
                context: Cell::new(prepare(place, base, core.cast())),
                user: Cell::new(Context::NONE),
                retires: Cell::new(false),
                next: Cell::new(None),
                stack: ManuallyDrop::new(stack),
            });
            Ok(Self(NonNull::new_unchecked(core)))
        }
    }

    /// Adds one to the panics of the calling thread.
    pub(super) fn begin(self) -> Token {
        let core = self.0;
        std::mem::forget(self);
        // SAFETY: the token waits for its beginning, and this was its only owner.
        unsafe { Core::enter(core) };
        Token(core)
    }

    pub(super) fn link(&self, next: Option<Spare>) {
        self.core().next.set(next);
    }

    pub(super) fn unlink(&self) -> Option<Spare> {
        self.core().next.take()
    }

    fn core(&self) -> &Core {
        // SAFETY: a core lives as long as its stack, which this owns.
        unsafe { self.0.as_ref() }
    }
}

impl Token {
    /// Takes one off the panics of the calling thread.
    pub(super) fn end(self) -> Spare {
        // SAFETY: the token waits in a destructor, and this was its only owner.
        unsafe { Core::enter(self.0) };
        Spare(self.0)
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.core().retires.set(true);
        // SAFETY: the token waits for its beginning, and ends instead. Then nobody uses its stack.
        unsafe {
            Core::enter(self.0);
            drop(ManuallyDrop::take(&mut (*self.0.as_ptr()).stack));
        }
    }
}

impl Core {
    /// Runs the token until it waits again, or has come to its end.
    ///
    /// # Safety
    ///
    /// It waits, and nobody else enters it.
    #[inline(never)]
    unsafe fn enter(core: NonNull<Self>) {
        // SAFETY: the caller's promise. All that lies on a token's stack may change thread.
        unsafe {
            let core = core.as_ref();
            switch(core.user.as_ptr(), core.context.get());
        }
    }

    /// Lets the code that entered the token go on.
    #[inline(never)]
    fn wait(&self) {
        // SAFETY: the token runs, so the code that entered it waits, in `enter`.
        unsafe { switch(self.context.as_ptr(), self.user.get()) }
    }
}

/// # Safety
///
/// `data` is the core of this stack.
unsafe extern "C" fn base(data: *mut ()) -> ! {
    // SAFETY: the caller's promise.
    let core = unsafe { &*data.cast::<Core>() };
    while !core.retires.get() {
        panic_once(core);
        core.wait();
    }
    // SAFETY: the code that entered the token waits, in `enter`, and nothing on this stack is
    // needed.
    unsafe { switch_for_good(core.user.get()) }
}

/// Not inlined, and with nothing else in it that concerns the thread: code that had the address of
/// a thread-local from before the wait would use it after, on another thread.
#[inline(never)]
fn panic_once(core: &Core) {
    struct WaitOnDrop<'a>(&'a Core);
    impl Drop for WaitOnDrop<'_> {
        fn drop(&mut self) {
            self.0.wait();
        }
    }

    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _waits = WaitOnDrop(core);
        resume_unwind(Box::new(()));
    }));
}

/// Whether tokens change the counts as they should. Leaves the calling thread's count as it was,
/// which must be zero.
pub(super) fn work() -> io::Result<bool> {
    let (first, second) = (Spare::new()?, Spare::new()?);
    let mut right = !panicking();
    let mut token = Some(first.begin());
    right &= panicking();
    let elsewhere = thread::scope(|threads| {
        let body = || {
            let mut right = !panicking();
            let other = second.begin();
            right &= panicking();
            let spare = token.take().map(Token::end);
            right &= !panicking();
            token = spare.map(Spare::begin);
            right &= panicking();
            drop(other.end());
            right && !panicking()
        };
        thread::Builder::new().spawn_scoped(threads, body).map(ScopedJoinHandle::join)
    });
    right &= panicking();
    drop(token.map(Token::end));
    right &= !panicking();
    Ok(right && matches!(elsewhere?, Ok(true)))
}

//! What the tests of the switch share: a body on a stack of its own, written against nothing but
//! the contract of `lisle_runtime::switch`, and (per architecture) the registers of a caller.

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(target_arch = "riscv64", path = "riscv64.rs")]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
pub mod registers;

use std::cell::Cell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::thread;

use lisle_runtime::stack::{Stack, StackSize};
use lisle_runtime::switch::{Context, Entry, on_top_of, prepare, switch, switch_for_good};

/// A stack whose highest bytes are not zero, as those of a reused one.
pub fn stack() -> Stack {
    const USED: usize = 4096;
    let stack = Stack::allocate(StackSize::DEFAULT).unwrap();
    // SAFETY: the stack is ours, is larger than that, and nothing runs on it yet.
    unsafe { stack.top().sub(USED).write_bytes(0xAA, USED) };
    stack
}

type Body = Box<dyn FnOnce(&Link)>;

/// What both sides of a [`Fiber`] know.
pub struct Link {
    inside: Cell<Context>,
    outside: Cell<Context>,
    body: Cell<Option<Body>>,
    outcome: Cell<Option<thread::Result<()>>>,
}

impl Link {
    /// Goes back to the resumer of the fiber. To be called by its body.
    #[inline(always)]
    pub fn suspend(&self) {
        // SAFETY: the body runs, so its resumer is suspended on this thread and waits to be
        // continued once.
        unsafe { switch(self.inside.as_ptr(), self.outside.get()) }
    }
}

/// A body with a stack. It may be dropped before it starts or after its end; else it is leaked.
pub struct Fiber {
    link: Rc<Link>,
    stack: Option<Stack>,
    started: Cell<bool>,
    finished: Cell<bool>,
}

impl Fiber {
    pub fn new(body: impl FnOnce(&Link) + 'static) -> Self {
        Self::on(stack(), body)
    }

    pub fn on(stack: Stack, body: impl FnOnce(&Link) + 'static) -> Self {
        Self::with_entry(stack, first_frame, body)
    }

    pub fn with_entry(stack: Stack, entry: Entry, body: impl FnOnce(&Link) + 'static) -> Self {
        let link = Rc::new(Link {
            inside: Cell::new(Context::NONE),
            outside: Cell::new(Context::NONE),
            body: Cell::new(Some(Box::new(body))),
            outcome: Cell::new(None),
        });
        let data = Rc::as_ptr(&link).cast_mut().cast();
        // SAFETY: the stack is unused and is kept until the entry has left it for good.
        link.inside.set(unsafe { prepare(stack.top(), entry, data) });
        Self { link, stack: Some(stack), started: Cell::new(false), finished: Cell::new(false) }
    }

    /// Runs the body until it suspends or ends. A panic of the body goes on here.
    pub fn resume(&self) {
        self.enter();
        if let Some(outcome) = self.link.outcome.take() {
            self.finished.set(true);
            outcome.unwrap_or_else(|payload| resume_unwind(payload));
        }
    }

    /// The bare switch to a body that is known to suspend and not to end.
    #[inline(always)]
    pub fn enter(&self) {
        assert!(!self.finished.get(), "the body has ended");
        self.started.set(true);
        // SAFETY: the fiber is fresh or suspended, and not shared between threads; a test that
        // moves it to another thread does so before its start.
        unsafe { switch(self.link.outside.as_ptr(), self.link.inside.get()) };
    }

    /// Runs `f` on top of the suspended body.
    pub fn visit<R>(&self, f: impl FnOnce() -> R) -> R {
        assert!(self.started.get() && !self.finished.get());
        // SAFETY: the body has stored the context when it suspended; no test passes an `f` that
        // switches.
        unsafe { on_top_of(self.link.inside.get(), self.stack().bottom(), f) }.unwrap()
    }

    pub fn is_finished(&self) -> bool {
        self.finished.get()
    }

    pub fn stack(&self) -> &Stack {
        self.stack.as_ref().expect("only dropping takes it")
    }

    /// The stack, for another use after the end of the body.
    pub fn into_stack(mut self) -> Stack {
        assert!(self.finished.get());
        self.stack.take().expect("only dropping takes it")
    }
}

impl Drop for Fiber {
    fn drop(&mut self) {
        if self.started.get() && !self.finished.get() {
            mem::forget(self.stack.take());
            mem::forget(self.link.clone());
        }
    }
}

unsafe extern "C" fn first_frame(data: *mut ()) -> ! {
    // SAFETY: `data` is the link of a fiber, which lives until the fiber has finished.
    let link = unsafe { &*data.cast::<Link>() };
    let body = link.body.take().expect("a fiber starts once");
    let outcome = catch_unwind(AssertUnwindSafe(|| body(link)));
    link.outcome.set(Some(outcome));
    // SAFETY: the resumer waits, and nothing on this stack has a destructor left.
    unsafe { switch_for_good(link.outside.get()) }
}

/// As the usual entry, but a panic of the body arrives at the base of the stack.
pub unsafe extern "C" fn first_frame_without_catch(data: *mut ()) -> ! {
    // SAFETY: `data` is the link of a fiber, which lives until the fiber has finished.
    let link = unsafe { &*data.cast::<Link>() };
    link.body.take().expect("a fiber starts once")(link);
    unreachable!("the bodies of this entry do not return");
}

/// Filled in at the first instruction of a fresh stack by `registers::arrive`.
#[repr(C)]
pub struct Arrival {
    pub frame_pointer: Cell<usize>,
    pub home: Cell<Context>,
}

/// Where `registers::arrive` goes on.
pub unsafe extern "C" fn go_home(data: *mut ()) -> ! {
    // SAFETY: `data` is an arrival that outlives this switch to its home, which waits for it.
    unsafe { switch_for_good((*data.cast::<Arrival>()).home.get()) }
}

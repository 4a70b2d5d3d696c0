//! Where the stacks of coroutines come from: the thread's warm ones.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::OnceLock;

use crate::stack::{Stack, StackCache, StackSize, fork};

/// A stack whose description lies in its own topmost bytes, so that it is handed around by a pointer.
pub(super) struct Placed(NonNull<Stack>);

impl Placed {
    #[inline]
    pub(super) fn new(stack: Stack) -> Self {
        let place = stack.top().cast::<Stack>().wrapping_sub(1);
        // SAFETY: the end of a stack is aligned to the page and not null; the bytes below are writable,
        // and whoever owns the stack owns them.
        unsafe {
            place.write(stack);
            Self(NonNull::new_unchecked(place))
        }
    }

    /// The end of what is left of the stack.
    #[inline]
    pub(super) fn top(&self) -> *mut u8 {
        self.0.as_ptr().cast()
    }

    /// How many bytes are below an address of the stack, the guard included.
    #[inline]
    pub(super) fn room_below(&self, address: *mut u8) -> usize {
        self.size().bytes() + address.addr() - Stack::top(self).addr()
    }

    #[inline]
    pub(super) fn into_stack(self) -> Stack {
        // SAFETY: the description was placed there by `new`, and is taken out once.
        let stack = unsafe { self.0.read() };
        std::mem::forget(self);
        stack
    }
}

impl Deref for Placed {
    type Target = Stack;

    #[inline]
    fn deref(&self) -> &Stack {
        // SAFETY: the description was placed there by `new`; users of the stack stay below `top`.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        // SAFETY: as in `into_stack`. It is read first, since dropping it takes its place away.
        drop(unsafe { self.0.read() });
    }
}

/// A stack that is kept. A forked child has not got it, nor its description, and leaves it alone.
struct Kept {
    stack: ManuallyDrop<Placed>,
    generation: u32,
}

impl Kept {
    #[inline]
    fn new(stack: Placed) -> Self {
        Self { stack: ManuallyDrop::new(stack), generation: fork::generation() }
    }

    #[inline]
    fn into_stack(self) -> Option<Placed> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: it is taken once, since this value is not dropped.
        this.is_here().then(|| unsafe { ManuallyDrop::take(&mut this.stack) })
    }

    #[inline]
    fn is_here(&self) -> bool {
        self.generation == fork::generation()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.is_here() {
            // SAFETY: `into_stack` was not called, which takes the stack and does not come here.
            unsafe { ManuallyDrop::drop(&mut self.stack) }
        }
    }
}

/// More of them, for one process.
struct Cache {
    stacks: StackCache,
    generation: u32,
}

impl Cache {
    fn new() -> Self {
        Self { stacks: StackCache::new(default_size()), generation: fork::generation() }
    }

    /// The stacks, or none yet if they were left behind in the parent.
    fn stacks(&mut self) -> &mut StackCache {
        if self.generation != fork::generation() {
            *self = Self::new();
        }
        &mut self.stacks
    }
}

thread_local! {
    /// The stack used last: for the coroutine that is made when another has just gone.
    static HOT: Cell<Option<Kept>> = const { Cell::new(None) };
    static CACHE: RefCell<Cache> = RefCell::new(Cache::new());
}

/// The size for coroutines. A setting that cannot be read is reported by whoever starts a runtime.
#[inline]
fn default_size() -> StackSize {
    static SIZE: OnceLock<StackSize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        let size = StackSize::from_env().unwrap_or(StackSize::DEFAULT);
        StackSize::new(size.bytes())
    })
}

/// A stack of the default size. Panics if there is no memory for one.
#[inline]
pub(super) fn take() -> Placed {
    // While the thread ends and its locals are gone, stacks come from the process.
    let hot = HOT.try_with(Cell::take).ok().flatten();
    if let Some(stack) = hot.and_then(Kept::into_stack) {
        return stack;
    }
    match take_cached() {
        Ok(stack) => Placed::new(stack),
        Err(error) => panic!("{error}"),
    }
}

#[cold]
fn take_cached() -> io::Result<Stack> {
    let cached = CACHE.try_with(|cache| {
        let mut cache = cache.borrow_mut();
        let stacks = cache.stacks();
        stacks.reserve()?;
        stacks.take().inspect_err(|_| stacks.cancel_reservation())
    });
    cached.unwrap_or_else(|_| Stack::allocate(default_size()))
}

/// Keeps a stack that nobody runs on any more, if it has the default size.
#[inline]
pub(super) fn put(stack: Placed) {
    if stack.size() != default_size() {
        return drop(stack);
    }
    let mut spare = Some(Kept::new(stack));
    let _ = HOT.try_with(|hot| spare = hot.replace(spare.take()));
    if let Some(stack) = spare.and_then(Kept::into_stack) {
        put_cached(stack.into_stack());
    }
}

#[cold]
fn put_cached(stack: Stack) {
    let mut spare = Some(stack);
    let _ = CACHE.try_with(|cache| {
        if let Some(stack) = spare.take() {
            cache.borrow_mut().stacks().put(stack);
        }
    });
}

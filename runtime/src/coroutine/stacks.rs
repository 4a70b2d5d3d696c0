//! Where the stacks of coroutines come from: the thread's warm ones.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::stack::{Stack, StackCache, StackSize, fork, prepare_thread};

/// A stack whose description lies in its own topmost bytes, so that it is handed around by a
/// pointer.
pub(super) struct Placed(NonNull<Stack>);

impl Placed {
    #[inline]
    pub(super) fn new(stack: Stack) -> Self {
        let place = stack.top().cast::<Stack>().wrapping_sub(1);
        // SAFETY: the end of a stack is aligned to the page and not null; the bytes below are
        // writable and belong to the owner of the stack.
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

    /// How many usable bytes are below an address of the stack.
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

/// A stack that is kept. A fork child has neither it nor its description, and leaves it alone.
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

/// More warm stacks, of one process.
struct Cache {
    stacks: StackCache,
    generation: u32,
}

impl Cache {
    fn new(size: StackSize) -> Self {
        Self { stacks: StackCache::new(size), generation: fork::generation() }
    }
}

thread_local! {
    /// The stack used last: for the coroutine that is made when another has just gone.
    static HOT: Cell<Option<Kept>> = const { Cell::new(None) };
    static CACHE: RefCell<Option<Cache>> = const { RefCell::new(None) };
}

/// The default size in bytes, once it was asked for. Zero before, and never if it cannot be
/// understood.
static DEFAULT_SIZE: AtomicUsize = AtomicUsize::new(0);

/// The size of stacks that were taken without naming one, if any were. Fit for a signal handler.
pub(crate) fn default_size_in_use() -> Option<usize> {
    Some(DEFAULT_SIZE.load(Ordering::Relaxed)).filter(|bytes| *bytes != 0)
}

fn default_size() -> io::Result<StackSize> {
    let size = match default_size_in_use() {
        Some(bytes) => StackSize::new(bytes),
        None => StackSize::from_env()?,
    };
    DEFAULT_SIZE.store(size.bytes(), Ordering::Relaxed);
    Ok(size)
}

/// A stack of the default size.
///
/// # Panics
///
/// If there is no memory for one, or if the default is not a size.
#[inline]
pub(super) fn take() -> Placed {
    // While the thread ends and its locals are gone, stacks come from the process.
    let hot = HOT.try_with(Cell::take).ok().flatten();
    if let Some(stack) = hot.and_then(Kept::into_stack) {
        return stack;
    }
    match take_cached() {
        Ok(stack) => stack,
        Err(error) => panic!("{error}"),
    }
}

/// A stack of at least `bytes` bytes.
///
/// # Panics
///
/// If there is no memory for one.
pub(super) fn allocate(bytes: usize) -> Placed {
    match Stack::allocate(StackSize::new(bytes)) {
        Ok(stack) => place(stack),
        Err(error) => panic!("{error}"),
    }
}

/// Makes a stack ready for a coroutine of this thread.
#[inline]
pub(super) fn place(stack: Stack) -> Placed {
    prepare_thread();
    Placed::new(stack)
}

#[cold]
fn take_cached() -> io::Result<Placed> {
    let size = default_size()?;
    let cached = with_cache(size, |stacks| {
        stacks.reserve()?;
        stacks.take().inspect_err(|_| stacks.cancel_reservation())
    });
    cached.unwrap_or_else(|| Stack::allocate(size)).map(place)
}

/// Keeps a stack that nothing runs on any more, if it has the default size.
#[inline]
pub(super) fn put(stack: Placed) {
    if default_size_in_use() != Some(stack.size().bytes()) {
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
    let size = stack.size();
    let mut spare = Some(stack);
    with_cache(size, |stacks| spare.take().into_iter().for_each(|stack| stacks.put(stack)));
}

/// Lends the thread's cache, of stacks of the default size: a new one if the old one was left
/// behind in the parent of a fork. `None` while the thread ends and its locals are gone.
fn with_cache<R>(size: StackSize, user: impl FnOnce(&mut StackCache) -> R) -> Option<R> {
    let lend = |cache: &RefCell<Option<Cache>>| {
        let mut cache = cache.borrow_mut();
        if cache.as_ref().is_some_and(|cache| cache.generation != fork::generation()) {
            *cache = None;
        }
        user(&mut cache.get_or_insert_with(|| Cache::new(size)).stacks)
    };
    CACHE.try_with(lend).ok()
}

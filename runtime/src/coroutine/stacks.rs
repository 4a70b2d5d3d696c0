//! The thread's warm stacks for coroutines.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::OnceLock;

use crate::stack::{Stack, StackCache, StackSize};

thread_local! {
    /// The stack used last: for the coroutine that is made when another has just gone.
    static HOT: Cell<Option<Stack>> = const { Cell::new(None) };
    static CACHE: RefCell<StackCache> = RefCell::new(StackCache::new(default_size()));
}

/// The size for coroutines. A setting that cannot be read is reported by whoever starts a runtime.
fn default_size() -> StackSize {
    static SIZE: OnceLock<StackSize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        let size = StackSize::from_env().unwrap_or(StackSize::DEFAULT);
        StackSize::new(size.bytes())
    })
}

/// A stack of the default size. Panics if there is no memory for one.
#[inline]
pub(super) fn take() -> Stack {
    // While the thread ends and its locals are gone, stacks come from the process.
    match HOT.try_with(Cell::take) {
        Ok(Some(stack)) => stack,
        _ => take_cached().unwrap_or_else(|error| panic!("{error}")),
    }
}

#[cold]
fn take_cached() -> io::Result<Stack> {
    let cached = CACHE.try_with(|cache| {
        let mut cache = cache.borrow_mut();
        cache.reserve()?;
        cache.take().inspect_err(|_| cache.cancel_reservation())
    });
    cached.unwrap_or_else(|_| Stack::allocate(default_size()))
}

/// Keeps a stack that nobody runs on any more, if it has the default size.
#[inline]
pub(super) fn put(stack: Stack) {
    if stack.size() != default_size() {
        return drop(stack);
    }
    let mut spare = Some(stack);
    let _ = HOT.try_with(|hot| spare = hot.replace(spare.take()));
    if let Some(stack) = spare {
        put_cached(stack);
    }
}

#[cold]
fn put_cached(stack: Stack) {
    let mut spare = Some(stack);
    let _ = CACHE.try_with(|cache| {
        if let Some(stack) = spare.take() {
            cache.borrow_mut().put(stack);
        }
    });
}

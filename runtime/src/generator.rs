//! Generators: iterators written as functions that yield.

use std::fmt;
use std::iter::FusedIterator;

use crate::coroutine::{Coroutine, CoroutineState, CoroutineStatus, ScopedCoroutine, Yielder};

/// An iterator whose items are yielded by a function, from any depth of calls.
///
/// The body runs when an item is asked for and is suspended between items. It may be endless, and a
/// generator may be dropped at any time: its body is then unwound, so that its destructors run.
///
/// # Examples
///
/// ```
/// use lisle::coroutine::Generator;
///
/// let iota = Generator::new(|yielder| {
///     for n in 1.. {
///         yielder.suspend(n);
///     }
/// });
/// assert_eq!(iota.take(5).sum::<u32>(), 15);
/// ```
pub struct Generator<Item> {
    coroutine: Coroutine<(), Item, ()>,
}

impl<Item: 'static> Generator<Item> {
    /// A generator of the items that `body` yields by [`suspend`](Yielder::suspend).
    ///
    /// # Panics
    ///
    /// As [`Coroutine::new`].
    ///
    /// ```
    /// use lisle::coroutine::Generator;
    ///
    /// let countdown = Generator::new(|out| {
    ///     for n in (1..=3).rev() {
    ///         out.suspend(n);
    ///     }
    /// });
    /// assert!(countdown.eq([3, 2, 1]));
    /// ```
    pub fn new<F>(body: F) -> Self
    where
        F: FnOnce(&Yielder<(), Item, ()>) + 'static,
    {
        Self { coroutine: Coroutine::new(|yielder: &Yielder<_, _, _>, ()| body(yielder)) }
    }

    /// A generator whose body runs on a stack of at least `bytes` bytes: for deep recursion.
    ///
    /// # Panics
    ///
    /// As [`Coroutine::with_stack_size`].
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::coroutine::{Generator, Yielder};
    ///
    /// fn count_down(n: u32, yielder: &Yielder<(), u32, ()>) {
    ///     yielder.suspend(n);
    ///     if n > 0 {
    ///         count_down(n - 1, yielder);
    ///     }
    /// }
    ///
    /// let deep = Generator::with_stack_size(64 << 20, |yielder| count_down(100_000, yielder));
    /// assert_eq!(deep.last(), Some(0));
    /// ```
    pub fn with_stack_size<F>(bytes: usize, body: F) -> Self
    where
        F: FnOnce(&Yielder<(), Item, ()>) + 'static,
    {
        let body = |yielder: &Yielder<_, _, _>, ()| body(yielder);
        Self { coroutine: Coroutine::with_stack_size(bytes, body) }
    }
}

impl<Item> Generator<Item> {
    /// Calls `user` with the items that `body` yields. In contrast to that of [`new`](Self::new),
    /// the body may borrow; it is ended before this function returns. See [`ScopedCoroutine`].
    ///
    /// # Panics
    ///
    /// With a panic of `user`. Otherwise as [`new`](Self::new).
    ///
    /// # Examples
    ///
    /// Recursion that yields, over a borrowed tree:
    ///
    /// ```
    /// use lisle::coroutine::{Generator, Yielder};
    ///
    /// enum Tree {
    ///     Leaf,
    ///     Node(Box<Tree>, i32, Box<Tree>),
    /// }
    ///
    /// fn walk<'t>(tree: &'t Tree, yielder: &Yielder<(), &'t i32, ()>) {
    ///     if let Tree::Node(left, value, right) = tree {
    ///         walk(left, yielder);
    ///         yielder.suspend(value);
    ///         walk(right, yielder);
    ///     }
    /// }
    ///
    /// let leaf = || Box::new(Tree::Leaf);
    /// let one = Box::new(Tree::Node(leaf(), 1, leaf()));
    /// let tree = Tree::Node(one, 2, Box::new(Tree::Node(leaf(), 3, leaf())));
    /// let values: Vec<&i32> =
    ///     Generator::scope(|yielder| walk(&tree, yielder), |items| items.collect());
    /// assert_eq!(values, [&1, &2, &3]);
    /// ```
    pub fn scope<F, U>(body: F, user: impl FnOnce(Items<'_, Item>) -> U) -> U
    where
        F: FnOnce(&Yielder<(), Item, ()>),
    {
        ScopedCoroutine::scope(
            |yielder: &Yielder<_, _, _>, ()| body(yielder),
            |coroutine| user(Items { coroutine }),
        )
    }

    /// [`scope`](Self::scope), with a body that runs on a stack of at least `bytes` bytes.
    ///
    /// # Panics
    ///
    /// With a panic of `user`. Otherwise as [`with_stack_size`](Self::with_stack_size).
    ///
    /// # Examples
    ///
    /// ```
    /// let words = ["alpha", "beta"];
    /// let lengths: Vec<usize> = lisle::coroutine::Generator::scope_with_stack_size(
    ///     1 << 20,
    ///     |yielder| words.iter().for_each(|word| yielder.suspend(word.len())),
    ///     |items| items.collect(),
    /// );
    /// assert_eq!(lengths, [5, 4]);
    /// ```
    pub fn scope_with_stack_size<F, U>(
        bytes: usize,
        body: F,
        user: impl FnOnce(Items<'_, Item>) -> U,
    ) -> U
    where
        F: FnOnce(&Yielder<(), Item, ()>),
    {
        ScopedCoroutine::scope_with_stack_size(
            bytes,
            |yielder: &Yielder<_, _, _>, ()| body(yielder),
            |coroutine| user(Items { coroutine }),
        )
    }
}

impl<Item> Iterator for Generator<Item> {
    type Item = Item;

    /// Runs the body until it yields an item or ends.
    ///
    /// # Panics
    ///
    /// With the panic of the body, once; afterwards there are no more items.
    #[inline]
    fn next(&mut self) -> Option<Item> {
        next_item(&self.coroutine)
    }
}

impl<Item> FusedIterator for Generator<Item> {}

impl<Item> fmt::Debug for Generator<Item> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator")
            .field("status", &self.coroutine.status())
            .finish_non_exhaustive()
    }
}

/// The items of a generator that borrows. Made by [`Generator::scope`].
///
/// Its copies share the items: each item goes to one of them.
pub struct Items<'a, Item> {
    coroutine: &'a ScopedCoroutine<'a, (), Item, ()>,
}

impl<Item> Iterator for Items<'_, Item> {
    type Item = Item;

    /// As that of [`Generator`].
    #[inline]
    fn next(&mut self) -> Option<Item> {
        next_item(self.coroutine)
    }
}

impl<Item> FusedIterator for Items<'_, Item> {}

impl<Item> Clone for Items<'_, Item> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Item> Copy for Items<'_, Item> {}

impl<Item> fmt::Debug for Items<'_, Item> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("status", &self.coroutine.status()).finish_non_exhaustive()
    }
}

#[inline]
fn next_item<Item>(coroutine: &ScopedCoroutine<'_, (), Item, ()>) -> Option<Item> {
    match coroutine.try_resume(()) {
        Ok(CoroutineState::Yielded(item)) => Some(item),
        Ok(CoroutineState::Returned(())) => None,
        Err(error) if error.status == CoroutineStatus::Finished => None,
        Err(error) => panic!("{error}"),
    }
}

//! Generators: iterators written as functions that yield.

use std::fmt;
use std::iter::FusedIterator;

use crate::coroutine::{ScopedCoroutine, State, Status, Yielder};

/// An iterator whose items are yielded by a function, from any depth of calls.
///
/// The body runs when an item is asked for and is suspended between items. It may be endless, and a
/// generator may be dropped at any time: its body is then unwound, so that its destructors run.
///
/// # Examples
///
/// ```
/// use lisle_runtime::Generator;
///
/// let iota = Generator::new(|out| {
///     for n in 1.. {
///         out.suspend(n);
///     }
/// });
/// assert_eq!(iota.take(5).sum::<u32>(), 15);
/// ```
///
/// Recursion that yields, and a body that borrows:
///
/// ```
/// use lisle_runtime::{Generator, Yielder};
///
/// enum Tree {
///     Leaf,
///     Node(Box<Tree>, i32, Box<Tree>),
/// }
///
/// fn walk(tree: &Tree, out: &Yielder<(), i32, ()>) {
///     if let Tree::Node(left, value, right) = tree {
///         walk(left, out);
///         out.suspend(*value);
///         walk(right, out);
///     }
/// }
///
/// let leaf = || Box::new(Tree::Leaf);
/// let one = Box::new(Tree::Node(leaf(), 1, leaf()));
/// let tree = Tree::Node(one, 2, Box::new(Tree::Node(leaf(), 3, leaf())));
/// let values: Vec<_> = Generator::new(|out| walk(&tree, out)).collect();
/// assert_eq!(values, [1, 2, 3]);
/// ```
pub struct Generator<'scope, Item> {
    coroutine: ScopedCoroutine<'scope, (), Item, ()>,
}

impl<'scope, Item> Generator<'scope, Item> {
    /// A generator of the items that `body` yields by [`suspend`](Yielder::suspend).
    ///
    /// # Panics
    ///
    /// If there is no memory for a stack, or if `body` captures more than half a stack of data.
    pub fn new<F>(body: F) -> Self
    where
        F: FnOnce(&Yielder<(), Item, ()>) + 'scope,
    {
        Self { coroutine: ScopedCoroutine::new(|yielder: &Yielder<_, _, _>, ()| body(yielder)) }
    }
}

impl<Item> Iterator for Generator<'_, Item> {
    type Item = Item;

    /// Runs the body until it yields an item or ends.
    ///
    /// # Panics
    ///
    /// With the panic of the body, once; afterwards there are no more items. If the body asks its
    /// own generator for an item.
    #[inline]
    fn next(&mut self) -> Option<Item> {
        if self.coroutine.status() == Status::Finished {
            return None;
        }
        match self.coroutine.resume(()) {
            State::Yielded(item) => Some(item),
            State::Returned(()) => None,
        }
    }
}

impl<Item> FusedIterator for Generator<'_, Item> {}

impl<Item> fmt::Debug for Generator<'_, Item> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator").field("status", &self.coroutine.status()).finish_non_exhaustive()
    }
}

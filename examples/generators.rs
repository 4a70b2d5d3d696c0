//! Generators: functions that yield, used as iterators.
//!
//! A generator's body runs when an item is asked for, and waits in between. So it may
//! be endless, and it may yield from the depth of a recursion, where an iterator written by hand
//! would have to keep a stack of its own.
//!
//! ```text
//! cargo run --release --example generators
//!
//! iota: 0, 1, 2, 3, 4
//! words in order: apple cherry fig lemon mango peach plum
//! the first after g: lemon
//! the walk was left early, and has cleaned up
//! ```

mod support;

use lisle::coroutine::{Generator, Yielder};
use support::Args;

fn main() {
    Args::new("generators", "").finish();

    let first: Vec<_> = iota().take(5).map(|n| n.to_string()).collect();
    println!("iota: {}", first.join(", "));

    let mut tree = Tree::Leaf;
    for word in ["lemon", "fig", "peach", "cherry", "mango", "apple", "plum"] {
        tree.insert(word);
    }

    // The walk borrows the tree, so it is lent for as long as this call lasts.
    print!("words in order:");
    Generator::scope(
        |out| tree.walk(out),
        |words| {
            for word in words {
                print!(" {word}");
            }
        },
    );
    println!();

    // This one owns what it needs. It is dropped in the middle of the walk.
    let mut words = Generator::new(move |out| {
        let _at_the_end = SayGoodbye;
        tree.walk(out);
    });
    let found = words.find(|word| *word > "g").unwrap();
    println!("the first after g: {found}");
    drop(words);
}

/// 0, 1, 2, … without end.
fn iota() -> Generator<u64> {
    Generator::new(|out| {
        for n in 0.. {
            out.suspend(n);
        }
    })
}

/// A search tree of words.
enum Tree {
    Leaf,
    Node(Box<Tree>, &'static str, Box<Tree>),
}

impl Tree {
    fn insert(&mut self, word: &'static str) {
        match self {
            Tree::Leaf => *self = Tree::Node(Box::new(Tree::Leaf), word, Box::new(Tree::Leaf)),
            Tree::Node(left, here, _) if word < *here => left.insert(word),
            Tree::Node(_, _, right) => right.insert(word),
        }
    }

    /// Yields every word in order.
    fn walk(&self, out: &Yielder<(), &'static str, ()>) {
        if let Tree::Node(left, word, right) = self {
            left.walk(out);
            out.suspend(word);
            right.walk(out);
        }
    }
}

struct SayGoodbye;

impl Drop for SayGoodbye {
    fn drop(&mut self) {
        println!("the walk was left early, and has cleaned up");
    }
}

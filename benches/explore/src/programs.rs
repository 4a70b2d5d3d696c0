//! The programs: twelve with a fault each, and three without, for each of the three libraries.
//!
//! They are written once, for the names that std and all three have in common. A module of a
//! library brings those names into scope, and evens out where they differ.

/// Defines the programs for the library whose names the macro finds in the module before it.
#[macro_export]
macro_rules! programs {
    () => {
        use std::collections::VecDeque;
        use std::sync::Arc;
        use std::sync::atomic::Ordering::SeqCst;

        use $crate::executions::note;

        type Program = fn();

        /// Those with a fault, by name.
        pub const FAULTY: [(&str, Program); 12] = [
            ("torn increment", torn_increment),
            ("lost wake-up", lost_wake_up),
            ("ABA in a stack", aba),
            ("philosophers", philosophers),
            ("double-checked cache", cache),
            ("close and send", close_and_send),
            ("barrier off by one", barrier),
            ("buffer, one condition", buffer),
            ("update over two locks", two_locks),
            ("leaked task", leaked_task),
            ("far order", far_order),
            ("lock taken to be free", taken_to_be_free),
        ];

        /// Those without, whose speed is measured.
        pub const CORRECT: [(&str, Program); 3] =
            [("atomics", atomics), ("locks", locks), ("messages", messages)];

        fn all(tasks: impl IntoIterator<Item = JoinHandle<()>>) {
            let tasks: Vec<_> = tasks.into_iter().collect();
            tasks.into_iter().for_each(|task| task.join().unwrap());
        }

        fn torn_increment() {
            note();
            let count = Arc::new(AtomicUsize::new(0));
            let tasks = [(); 2].map(|()| {
                let count = count.clone();
                spawn(move || count.store(count.load(SeqCst) + 1, SeqCst))
            });
            all(tasks);
            assert_eq!(count.load(SeqCst), 2);
        }

        /// A condition is looked at before it is said that somebody waits.
        fn lost_wake_up() {
            note();
            let shared = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
            let theirs = shared.clone();
            let (wake, woken) = channel();
            let waiter = spawn(move || {
                if theirs.0.load(SeqCst) == 0 {
                    theirs.1.store(1, SeqCst);
                    woken.recv().unwrap();
                }
            });
            shared.0.store(1, SeqCst);
            if shared.1.load(SeqCst) == 1 {
                wake.send(0).unwrap();
            }
            waiter.join().unwrap();
            drop(wake);
        }

        const NONE: usize = usize::MAX;

        struct Stack {
            head: AtomicUsize,
            next: [AtomicUsize; 3],
        }

        impl Stack {
            fn push(&self, node: usize) {
                loop {
                    let head = self.head.load(SeqCst);
                    self.next[node].store(head, SeqCst);
                    if self.head.compare_exchange(head, node, SeqCst, SeqCst).is_ok() {
                        return;
                    }
                }
            }

            fn pop(&self) -> Option<usize> {
                loop {
                    let head = self.head.load(SeqCst);
                    if head == NONE {
                        return None;
                    }
                    let next = self.next[head].load(SeqCst);
                    if self.head.compare_exchange(head, next, SeqCst, SeqCst).is_ok() {
                        return Some(head);
                    }
                }
            }
        }

        fn aba() {
            note();
            let next = std::array::from_fn(|_| AtomicUsize::new(NONE));
            let stack = Arc::new(Stack { head: AtomicUsize::new(NONE), next });
            (0..3).for_each(|node| stack.push(node));
            let first = {
                let stack = stack.clone();
                spawn(move || stack.pop())
            };
            let others = {
                let stack = stack.clone();
                spawn(move || {
                    let taken = stack.pop();
                    let kept = stack.pop();
                    taken.into_iter().for_each(|node| stack.push(node));
                    kept
                })
            };
            let popped = [first.join().unwrap(), others.join().unwrap()];
            let mut all: Vec<_> = popped.into_iter().flatten().collect();
            while let Some(node) = stack.pop() {
                all.push(node);
                assert!(all.len() <= 3);
            }
            all.sort_unstable();
            assert_eq!(all, [0, 1, 2]);
        }

        fn philosophers() {
            note();
            let forks: Arc<[_; 3]> = Arc::new([(); 3].map(Mutex::new));
            all((0..3).map(|n| {
                let forks = forks.clone();
                spawn(move || {
                    let _left = lock(&forks[n]);
                    let _right = lock(&forks[(n + 1) % 3]);
                })
            }));
        }

        /// The flag is set before the value is there.
        fn cache() {
            note();
            let cache = (AtomicUsize::new(0), Mutex::new(()), AtomicUsize::new(0));
            let cache = Arc::new(cache);
            all([(); 2].map(|()| {
                let cache = cache.clone();
                spawn(move || {
                    let (is_there, locked, value) = &*cache;
                    if is_there.load(SeqCst) == 0 {
                        let _locked = lock(locked);
                        if is_there.load(SeqCst) == 0 {
                            is_there.store(1, SeqCst);
                            value.store(7, SeqCst);
                        }
                    }
                    assert_eq!(value.load(SeqCst), 7);
                })
            }));
        }

        /// One that closes looks whether the queue is empty, one that sends whether it is open.
        fn close_and_send() {
            note();
            let is_closed = Arc::new(AtomicUsize::new(0));
            let queue = Arc::new(Mutex::new(Vec::new()));
            let sender = {
                let (is_closed, queue) = (is_closed.clone(), queue.clone());
                spawn(move || {
                    let open = is_closed.load(SeqCst) == 0;
                    if open {
                        lock(&queue).push(1);
                    }
                    open
                })
            };
            let received = {
                let queue = queue.clone();
                spawn(move || {
                    let received = lock(&queue).pop();
                    is_closed.store(1, SeqCst);
                    received
                })
            };
            let (sent, received) = (sender.join().unwrap(), received.join().unwrap());
            assert!(!sent || received.is_some(), "lost");
        }

        /// A barrier that lets go when all but one are there.
        fn barrier() {
            note();
            let shared = (AtomicUsize::new(0), Mutex::new(false), Condvar::new());
            let shared = Arc::new(shared);
            all([(); 3].map(|()| {
                let shared = shared.clone();
                spawn(move || {
                    let (arrived, is_open, opened) = &*shared;
                    if arrived.fetch_add(1, SeqCst) + 1 >= 2 {
                        *lock(is_open) = true;
                        opened.notify_all();
                    }
                    let mut guard = lock(is_open);
                    while !*guard {
                        guard = wait(opened, guard);
                    }
                    drop(guard);
                    assert_eq!(arrived.load(SeqCst), 3);
                })
            }));
        }

        /// Those that put and those that take wait at one condition: the wrong one is woken.
        fn buffer() {
            note();
            let shared = Arc::new((Mutex::new(VecDeque::new()), Condvar::new()));
            all((0..4).map(|n| {
                let shared = shared.clone();
                spawn(move || {
                    let (items, changed) = &*shared;
                    for item in 0..2 {
                        let mut items = lock(items);
                        while items.len() == (n + 1) % 2 {
                            items = wait(changed, items);
                        }
                        match n % 2 {
                            0 => items.push_back(item),
                            _ => _ = items.pop_front(),
                        }
                        drop(items);
                        changed.notify_one();
                    }
                })
            }));
        }

        /// A sum is read under one lock, and then under the other.
        fn two_locks() {
            note();
            let accounts = Arc::new((Mutex::new(10), Mutex::new(0)));
            let theirs = accounts.clone();
            let transfer = spawn(move || {
                *lock(&theirs.0) -= 5;
                *lock(&theirs.1) += 5;
            });
            let sum = spawn(move || {
                let first = *lock(&accounts.0);
                first + *lock(&accounts.1)
            });
            transfer.join().unwrap();
            assert_eq!(sum.join().unwrap(), 10);
        }

        /// A task waits for a message that nobody sends, if it comes late.
        fn leaked_task() {
            note();
            let is_late = Arc::new(AtomicUsize::new(0));
            let (to_itself, messages) = channel();
            let late = is_late.clone();
            drop(spawn(move || {
                if late.load(SeqCst) == 0 {
                    to_itself.send(0).unwrap();
                }
                messages.recv().unwrap();
                drop(to_itself);
            }));
            is_late.store(1, SeqCst);
        }

        /// Many steps of one task before the first of another.
        fn far_order() {
            note();
            let steps = Arc::new(AtomicUsize::new(0));
            let (counted, others) = (steps.clone(), Arc::new(AtomicUsize::new(0)));
            let slow = spawn(move || counted.load(SeqCst));
            let fast = spawn(move || (0..30).for_each(|_| _ = steps.fetch_add(1, SeqCst)));
            let busy = spawn(move || (0..30).for_each(|_| _ = others.load(SeqCst)));
            all([fast, busy]);
            assert_ne!(slow.join().unwrap(), 30);
        }

        /// A lock is held for moments alone, so it is taken to be free.
        fn taken_to_be_free() {
            note();
            let count = Arc::new(Mutex::new(0));
            let theirs = count.clone();
            let other = spawn(move || *lock(&theirs) += 1);
            *try_lock(&count).expect("it is free") += 1;
            other.join().unwrap();
        }

        fn atomics() {
            note();
            let count = Arc::new(AtomicUsize::new(0));
            all([(); 2].map(|()| {
                let count = count.clone();
                spawn(move || (0..5).for_each(|_| _ = count.fetch_add(1, SeqCst)))
            }));
            assert_eq!(count.load(SeqCst), 10);
        }

        fn locks() {
            note();
            let count = Arc::new(Mutex::new(0));
            all([(); 4].map(|()| {
                let count = count.clone();
                spawn(move || (0..5).for_each(|_| *lock(&count) += 1))
            }));
            assert_eq!(*lock(&count), 20);
        }

        fn messages() {
            note();
            let (sender, receiver) = channel();
            let sending = spawn(move || (1..=10).for_each(|n| sender.send(n).unwrap()));
            let sum: u32 = (0..10).map(|_| receiver.recv().unwrap()).sum();
            sending.join().unwrap();
            assert_eq!(sum, 55);
        }
    };
}

//! Where tokens come from: a pool of the process, and the thread that fills it.
//!
//! A token in the pool has begun, on the helper or on a thread whose panic has gone on with it. To
//! take it and to end it takes one off the count of the thread that asks. The count of the helper's
//! thread is the number of tokens in the pool and of those that have ended elsewhere since, so that
//! the helper can end all that are in the pool. (In a fork child in which a panic of the parent
//! goes on it may be less, even below zero for a while, which does not disturb the helper.)
//!
//! A fork child has neither the helper nor the stacks of the tokens, and perhaps a lock that will
//! never be released. So each process has a pool of its own, found by the generation.

use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::token::{self, Spare, Token};
use crate::stack::fork;

/// How long an unused token stays in the pool.
const LINGER: Duration = Duration::from_millis(100);

/// The most tokens that are begun on one request, and the most spares that are kept.
const BATCH: usize = 32;

struct Pool {
    generation: u32,
    state: Mutex<State>,
    /// For the helper: something was asked for or given back.
    asked: Condvar,
    /// For the threads that have asked.
    answered: Condvar,
    /// The helper's thread runs, and never ends.
    serves: AtomicBool,
}

#[derive(Default)]
struct State {
    tokens: Vec<Token>,
    spares: Vec<Spare>,
    helper: Helper,
    /// How many threads wait for a token.
    wanted: usize,
    /// How many requests were refused, so that each waiter notices.
    refusals: usize,
    /// How many tokens the next request brings.
    batch: usize,
    /// A token was asked for or given back since the helper last looked.
    in_use: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Helper {
    #[default]
    NotStarted,
    Busy,
    /// It waits without a time-out, since there is no token that it would have to end.
    Asleep,
}

static POOL: AtomicPtr<Pool> = AtomicPtr::new(ptr::null_mut());

/// What [`token::work`] has found, if it was asked.
static VERDICT: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const WORKS: u8 = 1;
const FAILS: u8 = 2;

/// This process's pool, if it has one yet.
fn existing() -> Result<&'static Pool, *mut Pool> {
    // Acquire pairs with the release in `pool`: the fields are visible.
    let pool = POOL.load(Ordering::Acquire);
    // SAFETY: the pointer is null or that of a pool that is never freed.
    let found = unsafe { pool.as_ref() };
    found.filter(|found| found.generation == fork::generation()).ok_or(pool)
}

fn pool() -> &'static Pool {
    loop {
        let old = match existing() {
            Ok(pool) => return pool,
            Err(old) => old,
        };
        let new = Box::into_raw(Box::new(Pool {
            generation: fork::generation(),
            state: Mutex::default(),
            asked: Condvar::new(),
            answered: Condvar::new(),
            serves: AtomicBool::new(false),
        }));
        if POOL.compare_exchange(old, new, Ordering::Release, Ordering::Relaxed).is_err() {
            // SAFETY: it was made above, and nobody has seen it.
            drop(unsafe { Box::from_raw(new) });
        }
    }
}

/// A token that can be ended here, or `None` if there is none and none can be made.
pub(super) fn token() -> Option<Token> {
    pool().token()
}

/// Takes a token that has begun on a thread because a panic goes on there.
pub(super) fn give_token(token: Token) {
    let pool = pool();
    let mut state = pool.lock();
    state.in_use = true;
    state.tokens.push(token);
    if state.helper == Helper::Asleep {
        state.helper = Helper::Busy;
        pool.asked.notify_one();
    }
}

/// Takes a spare whose panic will not go on.
pub(super) fn give_spare(spare: Spare) {
    pool().lock().spares.push(spare);
}

pub(super) fn helper_threads() -> usize {
    existing().map_or(0, |pool| usize::from(pool.serves.load(Ordering::Acquire)))
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&'static self) -> Option<Token> {
        let mut state = self.lock();
        state.in_use = true;
        let refusals = state.refusals;
        loop {
            if let Some(token) = state.tokens.pop() {
                return Some(token);
            }
            if state.refusals != refusals || !self.call_helper(&mut state) {
                return None;
            }
            state.wanted += 1;
            state = self.answered.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Makes the helper look at the state. False if no thread can be had for it.
    fn call_helper(&'static self, state: &mut State) -> bool {
        if VERDICT.load(Ordering::Relaxed) == FAILS {
            return false;
        }
        match mem::replace(&mut state.helper, Helper::Busy) {
            Helper::NotStarted => {
                let helper = thread::Builder::new().name("lisle-panics".into());
                if helper.stack_size(256 * 1024).spawn(|| self.help()).is_err() {
                    state.helper = Helper::NotStarted;
                    return false;
                }
            }
            Helper::Busy | Helper::Asleep => self.asked.notify_one(),
        }
        true
    }

    /// The thread of the helper.
    fn help(&self) {
        if !works() {
            let mut state = self.lock();
            state.helper = Helper::NotStarted;
            return self.refuse(&mut state);
        }
        // Release pairs with the acquire in `helper_threads`, which may count this thread from now
        // on.
        self.serves.store(true, Ordering::Release);
        let mut state = self.lock();
        loop {
            if state.wanted > 0 {
                state = self.fill(state);
            } else if state.tokens.is_empty() {
                state.helper = Helper::Asleep;
                state = self.asked.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.helper = Helper::Busy;
            } else if mem::take(&mut state.in_use) {
                let waited = self.asked.wait_timeout(state, LINGER);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            } else {
                state = self.clear(state);
            }
        }
    }

    /// Begins as many tokens as are wanted, and some more if many are.
    fn fill<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let wanted = mem::take(&mut state.wanted);
        let count = wanted.max(state.batch);
        state.batch = (count * 2).min(BATCH);
        let mut spares = mem::take(&mut state.spares);
        drop(state);

        let mut tokens = Vec::with_capacity(count);
        while tokens.len() < count
            && let Ok(spare) = spares.pop().map_or_else(Spare::new, Ok)
        {
            tokens.push(spare.begin());
        }

        let mut state = self.lock();
        state.spares.append(&mut spares);
        if tokens.len() < wanted {
            self.refuse(&mut state);
        }
        state.tokens.append(&mut tokens);
        self.answered.notify_all();
        state
    }

    /// Ends the tokens that were not asked for.
    fn clear<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let tokens = mem::take(&mut state.tokens);
        let mut spares = mem::take(&mut state.spares);
        state.batch = 0;
        drop(state);

        spares.extend(tokens.into_iter().map(Token::end));
        spares.truncate(BATCH);

        let mut state = self.lock();
        state.spares.append(&mut spares);
        state
    }

    /// Tells all waiters that there is no token for them.
    fn refuse(&self, state: &mut State) {
        state.wanted = 0;
        state.refusals += 1;
        self.answered.notify_all();
    }
}

/// Whether tokens work in this process, as far as that can be found out now.
fn works() -> bool {
    if VERDICT.load(Ordering::Relaxed) == UNKNOWN {
        match token::work() {
            Ok(true) => VERDICT.store(WORKS, Ordering::Relaxed),
            Ok(false) => VERDICT.store(FAILS, Ordering::Relaxed),
            Err(_no_memory) => return false,
        }
    }
    VERDICT.load(Ordering::Relaxed) == WORKS
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use super::*;
    use crate::panics::set_aside;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    /// Sets `panics` panics aside at once, each of which has called the destructor in which the
    /// next began.
    fn set_aside_at_once(panics: usize) {
        struct Deeper(usize);
        impl Drop for Deeper {
            fn drop(&mut self) {
                set_aside_at_once(self.0);
            }
        }
        if let Some(more) = panics.checked_sub(1) {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                let _deeper = Deeper(more);
                resume_unwind(Box::new(()));
            }));
            return assert!(caught.is_err());
        }
        let aside = set_aside().unwrap();
        assert!(!thread::panicking());
        aside.restore();
        assert!(thread::panicking());
    }

    /// While no token is needed there is none, so that no panic is counted in the process. Spares
    /// are kept, but not as many as were ever needed.
    #[test]
    fn tokens_that_are_not_asked_for_end() {
        for _ in 0..3 {
            set_aside_at_once(2 * BATCH);
            let is_clear = || {
                let state = pool().lock();
                state.tokens.is_empty() && state.helper == Helper::Asleep
            };
            while !is_clear() {
                thread::yield_now();
            }
            assert!((1..=BATCH).contains(&pool().lock().spares.len()));
        }
    }
}

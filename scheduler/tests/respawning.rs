//! Destructors that spawn tasks while their runtime ends: all that come to an end are run, and the
//! runtime ends even if they do not.
#![cfg(not(lisle_loom))]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lisle_scheduler::{spawn, spawn_local, yield_now};
use support::{Bell, Log, in_child, run_in_order, run_on};

/// Spawns itself anew, `fold` times, whenever it is dropped.
struct Hydra {
    fold: usize,
    heads: Arc<AtomicUsize>,
}

impl Drop for Hydra {
    fn drop(&mut self) {
        self.heads.fetch_add(1, Ordering::Relaxed);
        for _ in 0..self.fold {
            let next = Hydra { fold: self.fold, heads: self.heads.clone() };
            drop(spawn(move || drop(next)));
        }
    }
}

#[test]
fn destructors_that_spawn_themselves_anew_come_to_an_end() {
    let name = "destructors_that_spawn_themselves_anew_come_to_an_end";
    for workers in ["1", "2"] {
        let ended = in_child(name, &[("LISLE_TEST_WORKERS", workers)], || {
            let heads = Arc::new(AtomicUsize::new(0));
            let workers = std::env::var("LISLE_TEST_WORKERS").unwrap().parse().unwrap();
            run_on(workers, || drop(Hydra { fold: 1, heads: heads.clone() })).unwrap();
            assert!(heads.load(Ordering::Relaxed) >= 90);
        });
        ended.assert_success();
        ended.assert_says("destructors spawn tasks without end while their runtime ends");
        assert!(ended.stderr.lines().count() <= 2, "{}", ended.stderr);
    }
}

#[test]
fn destructors_that_spawn_themselves_twice_come_to_an_end() {
    let name = "destructors_that_spawn_themselves_twice_come_to_an_end";
    let ended = in_child(name, &[], || {
        let heads = Arc::new(AtomicUsize::new(0));
        run_in_order(|| {
            let hydra = Hydra { fold: 2, heads: heads.clone() };
            drop(spawn_local(move || {
                let _hydra = hydra;
                Bell::new().wait();
            }));
            yield_now();
        });
    });
    ended.assert_success();
    ended.assert_says("destructors spawn tasks without end while their runtime ends");
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

/// A chain whose links are dropped each by a task of its own.
struct Chain(usize, Log<usize>);

impl Drop for Chain {
    fn drop(&mut self) {
        self.1.add(self.0);
        if let Some(next) = self.0.checked_sub(1) {
            let next = Chain(next, self.1.clone());
            drop(spawn(move || drop(next)));
        }
    }
}

#[test]
fn destructors_that_spawn_and_do_end_are_all_run() {
    let log = Log::new();
    run_in_order(|| {
        let chain = Chain(90, log.clone());
        drop(spawn_local(move || {
            let _chain = chain;
            Bell::new().wait();
        }));
        yield_now();
    });
    log.expect(&(0..=90).rev().collect::<Vec<_>>());
}

//! What is seen of a worker that another one's thread runs.

use std::fs::File;
use std::io::{Write, stderr};
use std::iter;
use std::os::fd::AsFd;

use lisle::dump::{BusyWorker, Dump};

use super::support::{Said, block_until, in_child};
use super::*;

const PATIENCE: Duration = Duration::from_millis(20);

#[test]
fn a_dump_names_what_a_carried_worker_runs() {
    if !carries() {
        return;
    }
    let runs_main = |dump: &Dump| {
        let busy = |busy: &BusyWorker| busy.worker() == 0 && busy.running().is_some();
        dump.busy_workers().any(busy)
    };
    while_away(two_workers(), 3, || {
        let named = thread::scope(|scope| {
            // A thread that is held up may not come to answer in time.
            let dumps = scope.spawn(|| iter::repeat_with(lisle::dump).take(20).find(runs_main));
            while !dumps.is_finished() {
                hint::spin_loop();
            }
            dumps.join().unwrap().expect("the thread that runs it answers")
        });
        let mut running = named.busy_workers().filter_map(BusyWorker::running);
        assert!(running.any(|task| task.name() == Some("main")), "{named}");
    });
}

#[test]
fn the_watch_names_what_a_carried_worker_runs() {
    let name = "seen::the_watch_names_what_a_carried_worker_runs";
    if !carries() {
        return;
    }
    let ended = in_child(name, &[], || {
        let mut to_parent = File::from(stderr().as_fd().try_clone_to_owned().unwrap());
        let said = Said::begin("carried-and-blocked");
        thread::spawn(|| {
            while_away(two_workers().stall_notice(PATIENCE), 1, || {
                let (_sender, never) = bounded::<()>(0);
                // It is held up.
                drop(lisle::spawn_local(move || never.recv()));
                lisle::yield_now();
                thread::sleep(Duration::from_secs(3600));
            })
        });
        block_until(|| said.text().contains("are not reported"));
        to_parent.write_all(said.text().as_bytes()).unwrap();
    });
    ended.assert_success();
    ended.assert_says("lisle: task 1 'main', spawned at ");
    ended.assert_says(", has blocked worker 0 (thread ");
}

#[test]
fn the_watch_is_silent_while_workers_carry_each_other() {
    let name = "seen::the_watch_is_silent_while_workers_carry_each_other";
    if !carries() {
        return;
    }
    let ended = in_child(name, &[], || {
        let start = Instant::now();
        while_away(two_workers().watch(PATIENCE), 1000, || {});
        // It has had several looks.
        while_away(two_workers().watch(PATIENCE), 1, || {
            while start.elapsed() < 10 * PATIENCE {
                lisle::yield_now();
            }
        });
    });
    ended.assert_success();
    assert_eq!(ended.stderr, "");
}

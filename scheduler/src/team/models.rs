use std::sync::atomic::{AtomicBool as Flag, Ordering::Relaxed};

use std::num::NonZeroUsize;
use std::time::Instant;

use lisle_runtime::stack::StackSize;

use super::*;
use crate::deadlock::ForeignThreads;
use crate::driver::Driver;
use crate::post::{Notice, PostOwner};
use crate::settings::StackSizeOrigin;
use crate::task::Slab;
use crate::task::testing::task_numbered;

/// Two workers wake each other, twice in turn, and then sleep for good, while a third asks
/// whether all is quiet: it is told so only when it is.
///
/// Seen to fail: with one look at each instead of two; without the comparison of the
/// awakenings.
#[test]
fn quiescence_is_not_seen_too_early() {
    static SEEN: Flag = Flag::new(false);
    loom::model(|| {
        let team = team_of_three();
        let slab = Slab::default();
        let done = std::sync::Arc::new(Flag::new(false));
        let workers = [1, 2].map(|me| {
            let tasks = [1, 2].map(|n| task_numbered(&slab, n));
            let (team, done) = (team.clone(), done.clone());
            loom::thread::spawn(move || {
                let driver = Driver::new(false, Instant::now());
                let post = PostOwner::claim(team.posts.clone(), me, &driver);
                let other = &team.posts.all()[3 - me];
                for task in tasks {
                    if me == 2 {
                        wait_for_mail(&team, &post, &driver);
                    }
                    // SAFETY: each task is posted once.
                    unsafe { other.notify({ task }.0, Notice::Unparked) };
                    if me == 1 {
                        wait_for_mail(&team, &post, &driver);
                    }
                }
                if me == 1 {
                    done.store(true, Relaxed);
                }
                assert!(post.begins_sleep());
            })
        });
        if team.is_quiescent(0) {
            assert!(done.load(Relaxed), "a wake-up is still under way");
            SEEN.store(true, Relaxed);
        }
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
    assert!(SEEN.load(Relaxed), "the model must reach both answers");
}

/// Sleeps until a task has come, as a worker does.
fn wait_for_mail(team: &Team, post: &PostOwner, driver: &Driver) {
    let mut came = false;
    while !came {
        post.sleep(driver, None, None, || false, None::<fn()>);
        team.idle.note_awakening();
        post.read(|_| came = true);
    }
}

fn team_of_three() -> Arc<Team> {
    let settings = Settings {
        workers: NonZeroUsize::new(3).unwrap(),
        stack_size: StackSize::DEFAULT,
        stack_size_origin: StackSizeOrigin::Environment,
        main_stack_size: None,
        spin: Duration::ZERO,
        carry: false,
        virtual_time: false,
        engine: None,
        deadlock_detection: true,
        foreign_threads: ForeignThreads::NeverWake,
        panic_note: false,
        stall_notice: None,
        watch: None,
        queue_delays: false,
        name: None,
        thread_name: "model".into(),
    };
    let team = Arc::new(Team::new(settings, Door::Entered, |_, _| unreachable!("no thread")));
    *team.threads.lock() =
        Threads { handles: Vec::new(), gone: Vec::new(), joiner: None, started: 3, missing: 0 };
    team
}

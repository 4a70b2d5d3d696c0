//! Entering: from a plain thread to a runtime's first task and back.

use std::io;
use std::panic::{Location, resume_unwind};

use lisle_runtime::internal::last_words::abort_with;
use lisle_runtime::internal::overflow::{Describer, ensure_signal_stack, set_describer};
use lisle_runtime::internal::panics;
use lisle_runtime::internal::primitive::Arc;

use crate::deadlock::{Deadlock, stay_for_ever};
use crate::panic_note;
use crate::settings::Settings;
use crate::spawn::{Builder, create};
use crate::team::{Door, Farewell, Team};
use crate::watch::Watch;
use crate::worker::{self, Enter, Worker};

/// Runs `main` on the calling thread, which is the first worker meanwhile.
#[track_caller]
pub(super) fn run<R>(settings: Settings, main: impl FnOnce() -> R) -> Result<R, Deadlock> {
    prepare_process(&settings);
    if let Err(error) = ensure_signal_stack() {
        panic!("{error}");
    }
    let team = Arc::new(Team::new(settings, Door::Entered, serve));
    let worker = Worker::new(team.clone(), 0);
    let body = || {
        let _ends_the_team = EndTeamOnDrop(&worker);
        main()
    };
    let mut builder = Builder::new().name("main");
    builder.stack_size = team.settings.main_stack_size;
    // SAFETY: the task runs on this thread and `run_to_end` returns only when it has finished,
    // within the lifetimes of `main` and `R`; the handle does not leave this function.
    let created = unsafe { create(&worker, builder, Location::caller(), body) };
    let (task, handle) = match created {
        Ok(created) => created,
        Err(error) => panic!("{error}"),
    };
    worker.accept_main(task);
    // If this thread unwinds, the tasks do not. Where its panics cannot be set aside, they
    // cannot wait.
    let panics = panics::set_aside();
    team.watch.iter().for_each(Watch::start);
    // Only now: what a failure above runs, destructors of `main` and a panic hook, is no task.
    let entered = Enter::new(&worker);
    worker.run_to_end();
    let result = handle.join();
    drop(entered);
    if let Some(panics) = panics {
        panics.restore();
    }
    Team::join_threads(&team);
    let deadlock = team.take_deadlock();
    if worker.has_left_main() {
        refuse_to_leave_main(deadlock);
    }
    match (deadlock, result) {
        (Some(deadlock), _) => Err(deadlock),
        (None, Ok(value)) => Ok(value),
        (None, Err(panic)) => resume_unwind(panic),
    }
}

/// Starts a team that has threads of its own.
pub(super) fn start(settings: Settings) -> io::Result<Arc<Team>> {
    prepare_process(&settings);
    let team = Arc::new(Team::new(settings, Door::Started, serve));
    Team::start_first(&team)?;
    team.watch.iter().for_each(Watch::start);
    Ok(team)
}

/// What has to be done once before tasks run.
fn prepare_process(settings: &Settings) {
    if settings.panic_note {
        panic_note::install();
    }
    // SAFETY: the function only reads: a thread-local that needs no initialisation, and the worker
    // and the task to which it leads, which stay while anything runs on the task's stack, or inside
    // it.
    unsafe { set_describer(&(worker::describe_current as Describer)) };
    panics::set_note(&(worker::note_unwinding_below as panics::Note));
}

/// What a thread that a team has started does.
fn serve(team: Arc<Team>, index: usize) {
    if let Err(error) = ensure_signal_stack() {
        // The team counts on this thread, which cannot return an error.
        abort_with(format_args!("a worker cannot start: {error}"));
    }
    let worker = Worker::new(team.clone(), index);
    let entered = Enter::new(&worker);
    worker.run_to_end();
    let farewell = if worker.has_left_any() { Farewell::Stays } else { Farewell::Ends };
    drop(entered);
    drop(worker);
    team.bid_farewell(index, farewell);
    drop(team);
    if farewell == Farewell::Stays {
        stay_for_ever();
    }
}

/// The main task will neither go on nor be unwound, and may borrow from the caller of `run`: so
/// `run` cannot return. Main is given up in a deadlock only.
fn refuse_to_leave_main(deadlock: Option<Deadlock>) -> ! {
    let why = if cfg!(panic = "unwind") {
        "main has caught its cancellation again and again, so that the process has to end"
    } else {
        "main cannot be unwound, since the program is built with panic = \"abort\", so that the \
         process has to end"
    };
    match deadlock {
        Some(deadlock) => abort_with(format_args!("{deadlock}\n\n{why}")),
        None => abort_with(format_args!("{why}")),
    }
}

/// Ends the team with its main task, however that ends.
struct EndTeamOnDrop<'a>(&'a Worker);

impl Drop for EndTeamOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end_team();
    }
}

//! Lines of a log, each with the name of its task.

use lisle::task::Builder;
use lisle_thread_examples::Logger;
use log::{debug, info};

#[lisle::main(workers = 1)]
pub fn main() {
    Logger::install(std::io::stdout()).expect("there is no other logger");
    log();
}

/// Some tasks that log in turn.
pub fn log() {
    let tasks: Vec<_> = ["reader", "writer"]
        .map(|name| {
            let task = Builder::new().name(name).spawn(move || {
                info!("begins");
                debug!("is not told");
                lisle::yield_now();
                info!("ends");
            });
            task.expect("there is memory for a task")
        })
        .into();
    tasks.into_iter().for_each(|task| task.join().expect("it only logs"));
    lisle::blocking(|| info!("helps"));
    info!("is done");
}

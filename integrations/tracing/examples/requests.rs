//! Requests that are served at the same time on one thread, each logged in a span of its own.
//!
//! Remove `PerTask::new`, and the lines tell lies: `fetch` of one request within another.

use std::time::Duration;

use lisle_tracing::PerTask;
use tracing::{Span, info, info_span};
use tracing_subscriber::fmt::MakeWriter;

fn main() {
    serve(std::io::stdout);
}

/// Serves three requests, and logs that.
pub fn serve(log: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) {
    let format = tracing_subscriber::fmt().without_time().with_target(false).with_ansi(false);
    let subscriber = PerTask::new(format.with_writer(log).finish());
    tracing::subscriber::with_default(subscriber, || {
        let runtime = lisle::Runtime::builder().workers(1);
        let ended = runtime.run(|| {
            let _entered = info_span!("site").entered();
            let tasks: Vec<_> = (1..=3)
                .map(|number| {
                    let span = info_span!("request", number);
                    lisle::spawn(move || span.in_scope(|| answer(number)))
                })
                .collect();
            tasks.into_iter().for_each(|task| task.join().expect("the request is answered"));
            info!("all are answered");
        });
        ended.expect("some task can always go on");
    });
}

fn answer(number: u64) {
    info!("begins");
    let page = info_span!("fetch", page = number * 10);
    page.in_scope(|| {
        lisle::sleep(Duration::from_millis(4 - number)); // the last one is the first to go on
        info!("has come");
    });
    // A task that helps is in this span as well.
    let span = Span::current();
    let helper = lisle::spawn(move || span.in_scope(|| info!("is helped")));
    helper.join().expect("the helper ends well");
    info!("ends");
}

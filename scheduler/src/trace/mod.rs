//! A trace: what happened when, on which worker.
//!
//! Each worker writes what happens into a `ring` of its own, which any thread may read. It learns
//! at its next look around that there is a recorder (`Tracer`). From then on every turn of a task
//! takes the path that otherwise one in 64 takes, so that a turn costs nothing more while nothing
//! is recorded, nor does a spawn, nor a wake-up.

mod event;
mod json;
mod model;
mod page;
mod ring;
mod session;
mod ticks;
mod tracer;

pub(crate) use event::{Cause, How, Text, What};
pub(crate) use session::is_on;
pub(crate) use tracer::Tracer;

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use self::model::Timeline;
use self::session::Session;
use crate::worker;

/// What is kept of each worker if nothing else is said: 524,288 events.
const BYTES: usize = 16 << 20;

/// Begins to record what happens in all runtimes of the process.
///
/// An event costs some nanoseconds: the turn of a task is one, a wake-up, a spawn, the end of a
/// sleep. Each worker keeps the latest 16 MiB of them. A worker begins when it next looks around,
/// within 64 switches, and the caller's begins at once.
///
/// # Errors
///
/// If there is a recorder already.
///
/// # Examples
///
/// ```
/// let recorder = lisle::trace::start()?;
/// lisle::run(|| {
///     let (sender, receiver) = lisle::channel::bounded(0);
///     lisle::spawn(move || (0..100).for_each(|n| sender.send(n).unwrap()));
///     assert_eq!(receiver.iter().sum::<u32>(), 4950);
/// });
/// let trace = recorder.stop();
/// let mut page = Vec::new(); // or a file
/// trace.write_html(&mut page)?; // for a browser
/// trace.write_json(&mut page)?; // for ui.perfetto.dev
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub fn start() -> Result<Recorder, AlreadyRecording> {
    Recorder::begin(None, BYTES)
}

/// Begins to record what happens, and keeps the last part of it: what is younger than `last`, and
/// fits into `bytes` for each worker. To be asked for a [`snapshot`](Recorder::snapshot) when
/// something has gone wrong.
///
/// # Errors
///
/// If there is a recorder already.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let recorder = lisle::trace::flight_recorder(Duration::from_secs(5), 1 << 20)?;
/// lisle::run(|| lisle::spawn(|| ()).join().unwrap());
/// let trace = recorder.snapshot(); // it goes on
/// println!("{} turns", trace.turns());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub fn flight_recorder(last: Duration, bytes: usize) -> Result<Recorder, AlreadyRecording> {
    Recorder::begin(Some(last), bytes)
}

/// Records until it is dropped.
#[must_use = "it records until it is dropped"]
pub struct Recorder {
    session: Session,
    last: Option<Duration>,
}

/// There is a [`Recorder`] already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlreadyRecording;

impl Recorder {
    fn begin(last: Option<Duration>, bytes: usize) -> Result<Self, AlreadyRecording> {
        Ok(Self { session: Session::begin(bytes).ok_or(AlreadyRecording)?, last })
    }

    /// What has been recorded until now. The recorder goes on.
    pub fn snapshot(&self) -> Trace {
        Trace { timeline: Timeline::of(self.session.collect(self.last)) }
    }

    /// Ends the recording.
    pub fn stop(self) -> Trace {
        self.snapshot()
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("last", &self.last).finish_non_exhaustive()
    }
}

impl fmt::Display for AlreadyRecording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is a recorder already: there can be one at a time")
    }
}

impl std::error::Error for AlreadyRecording {}

/// What was recorded.
#[derive(Clone, Debug)]
pub struct Trace {
    timeline: Timeline,
}

impl Trace {
    /// Writes it in the trace event format, which <https://ui.perfetto.dev>, Chrome's
    /// `about:tracing` and speedscope open: a thread for each worker, its turns with the reason and
    /// the place of their ends, arrows from the waker to what it has woken, spans and counters. A
    /// span lies within its turn, and has a track of its own if its task has waited in it.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_json(&self, mut out: impl Write) -> io::Result<()> {
        json::write(&self.timeline, &mut out)
    }

    /// Writes it as a page that a browser shows without any network: a lane for each worker, to be
    /// zoomed by the wheel and moved by dragging, with a search, the longest turns and waits, and a
    /// histogram of how long runnable tasks had to wait for their turn.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_html(&self, mut out: impl Write) -> io::Result<()> {
        page::write(&self.timeline, &mut out)
    }

    /// How many turns of tasks it has.
    pub fn turns(&self) -> usize {
        self.timeline.lanes.iter().map(|lane| lane.turns.len()).sum()
    }

    /// How many events were overwritten by later ones, or are older than what was asked for.
    pub fn lost(&self) -> u64 {
        self.timeline.lost
    }
}

/// Runs `body`, and has a trace show how long it took. Nothing but a load and a branch is added
/// while nothing is recorded.
///
/// ```
/// let words = lisle::trace::span("split", || "a b c".split(' ').count());
/// assert_eq!(words, 3);
/// ```
#[inline]
pub fn span<R>(name: &'static str, body: impl FnOnce() -> R) -> R {
    if !is_on() {
        return body();
    }
    let _span = Span::begin(worker::current_number(), name);
    body()
}

/// Does [`span`] for something that is done for a task, perhaps on another thread.
pub(crate) fn span_of<R>(task: u64, name: &'static str, body: impl FnOnce() -> R) -> R {
    let _span = is_on().then(|| Span::begin(task, name));
    body()
}

/// Has a trace show the value of something that changes, such as the length of a queue.
///
/// ```
/// lisle::trace::counter("jobs", 12.0);
/// ```
#[inline]
pub fn counter(name: &'static str, value: f64) {
    if is_on() {
        note(What::Counter { name: Text(name), value });
    }
}

/// Ends a span when it is dropped, also by a panic.
struct Span {
    task: u64,
    name: Text,
}

impl Span {
    #[cold]
    fn begin(task: u64, name: &'static str) -> Self {
        let name = Text(name);
        note(What::SpanBegin { task, name });
        Self { task, name }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        note(What::SpanEnd { task: self.task, name: self.name });
    }
}

/// Notes what a task or a plain thread does.
#[cold]
fn note(what: What) {
    worker::with_current(|worker| match worker {
        Some(worker) => worker.note(what),
        None => session::note_outside(what),
    });
}

//! Traces: what happened when, on which worker, why and for how long.
//!
//! [`start`] records all that the runtimes of the process do, and [`flight_recorder`] keeps the
//! last part of it, for when something goes wrong. The [`Trace`] is written as a page for a browser
//! or for <https://ui.perfetto.dev>. Own parts of it are added by [`span`] and [`counter`].
//!
//! ```
//! use lisle::trace;
//!
//! let recorder = trace::start()?;
//! lisle::run(|| {
//!     let parser = lisle::spawn(|| trace::span("parse", || "42".parse::<u32>()));
//!     assert_eq!(parser.join().unwrap(), Ok(42));
//! });
//! let trace = recorder.stop();
//! assert!(trace.turns() >= 2);
//! # let path = std::env::temp_dir().join(format!("lisle-trace-{}.html", std::process::id()));
//! # let file = std::fs::File::create(&path)?;
//! # /*
//! let file = std::fs::File::create("trace.html")?;
//! # */
//! trace.write_html(file)?;
//! # std::fs::remove_file(path)?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing is recorded, and next to nothing is spent, as long as there is no [`Recorder`].

#[doc(inline)]
pub use lisle_scheduler::trace::{
    AlreadyRecording, Recorder, Trace, counter, flight_recorder, span, start,
};

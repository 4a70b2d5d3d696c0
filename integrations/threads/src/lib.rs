//! A logger that says which task a line is of.
//!
//! `log` has no state of its own, and so nothing that tasks could mix up: any logger works as it
//! is. One that wants to name tasks asks for the current one.

use std::io::{self, Write};
use std::sync::Mutex;

use lisle::task;
use log::{Level, Log, Metadata, Record};

/// Writes lines with their tasks.
pub struct Logger<W> {
    /// A lock of std's: nothing waits as a task does while it is held.
    output: Mutex<W>,
}

impl<W: Write + Send + 'static> Logger<W> {
    /// Has all of the program's lines written here, from `Info` on.
    pub fn install(output: W) -> Result<(), log::SetLoggerError> {
        log::set_boxed_logger(Box::new(Self { output: Mutex::new(output) }))?;
        log::set_max_level(Level::Info.to_level_filter());
        Ok(())
    }

    fn write(&self, record: &Record<'_>) -> io::Result<()> {
        let mut output = self.output.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match task::current() {
            Some(task) => match task.name() {
                Some(name) => write!(output, "{name}: ")?,
                None => write!(output, "task {}: ", task.id())?,
            },
            None => write!(output, "no task: ")?,
        }
        writeln!(output, "{}", record.args())
    }
}

impl<W: Write + Send + 'static> Log for Logger<W> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Info
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let _ = self.write(record); // there is nowhere to tell of it
        }
    }

    fn flush(&self) {}
}

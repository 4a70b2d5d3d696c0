//! The double for models: descriptors that a model makes ready, and queues that report it.

use std::io;
use std::time::Duration;

use lisle_runtime::internal::primitive::thread::{self, Thread};
use lisle_runtime::internal::primitive::{Arc, Mutex};

use super::{Distance, Readiness};

/// What a source is made of.
pub trait Descriptor {
    /// The descriptor itself.
    fn fd(&self) -> Fd<'_>;
}

pub(crate) type Fd<'a> = &'a ModelFd;

/// A pipe: it is readable while units are in it.
#[derive(Default)]
pub struct ModelFd {
    pipe: Mutex<Pipe>,
}

#[derive(Default)]
struct Pipe {
    units: usize,
    registered: Option<(Arc<Reports>, u64)>,
}

impl Descriptor for Arc<ModelFd> {
    fn fd(&self) -> Fd<'_> {
        self
    }
}

#[cfg(test)]
impl ModelFd {
    /// Adds units, which is an edge.
    pub(in crate::driver) fn write(&self, units: usize) {
        let mut pipe = self.pipe.lock();
        pipe.units += units;
        pipe.report();
    }

    /// Takes units, at most `room`.
    pub(in crate::driver) fn read(&self, room: usize) -> io::Result<usize> {
        let mut pipe = self.pipe.lock();
        let count = pipe.units.min(room);
        pipe.units -= count;
        if count == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }
}

impl Pipe {
    fn report(&self) {
        if let Some((reports, token)) = &self.registered
            && self.units > 0
        {
            let readiness = Readiness { readable: true, ..Readiness::default() };
            reports.push(Report::Ready(*token, readiness));
        }
    }
}

enum Report {
    Ring,
    Ready(u64, Readiness),
}

struct Reports {
    pending: Mutex<Vec<Report>>,
    owner: Thread,
}

impl Reports {
    fn push(&self, report: Report) {
        self.pending.lock().push(report);
        self.owner.unpark();
    }
}

pub(in crate::driver) struct Queue(Arc<Reports>);

impl Queue {
    pub(super) fn new() -> io::Result<Self> {
        let reports = Reports { pending: Mutex::default(), owner: thread::current() };
        Ok(Self(Arc::new(reports)))
    }

    pub(super) fn add(&self, fd: Fd<'_>, token: u64) -> io::Result<()> {
        let mut pipe = fd.pipe.lock();
        pipe.registered = Some((self.0.clone(), token));
        pipe.report();
        Ok(())
    }

    /// A pipe is registered once. If that is with another queue by now, there is nothing to do.
    pub(super) fn remove(&self, fd: Fd<'_>) {
        let mut pipe = fd.pipe.lock();
        if pipe.registered.as_ref().is_some_and(|(reports, _)| Arc::ptr_eq(reports, &self.0)) {
            pipe.registered = None;
        }
    }

    pub(super) fn ring(&self) {
        self.0.push(Report::Ring);
    }

    /// A wait without a limit ends by a report alone. Time does not pass in a model.
    pub(super) fn wait(
        &self,
        timeout: Option<Duration>,
        _: impl Fn(u64, Distance),
        mut report: impl FnMut(u64, Readiness),
    ) {
        loop {
            let pending = std::mem::take(&mut *self.0.pending.lock());
            let any = !pending.is_empty();
            for pending in pending {
                if let Report::Ready(token, readiness) = pending {
                    report(token, readiness);
                }
            }
            if any || timeout.is_some_and(|timeout| timeout.is_zero()) {
                return;
            }
            if timeout.is_some() {
                return thread::yield_now();
            }
            thread::park();
        }
    }
}

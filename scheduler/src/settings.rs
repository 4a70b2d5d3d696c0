//! What the workers of a runtime are made from.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lisle_runtime::stack::StackSize;

use crate::deadlock::ForeignThreads;
use crate::explore::Engine;

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) workers: NonZeroUsize,
    pub(crate) stack_size: StackSize,
    pub(crate) stack_size_origin: StackSizeOrigin,
    pub(crate) main_stack_size: Option<StackSize>,
    pub(crate) spin: Duration,
    /// Whether a worker's thread may run another worker.
    pub(crate) carry: bool,
    /// Whether the clock is the runtime's own.
    pub(crate) virtual_time: bool,
    /// What chooses which task runs next, if it is not the order of their arrival.
    pub(crate) engine: Option<Arc<Engine>>,
    pub(crate) deadlock_detection: bool,
    pub(crate) foreign_threads: ForeignThreads,
    pub(crate) panic_note: bool,
    pub(crate) stall_notice: Option<Duration>,
    /// Whether samples are taken of how long tasks wait for their turns.
    pub(crate) queue_delays: bool,
    /// How long a turn of a task may last before it is reported.
    pub(crate) watch: Option<Duration>,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) thread_name: Arc<str>,
}

/// What says how large the stacks of a runtime are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StackSizeOrigin {
    /// `LISLE_STACK_SIZE`, which may be unset.
    Environment,
    /// `RuntimeBuilder::stack_size`.
    Builder,
}

impl Settings {
    /// The runtime's name, or that of its threads.
    pub(crate) fn title(&self) -> &str {
        self.name.as_ref().unwrap_or(&self.thread_name)
    }

    /// Whether long turns are reported. A model has no clock.
    pub(crate) fn is_watched(&self) -> bool {
        self.watch.is_some() && !cfg!(lisle_loom)
    }
}

//! What the report of a stack overflow says about a task: its name, and which setting gives it a
//! larger stack.

use std::io::Write;
use std::ptr::NonNull;

use lisle_runtime::internal::overflow::Running;
use lisle_runtime::stack::StackSize;

use super::{Worker, with_current};
use crate::settings::{Settings, StackSizeOrigin};
use crate::task::Control;

/// Tells of the running task, when the stack that ends at `top` has overflowed. It is called in the
/// handler of that: it allocates nothing, and changes nothing.
pub(crate) fn describe_current(top: usize, tell: &mut dyn FnMut(Running<'_>)) {
    with_current(|worker| {
        if let Some(worker) = worker
            && let Some(current) = worker.current.get_from_outside()
        {
            worker.describe(current, top, tell);
        }
    });
}

impl Worker {
    fn describe(&self, current: NonNull<Control>, top: usize, tell: &mut dyn FnMut(Running<'_>)) {
        // SAFETY: the current task has not finished.
        let task = unsafe { current.as_ref() };
        let remedy = task.size_of_stack_at(top).map(|size| self.remedy(current, size));
        if let Some(name) = task.name() {
            return tell(Running { name: name.as_bytes(), remedy });
        }
        let mut text = [0; 24];
        let room = text.len();
        let mut rest = &mut text[..];
        let _ = write!(rest, "#{}", task.id);
        let length = room - rest.len();
        tell(Running { name: &text[..length], remedy });
    }

    /// What gives a task, whose stack has that size, a larger one.
    fn remedy(&self, task: NonNull<Control>, size: StackSize) -> &'static str {
        let settings: &Settings = &self.team.settings;
        let origin = (size == settings.stack_size).then_some(settings.stack_size_origin);
        let is_main = self.main.get() == Some(task);
        match (origin, is_main) {
            (Some(StackSizeOrigin::Environment), false) => {
                "raise LISLE_STACK_SIZE, or give the task a larger stack with Builder::stack_size"
            }
            (Some(StackSizeOrigin::Builder), false) => {
                "raise RuntimeBuilder::stack_size, or give the task a larger stack with \
                 Builder::stack_size"
            }
            (None, false) => "give the task a larger one with Builder::stack_size",
            (Some(StackSizeOrigin::Environment), true) => {
                "raise LISLE_STACK_SIZE, or give main a larger stack with \
                 RuntimeBuilder::main_stack_size"
            }
            (Some(StackSizeOrigin::Builder), true) => {
                "raise RuntimeBuilder::stack_size, or give main a larger stack with \
                 RuntimeBuilder::main_stack_size"
            }
            (None, true) => "give main a larger one with RuntimeBuilder::main_stack_size",
        }
    }
}

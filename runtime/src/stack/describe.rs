//! How the handler of an overflow learns which task runs: the scheduler has installed a function
//! for it to ask.

use crate::once::FirstSet;

/// The task that runs on a thread.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    /// Its name, or its number.
    pub name: &'a [u8],
    /// What gives the task a larger stack, if the one that was asked about is its own. `None` if it
    /// belongs to something that runs inside the task.
    pub remedy: Option<&'a str>,
}

/// Tells of the task that runs on the calling thread, when the stack that ends at `top` has
/// overflowed, or does nothing if none runs.
pub type Describer = unsafe fn(top: usize, tell: &mut dyn FnMut(Running<'_>));

static DESCRIBER: FirstSet<Describer> = FirstSet::new();

/// Installs the function to ask. The first call wins.
///
/// # Safety
///
/// The function is called in a signal handler, at any instruction of a thread that runs on a stack
/// of ours. It must neither lock, nor allocate, nor panic, nor switch to another stack, and a
/// thread-local that it reads must need no initialisation. Whatever it looks at must be sound to
/// look at whenever something runs on a stack of ours.
pub unsafe fn set_describer(describer: &'static Describer) {
    DESCRIBER.set(describer);
}

/// Asks the function. To be called in the handler.
pub(super) fn describe(top: usize, tell: &mut dyn FnMut(Running<'_>)) {
    if let Some(describer) = DESCRIBER.get() {
        // SAFETY: this is the handler, for which the function was set.
        unsafe { describer(top, tell) };
    }
}

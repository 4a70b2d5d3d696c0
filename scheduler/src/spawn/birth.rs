//! The birth of a task: what it takes from the place where it is spawned.

use std::io;
use std::panic::Location;
use std::ptr::{self, NonNull};

use lisle_runtime::stack::{Stack, StackSize};

use super::Builder;
use crate::post::Post;
use crate::task::{Birth, Control, ExtrasSlot, JoinHandle, Slab, TaskId};
use crate::team::Team;
use crate::worker::Worker;

/// Where a task is spawned: what it takes from there beside its closure.
pub(crate) trait Birthplace {
    fn team(&self) -> &Team;
    fn next_id(&self) -> TaskId;
    /// The worker that will have the task; null if none is known yet.
    fn keeper(&self) -> *const Post;
    fn allocate(&self) -> NonNull<Control>;

    /// A stack of special size.
    fn special_stack(&self, size: StackSize) -> io::Result<Stack>;

    /// Makes sure that a task can start. Also if it brings its own stack: so every task that has
    /// not started has one reserved on the worker that holds its place, and a worker from which it
    /// is stolen need not know which kind it was.
    fn reserve_stack(&self) -> io::Result<()>;
}

impl Birthplace for Worker {
    #[inline]
    fn team(&self) -> &Team {
        self.team()
    }

    #[inline]
    fn next_id(&self) -> TaskId {
        self.next_id()
    }

    #[inline]
    fn keeper(&self) -> *const Post {
        self.post()
    }

    #[inline]
    fn allocate(&self) -> NonNull<Control> {
        self.slab().allocate()
    }

    fn special_stack(&self, size: StackSize) -> io::Result<Stack> {
        // The retired one may be the very one that is wanted.
        self.release_retired();
        Stack::allocate(size)
    }

    #[inline]
    fn reserve_stack(&self) -> io::Result<()> {
        self.reserve_stack()
    }
}

/// The outside of a team. The worker that will take the task reserves the stack, and cancels the
/// task if the team ends.
pub(super) struct Outside<'a>(pub(super) &'a Team);

impl Birthplace for Outside<'_> {
    fn team(&self) -> &Team {
        self.0
    }

    fn next_id(&self) -> TaskId {
        TaskId::next()
    }

    fn keeper(&self) -> *const Post {
        ptr::null()
    }

    fn allocate(&self) -> NonNull<Control> {
        Slab::allocate_shared()
    }

    fn special_stack(&self, size: StackSize) -> io::Result<Stack> {
        Stack::allocate(size)
    }

    fn reserve_stack(&self) -> io::Result<()> {
        // Only to see now whether there is memory: the worker has warm ones.
        Stack::allocate(self.0.settings.stack_size).map(drop)
    }
}

/// Makes a task that no worker knows yet. All tasks are born here. In line, as what the builder was
/// not told then costs a spawn nothing.
///
/// # Safety
///
/// `F` and `T` may go wherever the task and its handle go, and live as long.
#[inline(always)]
pub(crate) unsafe fn create<F, T>(
    place: &impl Birthplace,
    builder: Builder,
    spawned_at: &'static Location<'static>,
    body: F,
) -> io::Result<(NonNull<Control>, JoinHandle<T>)>
where
    F: FnOnce() -> T,
{
    // Taken apart at once: so the compiler sees what it was not told.
    let Builder { name, stack_size, inherits, .. } = builder;
    let extras = ExtrasSlot::new(name, inherits);
    if place.team().is_of_parent() {
        return Err(left_in_the_parent());
    }
    let stack = stack_size.map(|size| place.special_stack(size)).transpose()?;
    place.reserve_stack()?;
    let (id, keeper) = (place.next_id(), place.keeper());
    let birth = Birth { id, extras, spawned_at, keeper };
    let slot = place.allocate();
    // SAFETY: the slot comes from a slab; the caller answers for the types. The task is new, the
    // handle is the only one, and its type is the closure's.
    unsafe {
        Control::create(slot, birth, body);
        if let Some(stack) = stack {
            slot.as_ref().bring_stack(stack);
        }
        Ok((slot, JoinHandle::new(slot)))
    }
}

/// The threads of a runtime do not come along into a fork child.
fn left_in_the_parent() -> io::Error {
    io::Error::other(
        "this runtime was started before the process forked, and its threads are not in this \
         process: make a new runtime here, or use the default one by calling spawn",
    )
}

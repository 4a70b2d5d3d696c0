//! The control block of a task, and the steps of its life.
//!
//! A control block is made by a spawn and has two owners: the running side, until the task has
//! finished, and the [`JoinHandle`]. The last of them to let go frees it (see [`join`]). Between
//! the two, the worker that starts the task is its *home*, for ever: only the home thread touches
//! the fields marked "home". A task that has not started is not on any thread yet; it is just a
//! closure.

mod cancelled;
mod end_sign;
mod extras;
mod handle;
mod home;
pub(crate) mod join;
mod layout;
mod list;
#[cfg(all(test, lisle_loom))]
mod models;
mod payload;
mod share;
mod shown;
mod slab;

use cancelled::Cause;
pub use cancelled::{Cancelled, CancelledBy};
pub use end_sign::{AnyHandle, Sign};
pub(crate) use extras::{Extras, Slot as ExtrasSlot};
pub use handle::{Detached, Task, TaskId};
pub(crate) use handle::{Numbers, Title};
pub(crate) use home::Whereabouts;
pub use join::{CancelOnDrop, JoinHandle};
pub(crate) use layout::LAYOUT;
pub(crate) use list::TaskList;
pub(crate) use payload::discard_panic;
pub use share::CancelHandle;
pub(crate) use share::Share;
pub(crate) use shown::Shown;
pub(crate) use slab::{CHUNK, Slab};

use std::cell::{Cell, UnsafeCell};
use std::mem::{self, ManuallyDrop};
use std::ops::Deref;
use std::panic::Location;
use std::ptr::NonNull;
use std::time::Instant;

use lisle_runtime::internal::primitive;
use lisle_runtime::stack::{Stack, StackSize};
use lisle_runtime::switch::Context;

use self::join::JoinState;
use self::payload::{Payload, Vtable};
use crate::park::{Object, Place, Reason, undisturbed};
use crate::post::Post;
use crate::scope::Bond;
use crate::trace;

/// A task, as the scheduler sees it: three cache lines in a dense slab, off the task's stack page.
///
/// The first line is what a switch and a wake-up touch.
#[repr(C, align(64))]
pub(crate) struct Control {
    /// Where the task continues; [`Context::NONE`] until it starts. Home.
    context: Cell<Context>,
    /// Which worker has the task: see [`home`].
    home: primitive::atomic::AtomicPtr<Post>,
    /// The link of the inbox. Belongs to the thread that pushes, then to the home.
    pub(crate) inbox_next: primitive::cell::UnsafeCell<*mut Control>,
    /// What the task waits for, on its own stack, while it is parked. Home.
    parked: Shown<ParkRecord<'static>>,
    /// Home.
    pub(crate) phase: Cell<Phase>,
    /// Whether a cancellation point unwinds the task: what is cancelled, it or a region that it is
    /// in, is in no shield. Home.
    exposed: Cell<bool>,
    /// 0 until the task is cancelled, then 1, and 1 more for each time that it was unwound. Home;
    /// before the start it belongs to the holder of the task.
    strikes: Cell<u8>,
    /// Why the task is cancelled, if it is, and whether its runtime ends. As `strikes`.
    cause: Cell<Cause>,
    /// Whether a destructor that unwinds waits for the coroutine in which the task runs. Home.
    unwinds_below: Cell<bool>,
    /// The shield that the task has entered in its innermost region. Home.
    shielding: Cell<Shielding>,
    /// Whether the unparker of the present wait was dropped. Home.
    abandoned: Cell<bool>,
    /// Whether another party wants the task to be cancelled, and why: see [`home`].
    requested: primitive::atomic::AtomicU8,
    /// Set while the task runs, and from the spawn on if it asked for a size of its own. Home.
    stack: Cell<Option<Stack>>,

    /// Shared by the running side and the join handle.
    join: JoinState,
    vtable: &'static Vtable,
    /// Neighbours in the home's list of started tasks. Home.
    links: list::Links,
    pub(crate) id: TaskId,

    /// What few tasks have. The last party drops it if there is anything.
    extras: ManuallyDrop<extras::Slot>,
    /// What ties the task to its scope, if it belongs to one. Written before a worker knows it.
    bond: Cell<Option<NonNull<Bond>>>,
    pub(crate) spawned_at: &'static Location<'static>,
    /// The closure, and later the result. Belongs to the running side until it has finished, then
    /// to the join handle.
    payload: UnsafeCell<Payload>,
}

// Of a million parked tasks each has one.
#[cfg(all(not(lisle_loom), target_pointer_width = "64"))]
const _: () = assert!(size_of::<Control>() == 3 * 64);

/// How far a task is with a wait. Only its home changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Runs, or stands in a run queue without having parked.
    Running,
    /// Suspended until its unparker is used, its deadline passes or it is cancelled.
    Parked,
    /// Suspended until its unparker is used, which is certain to happen soon.
    AwaitsUnpark,
    /// Its unparker was used. If the task is suspended it stands in the run queue.
    Unparked,
    /// Its deadline passed. Stands in the run queue.
    TimedOut,
    /// It was cancelled while it was parked. Stands in the run queue.
    Cancelled,
    /// Suspended for ever.
    LeftBehind,
}

/// From what a task is shielded, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shielding {
    None,
    /// It waits for a lock.
    FromAllButTheEnd,
    FromAll,
}

/// A task that was taken out of a run queue. Only its holder can have it go on, so it does not
/// finish as long as this is held.
pub(crate) struct Runnable(NonNull<Control>);

impl Runnable {
    /// # Safety
    ///
    /// The task was in the run queue of this thread's worker, or in a backlog, and the caller has
    /// taken it out.
    #[inline(always)]
    pub(crate) unsafe fn new(task: NonNull<Control>) -> Self {
        Self(task)
    }

    /// The task, which the caller makes the current one, or puts back into a queue.
    #[inline(always)]
    pub(crate) fn into_raw(self) -> NonNull<Control> {
        self.0
    }
}

impl Deref for Runnable {
    type Target = Control;

    #[inline(always)]
    fn deref(&self) -> &Control {
        // SAFETY: the task has not finished, see above, so its block is alive.
        unsafe { self.0.as_ref() }
    }
}

/// A wait, as a report shows it.
#[derive(Clone, Copy)]
pub(crate) struct ParkRecord<'a> {
    pub(crate) object: &'a dyn Object,
    pub(crate) place: Place,
    /// Since when, on the worker's clock.
    pub(crate) since: Instant,
}

impl ParkRecord<'_> {
    /// Why the task waits. The wait may be a user's, and a panic there would unwind the scheduler.
    pub(crate) fn reason(&self) -> Reason {
        self.described(|object| object.reason())
    }

    /// Whether the task waits for something to do.
    pub(crate) fn awaits_work(&self) -> bool {
        self.described(|object| object.awaits_work())
    }

    /// Has the object say what it is.
    pub(crate) fn described<R>(&self, describe: impl FnOnce(&dyn Object) -> R) -> R {
        undisturbed("the description of a wait panicked", || describe(self.object))
    }

    /// Why and where the task waits, as a trace tells it.
    pub(crate) fn told(&self) -> (trace::Text, Place) {
        (trace::Text(self.reason().as_str()), self.place)
    }
}

/// What a spawn knows about the task beside its closure.
pub(crate) struct Birth {
    pub(crate) id: TaskId,
    /// The task's name and the values that it inherits, if there are any.
    pub(crate) extras: extras::Slot,
    pub(crate) spawned_at: &'static Location<'static>,
    /// The worker on which the task was spawned; null if that was outside of the team.
    pub(crate) keeper: *const Post,
}

impl Control {
    /// Writes a control block into `slot`.
    ///
    /// # Safety
    ///
    /// `slot` is free memory for a control block. `F` and `T` may be used for as long as the task
    /// and its handle live, and on whichever threads those get to.
    pub(crate) unsafe fn create<F, T>(slot: NonNull<Control>, birth: Birth, body: F)
    where
        F: FnOnce() -> T,
    {
        let control = Control {
            context: Cell::new(Context::NONE),
            home: home::kept_by(birth.keeper),
            inbox_next: primitive::cell::UnsafeCell::new(std::ptr::null_mut()),
            parked: Shown::none(),
            phase: Cell::new(Phase::Running),
            exposed: Cell::new(false),
            strikes: Cell::new(0),
            cause: Cell::new(Cause::NONE),
            unwinds_below: Cell::new(false),
            shielding: Cell::new(Shielding::None),
            abandoned: Cell::new(false),
            requested: primitive::atomic::AtomicU8::new(home::NOT_REQUESTED),
            stack: Cell::new(None),
            join: JoinState::new(),
            vtable: Vtable::of::<F, T>(),
            links: list::Links::default(),
            id: birth.id,
            extras: ManuallyDrop::new(birth.extras),
            bond: Cell::new(None),
            spawned_at: birth.spawned_at,
            payload: UnsafeCell::new(Payload::empty()),
        };
        // SAFETY: the slot is free and large enough; the payload is empty and takes the closure
        // that the vtable expects.
        unsafe {
            slot.write(control);
            Payload::put((*slot.as_ptr()).payload.get(), body);
        }
    }

    /// Gives a task that no worker knows yet a stack of its own size. Not as a part of its birth:
    /// the compiler would copy what most tasks do not have.
    pub(crate) fn bring_stack(&self, stack: Stack) {
        self.stack.set(Some(stack));
    }

    /// Has the task's home told when it ends, as one that serves what was accepted.
    ///
    /// # Safety
    ///
    /// The task is new, and no worker knows it yet.
    pub(crate) unsafe fn count_as_accepted(task: NonNull<Control>) {
        // SAFETY: the caller has the task for itself, but for the handle, which does not read this.
        let vtable = unsafe { &mut (*task.as_ptr()).vtable };
        *vtable = vtable.of_accepted.expect("a task is counted once");
    }

    /// Runs the closure to its end, or gets rid of it if the task is cancelled, and stores the
    /// result.
    ///
    /// # Safety
    ///
    /// The closure has not been run, and nobody else has the payload. The caller is the task's own
    /// stack, or the task is cancelled.
    pub(crate) unsafe fn run(&self) {
        let strikes = self.strikes.get();
        // SAFETY: the payload holds the closure for which the vtable was made.
        unsafe {
            if strikes == 0 {
                (self.vtable.run)(self.payload.get());
            } else {
                (self.vtable.get_rid)(self.payload.get(), strikes, self.cause());
            }
        }
    }

    /// The task's identity.
    pub(crate) fn identity(&self) -> Task {
        let name = self.extras().and_then(|extras| extras.name.clone());
        Task { id: self.id, name }
    }

    /// The number and the name, as messages have them.
    pub(crate) fn title(&self) -> Title<'_> {
        Title { id: self.id, name: self.name() }
    }

    /// Fit for a signal handler.
    pub(crate) fn name(&self) -> Option<&str> {
        self.extras()?.name.as_deref()
    }

    #[inline(always)]
    pub(crate) fn bond(&self) -> Option<NonNull<Bond>> {
        self.bond.get()
    }

    pub(crate) fn set_bond(&self, bond: NonNull<Bond>) {
        self.bond.set(Some(bond));
    }

    #[inline]
    pub(crate) fn extras(&self) -> Option<&Extras> {
        self.extras.get()
    }

    /// What few tasks have; the task is one of them from now on.
    #[inline]
    pub(crate) fn extras_or_new(&self) -> &Extras {
        self.extras.get_or_new()
    }

    #[inline]
    pub(crate) fn context(&self) -> Context {
        self.context.get()
    }

    /// Where a switch away from the task stores its continuation.
    #[inline]
    pub(crate) fn context_slot(&self) -> *mut Context {
        self.context.as_ptr()
    }

    /// Ties the task to a thread. Called once, before its first instruction.
    pub(crate) fn start(&self, home: *const Post, stack: Stack) {
        self.settle(home);
        let before = self.stack.replace(Some(stack));
        debug_assert!(before.is_none(), "what the task has brought was taken");
        // Nothing is to be dropped, but that the compiler does not know.
        mem::forget(before);
    }

    /// The stack, out of the control block: the task is about to start, or has finished.
    pub(crate) fn take_stack(&self) -> Option<Stack> {
        self.stack.take()
    }

    /// The size of the task's stack, if it is the one that ends at `top`. Fit for a signal handler
    /// that has interrupted the task.
    pub(crate) fn size_of_stack_at(&self, top: usize) -> Option<StackSize> {
        // SAFETY: only the home changes the cell, and not while the task runs, as it does.
        let stack = unsafe { &*self.stack.as_ptr() }.as_ref();
        stack.filter(|stack| stack.top().addr() == top).map(Stack::size)
    }

    /// Whether the spawn asked for a stack of its own size. For the worker that has taken the task
    /// out of its queue.
    pub(crate) fn brings_stack(&self) -> bool {
        // SAFETY: the caller has the task, which has not started, and nobody changes the cell
        // meanwhile.
        unsafe { &*self.stack.as_ptr() }.is_some()
    }

    /// Whether the task itself is cancelled, and not only a region that it is in.
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.strikes.get() > 0
    }

    /// Whether a cancellation strikes the task: its own or that of a region, in no shield.
    #[inline(always)]
    pub(crate) fn is_exposed(&self) -> bool {
        self.exposed.get()
    }

    /// Finds out whether a cancellation strikes the task, after a change.
    pub(crate) fn find_exposure(&self) {
        self.exposed.set(self.struck().is_some());
    }

    /// The shield that the task has entered in its innermost region.
    pub(crate) fn shielding(&self) -> Shielding {
        self.shielding.get()
    }

    /// Puts the task into a shield or takes it out, and returns what it was in.
    pub(crate) fn set_shielding(&self, shielding: Shielding) -> Shielding {
        self.shielding.replace(shielding)
    }

    /// Whether an address is on the task's own stack, and not on that of a coroutine.
    pub(crate) fn owns(&self, address: usize) -> bool {
        // SAFETY: only the home changes the cell, and not while the task runs, as it does.
        let stack = unsafe { &*self.stack.as_ptr() }.as_ref();
        stack.is_some_and(|stack| stack.top().addr().wrapping_sub(address) <= stack.size().bytes())
    }

    /// The lowest usable byte of the task's own stack, if the address is on it. For the home.
    pub(crate) fn bottom_below(&self, address: usize) -> Option<*const u8> {
        if !self.owns(address) {
            return None;
        }
        // SAFETY: only the home changes the cell, and it does not while it looks.
        let stack = unsafe { &*self.stack.as_ptr() }.as_ref();
        stack.map(|stack| stack.bottom().cast_const())
    }

    /// Cancels the task. A later cause than the first one counts for nothing.
    pub(crate) fn cancel(&self, by: CancelledBy) {
        self.cancel_from_birth(self.strikes.get().max(1), by);
    }

    pub(crate) fn strikes(&self) -> u8 {
        self.strikes.get()
    }

    /// The task is cancelled with a count of strikes: before it is known to any worker, or by its
    /// home.
    pub(crate) fn cancel_from_birth(&self, strikes: u8, by: CancelledBy) {
        self.strikes.set(strikes);
        self.cause.set(self.cause.get().and(by));
        self.find_exposure();
    }

    /// Why the task is cancelled.
    pub(crate) fn cause(&self) -> CancelledBy {
        self.cause.get().first().unwrap_or(CancelledBy::Runtime)
    }

    /// Whether the task is cancelled because its runtime ends, whatever came before.
    pub(crate) fn meets_the_end(&self) -> bool {
        self.cause.get().has_the_end()
    }

    /// Counts an unwinding of the cancelled task. Returns how many there were, with this one.
    pub(crate) fn count_strike(&self) -> u8 {
        let told = self.strikes.get();
        self.strikes.set(told.saturating_add(1));
        told
    }

    /// Whether an unwinding that begins now would come out into a destructor which unwinds already.
    pub(crate) fn unwinds_below(&self) -> bool {
        self.unwinds_below.get()
    }

    /// Notes whether it would, and returns what was noted before.
    pub(crate) fn note_unwinding_below(&self, below: bool) -> bool {
        self.unwinds_below.replace(below)
    }

    /// Notes that the unparker of the present wait will never be used.
    pub(crate) fn set_abandoned(&self) {
        self.abandoned.set(true);
    }

    /// Whether that was noted. Clears the note.
    pub(crate) fn take_abandoned(&self) -> bool {
        self.abandoned.take()
    }

    /// Notes what the task waits for. The record stays valid until `end_park`.
    #[inline]
    pub(crate) fn begin_park(&self, record: &ParkRecord<'_>) {
        self.parked.set(NonNull::from(record).cast());
    }

    #[inline]
    pub(crate) fn end_park(&self) {
        self.parked.clear();
    }

    #[inline]
    pub(crate) fn is_parking(&self) -> bool {
        self.parked.get().is_some()
    }

    /// What the task waits for, if it is parked. To be looked at before the task has its next turn.
    pub(crate) fn park_record(&self) -> Option<&ParkRecord<'_>> {
        // SAFETY: the record is on the stack of a task between `begin_park` and `end_park`, hence
        // suspended in `park`, and this is its home thread. What it refers to was lent to `park`.
        self.parked.get().map(|record| unsafe { record.as_ref() })
    }

    /// Where the task waits and since when, if it is parked or has been and was not run since.
    ///
    /// # Safety
    ///
    /// The caller is a handler on the home thread, and another task has its turn.
    pub(crate) unsafe fn wait_from_handler(&self) -> Option<(Place, Instant)> {
        let record = self.parked.get_from_outside()?;
        // SAFETY: only the task itself ends what it has begun by `begin_park`, in a turn of its
        // own. So the record is on its suspended stack, and complete.
        let record = unsafe { record.as_ref() };
        Some((record.place, record.since))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Control blocks for models and tests that need some and run none.

    use super::*;
    use std::num::NonZeroU64;

    #[derive(Clone)]
    pub(crate) struct Sample(pub(crate) NonNull<Control>);

    // SAFETY: models pass samples between threads as the protocols under test allow.
    unsafe impl Send for Sample {}

    /// A task that never runs. Its memory is not reclaimed.
    pub(crate) fn task_numbered(slab: &Slab, number: u64) -> Sample {
        let slot = slab.allocate();
        let birth = Birth {
            id: TaskId(NonZeroU64::MIN.saturating_add(number)),
            extras: extras::Slot::new(None, false),
            spawned_at: Location::caller(),
            keeper: std::ptr::null(),
        };
        // SAFETY: the slot is fresh, and the types are plain.
        unsafe { Control::create(slot, birth, || ()) };
        Sample(slot)
    }
}

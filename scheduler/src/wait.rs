//! What a park says about itself, for reports: why, where and at what its party waits.

use std::fmt;
use std::num::NonZeroU64;
use std::panic::Location;
use std::sync::Arc;

use crate::task::{Task, TaskId};

/// Why a party is parked, in words for a person: `"receiving from a channel"`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reason(&'static str);

impl Reason {
    /// A reason that completes the sentence "the task is …".
    ///
    /// ```
    /// use lisle::park::{Reason, Wake, park};
    ///
    /// const GREEN: Reason = Reason::new("waiting for the light to turn green");
    /// let wake = lisle::run(|| park(GREEN, None, |light| light.unpark(), || None));
    /// assert_eq!(wake, Wake::Unparked);
    /// ```
    pub const fn new(text: &'static str) -> Self {
        Self(text)
    }

    /// The text given to [`Reason::new`].
    ///
    /// ```
    /// assert_eq!(lisle::park::Reason::new("waiting for a bell").as_str(), "waiting for a bell");
    /// ```
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// A place in a program.
pub type Place = &'static Location<'static>;

/// What a party waits at. It is asked when a report is made, or a task starts right after the party
/// has begun to wait.
///
/// It is asked while the party is parked, on the party's thread, and may lock what is locked
/// briefly. If it panics, the process is aborted.
pub trait Object {
    /// Why the party waits.
    fn reason(&self) -> Reason;

    /// Whether the party waits for something to do, such as a message. A task that does so as the
    /// first thing in its life is taken for an actor or the member of a pool: if several of a kind
    /// begin like this, one after the other, they are dealt to the workers that are idle.
    fn awaits_work(&self) -> bool {
        false
    }

    /// Calls `say` with each thing that could end the wait, as far as it is known.
    fn describe(&self, say: &mut dyn FnMut(Awaited)) {
        let _ = say;
    }
}

impl Object for Reason {
    fn reason(&self) -> Reason {
        *self
    }
}

/// A wait, as a report tells it.
#[derive(Clone, Copy)]
#[must_use = "it does not wait by itself"]
pub struct Wait<'a> {
    pub(crate) object: &'a dyn Object,
    /// The call of [`park`](crate::park::park), if it is `None`.
    pub(crate) place: Option<Place>,
}

impl<'a> Wait<'a> {
    /// A wait at `object`.
    ///
    /// ```
    /// use lisle::park::{Object, Reason, Wait, Wake, park};
    ///
    /// struct Bell;
    ///
    /// impl Object for Bell {
    ///     fn reason(&self) -> Reason {
    ///         Reason::new("waiting for the bell")
    ///     }
    /// }
    ///
    /// let ring = |bell: lisle::park::Unparker| bell.unpark();
    /// let wake = lisle::run(|| park(Wait::on(&Bell), None, ring, || None));
    /// assert_eq!(wake, Wake::Unparked);
    /// ```
    #[inline]
    pub const fn on(object: &'a dyn Object) -> Self {
        Self { object, place: None }
    }

    /// The wait is to be found at `place` and not at the call of [`park`](crate::park::park).
    ///
    /// ```
    /// use std::panic::Location;
    ///
    /// use lisle::park::{Reason, Wait, park};
    ///
    /// const REASON: Reason = Reason::new("waiting for the bell");
    ///
    /// /// A report shows the caller of this function.
    /// #[track_caller]
    /// fn wait() {
    ///     let wait = Wait::on(&REASON).at(Location::caller());
    ///     let _ = park(wait, None, |unparker| unparker.unpark(), || None);
    /// }
    ///
    /// lisle::run(wait);
    /// ```
    #[inline]
    pub const fn at(self, place: Place) -> Self {
        Self { place: Some(place), ..self }
    }
}

impl fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.object.reason();
        f.debug_struct("Wait").field("reason", &reason).field("place", &self.place).finish()
    }
}

/// What [`park`](crate::park::park) gets to know of the wait: a [`Wait`], or a [`Reason`] that has
/// nothing more to say.
pub trait AsWait {
    /// The wait.
    fn as_wait(&self) -> Wait<'_>;
}

impl AsWait for Reason {
    #[inline]
    fn as_wait(&self) -> Wait<'_> {
        Wait::on(self)
    }
}

impl AsWait for Wait<'_> {
    #[inline]
    fn as_wait(&self) -> Wait<'_> {
        *self
    }
}

/// Something that could end a wait.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Awaited {
    /// The end of a task.
    Task(Task),
    /// The use or the end of one of these handles.
    Handles(Handles),
    /// The release of a lock that is held, or the end of what has begun.
    Release(Held),
}

/// The handles at the other end of what a party waits at.
#[derive(Clone, Debug)]
pub struct Handles {
    /// The address of what they are handles to.
    pub(crate) object: usize,
    kind: &'static str,
    /// Handles of which kind the waiting party has.
    pub(crate) own_kind: &'static str,
    alive: usize,
    pub(crate) held_by: Arc<[Task]>,
}

impl Handles {
    /// A party with a handle of the kind `own_kind` to what is at the address `object` waits for
    /// one of its `alive` handles of the kind `kind`.
    ///
    /// ```
    /// let handles = lisle::deadlock::Handles::new(0x1000, "reader", "writer", 2);
    /// assert_eq!((handles.kind(), handles.alive()), ("writer", 2));
    /// ```
    pub fn new(object: usize, own_kind: &'static str, kind: &'static str, alive: usize) -> Self {
        Self { object, kind, own_kind, alive, held_by: Arc::default() }
    }

    /// What they are, in the singular: `"sender"`.
    ///
    /// ```
    /// use lisle::deadlock::{Awaited, ForeignThreads};
    ///
    /// let deadlock = lisle::Runtime::builder()
    ///     .foreign_threads(ForeignThreads::NeverWake)
    ///     .run(|| {
    ///         let (_sender, receiver) = lisle::channel::unbounded::<()>();
    ///         receiver.recv()
    ///     })
    ///     .unwrap_err();
    /// let awaited = &deadlock.tasks()[0].awaited()[0];
    /// let Awaited::Handles(senders) = awaited else { panic!("it receives") };
    /// assert_eq!(senders.kind(), "sender");
    /// ```
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// How many there are.
    ///
    /// ```
    /// use lisle::deadlock::{Awaited, ForeignThreads};
    ///
    /// let deadlock = lisle::Runtime::builder()
    ///     .foreign_threads(ForeignThreads::NeverWake)
    ///     .run(|| {
    ///         let (_sender, receiver) = lisle::channel::unbounded::<()>();
    ///         receiver.recv()
    ///     })
    ///     .unwrap_err();
    /// let awaited = &deadlock.tasks()[0].awaited()[0];
    /// let Awaited::Handles(senders) = awaited else { panic!("it receives") };
    /// assert_eq!(senders.alive(), 1);
    /// ```
    pub fn alive(&self) -> usize {
        self.alive
    }

    /// Tasks that are known to have one, because they wait at the other end. Most often none is: a
    /// handle that its task does not wait at, or that lies in memory, is not found.
    ///
    /// ```
    /// use lisle::deadlock::{Awaited, ForeignThreads};
    ///
    /// let deadlock = lisle::Runtime::builder()
    ///     .foreign_threads(ForeignThreads::NeverWake)
    ///     .run(|| {
    ///         let (_sender, receiver) = lisle::channel::unbounded::<()>();
    ///         receiver.recv()
    ///     })
    ///     .unwrap_err();
    /// let awaited = &deadlock.tasks()[0].awaited()[0];
    /// let Awaited::Handles(senders) = awaited else { panic!("it receives") };
    /// assert!(senders.held_by().is_empty()); // it lies in a variable
    /// ```
    pub fn held_by(&self) -> &[Task] {
        &self.held_by
    }
}

/// A lock that is held while a party waits for it, or an initialiser that runs.
#[derive(Clone, Debug)]
pub struct Held {
    pub(crate) by: Option<Task>,
    /// Whether that task is none of those that are left in the runtime: it has ended, or belongs to
    /// another one.
    pub(crate) is_gone: bool,
    pub(crate) how: &'static str,
    since: Place,
    times: usize,
}

impl Held {
    /// It is held `times` times, more than once by several readers. The last one has got it at
    /// `since`, and is the task with the number `by`, or a plain thread if that is 0. `how` says
    /// what it was then: `"locked"`.
    pub fn new(by: u64, how: &'static str, since: Place, times: usize) -> Self {
        let by = NonZeroU64::new(by).map(|number| Task { id: TaskId(number), name: None });
        Self { by, is_gone: false, how, since, times }
    }

    /// The task that has taken it last. `None` if that was a plain thread.
    ///
    /// ```
    /// use lisle::deadlock::{Awaited, ForeignThreads};
    /// use lisle::sync::Mutex;
    ///
    /// let deadlock = lisle::Runtime::builder()
    ///     .foreign_threads(ForeignThreads::NeverWake)
    ///     .run(|| {
    ///         let lock = Mutex::new(());
    ///         let _first = lock.lock();
    ///         let _second = lock.lock();
    ///     })
    ///     .unwrap_err();
    /// let [Awaited::Release(held)] = deadlock.tasks()[0].awaited() else { panic!("it locks") };
    /// assert_eq!(held.by().unwrap().id(), deadlock.tasks()[0].task().id()); // itself
    /// ```
    pub fn by(&self) -> Option<&Task> {
        self.by.as_ref()
    }

    /// The call that has taken it last.
    ///
    /// ```
    /// use lisle::deadlock::{Awaited, ForeignThreads};
    /// use lisle::sync::Mutex;
    ///
    /// let deadlock = lisle::Runtime::builder()
    ///     .foreign_threads(ForeignThreads::NeverWake)
    ///     .run(|| {
    ///         let lock = Mutex::new(());
    ///         let _first = lock.lock();
    ///         let _second = lock.lock();
    ///     })
    ///     .unwrap_err();
    /// let [Awaited::Release(held)] = deadlock.tasks()[0].awaited() else { panic!("it locks") };
    /// println!("locked in line {}", held.since().line());
    /// ```
    pub fn since(&self) -> Place {
        self.since
    }

    /// By how many it is held: readers share a lock.
    ///
    /// ```
    /// use lisle::deadlock::{Awaited, ForeignThreads};
    /// use lisle::sync::Mutex;
    ///
    /// let deadlock = lisle::Runtime::builder()
    ///     .foreign_threads(ForeignThreads::NeverWake)
    ///     .run(|| {
    ///         let lock = Mutex::new(());
    ///         let _first = lock.lock();
    ///         let _second = lock.lock();
    ///     })
    ///     .unwrap_err();
    /// let [Awaited::Release(held)] = deadlock.tasks()[0].awaited() else { panic!("it locks") };
    /// assert_eq!(held.times(), 1);
    /// ```
    pub fn times(&self) -> usize {
        self.times
    }
}

//! Where the two sides of a coroutine leave what they have for each other.
//!
//! Most values are small and go along with the switch, in a register; what is larger lies in a
//! place that both sides know.

use std::any::Any;
use std::cell::UnsafeCell;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr;

use super::CoroutineState;
use crate::switch::Word;

pub(super) type Answer<Yield, Return> = Result<CoroutineState<Yield, Return>, Box<dyn Any + Send>>;

const fn fits<T>() -> bool {
    size_of::<T>() <= size_of::<Word>() && align_of::<T>() <= align_of::<Word>()
}

/// Sends `value` in the word that is returned or, if it does not fit, in `place`.
///
/// # Safety
///
/// `place` is good for a write.
#[inline(always)]
unsafe fn send<T>(place: *mut T, value: T) -> Word {
    let mut word = Word::uninit();
    let target = if fits::<T>() { word.as_mut_ptr().cast() } else { place };
    // SAFETY: the word is large enough if it is the target; the caller vouches for the place.
    unsafe { target.write(value) };
    word
}

/// # Safety
///
/// The value was sent with this `word` and in this `place`, and was not received.
#[inline(always)]
unsafe fn receive<T>(place: *const T, word: Word) -> T {
    let source = if fits::<T>() { word.as_ptr().cast() } else { place };
    // SAFETY: the caller's promise.
    unsafe { source.read() }
}

/// The argument of a resume, between the resume and the moment when the body takes it.
pub(super) struct Argument<Input>(UnsafeCell<MaybeUninit<Input>>);

impl<Input> Argument<Input> {
    #[inline]
    pub(super) fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// For a body that waits in a switch, which will get the word.
    ///
    /// # Safety
    ///
    /// No argument is there.
    #[inline]
    pub(super) unsafe fn send(&self, input: Input) -> Word {
        // SAFETY: the body, which alone reads the argument, is suspended.
        unsafe { send(self.0.get().cast(), input) }
    }

    /// # Safety
    ///
    /// The argument was [sent](Self::send) with this word, and not received.
    #[inline]
    pub(super) unsafe fn receive(&self, word: Word) -> Input {
        // SAFETY: the caller's promise.
        unsafe { receive(self.0.get().cast(), word) }
    }

    /// For a body that has not begun, and gets no word.
    ///
    /// # Safety
    ///
    /// No argument is there.
    #[inline]
    pub(super) unsafe fn put(&self, input: Input) {
        // SAFETY: as in `send`.
        unsafe { (*self.0.get()).write(input) };
    }

    /// # Safety
    ///
    /// The argument was [put](Self::put) there, and not taken.
    #[inline]
    pub(super) unsafe fn take(&self) -> Input {
        // SAFETY: the caller's promise.
        unsafe { (*self.0.get()).assume_init_read() }
    }
}

/// The answer to a resume, between the moment when it is put in and the next, when it is taken out.
///
/// It is a plain yield or any other answer. The resumer learns from the switch which of them it is.
pub(super) struct Mailbox<Yield, Return>(UnsafeCell<Mail<Yield, Return>>);

union Mail<Yield, Return> {
    none: (),
    yielded: ManuallyDrop<Yield>,
    answer: ManuallyDrop<Answer<Yield, Return>>,
}

impl<Yield, Return> Mailbox<Yield, Return> {
    #[inline]
    pub(super) fn new() -> Self {
        Self(UnsafeCell::new(Mail { none: () }))
    }

    #[inline(always)]
    fn yielded(&self) -> *mut Yield {
        // SAFETY: a place in the union is computed, and nothing is read.
        unsafe { (&raw mut (*self.0.get()).yielded).cast() }
    }

    /// # Safety
    ///
    /// The mailbox is empty, and nobody else uses it at the same time.
    #[inline]
    pub(super) unsafe fn send_yield(&self, value: Yield) -> Word {
        // SAFETY: the caller's promise.
        unsafe { send(self.yielded(), value) }
    }

    /// # Safety
    ///
    /// A yield was sent with this word, and not received.
    #[inline]
    pub(super) unsafe fn receive_yield(&self, word: Word) -> Yield {
        // SAFETY: the caller's promise.
        unsafe { receive(self.yielded(), word) }
    }

    /// # Safety
    ///
    /// The mailbox is empty, and nobody else uses it at the same time.
    #[inline]
    pub(super) unsafe fn put(&self, answer: Answer<Yield, Return>) {
        // SAFETY: the caller's promise.
        unsafe { (*self.0.get()).answer = ManuallyDrop::new(answer) };
    }

    /// # Safety
    ///
    /// An answer was put in, and not taken.
    #[inline(always)]
    pub(super) unsafe fn take(&self) -> Answer<Yield, Return> {
        // Each part is read as it was just written. Read as a whole, it would not come out of the
        // processor's store buffer, and would be waited for.
        // SAFETY: the caller's promise; what is read is not used there any more.
        unsafe {
            match &*(*self.0.get()).answer {
                Ok(CoroutineState::Yielded(value)) => Ok(CoroutineState::Yielded(ptr::read(value))),
                Ok(CoroutineState::Returned(value)) => {
                    Ok(CoroutineState::Returned(ptr::read(value)))
                }
                Err(panic) => Err(ptr::read(panic)),
            }
        }
    }
}

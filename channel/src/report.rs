//! What a report of a deadlock says of a party that waits in a channel: how many handles there are
//! at the other end, one of which would have to do something.

use lisle_scheduler::park::{Awaited, Handles, Object, Reason};

use crate::channel::{Channel, End};

pub(crate) const RECEIVING: Reason = Reason::new("receiving from a channel");

/// A channel at which a party waits to send.
#[repr(transparent)]
pub(crate) struct Sending<T>(Channel<T>);

/// A channel at which a party waits to receive.
#[repr(transparent)]
pub(crate) struct Receiving<T>(Channel<T>);

impl<T> Channel<T> {
    /// This channel, as the object of a party that waits to send.
    #[inline]
    pub(crate) fn as_sending(&self) -> &Sending<T> {
        // SAFETY: a transparent struct is laid out as its field.
        unsafe { &*std::ptr::from_ref(self).cast() }
    }

    /// This channel, as the object of a party that waits to receive.
    #[inline]
    pub(crate) fn as_receiving(&self) -> &Receiving<T> {
        // SAFETY: as above.
        unsafe { &*std::ptr::from_ref(self).cast() }
    }

    /// The handles that a party at `end` waits for.
    fn awaited(&self, end: End) -> Awaited {
        let alive = self.state.lock().side(end.other()).handles;
        let address = std::ptr::from_ref(self).addr();
        Awaited::Handles(Handles::new(address, end.handle(), end.other().handle(), alive))
    }
}

impl<T> Object for Sending<T> {
    fn reason(&self) -> Reason {
        Reason::new("sending on a channel")
    }

    fn describe(&self, say: &mut dyn FnMut(Awaited)) {
        say(self.0.awaited(End::Sending));
    }
}

impl<T> Object for Receiving<T> {
    fn reason(&self) -> Reason {
        RECEIVING
    }

    fn awaits_work(&self) -> bool {
        true
    }

    fn describe(&self, say: &mut dyn FnMut(Awaited)) {
        say(self.0.awaited(End::Receiving));
    }
}

impl End {
    /// What a handle at this end is called.
    fn handle(self) -> &'static str {
        match self {
            Self::Sending => "sender",
            Self::Receiving => "receiver",
        }
    }
}

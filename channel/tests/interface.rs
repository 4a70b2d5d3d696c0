//! What shows of a channel besides its messages: iterators, handles, texts and traits, all compared
//! with crossbeam-channel where there is something to compare.
#![cfg(not(lisle_loom))]

use std::cell::Cell;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe, catch_unwind};
use std::rc::Rc;

use crossbeam_channel as peer;
use lisle_channel::{
    IntoIter, Iter, ReadyTimeoutError, Receiver, RecvError, RecvTimeoutError, SelectTimeoutError,
    SendError, SendTimeoutError, Sender, TryIter, TryReadyError, TryRecvError, TrySelectError,
    TrySendError, bounded, unbounded,
};

#[test]
fn iterators_end_when_they_should() {
    let (sender, receiver) = unbounded();
    (0..5).for_each(|n| sender.send(n).unwrap());
    assert!((&receiver).into_iter().take(2).eq(0..2));
    assert!(receiver.try_iter().eq(2..5));
    assert_eq!(receiver.try_iter().next(), None);
    sender.send(5).unwrap();
    assert_eq!(receiver.try_iter().next(), Some(5), "a try_iter is not at its end for good");
    drop(sender);
    let mut iter = receiver.iter();
    assert_eq!((iter.next(), iter.next()), (None, None));
    assert_eq!(receiver.into_iter().next(), None);
}

#[test]
fn a_for_loop_owns_or_borrows_the_receiver() {
    let (sender, receiver) = bounded(4);
    (0..4).for_each(|n| sender.send(n).unwrap());
    let mut received = Vec::new();
    for n in &receiver {
        received.push(n);
        if n == 1 {
            break;
        }
    }
    drop(sender);
    for n in receiver {
        received.push(n);
    }
    assert_eq!(received, [0, 1, 2, 3]);
}

#[test]
fn handles_know_their_channel() {
    let (sender, receiver) = bounded::<u8>(1);
    let (other_sender, other_receiver) = bounded::<u8>(1);
    assert!(sender.same_channel(&sender.clone()));
    assert!(receiver.same_channel(&receiver.clone()));
    assert!(!sender.same_channel(&other_sender));
    assert!(!receiver.same_channel(&other_receiver));
}

#[test]
fn an_absurd_capacity_panics_and_says_so() {
    for capacity in [usize::MAX, usize::MAX - 1, usize::MAX / 8] {
        let panic = catch_unwind(|| bounded::<u64>(capacity)).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains(&format!("capacity {capacity}")), "{text}");
    }
    let (sender, _receiver) = bounded::<()>(usize::MAX - 1);
    assert_eq!(sender.capacity(), Some(usize::MAX - 1));
}

#[test]
fn handles_and_iterators_print_like_the_peers() {
    fn compare(ours: impl Debug, theirs: impl Debug) {
        assert_eq!(
            format!("{ours:?}|{ours:30?}|{ours:#?}"),
            format!("{theirs:?}|{theirs:30?}|{theirs:#?}")
        );
    }
    let (sender, receiver) = unbounded::<u8>();
    let (peer_sender, peer_receiver) = peer::unbounded::<u8>();
    compare(&sender, &peer_sender);
    compare(&receiver, &peer_receiver);
    compare(receiver.iter(), peer_receiver.iter());
    compare(receiver.try_iter(), peer_receiver.try_iter());
    compare(receiver.into_iter(), peer_receiver.into_iter());
}

#[test]
fn errors_print_like_the_peers() {
    fn compare(ours: impl Error, theirs: impl Error) {
        assert_eq!(
            format!("{ours}|{ours:60}|{ours:?}"),
            format!("{theirs}|{theirs:60}|{theirs:?}")
        );
        assert!(ours.source().is_none());
    }
    compare(SendError(1), peer::SendError(1));
    compare(TrySendError::Full(1), peer::TrySendError::Full(1));
    compare(TrySendError::Disconnected(1), peer::TrySendError::Disconnected(1));
    compare(SendTimeoutError::Timeout(1), peer::SendTimeoutError::Timeout(1));
    compare(SendTimeoutError::Disconnected(1), peer::SendTimeoutError::Disconnected(1));
    compare(RecvError, peer::RecvError);
    compare(TryRecvError::Empty, peer::TryRecvError::Empty);
    compare(TryRecvError::Disconnected, peer::TryRecvError::Disconnected);
    compare(RecvTimeoutError::Timeout, peer::RecvTimeoutError::Timeout);
    compare(RecvTimeoutError::Disconnected, peer::RecvTimeoutError::Disconnected);
    compare(TrySelectError, peer::TrySelectError);
    compare(SelectTimeoutError, peer::SelectTimeoutError);
}

#[test]
fn errors_tell_their_kind_and_give_the_message_back() {
    assert_eq!(SendError(1).into_inner(), 1);
    assert_eq!(TrySendError::Full(2).into_inner(), 2);
    assert_eq!(TrySendError::from(SendError(3)).into_inner(), 3);
    assert_eq!(SendTimeoutError::Timeout(4).into_inner(), 4);
    assert_eq!(SendTimeoutError::from(SendError(5)).into_inner(), 5);
    for (error, is_full) in [(TrySendError::Full(0), true), (TrySendError::Disconnected(0), false)]
    {
        assert_eq!((error.is_full(), error.is_disconnected()), (is_full, !is_full));
    }
    for (error, timeout) in
        [(SendTimeoutError::Timeout(0), true), (SendTimeoutError::Disconnected(0), false)]
    {
        assert_eq!((error.is_timeout(), error.is_disconnected()), (timeout, !timeout));
    }
    for (error, empty) in [(TryRecvError::Empty, true), (TryRecvError::from(RecvError), false)] {
        assert_eq!((error.is_empty(), error.is_disconnected()), (empty, !empty));
    }
    for (error, timeout) in
        [(RecvTimeoutError::Timeout, true), (RecvTimeoutError::from(RecvError), false)]
    {
        assert_eq!((error.is_timeout(), error.is_disconnected()), (timeout, !timeout));
    }
}

/// A type that is `Send` and neither `Sync` nor safe across unwinding.
type Sendable = std::cell::Cell<*const ()>;
struct Message(#[allow(dead_code, reason = "only its traits count")] Sendable);
// SAFETY: nobody follows the pointer.
unsafe impl Send for Message {}

#[test]
fn handles_and_errors_have_the_peers_traits() {
    fn shared<T: Send + Sync + UnwindSafe + RefUnwindSafe + Debug>() {}
    fn cloned<T: Clone>() {}
    shared::<Sender<Message>>();
    shared::<Receiver<Message>>();
    cloned::<Sender<Message>>();
    cloned::<Receiver<Message>>();
    fn sent<T: Send + Debug>() {}
    sent::<Iter<'_, Message>>();
    sent::<TryIter<'_, Message>>();
    sent::<IntoIter<Message>>();
    fn error<T: Error + Display + Debug + Send>() {}
    error::<SendError<Message>>();
    error::<TrySendError<Message>>();
    error::<SendTimeoutError<Message>>();
    fn plain<T: Error + Copy + Eq + Send + Sync + 'static>() {}
    plain::<RecvError>();
    plain::<TryRecvError>();
    plain::<RecvTimeoutError>();
    plain::<TrySelectError>();
    plain::<SelectTimeoutError>();
    plain::<TryReadyError>();
    plain::<ReadyTimeoutError>();
    fn comparable<T: Copy + Eq>() {}
    comparable::<SendError<u8>>();
    comparable::<TrySendError<u8>>();
    comparable::<SendTimeoutError<u8>>();
    // And like the peers, without asking anything of the message.
    fn debug<T: Debug>() {}
    debug::<SendError<std::rc::Rc<Message>>>();
}

/// Whether a type has a trait.
macro_rules! has {
    ($type:ty: $trait:path) => {{
        struct Probe<T>(PhantomData<T>);
        #[allow(dead_code, reason = "some types have every trait")]
        trait Otherwise {
            const HAS: bool = false;
        }
        impl<T> Otherwise for Probe<T> {}
        #[allow(dead_code, reason = "not every type has every trait")]
        impl<T: $trait> Probe<T> {
            const HAS: bool = true;
        }
        <Probe<$type>>::HAS
    }};
}

/// Compares which of the traits types of the same name have, here and there.
macro_rules! compare_traits {
    ($($name:ident $arguments:tt)*) => {
        $(compare_traits!(@type $name $arguments
            Send Sync Unpin UnwindSafe RefUnwindSafe Clone Copy);)*
    };
    (@type $name:ident $arguments:tt $($trait:ident)*) => {
        $(compare_traits!(@trait $name $arguments $trait);)*
    };
    (@trait $name:ident [$($arguments:tt)*] $trait:ident) => {
        assert_eq!(
            has!(lisle_channel::$name$($arguments)*: $trait),
            has!(peer::$name$($arguments)*: $trait),
            concat!(stringify!($name $($arguments)*), ": ", stringify!($trait)),
        );
    };
}

#[test]
fn types_have_the_peers_traits_whatever_their_messages_have() {
    compare_traits! {
        Sender [<u8>] Sender [<Cell<u8>>] Sender [<Rc<u8>>] Sender [<&'static Cell<u8>>]
        Receiver [<u8>] Receiver [<Cell<u8>>] Receiver [<Rc<u8>>] Receiver [<&'static Cell<u8>>]
        Iter [<'static, u8>] Iter [<'static, Cell<u8>>] Iter [<'static, Rc<u8>>]
        TryIter [<'static, u8>] TryIter [<'static, Cell<u8>>] TryIter [<'static, Rc<u8>>]
        IntoIter [<u8>] IntoIter [<Cell<u8>>] IntoIter [<Rc<u8>>]
        SelectedOperation [<'static>]
        SendError [<u8>] SendError [<Cell<u8>>] SendError [<Rc<u8>>]
        TrySendError [<u8>] TrySendError [<Cell<u8>>] TrySendError [<Rc<u8>>]
        SendTimeoutError [<u8>] SendTimeoutError [<Cell<u8>>] SendTimeoutError [<Rc<u8>>]
        RecvError [] TryRecvError [] RecvTimeoutError [] TrySelectError [] SelectTimeoutError []
        TryReadyError [] ReadyTimeoutError [] Select [<'static>]
    }
    assert!(has!(lisle_channel::SelectedOperation<'static>: UnwindSafe));
}

/// Has one candidate for `_` in `NotSend<_>` if a type is not `Send`, and two, which do not
/// compile, if it is.
trait NotSend<Marker> {
    fn holds() {}
}
impl<T> NotSend<()> for T {}
impl<T: Send> NotSend<u8> for T {}

#[test]
fn handles_of_local_messages_stay_on_their_thread() {
    <Sender<std::rc::Rc<u8>> as NotSend<_>>::holds();
    <Receiver<std::rc::Rc<u8>> as NotSend<_>>::holds();
}

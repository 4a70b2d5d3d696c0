//! The channels under one interface, which costs nothing: the compiler sees through it.

use std::future::Future;

use tokio::sync::mpsc;

/// A kind of channel.
pub trait Channel: Send + Sync + 'static {
    /// Ends that several may hold. `Receiver` cannot be cloned in every kind: see `another`.
    type Sender: Send + Sync + Clone + 'static;
    type Receiver: Send + 'static;

    /// Room for this many messages, or for as many as come.
    fn new(room: Room) -> (Self::Sender, Self::Receiver);

    /// Another receiver of the same channel, if there can be one.
    fn another(receiver: &Self::Receiver) -> Option<Self::Receiver>;

    /// False if no receiver is left.
    fn send(sender: &Self::Sender, message: u64) -> impl Future<Output = bool> + Send;

    /// `None` if no sender is left.
    fn recv(receiver: &mut Self::Receiver) -> impl Future<Output = Option<u64>> + Send;
}

/// How many messages a channel holds.
#[derive(Clone, Copy)]
pub enum Room {
    For(usize),
    Unlimited,
}

/// tokio's own channels with a capacity. The least capacity is 1, which stands for a rendezvous.
pub struct Tokio;

impl Channel for Tokio {
    type Sender = mpsc::Sender<u64>;
    type Receiver = mpsc::Receiver<u64>;

    fn new(room: Room) -> (Self::Sender, Self::Receiver) {
        match room {
            Room::For(messages) => mpsc::channel(messages.max(1)),
            Room::Unlimited => unreachable!("that is another type"),
        }
    }

    fn another(_: &Self::Receiver) -> Option<Self::Receiver> {
        None
    }

    async fn send(sender: &Self::Sender, message: u64) -> bool {
        sender.send(message).await.is_ok()
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv().await
    }
}

/// tokio's own channels without a limit.
pub struct TokioUnbounded;

impl Channel for TokioUnbounded {
    type Sender = mpsc::UnboundedSender<u64>;
    type Receiver = mpsc::UnboundedReceiver<u64>;

    fn new(_: Room) -> (Self::Sender, Self::Receiver) {
        mpsc::unbounded_channel()
    }

    fn another(_: &Self::Receiver) -> Option<Self::Receiver> {
        None
    }

    async fn send(sender: &Self::Sender, message: u64) -> bool {
        sender.send(message).is_ok()
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv().await
    }
}

/// kanal's.
pub struct Kanal;

impl Channel for Kanal {
    type Sender = kanal::AsyncSender<u64>;
    type Receiver = kanal::AsyncReceiver<u64>;

    fn new(room: Room) -> (Self::Sender, Self::Receiver) {
        match room {
            Room::For(messages) => kanal::bounded_async(messages),
            Room::Unlimited => kanal::unbounded_async(),
        }
    }

    fn another(receiver: &Self::Receiver) -> Option<Self::Receiver> {
        Some(receiver.clone())
    }

    async fn send(sender: &Self::Sender, message: u64) -> bool {
        sender.send(message).await.is_ok()
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv().await.ok()
    }
}

/// flume's.
pub struct Flume;

impl Channel for Flume {
    type Sender = flume::Sender<u64>;
    type Receiver = flume::Receiver<u64>;

    fn new(room: Room) -> (Self::Sender, Self::Receiver) {
        match room {
            Room::For(messages) => flume::bounded(messages),
            Room::Unlimited => flume::unbounded(),
        }
    }

    fn another(receiver: &Self::Receiver) -> Option<Self::Receiver> {
        Some(receiver.clone())
    }

    async fn send(sender: &Self::Sender, message: u64) -> bool {
        sender.send_async(message).await.is_ok()
    }

    async fn recv(receiver: &mut Self::Receiver) -> Option<u64> {
        receiver.recv_async().await.ok()
    }
}

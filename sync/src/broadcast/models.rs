//! Loom models. The parties are plain threads; a time-out stands for a cancellation too.

use std::time::Instant;

use loom::thread;

use super::{RecvError, RecvTimeoutError, channel};

/// Two receivers wait, one of which gives up and goes, while a message is sent and the sender goes.
///
/// Seen to fail: with a `wait` that does not look again, or a sender that goes without waking, loom
/// reports a deadlock; with a receiver that goes without getting what is left for it, the message
/// is still there at the end.
#[test]
fn model_of_messages_against_waits() {
    loom::model(|| {
        let (sender, mut patient) = channel(1);
        let mut impatient = sender.subscribe();
        let patient = thread::spawn(move || {
            assert_eq!(patient.recv(), Ok(1));
            assert_eq!(patient.recv(), Err(RecvError::Closed));
            patient
        });
        let impatient = thread::spawn(move || {
            let got = impatient.recv_until(Instant::now());
            assert!(matches!(got, Ok(1) | Err(RecvTimeoutError::Timeout)), "{got:?}");
        });
        assert!(sender.send(1).is_ok_and(|receivers| receivers > 0));
        drop(sender);
        impatient.join().unwrap();
        assert!(patient.join().unwrap().shared.ends.lock().more.kept.is_empty());
    });
}

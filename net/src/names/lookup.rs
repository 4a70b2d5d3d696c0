//! Names that only the system can resolve.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};
use std::vec;

use lisle_scheduler::internal::{cannot_wait, limited};
use lisle_scheduler::{current, now};

type Addresses = vec::IntoIter<SocketAddr>;

/// The addresses behind the name of a host, as [`ToSocketAddrs`](super::ToSocketAddrs) has them,
/// but only if they are known before `timeout` is over.
///
/// The system's resolver cannot be called off. It goes on behind the scenes, and nobody waits for
/// it.
///
/// # Errors
///
/// `TimedOut`; those of the system's resolver.
///
/// # Panics
///
/// Unwinds a task that is being cancelled. Panics in a task inside `no_suspend`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// lisle::run(|| {
///     let mut addresses = lisle::net::lookup_timeout("localhost", 80, Duration::from_secs(5))?;
///     assert!(addresses.all(|address| address.ip().is_loopback()));
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap();
/// ```
#[track_caller]
pub fn lookup_timeout(host: &str, port: u16, timeout: Duration) -> io::Result<Addresses> {
    match literal(host, port) {
        Some(address) => Ok(address),
        // A time that no clock will reach is none.
        None => wait_for(host, now().checked_add(timeout), by_the_system(port)),
    }
}

/// The addresses of a host. A plain thread asks the system itself.
#[track_caller]
pub(super) fn lookup(host: &str, port: u16) -> io::Result<Addresses> {
    if let Some(address) = literal(host, port) {
        return Ok(address);
    }
    let resolve = by_the_system(port);
    if current().is_none() { resolve(host) } else { wait_for(host, None, resolve) }
}

/// What is an address already.
fn literal(host: &str, port: u16) -> Option<Addresses> {
    let address: IpAddr = host.parse().ok()?;
    Some(vec![SocketAddr::new(address, port)].into_iter())
}

fn by_the_system(port: u16) -> impl FnOnce(&str) -> io::Result<Addresses> + Send + 'static {
    move |host| (host, port).to_socket_addrs()
}

/// Has the blocking pool resolve a name, and waits for that.
#[track_caller]
fn wait_for(
    host: &str,
    deadline: Option<Instant>,
    resolve: impl FnOnce(&str) -> io::Result<Addresses> + Send + 'static,
) -> io::Result<Addresses> {
    let host = host.to_owned();
    match limited(deadline, move || resolve(&host)) {
        Ok(Some(addresses)) => addresses,
        Ok(None) => {
            let message = "the name was not resolved in time";
            Err(io::Error::new(io::ErrorKind::TimedOut, message))
        }
        Err(_) => Err(cannot_wait()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A resolver that answers when it is told to, or is not asked any more.
    fn slow() -> (mpsc::Sender<()>, impl FnOnce(&str) -> io::Result<Addresses> + Send + 'static) {
        let (answer, told) = mpsc::channel();
        let resolve = move |host: &str| {
            let _ = told.recv();
            (host, 80).to_socket_addrs()
        };
        (answer, resolve)
    }

    #[test]
    fn others_run_while_a_name_is_resolved() {
        let (answer, resolve) = slow();
        let one_worker = lisle::Runtime::builder().workers(1);
        let address = one_worker.run(|| {
            lisle::spawn(move || answer.send(()));
            wait_for("127.0.0.1", None, resolve).unwrap().next()
        });
        assert_eq!(address.unwrap(), Some(([127, 0, 0, 1], 80).into()));
    }

    #[test]
    fn a_name_is_given_up_when_the_time_is_over() {
        let (answer, resolve) = slow();
        let soon = Some(Instant::now() + Duration::from_millis(1));
        let in_task = lisle::run(|| wait_for("127.0.0.1", soon, resolve).map(drop).unwrap_err());
        assert_eq!(in_task.kind(), io::ErrorKind::TimedOut);
        let (answer_too, resolve) = slow();
        let on_thread = wait_for("127.0.0.1", soon, resolve).map(drop).unwrap_err();
        assert_eq!(on_thread.kind(), io::ErrorKind::TimedOut);
        drop((answer, answer_too));
    }

    #[test]
    fn a_task_that_waits_for_a_name_is_unwound_at_the_end() {
        let (answer, resolve) = slow();
        let task = lisle::run(|| {
            let task = lisle::spawn(|| wait_for("127.0.0.1", None, resolve).map(drop));
            lisle::yield_now();
            task
        });
        assert!(task.join().unwrap_err().is::<lisle::task::Cancelled>());
        drop(answer); // the resolver had not been told anything before
    }
}

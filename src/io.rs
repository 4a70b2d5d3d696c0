//! Descriptors whose operations wait by parking their task: [`Io`] makes one of anything that has a
//! descriptor. The standard streams, by [`stdin`], [`stdout`] and [`stderr`].
//!
//! All else that a program needs for input and output is in [`std::io`], and works on these objects
//! and on [sockets](crate::net) as it is: `BufReader`, `BufWriter`, `Read::take`, `read_to_string`,
//! and `copy`, which allocates nothing between two sockets. A socket and an `Io` are read and
//! written through references, so two tasks that share one need no halves of it.
//!
//! With the feature `futures-io`, `Async` makes of such an object one that `async` code reads and
//! writes.
//!
//! ```
//! use lisle::net::{Shutdown, UnixStream};
//! use std::io::{self, Write};
//! use std::sync::Arc;
//!
//! lisle::run(|| {
//!     let (near, far) = UnixStream::pair()?;
//!     let far = Arc::new(far);
//!     let echo = lisle::spawn(move || {
//!         io::copy(&mut &*far, &mut &*far)?; // reads and writes the same socket
//!         far.shutdown(Shutdown::Write)
//!     });
//!     (&near).write_all(b"hello")?;
//!     near.shutdown(Shutdown::Write)?; // the last word; the answer can still be read
//!     assert_eq!(io::read_to_string(&near)?, "hello");
//!     echo.join().unwrap()
//! })
//! # .unwrap();
//! ```

#[doc(inline)]
#[cfg(feature = "futures-io")]
pub use lisle_net::io::{Async, Stream};
#[doc(inline)]
pub use lisle_net::io::{Io, Lines, Stderr, Stdin, Stdout, stderr, stdin, stdout};

//! Files and directories: the names and methods of [`std::fs`], and a call that has to wait for the
//! disk lets other tasks run.
//!
//! Whatever comes to the system goes to a thread that is there for it, by
//! [`blocking`](lisle_scheduler::blocking()), which also says what becomes of a task that is
//! cancelled meanwhile: it waits for the call. On a plain thread all this is what the standard
//! library does. Errors are the system's.
//!
//! A hand-over costs a microsecond or more, as much as a small read of what is in memory. So read
//! and write much at a time: whole files by [`read`] and [`write`](fn@write), or through a
//! [`BufReader`](std::io::BufReader) or [`BufWriter`](std::io::BufWriter) around a [`File`].
//!
//! ```
//! use lisle::fs::{self, File};
//! use std::io::{BufRead, BufReader, Write};
//!
//! lisle::run(|| {
//!     let path = std::env::temp_dir().join(format!("lisle-fs-{}", std::process::id()));
//!     let mut file = File::create(&path)?;
//!     file.write_all(b"one\ntwo\n")?; // other tasks run meanwhile
//!     drop(file);
//!     let lines = BufReader::new(File::open(&path)?).lines();
//!     assert_eq!(lines.collect::<Result<Vec<_>, _>>()?, ["one", "two"]);
//!     fs::remove_file(&path)
//! })
//! # .unwrap();
//! ```

mod attributes;
mod contents;
mod directory;
mod file;
mod options;
mod tree;

pub use self::attributes::{chown, fchown, lchown, metadata, set_permissions, symlink_metadata};
pub use self::contents::{copy, read, read_to_string, write};
pub use self::directory::{DirBuilder, DirEntry, ReadDir, read_dir};
pub use self::file::File;
pub use self::options::OpenOptions;
pub use self::tree::{
    canonicalize, chroot, create_dir, create_dir_all, exists, hard_link, read_link, remove_dir,
    remove_dir_all, remove_file, rename, symlink,
};
pub use std::fs::{FileTimes, FileType, Metadata, Permissions, TryLockError};

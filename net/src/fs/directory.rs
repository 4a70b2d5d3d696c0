//! Directories: what is in one, read by the batch, and how one is made.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::fs::{DirBuilderExt, DirEntryExt};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::{fs, io};

use lisle_scheduler::blocking;

use super::{FileType, Metadata};

/// How many entries are read at a time.
const BATCH: usize = 64;

/// What is in a directory, in no particular order. See [`std::fs::read_dir`].
///
/// # Examples
///
/// ```
/// lisle::run(|| {
///     let mut names = Vec::new();
///     for entry in lisle::fs::read_dir(".")? {
///         names.push(entry?.file_name());
///     }
///     assert!(names.iter().any(|name| name == "Cargo.toml"));
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap();
/// ```
#[track_caller]
pub fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref();
    blocking(|| {
        let mut entries =
            ReadDir { rest: fs::read_dir(path)?, batch: VecDeque::new(), has_ended: false };
        entries.fetch();
        Ok(entries)
    })
}

/// The entries of a directory, which [`read_dir`] returns. They are read 64 at a time.
#[derive(Debug)]
pub struct ReadDir {
    rest: fs::ReadDir,
    batch: VecDeque<io::Result<DirEntry>>,
    has_ended: bool,
}

impl ReadDir {
    fn fetch(&mut self) {
        let entries = self.rest.by_ref().take(BATCH).map(|entry| entry.map(DirEntry::of));
        self.batch.extend(entries);
        self.has_ended = self.batch.len() < BATCH;
    }
}

/// As std's are. What stands in the way is the payload of an error, of which there is none in those
/// of the system.
impl UnwindSafe for ReadDir {}
impl RefUnwindSafe for ReadDir {}

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    #[track_caller]
    fn next(&mut self) -> Option<Self::Item> {
        if self.batch.is_empty() && !self.has_ended {
            blocking(|| self.fetch());
        }
        self.batch.pop_front()
    }
}

/// An entry of a directory. See [`std::fs::DirEntry`].
#[derive(Debug)]
pub struct DirEntry {
    entry: fs::DirEntry,
    /// Most often known from the directory itself.
    kind: Option<FileType>,
}

impl DirEntry {
    fn of(entry: fs::DirEntry) -> Self {
        Self { kind: entry.file_type().ok(), entry }
    }

    /// The path: that which was given to [`read_dir`], and the name.
    pub fn path(&self) -> PathBuf {
        self.entry.path()
    }

    /// The name.
    pub fn file_name(&self) -> OsString {
        self.entry.file_name()
    }

    /// What the system knows of the entry, which may be a symbolic link.
    #[track_caller]
    pub fn metadata(&self) -> io::Result<Metadata> {
        blocking(|| self.entry.metadata())
    }

    /// Whether it is a file, a directory or a symbolic link.
    #[track_caller]
    pub fn file_type(&self) -> io::Result<FileType> {
        match self.kind {
            Some(kind) => Ok(kind),
            None => blocking(|| self.entry.file_type()),
        }
    }
}

impl DirEntryExt for DirEntry {
    fn ino(&self) -> u64 {
        self.entry.ino()
    }
}

/// How a directory is made. See [`std::fs::DirBuilder`].
#[derive(Debug)]
pub struct DirBuilder(fs::DirBuilder);

impl DirBuilder {
    /// Makes one directory with the usual permissions.
    #[expect(clippy::new_without_default, reason = "std's has no default either")]
    pub fn new() -> Self {
        Self(fs::DirBuilder::new())
    }

    /// Whether those above it are made too, and it is no error if there is one.
    pub fn recursive(&mut self, recursive: bool) -> &mut Self {
        self.0.recursive(recursive);
        self
    }

    /// Makes a directory.
    #[track_caller]
    pub fn create(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        blocking(|| self.0.create(path))
    }
}

impl DirBuilderExt for DirBuilder {
    fn mode(&mut self, mode: u32) -> &mut Self {
        self.0.mode(mode);
        self
    }
}

//! [`File`]: an open file.

mod locks;
mod streams;

use std::fs;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::process::Stdio;
use std::time::SystemTime;

use lisle_scheduler::blocking;

use super::{FileTimes, Metadata, OpenOptions, Permissions};

/// An open file: [`std::fs::File`], whose calls let other tasks run.
///
/// It reads and writes as std's does, also by a shared reference. It has no buffer. Dropping it
/// closes it, on the calling thread.
///
/// # Examples
///
/// ```
/// use lisle::fs::File;
/// use std::io::{Read, Seek, SeekFrom};
///
/// lisle::run(|| {
///     let mut file = File::open("Cargo.toml")?;
///     let mut text = String::new();
///     file.read_to_string(&mut text)?;
///     assert_eq!(file.seek(SeekFrom::Current(0))?, text.len() as u64);
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap();
/// ```
#[derive(Debug)]
pub struct File(fs::File);

impl File {
    /// Opens a file for reading.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::fs::File;
    /// use std::io::Read;
    ///
    /// lisle::run(|| {
    ///     let mut start = [0; 1];
    ///     File::open("Cargo.toml")?.read_exact(&mut start)?;
    ///     File::open("/no/such/file").unwrap_err();
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        blocking(|| fs::File::open(path)).map(Self)
    }

    /// Opens a file for writing: a new one, or one that is cut down to nothing first.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::fs::{self, File};
    /// use std::io::Write;
    ///
    /// lisle::run(|| {
    ///     let path = std::env::temp_dir().join(format!("lisle-create-{}", std::process::id()));
    ///     File::create(&path)?.write_all(b"text")?;
    ///     assert_eq!(fs::read_to_string(&path)?, "text");
    ///     fs::remove_file(&path)
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        blocking(|| fs::File::create(path)).map(Self)
    }

    /// Makes a file and opens it for reading and writing. `AlreadyExists` if there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::fs::{self, File};
    /// use std::io::ErrorKind;
    ///
    /// lisle::run(|| {
    ///     let path = std::env::temp_dir().join(format!("lisle-new-{}", std::process::id()));
    ///     File::create_new(&path)?;
    ///     let error = File::create_new(&path).unwrap_err();
    ///     assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    ///     fs::remove_file(&path)
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn create_new(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        blocking(|| fs::File::create_new(path)).map(Self)
    }

    /// What opens a file in other ways.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::fs::{self, File};
    /// use std::io::Write;
    ///
    /// lisle::run(|| {
    ///     let path = std::env::temp_dir().join(format!("lisle-options-{}", std::process::id()));
    ///     for line in ["one\n", "two\n"] {
    ///         File::options().append(true).create(true).open(&path)?.write_all(line.as_bytes())?;
    ///     }
    ///     assert_eq!(fs::read_to_string(&path)?, "one\ntwo\n");
    ///     fs::remove_file(&path)
    /// })
    /// # .unwrap();
    /// ```
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Waits until the contents and what is known of the file are on the disk.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::fs::{self, File};
    /// use std::io::Write;
    ///
    /// lisle::run(|| {
    ///     let path = std::env::temp_dir().join(format!("lisle-sync-{}", std::process::id()));
    ///     let mut file = File::create(&path)?;
    ///     file.write_all(b"not to be lost")?;
    ///     file.sync_all()?; // other tasks run meanwhile
    ///     fs::remove_file(&path)
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn sync_all(&self) -> io::Result<()> {
        blocking(|| self.0.sync_all())
    }

    /// Waits until the contents are on the disk.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::fs::{self, File};
    /// use std::io::Write;
    ///
    /// lisle::run(|| {
    ///     let path = std::env::temp_dir().join(format!("lisle-sync-data-{}", std::process::id()));
    ///     let mut file = File::create(&path)?;
    ///     file.write_all(b"not to be lost")?;
    ///     file.sync_data()?; // when it was changed may be lost
    ///     fs::remove_file(&path)
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn sync_data(&self) -> io::Result<()> {
        blocking(|| self.0.sync_data())
    }

    /// Cuts the file down to `size` bytes, or fills it up to these with zeros.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::fs::{self, File};
    ///
    /// lisle::run(|| {
    ///     let path = std::env::temp_dir().join(format!("lisle-length-{}", std::process::id()));
    ///     File::create(&path)?.set_len(3)?;
    ///     assert_eq!(fs::read(&path)?, [0, 0, 0]);
    ///     fs::remove_file(&path)
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn set_len(&self, size: u64) -> io::Result<()> {
        blocking(|| self.0.set_len(size))
    }

    /// What the system knows of the file.
    ///
    /// # Examples
    ///
    /// ```
    /// let metadata = lisle::run(|| lisle::fs::File::open("Cargo.toml")?.metadata())?;
    /// assert!(metadata.is_file());
    /// # Ok::<_, std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn metadata(&self) -> io::Result<Metadata> {
        blocking(|| self.0.metadata())
    }

    /// Another handle to the same open file, with which it shares the place in it.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::fs::File;
    /// use std::io::{Seek, SeekFrom};
    ///
    /// lisle::run(|| {
    ///     let mut file = File::open("Cargo.toml")?;
    ///     file.try_clone()?.seek(SeekFrom::Start(5))?;
    ///     assert_eq!(file.stream_position()?, 5);
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// # .unwrap();
    /// ```
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Sets the permissions of the file.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::fs::{self, File};
    ///
    /// lisle::run(|| {
    ///     let path = std::env::temp_dir().join(format!("lisle-file-mode-{}", std::process::id()));
    ///     let file = File::create(&path)?;
    ///     let mut permissions = file.metadata()?.permissions();
    ///     permissions.set_readonly(true);
    ///     file.set_permissions(permissions)?;
    ///     fs::remove_file(&path)
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        blocking(|| self.0.set_permissions(permissions))
    }

    /// Sets when the file was read and changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::fs::{self, File, FileTimes};
    /// use std::time::{Duration, SystemTime};
    ///
    /// lisle::run(|| {
    ///     let path = std::env::temp_dir().join(format!("lisle-times-{}", std::process::id()));
    ///     let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    ///     let file = File::create(&path)?;
    ///     file.set_times(FileTimes::new().set_accessed(time))?;
    ///     assert_eq!(file.metadata()?.accessed()?, time);
    ///     fs::remove_file(&path)
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn set_times(&self, times: FileTimes) -> io::Result<()> {
        blocking(|| self.0.set_times(times))
    }

    /// Sets when the file was changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::fs::{self, File};
    /// use std::time::{Duration, SystemTime};
    ///
    /// lisle::run(|| {
    ///     let path = std::env::temp_dir().join(format!("lisle-modified-{}", std::process::id()));
    ///     let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    ///     let file = File::create(&path)?;
    ///     file.set_modified(time)?;
    ///     assert_eq!(file.metadata()?.modified()?, time);
    ///     fs::remove_file(&path)
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        blocking(|| self.0.set_modified(time))
    }

    /// Whether the file is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.0.is_terminal()
    }

    /// The standard library's file, for calls that block the worker.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::fs::File;
    /// use std::io::Read;
    ///
    /// lisle::run(|| {
    ///     let file = File::open("Cargo.toml")?;
    ///     let mut start = [0; 1];
    ///     file.as_std().read_exact(&mut start) // the worker waits for the disk
    /// })
    /// # .unwrap();
    /// ```
    pub fn as_std(&self) -> &fs::File {
        &self.0
    }
}
impl From<fs::File> for File {
    fn from(file: fs::File) -> Self {
        Self(file)
    }
}

impl From<File> for fs::File {
    fn from(file: File) -> Self {
        file.0
    }
}

impl From<OwnedFd> for File {
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor.into())
    }
}

impl From<File> for OwnedFd {
    fn from(file: File) -> Self {
        file.0.into()
    }
}

/// For a program that is started, which reads or writes the file.
impl From<File> for Stdio {
    fn from(file: File) -> Self {
        file.0.into()
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl IntoRawFd for File {
    fn into_raw_fd(self) -> RawFd {
        self.0.into_raw_fd()
    }
}

impl FromRawFd for File {
    unsafe fn from_raw_fd(descriptor: RawFd) -> Self {
        // SAFETY: passed on to the caller: nobody else owns the descriptor.
        Self(unsafe { fs::File::from_raw_fd(descriptor) })
    }
}

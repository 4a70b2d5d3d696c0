//! [`File`]: an open file.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut, IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;
use std::time::SystemTime;

use lisle_scheduler::blocking;

use super::{FileTimes, Metadata, OpenOptions, Permissions, TryLockError};

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

    /// Waits until no other handle has a lock on the file, and takes one. See
    /// [`std::fs::File::lock`]. A thread of the pool waits meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::fs::{self, File};
    ///
    /// lisle::run(|| {
    ///     let path = std::env::temp_dir().join(format!("lisle-lock-{}", std::process::id()));
    ///     let file = File::create(&path)?;
    ///     file.lock()?; // other tasks run meanwhile
    ///     assert!(File::open(&path)?.try_lock().is_err());
    ///     file.unlock()?;
    ///     fs::remove_file(&path)
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn lock(&self) -> io::Result<()> {
        blocking(|| self.0.lock())
    }

    /// Waits until no other handle has an exclusive lock, and takes a shared one. A thread of the
    /// pool waits meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::fs::{self, File};
    ///
    /// lisle::run(|| {
    ///     let path = std::env::temp_dir().join(format!("lisle-shared-{}", std::process::id()));
    ///     let (one, other) = (File::create(&path)?, File::open(&path)?);
    ///     one.lock_shared()?;
    ///     other.lock_shared()?;
    ///     fs::remove_file(&path)
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn lock_shared(&self) -> io::Result<()> {
        blocking(|| self.0.lock_shared())
    }

    /// Takes a lock if no other handle has one.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::fs::{self, File, TryLockError};
    ///
    /// lisle::run(|| {
    ///     let path = std::env::temp_dir().join(format!("lisle-try-lock-{}", std::process::id()));
    ///     let (one, other) = (File::create(&path)?, File::open(&path)?);
    ///     one.try_lock()?;
    ///     assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
    ///     fs::remove_file(&path)
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        blocking(|| self.0.try_lock())
    }

    /// Takes a shared lock if no other handle has an exclusive one.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::fs::{self, File};
    ///
    /// lisle::run(|| {
    ///     let path = std::env::temp_dir().join(format!("lisle-trying-{}", std::process::id()));
    ///     let (one, other) = (File::create(&path)?, File::open(&path)?);
    ///     one.try_lock_shared()?;
    ///     other.try_lock_shared()?;
    ///     assert!(other.try_lock().is_err());
    ///     fs::remove_file(&path)
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn try_lock_shared(&self) -> Result<(), TryLockError> {
        blocking(|| self.0.try_lock_shared())
    }

    /// Gives the lock back.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::fs::{self, File};
    ///
    /// lisle::run(|| {
    ///     let path = std::env::temp_dir().join(format!("lisle-unlock-{}", std::process::id()));
    ///     let (one, other) = (File::create(&path)?, File::open(&path)?);
    ///     one.lock()?;
    ///     one.unlock()?;
    ///     other.lock()?;
    ///     fs::remove_file(&path)
    /// })
    /// # .unwrap();
    /// ```
    #[track_caller]
    pub fn unlock(&self) -> io::Result<()> {
        blocking(|| self.0.unlock())
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

impl Read for &File {
    #[track_caller]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        blocking(|| (&self.0).read(buffer))
    }

    #[track_caller]
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        blocking(|| (&self.0).read_vectored(buffers))
    }

    #[track_caller]
    fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        blocking(|| (&self.0).read_to_end(bytes))
    }

    #[track_caller]
    fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        blocking(|| (&self.0).read_to_string(text))
    }

    #[track_caller]
    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        blocking(|| (&self.0).read_exact(buffer))
    }
}

impl Write for &File {
    #[track_caller]
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        blocking(|| (&self.0).write(buffer))
    }

    #[track_caller]
    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        blocking(|| (&self.0).write_vectored(buffers))
    }

    #[track_caller]
    fn write_all(&mut self, buffer: &[u8]) -> io::Result<()> {
        blocking(|| (&self.0).write_all(buffer))
    }

    /// Does nothing: what was written is with the system. See [`File::sync_all`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for &File {
    #[track_caller]
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        blocking(|| (&self.0).seek(place))
    }
}

impl Read for File {
    #[track_caller]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }

    #[track_caller]
    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(buffers)
    }

    #[track_caller]
    fn read_to_end(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        (&*self).read_to_end(bytes)
    }

    #[track_caller]
    fn read_to_string(&mut self, text: &mut String) -> io::Result<usize> {
        (&*self).read_to_string(text)
    }

    #[track_caller]
    fn read_exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        (&*self).read_exact(buffer)
    }
}

impl Write for File {
    #[track_caller]
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        (&*self).write(buffer)
    }

    #[track_caller]
    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(buffers)
    }

    #[track_caller]
    fn write_all(&mut self, buffer: &[u8]) -> io::Result<()> {
        (&*self).write_all(buffer)
    }

    /// Does nothing: what was written is with the system. See [`File::sync_all`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    #[track_caller]
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        (&*self).seek(place)
    }
}

impl FileExt for File {
    #[track_caller]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        blocking(|| self.0.read_at(buffer, offset))
    }

    #[track_caller]
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        blocking(|| self.0.read_exact_at(buffer, offset))
    }

    #[track_caller]
    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<usize> {
        blocking(|| self.0.write_at(buffer, offset))
    }

    #[track_caller]
    fn write_all_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        blocking(|| self.0.write_all_at(buffer, offset))
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

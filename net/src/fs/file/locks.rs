//! Locks on a [`File`], which keep other handles out, of this process or another.

use std::io;

use lisle_scheduler::blocking;

use super::File;
use crate::fs::TryLockError;

impl File {
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
}

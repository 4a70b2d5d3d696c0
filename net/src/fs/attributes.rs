//! What the system knows of a file: its size, its times, its owner and its permissions.

use std::os::fd::AsFd;
use std::path::Path;
use std::{fs, io};

use lisle_scheduler::blocking;

use super::{Metadata, Permissions};

/// What the system knows of the file that `path` leads to. See [`std::fs::metadata`].
///
/// # Examples
///
/// ```
/// let metadata = lisle::run(|| lisle::fs::metadata("Cargo.toml"))?;
/// assert!(metadata.is_file() && metadata.len() > 0);
/// # Ok::<_, std::io::Error>(())
/// ```
#[track_caller]
pub fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref();
    blocking(|| fs::metadata(path))
}

/// What the system knows of what is at `path`, which may be a symbolic link. See
/// [`std::fs::symlink_metadata`].
///
/// # Examples
///
/// ```
/// use lisle::fs;
///
/// lisle::run(|| {
///     let link = std::env::temp_dir().join(format!("lisle-broken-{}", std::process::id()));
///     fs::symlink("/nothing/here", &link)?;
///     assert!(fs::symlink_metadata(&link)?.is_symlink());
///     assert!(fs::metadata(&link).is_err()); // what it leads to is not there
///     fs::remove_file(&link)
/// })
/// # .unwrap();
/// ```
#[track_caller]
pub fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref();
    blocking(|| fs::symlink_metadata(path))
}

/// Sets the permissions of a file or a directory. See [`std::fs::set_permissions`].
///
/// # Examples
///
/// ```
/// use lisle::fs;
///
/// lisle::run(|| {
///     let path = std::env::temp_dir().join(format!("lisle-permissions-{}", std::process::id()));
///     fs::write(&path, "read me")?;
///     let mut permissions = fs::metadata(&path)?.permissions();
///     permissions.set_readonly(true);
///     fs::set_permissions(&path, permissions)?;
///     assert!(fs::metadata(&path)?.permissions().readonly());
///     fs::remove_file(&path)
/// })
/// # .unwrap();
/// ```
#[track_caller]
pub fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    let path = path.as_ref();
    blocking(|| fs::set_permissions(path, permissions))
}

/// Makes a file or a directory that of another user, another group, or both. See
/// [`std::os::unix::fs::chown`].
///
/// # Examples
///
/// ```no_run
/// // The user with the number 33, and the group as it is.
/// lisle::run(|| lisle::fs::chown("/srv/site", Some(33), None))?;
/// # Ok::<_, std::io::Error>(())
/// ```
#[track_caller]
pub fn chown(path: impl AsRef<Path>, user: Option<u32>, group: Option<u32>) -> io::Result<()> {
    let path = path.as_ref();
    blocking(|| std::os::unix::fs::chown(path, user, group))
}

/// As [`chown`], of a symbolic link itself.
///
/// # Examples
///
/// ```no_run
/// // The user with the number 33, and the group as it is.
/// lisle::run(|| lisle::fs::lchown("/srv/link", Some(33), None))?;
/// # Ok::<_, std::io::Error>(())
/// ```
#[track_caller]
pub fn lchown(path: impl AsRef<Path>, user: Option<u32>, group: Option<u32>) -> io::Result<()> {
    let path = path.as_ref();
    blocking(|| std::os::unix::fs::lchown(path, user, group))
}

/// As [`chown`], of an open file. See [`std::os::unix::fs::fchown`].
///
/// # Examples
///
/// ```
/// use lisle::fs::{self, File};
///
/// lisle::run(|| {
///     let path = std::env::temp_dir().join(format!("lisle-fchown-{}", std::process::id()));
///     fs::fchown(&File::create(&path)?, None, None)?; // both stay as they are
///     fs::remove_file(&path)
/// })
/// # .unwrap();
/// ```
#[track_caller]
pub fn fchown(file: impl AsFd, user: Option<u32>, group: Option<u32>) -> io::Result<()> {
    let file = file.as_fd();
    blocking(|| std::os::unix::fs::fchown(file, user, group))
}

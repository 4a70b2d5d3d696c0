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

mod directory;
mod file;
mod options;

use std::path::{Path, PathBuf};
use std::{fs, io};

use lisle_scheduler::blocking;

pub use self::directory::{DirBuilder, DirEntry, ReadDir, read_dir};
pub use self::file::File;
pub use self::options::OpenOptions;
pub use std::fs::{FileTimes, FileType, Metadata, Permissions, TryLockError};

/// Reads a whole file. See [`std::fs::read`].
///
/// # Examples
///
/// ```
/// let bytes = lisle::run(|| lisle::fs::read("Cargo.toml"))?;
/// assert!(bytes.starts_with(b"[package]") || bytes.starts_with(b"[workspace]"));
/// # Ok::<_, std::io::Error>(())
/// ```
#[track_caller]
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    blocking(|| fs::read(path))
}

/// Makes `contents` those of a file, which is created if it is missing. See [`std::fs::write`].
///
/// # Examples
///
/// ```
/// lisle::run(|| {
///     let path = std::env::temp_dir().join(format!("lisle-write-{}", std::process::id()));
///     lisle::fs::write(&path, "some text")?;
///     assert_eq!(lisle::fs::read_to_string(&path)?, "some text");
///     lisle::fs::remove_file(&path)
/// })
/// # .unwrap();
/// ```
#[track_caller]
pub fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let (path, contents) = (path.as_ref(), contents.as_ref());
    blocking(|| fs::write(path, contents))
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

/// Makes a symbolic link at `link` that points to `original`. See [`std::os::unix::fs::symlink`].
///
/// # Examples
///
/// ```
/// use lisle::fs;
///
/// lisle::run(|| {
///     let link = std::env::temp_dir().join(format!("lisle-symlink-{}", std::process::id()));
///     fs::symlink("/etc/hostname", &link)?;
///     assert!(fs::symlink_metadata(&link)?.is_symlink());
///     fs::remove_file(&link)
/// })
/// # .unwrap();
/// ```
#[track_caller]
pub fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = (original.as_ref(), link.as_ref());
    blocking(|| std::os::unix::fs::symlink(original, link))
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

/// The absolute path of what `path` leads to, without symbolic links. See
/// [`std::fs::canonicalize`].
///
/// # Examples
///
/// ```
/// let path = lisle::run(|| lisle::fs::canonicalize("./Cargo.toml"))?;
/// assert!(path.is_absolute());
/// # Ok::<_, std::io::Error>(())
/// ```
#[track_caller]
pub fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref();
    blocking(|| fs::canonicalize(path))
}

/// Copies the contents and the permissions of a file. Returns the number of bytes. See
/// [`std::fs::copy`].
///
/// # Examples
///
/// ```
/// use lisle::fs;
///
/// lisle::run(|| {
///     let path = std::env::temp_dir().join(format!("lisle-copy-{}", std::process::id()));
///     let length = fs::copy("Cargo.toml", &path)?;
///     assert_eq!(length, fs::metadata(&path)?.len());
///     fs::remove_file(&path)
/// })
/// # .unwrap();
/// ```
#[track_caller]
pub fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let (from, to) = (from.as_ref(), to.as_ref());
    blocking(|| fs::copy(from, to))
}

/// Makes a directory. See [`std::fs::create_dir`].
///
/// # Examples
///
/// ```
/// use lisle::fs;
///
/// lisle::run(|| {
///     let path = std::env::temp_dir().join(format!("lisle-directory-{}", std::process::id()));
///     fs::create_dir(&path)?;
///     assert!(fs::metadata(&path)?.is_dir());
///     fs::remove_dir(&path)
/// })
/// # .unwrap();
/// ```
#[track_caller]
pub fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    blocking(|| fs::create_dir(path))
}

/// Makes a directory, with those above it that are missing. See [`std::fs::create_dir_all`].
///
/// # Examples
///
/// ```
/// use lisle::fs;
///
/// lisle::run(|| {
///     let path = std::env::temp_dir().join(format!("lisle-directories-{}", std::process::id()));
///     fs::create_dir_all(path.join("inner/innermost"))?;
///     fs::create_dir_all(&path)?; // nothing is missing
///     fs::remove_dir_all(&path)
/// })
/// # .unwrap();
/// ```
#[track_caller]
pub fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    blocking(|| fs::create_dir_all(path))
}

/// Whether there is something at `path`. See [`std::fs::exists`].
///
/// # Examples
///
/// ```
/// assert!(lisle::run(|| lisle::fs::exists("Cargo.toml"))?);
/// # Ok::<_, std::io::Error>(())
/// ```
#[track_caller]
pub fn exists(path: impl AsRef<Path>) -> io::Result<bool> {
    let path = path.as_ref();
    blocking(|| fs::exists(path))
}

/// Gives a file another name. See [`std::fs::hard_link`].
///
/// # Examples
///
/// ```
/// use lisle::fs;
///
/// lisle::run(|| {
///     let path = std::env::temp_dir().join(format!("lisle-original-{}", std::process::id()));
///     let link = path.with_extension("link");
///     fs::write(&path, "text")?;
///     fs::hard_link(&path, &link)?;
///     fs::remove_file(&path)?;
///     assert_eq!(fs::read_to_string(&link)?, "text");
///     fs::remove_file(&link)
/// })
/// # .unwrap();
/// ```
#[track_caller]
pub fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = (original.as_ref(), link.as_ref());
    blocking(|| fs::hard_link(original, link))
}

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

/// Where a symbolic link points to. See [`std::fs::read_link`].
///
/// # Examples
///
/// ```
/// use lisle::fs;
///
/// lisle::run(|| {
///     let link = std::env::temp_dir().join(format!("lisle-link-{}", std::process::id()));
///     fs::symlink("somewhere", &link)?; // it need not be there
///     assert_eq!(fs::read_link(&link)?.to_str(), Some("somewhere"));
///     fs::remove_file(&link)
/// })
/// # .unwrap();
/// ```
#[track_caller]
pub fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref();
    blocking(|| fs::read_link(path))
}

/// Reads a file of text. See [`std::fs::read_to_string`].
///
/// # Examples
///
/// ```
/// let text = lisle::run(|| lisle::fs::read_to_string("Cargo.toml"))?;
/// assert!(text.contains("[package]"));
/// # Ok::<_, std::io::Error>(())
/// ```
#[track_caller]
pub fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let path = path.as_ref();
    blocking(|| fs::read_to_string(path))
}

/// Removes an empty directory. See [`std::fs::remove_dir`].
///
/// # Examples
///
/// ```
/// use lisle::fs;
/// use std::io::ErrorKind;
///
/// lisle::run(|| {
///     let path = std::env::temp_dir().join(format!("lisle-removed-{}", std::process::id()));
///     fs::create_dir_all(path.join("inner"))?;
///     let error = fs::remove_dir(&path).unwrap_err();
///     assert_eq!(error.kind(), ErrorKind::DirectoryNotEmpty);
///     fs::remove_dir(path.join("inner"))?;
///     fs::remove_dir(&path)
/// })
/// # .unwrap();
/// ```
#[track_caller]
pub fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    blocking(|| fs::remove_dir(path))
}

/// Removes a directory with all that is in it. Symbolic links are not followed. See
/// [`std::fs::remove_dir_all`].
///
/// # Examples
///
/// ```
/// use lisle::fs;
///
/// lisle::run(|| {
///     let path = std::env::temp_dir().join(format!("lisle-tree-{}", std::process::id()));
///     fs::create_dir_all(path.join("inner"))?;
///     fs::write(path.join("inner/file"), "text")?;
///     fs::remove_dir_all(&path)?;
///     assert!(!fs::exists(&path)?);
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap();
/// ```
#[track_caller]
pub fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    blocking(|| fs::remove_dir_all(path))
}

/// Removes a file. See [`std::fs::remove_file`].
///
/// # Examples
///
/// ```
/// use lisle::fs;
///
/// lisle::run(|| {
///     let path = std::env::temp_dir().join(format!("lisle-gone-{}", std::process::id()));
///     fs::write(&path, "text")?;
///     fs::remove_file(&path)?;
///     assert!(!fs::exists(&path)?);
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap();
/// ```
#[track_caller]
pub fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    blocking(|| fs::remove_file(path))
}

/// Gives a file or a directory another name, in place of what had it before. See
/// [`std::fs::rename`].
///
/// # Examples
///
/// ```
/// use lisle::fs;
///
/// lisle::run(|| {
///     let draft = std::env::temp_dir().join(format!("lisle-draft-{}", std::process::id()));
///     let path = draft.with_extension("done");
///     fs::write(&draft, "all of it")?;
///     fs::rename(&draft, &path)?; // readers see all of it, or what was there before
///     assert_eq!(fs::read_to_string(&path)?, "all of it");
///     fs::remove_file(&path)
/// })
/// # .unwrap();
/// ```
#[track_caller]
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    blocking(|| fs::rename(from, to))
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

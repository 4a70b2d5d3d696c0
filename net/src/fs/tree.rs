//! The tree of names: what is made, found, moved and removed in it.

use std::path::{Path, PathBuf};
use std::{fs, io};

use lisle_scheduler::blocking;

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

/// Makes a directory the root of all paths of this process. Its current directory stays where it
/// is. See [`std::os::unix::fs::chroot`].
///
/// # Examples
///
/// ```no_run
/// lisle::run(|| lisle::fs::chroot("/srv/jail"))?;
/// std::env::set_current_dir("/")?; // or what is outside could still be reached
/// # Ok::<_, std::io::Error>(())
/// ```
#[track_caller]
pub fn chroot(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    blocking(|| std::os::unix::fs::chroot(path))
}

//! Whole files: their contents.

use std::path::Path;
use std::{fs, io};

use lisle_scheduler::blocking;

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

//! [`OpenOptions`]: in which way a file is opened.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::{fs, io};

use lisle_scheduler::blocking;

use super::File;

/// In which way a file is opened. See [`std::fs::OpenOptions`].
///
/// # Examples
///
/// ```
/// use lisle::fs::OpenOptions;
/// use std::io::Write;
///
/// lisle::run(|| {
///     let path = std::env::temp_dir().join(format!("lisle-log-{}", std::process::id()));
///     for line in ["one\n", "two\n"] {
///         OpenOptions::new().append(true).create(true).open(&path)?.write_all(line.as_bytes())?;
///     }
///     assert_eq!(lisle::fs::read_to_string(&path)?, "one\ntwo\n");
///     lisle::fs::remove_file(&path)
/// })
/// # .unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions(fs::OpenOptions);

impl OpenOptions {
    /// Options of which none is set.
    #[expect(clippy::new_without_default, reason = "std's has no default either")]
    pub fn new() -> Self {
        Self(fs::OpenOptions::new())
    }

    /// Whether the file can be read.
    pub fn read(&mut self, read: bool) -> &mut Self {
        self.0.read(read);
        self
    }

    /// Whether the file can be written.
    pub fn write(&mut self, write: bool) -> &mut Self {
        self.0.write(write);
        self
    }

    /// Whether each write goes to the end of the file.
    pub fn append(&mut self, append: bool) -> &mut Self {
        self.0.append(append);
        self
    }

    /// Whether the file is cut down to nothing first.
    pub fn truncate(&mut self, truncate: bool) -> &mut Self {
        self.0.truncate(truncate);
        self
    }

    /// Whether a file that is missing is made.
    pub fn create(&mut self, create: bool) -> &mut Self {
        self.0.create(create);
        self
    }

    /// Whether a file is made, and it is an error if there is one.
    pub fn create_new(&mut self, create_new: bool) -> &mut Self {
        self.0.create_new(create_new);
        self
    }

    /// Opens a file.
    #[track_caller]
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let path = path.as_ref();
        blocking(|| self.0.open(path)).map(File::from)
    }
}

impl OpenOptionsExt for OpenOptions {
    fn mode(&mut self, mode: u32) -> &mut Self {
        self.0.mode(mode);
        self
    }

    fn custom_flags(&mut self, flags: i32) -> &mut Self {
        self.0.custom_flags(flags);
        self
    }
}

impl From<fs::OpenOptions> for OpenOptions {
    fn from(options: fs::OpenOptions) -> Self {
        Self(options)
    }
}

//! The methods and traits of files, programs and streams are std's: what is written for one
//! compiles for the other.

use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::fs::{FileTimes, FileType, Metadata, Permissions, TryLockError};
use std::io::{Error, Read, Result, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, DirEntryExt, FileExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::process::{CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};
use std::time::SystemTime;

trait Safe: Debug + Send + Sync + UnwindSafe + RefUnwindSafe {}

impl<T: Debug + Send + Sync + UnwindSafe + RefUnwindSafe> Safe for T {}

fn is_safe<T: Safe>() {}

fn is_file<T>()
where
    T: Safe + Read + Write + Seek + FileExt + AsFd + AsRawFd + FromRawFd + IntoRawFd,
    T: From<OwnedFd> + Into<OwnedFd> + Into<Stdio>,
    for<'a> &'a T: Read + Write + Seek,
{
}

fn is_output<T: Safe + Write + AsFd + AsRawFd + Into<Stdio>>()
where
    for<'a> &'a T: Write,
{
}

fn is_pipe<T: Safe + AsFd + AsRawFd + IntoRawFd + Into<OwnedFd> + Into<Stdio>>() {}

fn is_writer<T: Write>()
where
    for<'a> &'a T: Write,
{
}

fn is_reader<T: Read>() {}

/// Methods, or functions, whose types are those that are given.
macro_rules! has {
    ($($item:path: $type:ty;)+) => {$(let _: $type = $item;)+};
}

/// Functions that take paths. There can be nothing at the one that they get.
macro_rules! take_paths {
    ($($item:path: ($($path:ident),+) -> $result:ty;)+) => {
        $(let _: Result<$result> = $item($(take_paths!(@ $path)),+);)+
    };
    (@ $path:ident) => { Path::new("/dev/null/path") };
}

macro_rules! surface {
    ($test:ident: $library:ident) => {
        #[test]
        fn $test() {
            use $library::fs::{self, DirBuilder, DirEntry, File, OpenOptions, ReadDir};
            use $library::io::{Stderr, Stdin, Stdout};
            use $library::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

            is_file::<File>();
            has! {
                File::lock: fn(&File) -> Result<()>;
                File::lock_shared: fn(&File) -> Result<()>;
                File::metadata: fn(&File) -> Result<Metadata>;
                File::options: fn() -> OpenOptions;
                File::set_len: fn(&File, u64) -> Result<()>;
                File::set_modified: fn(&File, SystemTime) -> Result<()>;
                File::set_permissions: fn(&File, Permissions) -> Result<()>;
                File::set_times: fn(&File, FileTimes) -> Result<()>;
                File::sync_all: fn(&File) -> Result<()>;
                File::sync_data: fn(&File) -> Result<()>;
                File::try_clone: fn(&File) -> Result<File>;
                File::try_lock: fn(&File) -> std::result::Result<(), TryLockError>;
                File::try_lock_shared: fn(&File) -> std::result::Result<(), TryLockError>;
                File::unlock: fn(&File) -> Result<()>;

                OpenOptions::append: fn(&mut OpenOptions, bool) -> &mut OpenOptions;
                OpenOptions::create: fn(&mut OpenOptions, bool) -> &mut OpenOptions;
                OpenOptions::create_new: fn(&mut OpenOptions, bool) -> &mut OpenOptions;
                OpenOptions::custom_flags: fn(&mut OpenOptions, i32) -> &mut OpenOptions;
                OpenOptions::mode: fn(&mut OpenOptions, u32) -> &mut OpenOptions;
                OpenOptions::new: fn() -> OpenOptions;
                OpenOptions::read: fn(&mut OpenOptions, bool) -> &mut OpenOptions;
                OpenOptions::truncate: fn(&mut OpenOptions, bool) -> &mut OpenOptions;
                OpenOptions::write: fn(&mut OpenOptions, bool) -> &mut OpenOptions;

                DirBuilder::mode: fn(&mut DirBuilder, u32) -> &mut DirBuilder;
                DirBuilder::new: fn() -> DirBuilder;
                DirBuilder::recursive: fn(&mut DirBuilder, bool) -> &mut DirBuilder;
                DirEntry::file_name: fn(&DirEntry) -> OsString;
                DirEntry::file_type: fn(&DirEntry) -> Result<FileType>;
                DirEntry::ino: fn(&DirEntry) -> u64;
                DirEntry::metadata: fn(&DirEntry) -> Result<Metadata>;
                DirEntry::path: fn(&DirEntry) -> PathBuf;
                ReadDir::next: fn(&mut ReadDir) -> Option<Result<DirEntry>>;
            }
            is_safe::<OpenOptions>();
            is_safe::<DirBuilder>();
            is_safe::<ReadDir>();
            let _ = OpenOptions::new().clone();
            let no = Path::new("/dev/null/path");
            assert!(OpenOptions::new().read(true).open(no).is_err());
            assert!(DirBuilder::new().create(no).is_err());

            take_paths! {
                File::create: (path) -> File;
                File::create_new: (path) -> File;
                File::open: (path) -> File;
                fs::canonicalize: (path) -> PathBuf;
                fs::copy: (from, to) -> u64;
                fs::create_dir: (path) -> ();
                fs::create_dir_all: (path) -> ();
                fs::exists: (path) -> bool;
                fs::hard_link: (from, to) -> ();
                fs::metadata: (path) -> Metadata;
                fs::read: (path) -> Vec<u8>;
                fs::read_dir: (path) -> ReadDir;
                fs::read_link: (path) -> PathBuf;
                fs::read_to_string: (path) -> String;
                fs::remove_dir: (path) -> ();
                fs::remove_dir_all: (path) -> ();
                fs::remove_file: (path) -> ();
                fs::rename: (from, to) -> ();
                fs::symlink_metadata: (path) -> Metadata;
            }
            assert!(fs::write(no, "").is_err());
            let _: fn(Permissions) -> Result<()> =
                |permissions| fs::set_permissions("/dev/null/path", permissions);

            has! {
                Child::id: fn(&Child) -> u32;
                Child::kill: fn(&mut Child) -> Result<()>;
                Child::try_wait: fn(&mut Child) -> Result<Option<ExitStatus>>;
                Child::wait: fn(&mut Child) -> Result<ExitStatus>;
                Child::wait_with_output: fn(Child) -> Result<Output>;
                Command::env_clear: fn(&mut Command) -> &mut Command;
                Command::exec: fn(&mut Command) -> Error;
                Command::get_args: fn(&Command) -> CommandArgs<'_>;
                Command::get_current_dir: fn(&Command) -> Option<&Path>;
                Command::get_envs: fn(&Command) -> CommandEnvs<'_>;
                Command::get_program: fn(&Command) -> &OsStr;
                Command::gid: fn(&mut Command, u32) -> &mut Command;
                Command::output: fn(&mut Command) -> Result<Output>;
                Command::process_group: fn(&mut Command, i32) -> &mut Command;
                Command::spawn: fn(&mut Command) -> Result<Child>;
                Command::status: fn(&mut Command) -> Result<ExitStatus>;
                Command::uid: fn(&mut Command, u32) -> &mut Command;
            }
            let mut command = Command::new("true");
            let _: &mut Command = command.arg("a").args(["b"]).env("c", "d").envs([("e", "f")]);
            let _: &mut Command = command.env_remove("g").current_dir("/").arg0("h");
            let _: &mut Command = command.stdin(Stdio::null()).stdout(Stdio::null());
            let _: &mut Command = command.stderr(Stdio::null());
            // SAFETY: it does nothing.
            let _: &mut Command = unsafe { command.pre_exec(|| Ok(())) };
            let _: fn(Child) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) =
                |child| (child.stdin, child.stdout, child.stderr);
            is_safe::<Child>();
            is_pipe::<ChildStdin>();
            is_pipe::<ChildStdout>();
            is_pipe::<ChildStderr>();
            is_writer::<ChildStdin>();
            is_reader::<ChildStdout>();
            is_reader::<ChildStderr>();

            is_output::<Stdout>();
            is_output::<Stderr>();
            is_safe::<Stdin>();
            has! {
                Stdin::read_line: fn(&Stdin, &mut String) -> Result<usize>;
            }
            let _ = Stdin::lines;
        }
    };
}

surface!(the_surface_of_std: std);
surface!(the_surface_of_lisle: lisle);

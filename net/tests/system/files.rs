//! Files and directories.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, ErrorKind, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lisle_net::fs::{self, DirBuilder, File, OpenOptions};
use lisle_net::process;
use lisle_scheduler::{Runtime, spawn, yield_now};

use crate::in_tasks_and_on_a_thread;

/// A directory of a test's own, which goes when it is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lisle-files-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn the_functions_do_what_those_of_std_do() {
    in_tasks_and_on_a_thread(|| {
        let directory = Directory::new();
        let (one, two) = (directory.file("one"), directory.file("two"));
        assert!(!fs::exists(&one).unwrap());
        assert_eq!(fs::read(&one).unwrap_err().kind(), ErrorKind::NotFound);
        fs::write(&one, "text").unwrap();
        assert_eq!(fs::read(&one).unwrap(), b"text");
        assert_eq!(fs::read_to_string(&one).unwrap(), "text");
        assert_eq!(fs::copy(&one, &two).unwrap(), 4);
        fs::write(&two, [0xff]).unwrap();
        assert_eq!(fs::read_to_string(&two).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(fs::metadata(&one).unwrap().len(), 4);

        fs::set_permissions(&one, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(fs::metadata(&one).unwrap().permissions().mode() & 0o777, 0o400);
        let (hard, soft) = (directory.file("hard"), directory.file("soft"));
        fs::hard_link(&one, &hard).unwrap();
        fs::symlink("one", &soft).unwrap();
        assert_eq!(fs::read_link(&soft).unwrap(), Path::new("one"));
        assert!(fs::symlink_metadata(&soft).unwrap().is_symlink());
        assert!(fs::metadata(&soft).unwrap().is_file());
        assert_eq!(fs::canonicalize(&soft).unwrap(), fs::canonicalize(&one).unwrap());

        let owner = fs::metadata(&one).unwrap().uid();
        fs::chown(&one, Some(owner), None).unwrap();
        fs::lchown(&soft, None, None).unwrap();
        let open = File::open(&one).unwrap();
        fs::fchown(&open, Some(owner), None).unwrap();
        let by_link = format!("/proc/self/fd/{}", open.as_raw_fd());
        assert_eq!(fs::metadata(by_link).unwrap().uid(), owner);
        assert_eq!(fs::chroot(two.join("no")).unwrap_err().kind(), ErrorKind::NotADirectory);
        assert_eq!(fs::chown(two.join("no"), None, None).unwrap_err().kind(), {
            ErrorKind::NotADirectory
        });

        fs::rename(&two, directory.file("three")).unwrap();
        fs::remove_file(directory.file("three")).unwrap();
        assert_eq!(fs::remove_file(&two).unwrap_err().kind(), ErrorKind::NotFound);

        let deep = directory.file("a/b/c");
        fs::create_dir_all(&deep).unwrap();
        assert_eq!(fs::create_dir(&deep).unwrap_err().kind(), ErrorKind::AlreadyExists);
        fs::remove_dir(&deep).unwrap();
        assert_eq!(fs::remove_dir(directory.file("a")).unwrap_err().kind(), {
            ErrorKind::DirectoryNotEmpty
        });
        DirBuilder::new().recursive(true).mode(0o700).create(&deep).unwrap();
        assert_eq!(fs::metadata(&deep).unwrap().permissions().mode() & 0o777, 0o700);
    });
}

#[test]
fn a_file_is_read_written_and_moved_in() {
    in_tasks_and_on_a_thread(|| {
        let directory = Directory::new();
        let path = directory.file("file");
        let mut file = File::create_new(&path).unwrap();
        assert_eq!(File::create_new(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        file.write_all(b"one\ntwo\n").unwrap();
        assert_eq!(file.write_vectored(&[IoSlice::new(b"th"), IoSlice::new(b"ree\n")]).unwrap(), 6);
        file.flush().unwrap();
        file.sync_all().unwrap();
        file.sync_data().unwrap();
        assert_eq!(file.stream_position().unwrap(), 14);
        file.rewind().unwrap();
        let mut bytes = [0; 4];
        file.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"one\n");
        assert_eq!(file.seek(SeekFrom::End(-6)).unwrap(), 8);
        let mut text = String::new();
        (&file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "three\n");
        assert_eq!(file.read(&mut bytes).unwrap(), 0, "at the end");

        file.write_all_at(b"TWO", 4).unwrap();
        file.read_exact_at(&mut bytes, 4).unwrap();
        assert_eq!(&bytes, b"TWO\n");
        assert_eq!(file.read_exact_at(&mut bytes, 12).unwrap_err().kind(), {
            ErrorKind::UnexpectedEof
        });
        file.set_len(3).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 3);

        let mut clone = file.try_clone().unwrap();
        clone.rewind().unwrap();
        let (mut first, mut second) = ([0; 2], [0; 2]);
        let slices = &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(file.read_vectored(slices).unwrap(), 3, "they share the place");
        assert_eq!((&first, &second), (b"on", b"e\0"));

        file.lock().unwrap();
        let other = File::open(&path).unwrap();
        assert!(matches!(other.try_lock_shared(), Err(fs::TryLockError::WouldBlock)));
        file.unlock().unwrap();
        other.try_lock().unwrap();
        assert_eq!(BufReader::new(other).lines().count(), 1);

        // What a program that is started writes to.
        let echo = || process::Command::new("echo");
        let output = File::options().append(true).open(&path).unwrap();
        assert!(!output.is_terminal());
        assert!(echo().arg("four").stdout(output).status().unwrap().success());
        assert!(fs::read_to_string(&path).unwrap().ends_with("four\n"));

        // To std's and back.
        let std: std::fs::File = file.into();
        assert_eq!(File::from(std).as_std().metadata().unwrap().len(), 8);
    });
}

#[test]
fn options_say_how_a_file_is_opened() {
    in_tasks_and_on_a_thread(|| {
        let directory = Directory::new();
        let path = directory.file("file");
        assert_eq!(File::options().read(true).open(&path).unwrap_err().kind(), ErrorKind::NotFound);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(&path).unwrap().write_all(b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        File::options().append(true).open(&path).unwrap().write_all(b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"onetwo");
        let mut cut = File::options().write(true).truncate(true).open(&path).unwrap();
        assert!(cut.read(&mut [0]).is_err(), "it was opened for writing");
        assert_eq!(cut.metadata().unwrap().len(), 0);
        let flags = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(&path);
        assert_eq!(flags.unwrap_err().kind(), ErrorKind::NotADirectory);
    });
}

/// Less than a batch, a batch, and some more.
#[test]
fn a_directory_is_read_whole() {
    in_tasks_and_on_a_thread(|| {
        for count in [0, 1, 63, 64, 65, 150] {
            let directory = Directory::new();
            for n in 0..count {
                let file = std::fs::File::create(directory.file(&n.to_string())).unwrap();
                file.set_len(n).unwrap();
            }
            let mut seen = BTreeSet::new();
            let mut entries = fs::read_dir(&directory.0).unwrap();
            for entry in entries.by_ref() {
                let entry = entry.unwrap();
                let number: u64 = entry.file_name().to_str().unwrap().parse().unwrap();
                assert_eq!(entry.path(), directory.file(&number.to_string()));
                assert!(entry.file_type().unwrap().is_file());
                assert_eq!(entry.metadata().unwrap().len(), number);
                assert!(seen.insert(number));
            }
            assert!(entries.next().is_none(), "it has ended");
            assert_eq!(seen.len() as u64, count);
        }
        assert_eq!(fs::read_dir("/no such").unwrap_err().kind(), ErrorKind::NotFound);
    });
}

/// The file is a pipe: its reader waits until it is opened for writing, by a task of the same
/// worker.
#[test]
fn other_tasks_run_while_one_waits_for_a_file() {
    let directory = Directory::new();
    let path = Arc::new(directory.file("pipe"));
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the call reads the name.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    Runtime::builder()
        .workers(1)
        .run(|| {
            let theirs = path.clone();
            let reader = spawn(move || fs::read_to_string(&*theirs).unwrap());
            yield_now();
            fs::write(&*path, "through a pipe").unwrap();
            assert_eq!(reader.join().unwrap(), "through a pipe");
        })
        .unwrap();
}

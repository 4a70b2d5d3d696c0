//! The standard library's readers, writers and `copy` at sockets.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{self, BufRead, BufReader, BufWriter, LineWriter, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use lisle::net::UnixStream;

use crate::support::everywhere;

#[test]
fn lines_are_read_while_others_are_written() {
    everywhere(|parties| {
        let (near, far) = UnixStream::pair()?;
        let echo = parties.spawn(move || {
            let mut out = LineWriter::new(&far);
            for line in BufReader::new(&far).lines() {
                writeln!(out, "{}!", line?)?;
            }
            Ok::<_, io::Error>(())
        });
        let mut answers = BufReader::new(&near).lines();
        for word in ["one", "two", "three"] {
            writeln!(&near, "{word}")?;
            assert_eq!(answers.next().transpose()?, Some(format!("{word}!")));
        }
        near.shutdown(Shutdown::Write)?;
        assert!(answers.next().is_none());
        echo.join()
    });
}

#[test]
fn readers_and_writers_of_std_do_their_work() {
    everywhere(|parties| {
        let (near, far) = UnixStream::pair()?;
        let writer = parties.spawn(move || {
            let mut out = BufWriter::with_capacity(10, near);
            for number in 0..100 {
                write!(out, "{number},")?;
            }
            out.flush()
        });
        let mut start = String::new();
        let mut reader = BufReader::new(far);
        (&mut reader).take(4).read_to_string(&mut start)?;
        assert_eq!(start, "0,1,");
        let numbers: Vec<_> = reader.split(b',').collect::<Result<_, _>>()?;
        assert_eq!(numbers.len(), 98);
        assert_eq!(numbers[97], b"99");
        writer.join()
    });
}

#[test]
fn copying_passes_on_everything_and_the_end() {
    everywhere(|parties| {
        let (client, front) = UnixStream::pair()?;
        let (back, server) = UnixStream::pair()?;
        let copy = parties.spawn(move || {
            let copied = io::copy(&mut &front, &mut &back)?;
            back.shutdown(Shutdown::Write)?;
            io::copy(&mut &back, &mut &front)?;
            Ok::<_, io::Error>(copied)
        });
        let serve = parties.spawn(move || {
            let mut request = Vec::new();
            (&server).read_to_end(&mut request)?; // the client has ended its half
            (&server).write_all(&request.len().to_ne_bytes())
        });
        (&client).write_all(&[7; 300_000])?;
        client.shutdown(Shutdown::Write)?;
        let mut answer = [0; size_of::<usize>()];
        (&client).read_exact(&mut answer)?;
        assert_eq!(usize::from_ne_bytes(answer), 300_000);
        assert_eq!((&client).read(&mut [0])?, 0);
        assert_eq!(copy.join()?, 300_000);
        serve.join()
    });
}

#[test]
fn copying_between_sockets_allocates_nothing() {
    let one_worker = lisle::Runtime::builder().workers(1);
    let done = one_worker.run(|| {
        let (client, front) = UnixStream::pair().unwrap();
        let (back, server) = UnixStream::pair().unwrap();
        let copy = |bytes: &[u8]| {
            (&client).write_all(bytes).unwrap();
            let before = ALLOCATIONS.get();
            io::copy(&mut (&front).take(bytes.len() as u64), &mut &back).unwrap();
            let allocations = ALLOCATIONS.get() - before;
            (&server).read_exact(&mut vec![0; bytes.len()]).unwrap();
            allocations
        };
        copy(b"what is needed once, such as room in lists, is there now");
        assert_eq!(copy(&[7; 20_000]), 0);
        let filled = Vec::<u8>::with_capacity(20_000); // the count works
        assert!(ALLOCATIONS.get() > 0 && filled.is_empty());
    });
    done.unwrap();
}

#[test]
fn copying_fits_on_a_small_stack() {
    let copied = lisle::run(|| {
        let (client, front) = UnixStream::pair().unwrap();
        let (back, server) = UnixStream::pair().unwrap();
        let server = Arc::new(server);
        (&client).write_all(&[7; 20_000]).unwrap();
        drop(client);
        let task = lisle::task::Builder::new()
            .stack_size(0) // the smallest; `copy` has a buffer of 8 KiB there
            .spawn(move || io::copy(&mut &front, &mut &back));
        let mut copied = Vec::new();
        (&*server).read_to_end(&mut copied).unwrap();
        (task.unwrap().join().unwrap().unwrap(), copied.len())
    });
    assert_eq!(copied, (20_000, 20_000));
}

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// Counts the allocations of each thread.
struct Counting;

// SAFETY: the system's allocator does the work; the count is a thread-local without an initialiser
// or destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

//! A tiny operating system: processes are coroutines, and trap into the kernel by yielding system
//! calls.
//!
//! The kernel is a loop. It resumes the process whose turn it is with the answer to its last call;
//! what comes back is its next call. A process that waits, for another one's end, for the time or
//! for the keyboard, stands in no queue. One that is killed is dropped where it waits, and its
//! destructors run. This is the cooperative multitasking from which tasks come: Lisle's workers do
//! the same, with waits in place of the calls. It needs no runtime.
//!
//! ```text
//! cargo run --release --example tiny_os
//!
//! [   0] init is process 1
//! [   2] shell is process 2
//! [  10] shell: compute
//! [  12] worker 2 computes
//! [  15] worker 3 computes
//! [  34] worker 2 is done
//! [  47] worker 3 is done
//! [  49] both have ended: 2 and 3
//! [  51] shell: sleep
//! [  62] slept for 10 ticks
//! [  80] shell: hang
//! [  82] a process hangs
//! [  85] the process that hangs cleans up
//! [  87] killed it: true, and again: false
//! [  89] shell: exit
//! [  91] the shell has ended with 0
//! all processes have ended, after 93 ticks
//! ```

mod support;

use std::collections::{BTreeMap, VecDeque};

use lisle::coroutine::{Coroutine, CoroutineState, Yielder};
use support::Args;

type Pid = u32;
/// A program, which returns its exit status. What it yields are calls, and it gets their answers.
type Program = Box<dyn FnOnce(&Traps) -> i64>;
type Process = Coroutine<i64, Call, i64>;
/// How a program reaches the kernel.
type Traps = Yielder<i64, Call, i64>;

/// What a process asks of the kernel.
enum Call {
    /// Starts a program; the answer is its process.
    Spawn(Program),
    /// Waits until a process has ended; the answer is its status.
    Wait(Pid),
    /// Waits for so many ticks.
    Sleep(u64),
    /// Waits for a key; the answer is its number, or 0 when there will be none.
    Read,
    /// Ends another process; the answer is 1 if there was one.
    Kill(Pid),
    /// Says something on the console.
    Say(String),
}

#[derive(Default)]
struct Kernel {
    ticks: u64,
    last_pid: Pid,
    processes: BTreeMap<Pid, Process>,
    /// Whose turn it is, with the answer to the call.
    ready: VecDeque<(Pid, i64)>,
    /// By the time at which they go on.
    sleeping: BTreeMap<(u64, Pid), ()>,
    /// Those that wait for a process.
    waiting: Vec<(Pid, Pid)>,
    statuses: BTreeMap<Pid, i64>,
    /// The keys that will be pressed, and when.
    keyboard: VecDeque<(u64, i64)>,
    /// Those that wait for a key.
    reading: VecDeque<Pid>,
}

impl Kernel {
    fn start(&mut self, program: Program) -> Pid {
        self.last_pid += 1;
        let process = Coroutine::new(move |traps: &Traps, _: i64| program(traps));
        self.processes.insert(self.last_pid, process);
        self.ready.push_back((self.last_pid, 0));
        self.last_pid
    }

    /// Runs until no process is left. Each turn takes a tick.
    fn run(&mut self) {
        while !self.processes.is_empty() {
            self.wake_sleepers();
            self.wake_readers();
            let Some((pid, answer)) = self.ready.pop_front() else {
                let may_wake = !self.sleeping.is_empty() || !self.reading.is_empty();
                assert!(may_wake, "all processes wait for each other");
                self.ticks += 1;
                continue;
            };
            // One that was killed meanwhile is gone.
            let Some(process) = self.processes.get_mut(&pid) else { continue };
            match process.resume(answer) {
                CoroutineState::Yielded(call) => self.serve(pid, call),
                CoroutineState::Returned(status) => self.end(pid, status),
            }
            self.ticks += 1;
        }
    }

    fn serve(&mut self, pid: Pid, call: Call) {
        let answer = match call {
            Call::Spawn(program) => self.start(program).into(),
            Call::Wait(other) => match self.statuses.get(&other) {
                Some(status) => *status,
                None => return self.waiting.push((other, pid)),
            },
            Call::Sleep(ticks) => {
                self.sleeping.insert((self.ticks + ticks, pid), ());
                return;
            }
            Call::Read => return self.reading.push_back(pid),
            Call::Kill(other) => {
                let found = self.processes.contains_key(&other);
                if found {
                    self.end(other, -9);
                }
                found.into()
            }
            Call::Say(text) => {
                println!("[{:4}] {text}", self.ticks);
                0
            }
        };
        self.ready.push_back((pid, answer));
    }

    /// Ends a process. If it has not returned it is unwound from its last call.
    fn end(&mut self, pid: Pid, status: i64) {
        CLOCK.set(self.ticks);
        drop(self.processes.remove(&pid));
        self.statuses.insert(pid, status);
        let ready = &mut self.ready;
        self.waiting.retain(|&(awaited, waiter)| {
            if awaited == pid {
                ready.push_back((waiter, status));
            }
            awaited != pid
        });
    }

    fn wake_sleepers(&mut self) {
        while let Some((&(until, pid), ())) = self.sleeping.first_key_value()
            && until <= self.ticks
        {
            self.sleeping.pop_first();
            self.ready.push_back((pid, 0));
        }
    }

    /// A key goes to the process that has waited for the longest time.
    fn wake_readers(&mut self) {
        while let Some(&pid) = self.reading.front()
            && self.keyboard.front().is_none_or(|&(at, _)| at <= self.ticks)
        {
            self.reading.pop_front();
            let key = self.keyboard.pop_front().map_or(0, |(_, key)| key);
            self.ready.push_back((pid, key));
        }
    }
}

std::thread_local! {
    /// The time, for destructors: they cannot trap.
    static CLOCK: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

fn say(traps: &Traps, text: impl Into<String>) {
    traps.suspend(Call::Say(text.into()));
}

fn spawn(traps: &Traps, program: impl FnOnce(&Traps) -> i64 + 'static) -> Pid {
    traps.suspend(Call::Spawn(Box::new(program))) as Pid
}

fn main() {
    Args::new("tiny_os", "").finish();

    let mut kernel =
        Kernel { keyboard: VecDeque::from([(10, 1), (30, 2), (80, 3)]), ..Kernel::default() };
    kernel.start(Box::new(init));
    kernel.run();
    println!("all processes have ended, after {} ticks", kernel.ticks);
}

fn init(traps: &Traps) -> i64 {
    say(traps, "init is process 1");
    let shell = spawn(traps, shell);
    let status = traps.suspend(Call::Wait(shell));
    say(traps, format!("the shell has ended with {status}"));
    0
}

fn shell(traps: &Traps) -> i64 {
    say(traps, "shell is process 2");
    loop {
        match traps.suspend(Call::Read) {
            1 => {
                say(traps, "shell: compute");
                let workers = [2, 3].map(|n| spawn(traps, move |traps| work(traps, n)));
                let [first, second] = workers.map(|worker| traps.suspend(Call::Wait(worker)));
                say(traps, format!("both have ended: {first} and {second}"));
            }
            2 => {
                say(traps, "shell: sleep");
                traps.suspend(Call::Sleep(10));
                say(traps, "slept for 10 ticks");
            }
            3 => {
                say(traps, "shell: hang");
                let hanging = spawn(traps, hang);
                traps.suspend(Call::Sleep(2));
                let killed = [(); 2].map(|()| traps.suspend(Call::Kill(hanging)) == 1);
                say(traps, format!("killed it: {}, and again: {}", killed[0], killed[1]));
            }
            _ => {
                say(traps, "shell: exit");
                return 0;
            }
        }
    }
}

fn work(traps: &Traps, n: i64) -> i64 {
    say(traps, format!("worker {n} computes"));
    traps.suspend(Call::Sleep(10 * n as u64));
    say(traps, format!("worker {n} is done"));
    n
}

fn hang(traps: &Traps) -> i64 {
    struct CleanUp;
    impl Drop for CleanUp {
        fn drop(&mut self) {
            println!("[{:4}] the process that hangs cleans up", CLOCK.get());
        }
    }
    let _clean_up = CleanUp;
    say(traps, "a process hangs");
    traps.suspend(Call::Sleep(u64::MAX / 2));
    0
}

//! A tiny operating system: processes are coroutines, and trap into the kernel by yielding system
//! calls.
//!
//! The kernel is a loop. It resumes the process whose turn it is with the answer to its last call;
//! what comes back is its next call. A process that waits, for the end of another one, for the time
//! or for a key, gets no turn until that has come. One that is killed is dropped where it waits,
//! and its destructors run. This is the cooperative multitasking from which tasks come: Lisle's
//! workers do the same, with waits in place of the calls. It needs no runtime.
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
//!        the process that hangs cleans up
//! [  87] killed it: true, and again: false
//! [  89] shell: exit
//! [  91] the shell has ended with 0
//! all processes have ended, after 93 ticks
//! ```

mod support;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lisle::coroutine::{Coroutine, CoroutineState, Yielder};
use support::Args;

fn main() {
    Args::new("tiny_os", "").finish();

    let keyboard = [(10, 'c'), (30, 's'), (80, 'h')];
    let mut kernel = Kernel { keyboard: VecDeque::from(keyboard), ..Kernel::default() };
    kernel.start(Box::new(init));
    kernel.run();
    println!("all processes have ended, after {} ticks", kernel.ticks);
}

// The programs.

fn init(system: &System) -> Status {
    system.say("init is process 1");
    let shell = system.spawn(shell);
    let status = system.wait(shell);
    system.say(format!("the shell has ended with {status}"));
    0
}

fn shell(system: &System) -> Status {
    system.say("shell is process 2");
    while let Some(key) = system.read() {
        match key {
            'c' => {
                system.say("shell: compute");
                let workers = [2, 3].map(|n| system.spawn(move |system| work(system, n)));
                let [first, second] = workers.map(|worker| system.wait(worker));
                system.say(format!("both have ended: {first} and {second}"));
            }
            's' => {
                system.say("shell: sleep");
                system.sleep(10);
                system.say("slept for 10 ticks");
            }
            'h' => {
                system.say("shell: hang");
                let hanging = system.spawn(hang);
                system.sleep(2);
                let [first, again] = [(); 2].map(|()| system.kill(hanging));
                system.say(format!("killed it: {first}, and again: {again}"));
            }
            other => system.say(format!("shell: there is no command '{other}'")),
        }
    }
    system.say("shell: exit");
    0
}

fn work(system: &System, n: u32) -> Status {
    system.say(format!("worker {n} computes"));
    system.sleep(10 * u64::from(n));
    system.say(format!("worker {n} is done"));
    n.into()
}

fn hang(system: &System) -> Status {
    struct CleanUp;
    impl Drop for CleanUp {
        fn drop(&mut self) {
            // It has no say: the process has had its last turn.
            println!("       the process that hangs cleans up");
        }
    }
    let _clean_up = CleanUp;
    system.say("a process hangs");
    system.sleep(u64::MAX);
    0
}

// The system calls.

type Pid = u32;
/// With what a process ends.
type Status = i64;
/// What a process gets for a call: a number, as in a register.
type Answer = i64;
type Program = Box<dyn FnOnce(&System) -> Status>;

/// What a process asks of the kernel.
enum Call {
    /// Starts a program; the answer is its process.
    Spawn(Program),
    /// Waits until a process has ended; the answer is its status, or [`NO_PROCESS`].
    Wait(Pid),
    /// Waits for this many ticks.
    Sleep(u64),
    /// Waits for a key; the answer is its character, or [`NO_KEY`] when none will come any more.
    Read,
    /// Ends a process; the answer is 1 if it was there, else 0.
    Kill(Pid),
    /// Says something on the console.
    Say(String),
}

const NO_PROCESS: Answer = -1;
const NO_KEY: Answer = -1;
/// The status of a process that was killed.
const KILLED: Status = -9;

/// The kernel, as a process reaches it.
struct System<'a>(&'a Yielder<Answer, Call, Status>);

impl System<'_> {
    fn spawn(&self, program: impl FnOnce(&System) -> Status + 'static) -> Pid {
        self.0.suspend(Call::Spawn(Box::new(program))) as Pid
    }

    fn wait(&self, process: Pid) -> Status {
        self.0.suspend(Call::Wait(process))
    }

    fn sleep(&self, ticks: u64) {
        self.0.suspend(Call::Sleep(ticks));
    }

    fn read(&self) -> Option<char> {
        let key = self.0.suspend(Call::Read);
        u32::try_from(key).ok().and_then(char::from_u32)
    }

    fn kill(&self, process: Pid) -> bool {
        self.0.suspend(Call::Kill(process)) == 1
    }

    fn say(&self, text: impl Into<String>) {
        self.0.suspend(Call::Say(text.into()));
    }
}

// The kernel.

type Process = Coroutine<Answer, Call, Status>;

#[derive(Default)]
struct Kernel {
    ticks: u64,
    last_pid: Pid,
    /// Those that have not ended. Each is in one of the four lists below, unless it has its turn.
    processes: BTreeMap<Pid, Process>,
    /// Those that go on, in this order, each with the answer to its last call.
    ready: VecDeque<(Pid, Answer)>,
    /// Those that sleep, behind the tick that wakes them.
    sleeping: BTreeSet<(u64, Pid)>,
    /// Those that wait for the end of a process, before that.
    waiting: Vec<(Pid, Pid)>,
    /// Those that wait for a key, the first one first.
    reading: VecDeque<Pid>,
    /// The keys that will be pressed, and when.
    keyboard: VecDeque<(u64, char)>,
    /// With what processes have ended.
    statuses: BTreeMap<Pid, Status>,
}

impl Kernel {
    fn start(&mut self, program: Program) -> Pid {
        self.last_pid += 1;
        let process =
            Coroutine::new(move |yielder: &Yielder<_, _, _>, _| program(&System(yielder)));
        self.processes.insert(self.last_pid, process);
        self.ready.push_back((self.last_pid, 0));
        self.last_pid
    }

    /// Runs until no process is left. Each turn takes a tick.
    fn run(&mut self) {
        while !self.processes.is_empty() {
            self.wake_sleepers();
            self.wake_readers();
            match self.ready.pop_front() {
                Some((pid, answer)) => self.give_turn(pid, answer),
                None => {
                    let may_wake = !self.sleeping.is_empty() || !self.reading.is_empty();
                    assert!(may_wake, "all processes wait for each other");
                }
            }
            self.ticks += 1;
        }
    }

    fn give_turn(&mut self, pid: Pid, answer: Answer) {
        let process = self.processes.get_mut(&pid).expect("one that ends leaves the list");
        match process.resume(answer) {
            CoroutineState::Yielded(call) => {
                if let Some(answer) = self.serve(pid, call) {
                    self.ready.push_back((pid, answer));
                }
            }
            CoroutineState::Returned(status) => self.end(pid, status),
        }
    }

    /// Does what a process has asked for. `None` if it has to wait for the answer, or is gone.
    fn serve(&mut self, pid: Pid, call: Call) -> Option<Answer> {
        match call {
            Call::Spawn(program) => Some(self.start(program).into()),
            Call::Wait(other) if self.processes.contains_key(&other) => {
                self.waiting.push((pid, other));
                None
            }
            Call::Wait(other) => Some(self.statuses.get(&other).copied().unwrap_or(NO_PROCESS)),
            Call::Sleep(ticks) => {
                self.sleeping.insert((self.ticks.saturating_add(ticks), pid));
                None
            }
            Call::Read => {
                self.reading.push_back(pid);
                None
            }
            Call::Kill(other) => {
                let found = self.processes.contains_key(&other);
                if found {
                    self.end(other, KILLED);
                }
                (other != pid).then_some(found.into())
            }
            Call::Say(text) => {
                println!("[{:4}] {text}", self.ticks);
                Some(0)
            }
        }
    }

    /// Ends a process. If it has not returned it is unwound from its last call.
    fn end(&mut self, pid: Pid, status: Status) {
        self.ready.retain(|&(process, _)| process != pid);
        self.sleeping.retain(|&(_, process)| process != pid);
        self.waiting.retain(|&(process, _)| process != pid);
        self.reading.retain(|&process| process != pid);
        drop(self.processes.remove(&pid));
        self.statuses.insert(pid, status);
        for (waiter, _) in self.waiting.extract_if(.., |&mut (_, awaited)| awaited == pid) {
            self.ready.push_back((waiter, status));
        }
    }

    fn wake_sleepers(&mut self) {
        while let Some(&(tick, pid)) = self.sleeping.first()
            && tick <= self.ticks
        {
            self.sleeping.pop_first();
            self.ready.push_back((pid, 0));
        }
    }

    /// A key goes to the process that has waited for the longest time.
    fn wake_readers(&mut self) {
        while let Some(&pid) = self.reading.front()
            && self.keyboard.front().is_none_or(|&(tick, _)| tick <= self.ticks)
        {
            self.reading.pop_front();
            let key = self.keyboard.pop_front();
            self.ready.push_back((pid, key.map_or(NO_KEY, |(_, key)| u32::from(key).into())));
        }
    }
}

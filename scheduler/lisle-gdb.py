"""Tasks of Lisle in gdb, in a process that runs and in a core file.

    info tasks            lists all tasks of all runtimes
    task ID               shows where a task is: its backtrace
    task ID COMMAND       runs a command of gdb in the innermost frame of a task
    task all COMMAND      does so for one task after the other
    task core FILE        writes a core file: gdb's own `gcore` leaves out most stacks of tasks

gdb loads this by itself from a program with debug information, if it may:

    add-auto-load-safe-path PROGRAM       (in ~/.config/gdb/gdbinit)

or is told to: `source lisle-gdb.py`. A program that was built for release has it too, and may
even be stripped, as the script goes by what `scheduler/src/debugger.rs` leaves for it. Nothing in
the process is called or changed.
"""

import re
import resource
import struct

import gdb
import gdb.unwinder

MARKER = b"lisle 1\0"
# Tasks in a list, beyond which those that are alike are grouped.
MOST = 200
# The header that the standard library puts before what an `Arc` holds.
ARC_HEADER = 16
PAGE = resource.getpagesize()

# Where a suspended task goes on: the stack pointer, which comes first, as an offset from the
# task's context, and the registers that lie as words at an offset. See `runtime/src/switch/`.
SWITCHES = {
    "x86_64": {"rsp": 0, "rip": [-24], "rbx": [-16], "rbp": [-8]},
    "aarch64": {"sp": 32, "pc": [0], "x19": [8], "x29": [16]},
    "riscv64": {"sp": 32, "pc": [0], "s1": [8], "fp": [16]},
}


class Memory:
    """What is read of the process, word by word."""

    def __init__(self):
        self.inferior = gdb.selected_inferior()

    def bytes(self, address, length):
        return bytes(self.inferior.read_memory(address, length)) if length else b""

    def word(self, address):
        return struct.unpack("<Q", self.bytes(address, 8))[0]

    def text(self, address):
        """The `&str` at an address."""
        return self.text_of(*struct.unpack("<QQ", self.bytes(address, 16)))

    def text_of(self, start, length):
        return self.bytes(start, min(length, 1000)).decode(errors="replace")

    def arc_text(self, address):
        """The `Option<Arc<str>>` at an address."""
        start, length = struct.unpack("<QQ", self.bytes(address, 16))
        return self.text_of(start + ARC_HEADER, length) if start else None


class View:
    """What a program says of its tasks: `View` in `scheduler/src/debugger.rs`."""

    def __init__(self, memory, address):
        self.memory = memory
        words = struct.unpack("<12Q", memory.bytes(address + 8, 96))
        self.chunks, tables, switch, sample = words[0], words[1:7], words[7:9], words[9]
        self.at = {}
        for start, length in zip(tables[::2], tables[1::2]):
            for n in range(length):
                name, size, value = struct.unpack("<3Q", memory.bytes(start + 24 * n, 24))
                self.at[memory.text_of(name, size)] = value
        self.switch = memory.text_of(*switch)
        line, column = struct.unpack("<2I", memory.bytes(address + 104, 8))
        self.learn_places(sample, words[10:12], line, column)
        self.places, self.workers, self.kinds = {}, {}, {}

    def learn_places(self, sample, file, line, column):
        """How a `Location` is laid out, from one of which it is known what it says."""
        content = self.memory.bytes(sample, 24)

        def find(form, value):
            size = struct.calcsize(form)
            return next(at for at in range(0, 24, size)
                        if struct.unpack_from(form, content, at)[0] == value)

        self.file_at, self.length_at = find("<Q", file[0]), find("<Q", file[1])
        self.line_at, self.column_at = find("<I", line), find("<I", column)

    def place(self, address):
        if address not in self.places:
            content = self.memory.bytes(address, 24)
            start, length = (struct.unpack_from("<Q", content, at)[0]
                             for at in (self.file_at, self.length_at))
            line, column = (struct.unpack_from("<I", content, at)[0]
                            for at in (self.line_at, self.column_at))
            self.places[address] = f"{self.memory.text_of(start, length)}:{line}:{column}"
        return self.places[address]

    def worker(self, post):
        """The name of the worker with a post, and the task that it runs."""
        if post not in self.workers:
            memory, at = self.memory, self.at
            worker = memory.word(post + at["post.worker"]) if post else 0
            self.workers[post] = (None, 0)
            if worker:
                index = memory.word(worker + at["worker.index"])
                team = memory.word(worker + at["worker.team"]) + ARC_HEADER
                settings = team + at["team.settings"]
                title = memory.arc_text(settings + at["settings.name"])
                title = title or memory.arc_text(settings + at["settings.thread_name"])
                current = memory.word(worker + at["worker.current"])
                self.workers[post] = (f"'{title}' worker {index}", current)
        return self.workers[post]

    def reason(self, record):
        """Why a task waits: what its object is, as the symbol of the object's method says."""
        data, vtable = struct.unpack("<QQ", self.memory.bytes(record, 16))
        # Behind the destructor, the size and the alignment.
        method = self.memory.word(vtable + 24)
        if method not in self.kinds:
            symbol = gdb.execute(f"info symbol {method:#x}", to_string=True)
            found = re.match(r"<(.*) as \S*Object>::", symbol)
            self.kinds[method] = found.group(1) if found else None
        kind = self.kinds[method]
        if kind and kind.endswith("::Reason"):
            return self.memory.text(data)
        return kind and "at a " + re.sub(r"<.*", "", kind)

    def tasks(self):
        size, count = self.at["task.size"], self.at["chunk.blocks"]
        chunk = self.chunks
        while chunk:
            chunk, blocks = struct.unpack("<QQ", self.memory.bytes(chunk, 16))
            content = self.memory.bytes(blocks, size * count)
            for n in range(count):
                number = struct.unpack_from("<Q", content, size * n + self.at["task.id"])[0]
                if number:
                    yield Task(self, number, blocks + size * n, content[size * n:size * (n + 1)])


class Task:
    """A task that has not ended, or one that has and whose result waits to be taken."""

    def __init__(self, view, number, address, content):
        self.view, self.number, self.address, self.content = view, number, address, content
        home = self.word("task.home")
        self.worker, current = view.worker(home & ~view.at["home.flags"])
        self.context = self.word("task.context")
        self.place = self.why = None
        phase, at = self.byte("task.phase"), view.at
        if current == address:
            self.state = "running"
        elif self.byte("task.event") == at["event.ended"]:
            self.state = "ended"
        elif not home or home & at["home.not_started"]:
            self.state = "not started"
        elif phase == at["phase.left_behind"]:
            self.state = "left behind"
        elif phase in (at["phase.parked"], at["phase.awaits_unpark"]):
            self.state = "waits"
            record = self.word("task.parked")
            if record:
                self.place = view.place(view.memory.word(record + at["parked.place"]))
                self.why = view.reason(record + at["parked.object"])
        else:
            self.state = "ready"

    def word(self, field):
        return struct.unpack_from("<Q", self.content, self.view.at[field])[0]

    def byte(self, field):
        return self.content[self.view.at[field]]

    def is_suspended(self):
        return self.state in ("waits", "ready", "left behind") and self.context

    def title(self):
        extras, memory = self.word("task.extras"), self.view.memory
        name = memory.arc_text(extras + self.view.at["extras.name"]) if extras else None
        return f"task {self.number}" + (f" '{name}'" if name else "")

    def story(self, thread=None):
        parts = [self.state]
        if thread:
            parts[0] += f" on thread {thread.num}"
        if self.why:
            parts[0] += f" {self.why}"
        if self.place:
            parts.append(f"at {self.place}")
        parts.append(f"spawned at {self.view.place(self.word('task.spawned_at'))}")
        if self.worker:
            parts.append(f"on {self.worker}")
        return ", ".join(parts)

    def registers(self):
        """The registers with which a suspended task goes on."""
        switch = SWITCHES.get(self.view.switch)
        if switch is None:
            raise gdb.GdbError(f"a backtrace needs another switch than {self.view.switch}")

        def value(where):
            if isinstance(where, list):
                return self.view.memory.word(self.context + where[0])
            return self.context + where

        return {name: value(where) for name, where in switch.items()}

    def has_stack_at(self, address):
        slot = self.address + self.view.at["task.stack"]
        bottom = self.view.memory.word(slot + self.view.at["stack.bottom"])
        size = self.view.memory.word(slot + self.view.at["stack.size"])
        return bool(bottom) and bottom <= address <= bottom + size


def views():
    """The views of all copies of Lisle in the program."""
    try:
        files = gdb.execute("info files", to_string=True)
    except gdb.error as error:
        raise gdb.GdbError(str(error))
    memory, found = Memory(), []
    for start, end in re.findall(r"(0x\w+) - (0x\w+) is lisle_view", files):
        content = memory.bytes(int(start, 16), int(end, 16) - int(start, 16))
        for at in (match.start() for match in re.finditer(re.escape(MARKER), content)):
            found.append(View(memory, int(start, 16) + at))
    if not found:
        raise gdb.GdbError("this program has no tasks of Lisle, or those of another version")
    return found


def all_tasks():
    try:
        found = [task for view in views() for task in view.tasks()]
    except gdb.MemoryError as error:
        raise gdb.GdbError(f"the tasks cannot be read: {error}")
    return sorted(found, key=lambda task: task.number)


def stack_pointers():
    """Where the stack of each thread ends, and the thread."""
    before = gdb.selected_thread()
    found = []
    for thread in gdb.selected_inferior().threads():
        try:
            thread.switch()
            found.append((int(gdb.newest_frame().read_register("sp")), thread))
        except gdb.error:
            pass  # It runs.
    if before:
        before.switch()
    return found


def thread_of(task, pointers):
    """The thread that runs a task, unless it runs a coroutine on it."""
    return next((thread for sp, thread in pointers if task.has_stack_at(sp)), None)


class InfoTasks(gdb.Command):
    """List the tasks of Lisle: number, name, state, and the places of the wait and of the spawn.

Where there are many, those that are alike are grouped."""

    def __init__(self):
        super().__init__("info tasks", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        tasks = all_tasks()
        pointers = stack_pointers()
        if len(tasks) <= MOST:
            for task in tasks:
                thread = thread_of(task, pointers) if task.state == "running" else None
                print(f"{task.title()}: {task.story(thread)}")
            return
        groups = {}
        for task in tasks:
            groups.setdefault(task.story(), []).append(task)
        for story, alike in sorted(groups.items(), key=lambda group: -len(group[1])):
            if len(alike) == 1:
                print(f"{alike[0].title()}: {story}")
            else:
                some = ", ".join(str(task.number) for task in alike[:8])
                more = ", …" if len(alike) > 8 else ""
                print(f"{len(alike)} tasks: {story}\n    these are {some}{more}")


class FrameId:
    """Where gdb believes the frame below a suspended task to be."""

    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class Detour(gdb.unwinder.Unwinder):
    """Says that the innermost frame of a thread was called by a suspended task."""

    def __init__(self):
        super().__init__("lisle tasks")
        self.enabled = False
        self.registers = self.origin = None

    def __call__(self, frame):
        if self.origin is None:
            return None
        sp, pc = (frame.read_register(name) for name in ("sp", "pc"))
        if (int(sp), int(pc)) != self.origin:
            return None
        # Nearer to the top than the task, so that gdb takes it for the task's callee.
        task_sp = next(iter(self.registers.values()))
        unwound = frame.create_unwind_info(FrameId(sp - int(sp) + task_sp - 256, pc))
        for name, value in self.registers.items():
            kind = frame.read_register(name).type
            unwound.add_saved_register(name, gdb.Value(value).cast(kind))
        return unwound

    def run(self, registers, command):
        """Runs a command where a thread with these registers would be."""
        frame = gdb.newest_frame()
        self.origin = tuple(int(frame.read_register(name)) for name in ("sp", "pc"))
        self.registers, self.enabled = registers, True
        gdb.invalidate_cached_frames()
        try:
            start = self.first_frame()
            start.select()
            said = gdb.execute(command, to_string=True)
            return without_frames_before(start.level(), said)
        finally:
            self.origin, self.enabled = None, False
            gdb.invalidate_cached_frames()

    def first_frame(self):
        frame = gdb.newest_frame()
        while frame is not None:
            if int(frame.read_register("sp")) != self.origin[0]:
                return frame
            frame = frame.older()
        raise gdb.GdbError("the stack of the task cannot be read")


def without_frames_before(level, said):
    """A backtrace from this frame on."""
    found = re.search(rf"^#{level} ", said, re.MULTILINE)
    return said[found.start():] if found and said.startswith("#0 ") else said


DETOUR = Detour()
gdb.unwinder.register_unwinder(None, DETOUR, replace=True)


def save_core(path):
    """Has gdb write a core file, and adds what is behind a guard page: where gdb cannot read one,
    it leaves out the rest of the mapping."""
    inferior = gdb.selected_inferior()
    if not path or not gdb.selected_thread():
        raise gdb.GdbError("task core FILE, in a process that is there")
    gdb.execute(f"gcore {path}", to_string=True)
    with open(path, "r+b") as core, open(f"/proc/{inferior.pid}/pagemap", "rb") as pages:
        header = core.read(64)
        start = struct.unpack_from("<Q", header, 32)[0]
        size, count = struct.unpack_from("<2H", header, 54)
        for n in range(count):
            core.seek(start + size * n)
            kind, flags, offset, address, _, length = struct.unpack("<2I4Q", core.read(40))
            if kind == 1 and flags & 2:
                add_pages(inferior, core, pages, offset, address, length)
    print(f"Saved corefile {path}")


def add_pages(inferior, core, pages, offset, address, length):
    """Writes the pages of a mapping that are in memory, or swapped out, to their place in a core
    file."""
    pages.seek(address // PAGE * 8)
    entries = pages.read(length // PAGE * 8)
    for n, entry in enumerate(memoryview(entries).cast("Q")):
        if entry >> 62:
            try:
                content = inferior.read_memory(address + n * PAGE, PAGE)
            except gdb.MemoryError:
                continue
            core.seek(offset + n * PAGE)
            core.write(content)


class TaskCommand(gdb.Command):
    """Run a command in a task of Lisle: task ID [COMMAND], or task all [COMMAND].

Without a command, it is `backtrace`. The frames of a task that is suspended are counted from 1.
`task core FILE` writes a core file with the stacks of all tasks."""

    def __init__(self):
        super().__init__("task", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        which, _, command = argument.strip().partition(" ")
        if which == "core":
            return save_core(command.strip())
        command = command.strip() or "backtrace"
        tasks = all_tasks()
        if which != "all":
            tasks = [task for task in tasks if str(task.number) == which]
            if not tasks:
                raise gdb.GdbError(f"there is no task '{which}': see `info tasks`")
        pointers = stack_pointers()
        for task in tasks:
            self.run(task, command, pointers, which == "all")

    def run(self, task, command, pointers, goes_on):
        if goes_on:
            print(f"{task.title()}: {task.story()}")
        before = gdb.selected_thread()
        try:
            if task.is_suspended():
                if before is None:
                    raise gdb.GdbError("no thread is selected")
                print(DETOUR.run(task.registers(), command), end="")
            elif task.state == "running":
                self.run_on_thread(task, command, pointers)
            elif not goes_on:
                print(f"{task.title()} has no stack: {task.story()}")
        except (gdb.error, gdb.MemoryError, gdb.GdbError) as error:
            if not goes_on:
                raise gdb.GdbError(str(error))
            print(error)
        finally:
            if before is not None:
                before.switch()
        if goes_on:
            print()

    def run_on_thread(self, task, command, pointers):
        thread = thread_of(task, pointers)
        if thread is None:
            print("it runs, and not on its own stack: see `thread apply all backtrace`")
            return
        thread.switch()
        print(gdb.execute(command, to_string=True), end="")


InfoTasks()
TaskCommand()

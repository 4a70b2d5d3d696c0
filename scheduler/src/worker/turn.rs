//! Taking turns: picking the next task and switching to it.

use std::io;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use lisle_runtime::internal::last_words;
use lisle_runtime::internal::{in_section, panics, prefetch, staggered_top};
use lisle_runtime::stack::Stack;
use lisle_runtime::switch::{Context, prepare, switch, switch_for_good};

use super::waits::may_suspend;
use super::{Worker, current, with_allowance};
use crate::cancel::check_cancelled;
use crate::dump::Seen;
use crate::explore::Passage;
use crate::park::Place;
use crate::post::{Mail, Notice, Request};
use crate::scope::{Bond, Bonds};
use crate::task::{Control, Runnable, join};
use crate::turn::Allowance;

/// Prefetch distances, in turns. The frame's address is read from the control block, so that comes
/// first.
const FETCH_CONTROL: usize = 6;
const FETCH_FRAME: usize = 3;

impl Worker {
    /// Lets the other runnable tasks go first, then unwinds the current task if it is cancelled.
    /// Does nothing where the task may not be suspended.
    ///
    /// Inlined up to the user's code, as is `suspend`: the processor predicts a return from the
    /// last call, which after a switch was another task's. Each call saved is a misprediction
    /// saved.
    #[inline(always)]
    #[track_caller]
    pub(super) fn yield_now(&self) {
        if !may_suspend() {
            return;
        }
        let me = self.current_task();
        self.give_way(me);
        if me.is_exposed() {
            // Not by `self`, which would have to be kept across the switch.
            check_cancelled();
        }
    }

    /// Lets all runnable tasks go first. Does nothing amid a panic that cannot be set aside:
    /// `thread::panicking()` would be true for the other tasks.
    #[inline(always)]
    pub(super) fn give_way(&self, me: &Control) {
        if panics::under_way() {
            return self.give_way_amid_panic(me);
        }
        self.go_last(me);
    }

    #[cold]
    #[inline(never)]
    fn give_way_amid_panic(&self, me: &Control) {
        if let Some(panics) = panics::set_aside() {
            self.go_last(me);
            panics.restore();
        }
    }

    /// Puts the running task at the tail of the queue and returns when it has its turn. Fast path:
    /// one `exchange` both queues `me` and takes the next task.
    #[inline(always)]
    fn go_last(&self, me: &Control) {
        let next = if self.begin_turn() || self.queue.defers() {
            self.go_last_slowly(me)
        } else {
            let next = self.queue.exchange(NonNull::from(me), || self.cancel_reservation());
            let Some(next) = next else { return };
            Some(self.prepare_turn(next))
        };
        self.leave_to(next, me);
    }

    /// Slow path of `go_last`: queues `me`, polls if that is due, and returns the next task.
    #[cold]
    #[inline(never)]
    fn go_last_slowly(&self, me: &Control) -> Option<Runnable> {
        if self.heeds_turns.get() {
            self.go_last_heedfully(me);
        } else {
            self.queue.push(NonNull::from(me));
            if self.poll_is_due() {
                self.poll();
            }
        }
        self.next_and_note()
    }

    /// What precedes the next turn while each takes the slow path.
    #[cold]
    #[inline(never)]
    fn go_last_heedfully(&self, me: &Control) {
        if self.is_explored() {
            return self.choose_other(me);
        }
        self.queue.push(NonNull::from(me));
        if self.poll_is_due() && self.lets_poll() {
            self.poll();
        }
    }

    #[inline(always)]
    fn next_and_note(&self) -> Option<Runnable> {
        let next = self.next();
        if self.heeds_turns.get() {
            self.note_turn(next.as_ref());
        }
        next
    }

    /// Ends the turn of a task that has used up its allowance; see [`turn`](crate::turn). It goes
    /// on at once where it must not be suspended.
    #[cold]
    pub(crate) fn next_turn(&self, place: Place) {
        if self.is_explored() {
            return self.pass(Passage::Waiting(place));
        }
        // No current task: main's result is being dropped on the base stack.
        let Some(me) = self.current.get() else { return };
        // SAFETY: the current task has not finished.
        let me = unsafe { me.as_ref() };
        if in_section() {
            return with_allowance(Allowance::postpone);
        }
        with_allowance(Allowance::renew);
        if self.crowd.is_left_by(me) {
            return;
        }
        // It was a long turn: mail may have come, and a timer may be due.
        let may_be_due = !self.timers.borrow().is_empty() || self.driver.has_waits();
        if may_be_due || self.has_arrivals() {
            self.poll();
        }
        self.give_way(me);
        if me.is_exposed() {
            self.check_cancelled(place);
        }
    }

    /// Leaves the current task, which is in a queue or will be woken by its unparker. Returns when
    /// it has its next turn.
    #[inline(always)]
    pub(super) fn suspend(&self, me: &Control) {
        self.leave_to(self.pick(), me);
    }

    /// Runs `next`, or the base if there is none, until `me` has its turn.
    #[inline(always)]
    pub(super) fn leave_to(&self, next: Option<Runnable>, me: &Control) {
        match next {
            Some(next) if ptr::eq(&*next, me) => {}
            Some(next) => self.switch_to(me.context_slot(), next),
            None => self.switch_to_base(me.context_slot()),
        }
    }

    /// Takes the task whose turn it is out of the queue.
    #[inline(always)]
    pub(super) fn pick(&self) -> Option<Runnable> {
        if self.begin_turn() {
            return self.pick_slowly();
        }
        self.next()
    }

    /// Does [`pick`](Self::pick) when it is time to poll, or while turns are recorded.
    #[cold]
    #[inline(never)]
    fn pick_slowly(&self) -> Option<Runnable> {
        if self.heeds_turns.get() {
            self.pick_heedfully();
        } else {
            self.poll_before_pick();
        }
        self.next_and_note()
    }

    /// What precedes the next turn while each takes the slow path.
    #[cold]
    #[inline(never)]
    fn pick_heedfully(&self) {
        if self.is_explored() {
            self.choose_next();
        } else if self.lets_poll() {
            self.poll_before_pick();
        }
    }

    /// Polls, unless the worker is about to idle and to carry the mate that it has called.
    #[inline(always)]
    fn poll_before_pick(&self) {
        if self.calls.is_silent() && self.queue.is_empty() {
            self.count_switches(self.interval());
        } else {
            self.poll();
        }
    }

    /// Counts a turn that is about to begin. Tells whether it is time to poll before.
    #[inline(always)]
    fn begin_turn(&self) -> bool {
        with_allowance(Allowance::renew);
        self.until_poll.set(self.until_poll.get() - 1);
        self.poll_is_due()
    }

    #[inline(always)]
    fn poll_is_due(&self) -> bool {
        self.until_poll.get() == 0
    }

    #[inline(always)]
    pub(super) fn next(&self) -> Option<Runnable> {
        let task = self.queue.next(|| self.cancel_reservation())?;
        Some(self.prepare_turn(task))
    }

    /// Wraps a task that was just dequeued, and prefetches the coming ones.
    #[inline(always)]
    fn prepare_turn(&self, task: NonNull<Control>) -> Runnable {
        self.look_ahead();
        // SAFETY: it was in the queue, and is in none now.
        unsafe { Runnable::new(task) }
    }

    /// Prefetches what the coming turns will touch. A short queue, whose tasks stay in the nearest
    /// cache, pays for one comparison only.
    #[inline(always)]
    fn look_ahead(&self) {
        if self.queue.len() <= FETCH_CONTROL {
            return;
        }
        if let Some(task) = self.queue.peek(FETCH_CONTROL) {
            prefetch(task.as_ptr().cast());
        }
        if let Some(task) = self.queue.peek(FETCH_FRAME) {
            // SAFETY: tasks in a queue are not finished.
            let frame = unsafe { task.as_ref() }.context().frame();
            prefetch(frame);
            prefetch(frame.wrapping_add(64));
        }
    }

    /// Reads the clock and the mail, accepts injected tasks, publishes the counters, fires due
    /// timers, and now and then looks which descriptors are ready.
    #[cold]
    pub(crate) fn poll(&self) {
        if !self.is_explored() {
            self.clock.set(Instant::now());
        }
        self.poll_by_old_clock();
        if self.team.settings.queue_delays {
            self.probe_queue();
        }
    }

    /// Polls as far as nothing depends on what time it is. In line: most polls find nothing, and
    /// are to cost little.
    #[inline(always)]
    pub(super) fn poll_by_old_clock(&self) {
        self.occasions.pass();
        self.follow_recording();
        self.count_switches(self.interval());
        self.tracer.set_polls(true);
        self.tell_of_ends();
        self.ring_for_mate();
        let placed = if self.has_arrivals() || !self.post.placed.is_empty() {
            self.accept_arrivals()
        } else {
            0
        };
        // After the mail, so that it counts: the next task may compute for long.
        self.publish(0);
        self.until_all_published.set(self.until_all_published.get() - 1);
        if self.until_all_published.get() == 0 {
            self.publish_rest();
        }
        if placed > 0 {
            self.post.note_published(placed);
        }
        self.fire_timers();
        self.driver.look_now_and_then(self.clock.get());
        self.tracer.set_polls(false);
    }

    /// Reads the mail and accepts what has come from outside. Returns how many tasks were placed
    /// here.
    #[cold]
    #[inline(never)]
    fn accept_arrivals(&self) -> usize {
        self.post.read(|mail| self.receive(mail));
        // What has come may be from after the beginning of a recording.
        self.follow_recording();
        // After the requests: once a worker is asked to stop, no task can come any more.
        self.accept_injected();
        self.accept_placed()
    }

    fn receive(&self, mail: Mail) {
        match mail {
            Mail::Notice(task, Notice::Unparked) => {
                self.post.add(|counters| &counters.wakes_received, 1);
                self.deliver_and_note_unpark(task);
            }
            Mail::Notice(task, Notice::Abandoned) => self.deliver_abandonment(task),
            Mail::Request(request) => self.receive_request(request),
        }
    }

    pub(super) fn receive_request(&self, request: Request) {
        match request {
            Request::Cancel(share) => self.cancel(share.task()),
            Request::CancelRegion(link) => self.cancel_region(&link),
            Request::CancelScope(request) => request.carry_out(self.id()),
            Request::Describe(survey) => self.answer(&survey),
            Request::Dump(census, seat) => {
                census.answer(seat, self.take_census(&census, Seen::BetweenTurns));
            }
            Request::Stop => {
                if !self.shutting_down.get() {
                    self.shut_down(None);
                }
            }
        }
    }

    /// Accepts the new tasks from outside, as far as there is memory for their stacks.
    fn accept_injected(&self) {
        let injector = &self.team.injector;
        while !injector.is_empty() {
            if let Err(error) = self.reserve_stack() {
                return self.complain(&error);
            }
            match injector.pop() {
                Some(task) => {
                    let task = task.into_raw();
                    self.note_spawn(task);
                    self.adopt(task);
                }
                None => return self.cancel_reservation(),
            }
        }
    }

    /// Accepts the tasks that were placed here, as far as there is memory for their stacks. Returns
    /// how many.
    fn accept_placed(&self) -> usize {
        let mut accepted = 0;
        while !self.post.placed.is_empty() {
            if let Err(error) = self.reserve_stack() {
                self.complain(&error);
                break;
            }
            match self.post.placed.pop() {
                Some(task) => {
                    let task = task.into_raw();
                    self.note_spawn(task);
                    self.adopt_placed(task);
                }
                None => {
                    self.cancel_reservation();
                    break;
                }
            }
            accepted += 1;
        }
        accepted
    }

    /// Continues `next`, or starts it, leaving the present continuation in `save`.
    #[inline(always)]
    fn switch_to(&self, save: *mut Context, next: Runnable) {
        let to = next.context();
        if to == Context::NONE {
            return self.switch_to_new(save, next);
        }
        self.current.set(next.into_raw());
        // SAFETY: the task is suspended on this thread, and was taken out of the queue, so nothing
        // else will continue it. `save` is a field of a live control block, or the base's.
        unsafe { switch(save, to) }
    }

    /// Does [`switch_to`](Self::switch_to) for a task that has not started. Each of the two has a
    /// switch of its own: for a shared one the compiler would test twice which of them it is.
    #[inline(always)]
    fn switch_to_new(&self, save: *mut Context, next: Runnable) {
        match self.outfit(next) {
            // SAFETY: the task is fresh, and out of the queue; the rest is as in `switch_to`.
            Some(to) => unsafe { switch(save, to) },
            None => self.switch_to_base(save),
        }
    }

    fn switch_to_base(&self, save: *mut Context) {
        if self.current.get().is_some() {
            self.current.clear();
            // SAFETY: a task runs, so the base is suspended, on this thread.
            unsafe { switch(save, self.base.get()) }
        }
    }

    /// Makes `next` the current task, or none if there is none that can run, and says where to go
    /// on.
    #[inline(always)]
    pub(super) fn successor(&self, next: Option<Runnable>) -> Context {
        if let Some(next) = next {
            let to = next.context();
            if to != Context::NONE {
                self.current.set(next.into_raw());
                return to;
            }
            if let Some(to) = self.outfit(next) {
                return to;
            }
        }
        self.current.clear();
        self.base.get()
    }

    /// Leaves the stack of a task that has finished. Inlined: a call that does not return would put
    /// the processor's predictions of returns out of step.
    #[inline(always)]
    fn leave_for_good(&self, next: Option<Runnable>) -> ! {
        let to = self.successor(next);
        // SAFETY: nobody else will continue what was made current. Otherwise the base is suspended,
        // on this thread, since a task runs. Nothing is left on the stack that anybody needs.
        unsafe { switch_for_good(to) }
    }

    /// Runs `next` from the base. Returns when nothing is runnable any more, or a task could not
    /// have a stack.
    pub(super) fn run_from_base(&self, next: Runnable) {
        self.switch_to(self.base.as_ptr(), next);
    }

    /// Starts `task`: gives it a stack, makes it the current one and returns its first context.
    /// `None` if it does not start here now: there is no stack for it, and it is back in the queue,
    /// or it was given to another worker.
    #[cold]
    fn outfit(&self, task: Runnable) -> Option<Context> {
        self.occasions.pass();
        if self.crowd.may_grow(self.started.len()) && self.deals(&task) {
            return None;
        }
        let stack = match task.take_stack() {
            Some(stack) => {
                self.cancel_reservation();
                stack
            }
            None => match self.stacks.borrow_mut().take() {
                Ok(stack) => stack,
                Err(error) => {
                    self.postpone(task, &error);
                    return None;
                }
            },
        };
        let top = staggered_top(&stack);
        self.begin(&task, stack);
        self.current.set(task.into_raw());
        // SAFETY: the stack is unused and stays allocated until `retire` takes it from the task.
        Some(unsafe { prepare(top, task_main, ptr::null_mut()) })
    }

    /// Puts off the start of a task: its stack was promised when it was spawned, but the kernel has
    /// no memory left for the guard. The promise stands, and is tried again in its next turn.
    fn postpone(&self, task: Runnable, error: &io::Error) {
        self.complain(error);
        self.queue.push_woken(task.into_raw());
    }

    /// Says once that a task cannot start for want of memory, and waits a little if there is
    /// nothing else to do.
    fn complain(&self, error: &io::Error) {
        const PAUSE: Duration = Duration::from_millis(10);
        if !self.starved.replace(true) {
            last_words::complain(format_args!("a task cannot start yet: {error}"));
        }
        if self.queue.is_empty() {
            std::thread::sleep(PAUSE);
        }
    }

    /// Ties a task to this worker and to a stack, for which the caller has used up or cancelled its
    /// reservation.
    #[inline(always)]
    fn begin(&self, task: &Control, stack: Stack) {
        if self.shutting_down.get() || task.is_cancel_requested() {
            self.cancel_at_start(task);
        }
        task.start(&*self.post, stack);
        // SAFETY: a task starts once, so it is in no list; `retire` removes it before it is freed.
        unsafe { self.started.insert(NonNull::from(task)) };
        self.share_backlog();
    }

    /// Ends the current task, whose closure has run, and returns its stack.
    #[inline(always)]
    fn retire(&self) -> Stack {
        let task = self.current_task();
        match task.bond() {
            None => self.finish(NonNull::from(task), None),
            Some(bond) => self.retire_from_scope(NonNull::from(task), bond),
        }
    }

    /// Does [`retire`](Self::retire) for a task of a scope.
    #[inline(never)]
    fn retire_from_scope(&self, task: NonNull<Control>, bond: NonNull<Bond>) -> Stack {
        // SAFETY: the bond is the task's, and each step is done once, in this order.
        unsafe {
            let here = Some(self.id());
            let bonds = Bonds::let_go(bond, here);
            let stack = self.finish(task, Some(bonds.as_ref()));
            if Bonds::end(bonds, here) {
                self.tell_later(bonds);
            } else if self.untold.get() == Some(bonds) {
                self.untold.set(None);
            }
            stack
        }
    }

    /// Tasks of a scope whose home this is have ended, and its balance is to be told: those of one
    /// scope at a time.
    #[inline]
    fn tell_later(&self, bonds: NonNull<Bonds>) {
        if self.untold.get() != Some(bonds) {
            self.tell_of_ends();
            self.untold.set(Some(bonds));
        }
    }

    /// Tells a scope whose home this is of its tasks that have ended here, before the worker rests.
    /// True if there are some, so that the party which awaits them may go on.
    #[inline]
    pub(super) fn tell_of_ends(&self) -> bool {
        let Some(bonds) = self.untold.get() else { return false };
        self.untold.set(None);
        // SAFETY: the scope waits for what it was not told.
        unsafe { Bonds::tell(bonds) };
        true
    }

    #[inline(always)]
    fn finish(&self, task: NonNull<Control>, bonds: Option<&Bonds>) -> Stack {
        // SAFETY: the task is in the list since `begin`; it is alive until `finish` returns, which
        // is called once, here, on its home.
        unsafe {
            let stack = task.as_ref().take_stack().expect("a started task has a stack");
            self.started.remove(task);
            // Before the block may be gone.
            self.current.clear();
            let is_detached = match bonds {
                None => join::finish(task),
                Some(_) => join::finish_in_scope(task),
            };
            if is_detached {
                self.drop_result(task, bonds);
            }
            stack
        }
    }

    /// Gets rid of the result of a task that nobody joins, and of the task.
    #[inline(never)]
    fn drop_result(&self, task: NonNull<Control>, bonds: Option<&Bonds>) {
        // SAFETY: `join::finish` has said that the block is ours to free, and the task is in no
        // list.
        unsafe {
            let mut panic = None;
            let is_plain = task.as_ref().has_plain_result();
            if is_plain {
                panic = join::drop_result(task);
                if panic.is_none() {
                    return join::free(task);
                }
            }
            // The destructors of the result may wait. Until they are done the task counts as a
            // started one, which the worker awaits, reports and cancels.
            self.started.insert(task);
            self.post.add(|counters| &counters.restarted, 1);
            self.current.set(task);
            if !is_plain {
                panic = join::drop_result(task);
            }
            if let Some(panic) = panic {
                match bonds {
                    Some(bonds) => bonds.take_panic(panic),
                    None => self.discard_panic(panic),
                }
            }
            self.current.clear();
            self.started.remove(task);
            join::free(task);
        }
    }

    /// Keeps the stack of a finished task for another, although the caller still runs on it: nobody
    /// takes it before the caller has left it for good.
    #[inline(always)]
    fn recycle(&self, stack: Stack) {
        let mut stacks = self.stacks.borrow_mut();
        if stack.size() == stacks.size() {
            stacks.put(stack);
        } else {
            // The stack retired before this one is not in use any more.
            drop(stacks);
            drop(self.retired.replace(Some(stack)));
        }
    }

    /// Whether `next` can start on a stack of the default size that has just become free.
    fn can_take_over(&self, next: &Control, stack: &Stack) -> bool {
        next.context() == Context::NONE
            && !next.brings_stack()
            && stack.size() == self.stacks.borrow().size()
    }
}

/// The bottom of every task's stack. Runs the task, and then every unstarted task whose turn comes
/// at the very moment when this stack becomes free: that needs neither a switch nor another stack.
unsafe extern "C" fn task_main(_: *mut ()) -> ! {
    // SAFETY: this function does not return, and the worker stays until its last task has finished.
    let worker = unsafe { current() }.expect("tasks run on workers");
    loop {
        // SAFETY: this is the stack of the current task, which has just begun.
        unsafe { worker.current_task().run() };
        let stack = worker.retire();
        match worker.pick() {
            Some(next) if worker.can_take_over(&next, &stack) => {
                worker.stacks.borrow_mut().cancel_reservation();
                worker.begin(&next, stack);
                worker.current.set(next.into_raw());
            }
            next => {
                worker.recycle(stack);
                worker.leave_for_good(next);
            }
        }
    }
}

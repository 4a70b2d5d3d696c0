//! Looking up from the tasks now and then: what has come from other threads, which timers are due,
//! which descriptors are ready.

use std::time::Instant;

use super::Worker;
use crate::dump::Seen;
use crate::post::{Mail, Notice, Request};

impl Worker {
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
}

//! What is logged belongs to the spans of the task that logs it.

#[path = "../examples/requests.rs"]
#[expect(dead_code, reason = "its `main` logs to the standard output")]
mod requests;

use std::io;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use lisle::{Runtime, spawn, yield_now};
use lisle_tracing::PerTask;
use tracing::span::{Attributes, Id};
use tracing::{Dispatch, Event, Span, Subscriber, dispatcher, info, info_span};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// What a subscriber has seen.
#[derive(Clone, Default)]
struct Record(Arc<Mutex<Vec<Seen>>>);

#[derive(Clone, Debug, PartialEq)]
enum Seen {
    /// An event, with the names of the spans that it is in, the outermost first.
    Event(String),
    /// A new span, with the path of its parent.
    Span(&'static str, String),
    Enter(ThreadId, u64),
    Exit(ThreadId, u64),
}

struct Recorder(Record);

fn path<S: for<'a> LookupSpan<'a> + Subscriber>(
    id: Option<&Id>,
    context: &Context<'_, S>,
) -> String {
    let scope = id.and_then(|id| context.span_scope(id)).into_iter();
    let names: Vec<_> = scope.flat_map(|scope| scope.from_root()).map(|span| span.name()).collect();
    names.join("/")
}

impl<S: for<'a> LookupSpan<'a> + Subscriber> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let parent = context.span(id).and_then(|span| span.parent().map(|parent| parent.id()));
        let path = path(parent.as_ref(), &context);
        self.0.add(Seen::Span(attributes.metadata().name(), path));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let id = context.event_span(event).map(|span| span.id());
        self.0.add(Seen::Event(path(id.as_ref(), &context)));
    }

    fn on_enter(&self, id: &Id, _: Context<'_, S>) {
        self.0.add(Seen::Enter(thread::current().id(), id.into_u64()));
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        self.0.add(Seen::Exit(thread::current().id(), id.into_u64()));
    }
}

impl Record {
    fn add(&self, seen: Seen) {
        self.0.lock().unwrap().push(seen);
    }

    /// Where the events were, in their order.
    fn events(&self) -> Vec<String> {
        let seen = self.0.lock().unwrap();
        let events = seen.iter().filter_map(|seen| match seen {
            Seen::Event(path) => Some(path.clone()),
            _ => None,
        });
        events.collect()
    }

    /// Spans are exited in the reverse of the order in which they were entered, and none is left.
    fn assert_nested(&self) {
        let mut entered: Vec<(ThreadId, u64)> = Vec::new();
        for seen in &*self.0.lock().unwrap() {
            match seen {
                Seen::Enter(thread, id) => entered.push((*thread, *id)),
                Seen::Exit(thread, id) => {
                    let last = entered.iter().rposition(|entered| entered.0 == *thread);
                    assert_eq!(entered.remove(last.unwrap()), (*thread, *id));
                }
                _ => {}
            }
        }
        assert_eq!(entered, []);
    }
}

/// Runs tasks on one worker, under a subscriber for tasks.
fn record(main: impl FnOnce()) -> Record {
    let record = Record::default();
    let subscriber = PerTask::new(Registry::default().with(Recorder(record.clone())));
    run_with(subscriber, main);
    record
}

fn run_with(subscriber: impl Subscriber + Send + Sync + 'static, main: impl FnOnce()) {
    dispatcher::with_default(&Dispatch::new(subscriber), || {
        Runtime::builder().workers(1).run(main).unwrap();
    });
}

/// Two tasks that are each in a span while the other one runs.
fn take_turns() {
    let a = spawn(|| {
        let _entered = info_span!("a").entered();
        yield_now();
        info!("of a");
    });
    let b = spawn(|| {
        let _entered = info_span!("b").entered();
        yield_now();
        info!("of b");
    });
    a.join().unwrap();
    b.join().unwrap();
    info!("of main");
}

#[test]
fn an_event_is_in_the_spans_of_its_task() {
    let record = record(take_turns);
    assert_eq!(record.events(), ["a", "b", ""]);
    record.assert_nested();
}

/// Else this crate would be of no use, and the test above show nothing.
#[test]
fn without_it_spans_are_mixed_up() {
    let record = Record::default();
    run_with(Registry::default().with(Recorder(record.clone())), take_turns);
    assert_ne!(record.events(), ["a", "b", ""]);
}

#[test]
fn a_new_span_is_the_child_of_one_of_its_task() {
    let record = record(|| {
        let task = spawn(|| {
            let _entered = info_span!("outer").entered();
            yield_now();
            info_span!("inner").in_scope(|| {
                yield_now();
                info!("in both");
            });
        });
        let _entered = info_span!("main").entered();
        yield_now();
        info_span!("child").in_scope(|| info!("in main's"));
        task.join().unwrap();
    });
    assert_eq!(record.events(), ["main/child", "outer/inner"]);
    let seen = record.0.lock().unwrap().clone();
    assert!(seen.contains(&Seen::Span("inner", "outer".into())));
    assert!(seen.contains(&Seen::Span("child", "main".into())));
    record.assert_nested();
}

#[test]
fn tasks_can_be_in_one_span_together_and_one_task_twice() {
    let record = record(|| {
        let span = info_span!("shared");
        let tasks = [0, 1].map(|_| {
            let span = span.clone();
            spawn(move || {
                let once = span.enter();
                let twice = span.enter();
                yield_now();
                drop(once);
                yield_now();
                info!("still in it");
                drop(twice);
                yield_now();
                info!("in none");
            })
        });
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
    assert_eq!(record.events(), ["shared", "shared", "", ""]);
}

#[test]
fn guards_may_be_dropped_in_any_order() {
    let record = record(|| {
        let task = spawn(|| {
            let a = info_span!("a").entered();
            let b = info_span!("b").entered();
            yield_now();
            drop(a);
            yield_now();
            info!("in the inner one");
            drop(b);
        });
        for _ in 0..3 {
            let _entered = info_span!("main").entered();
            yield_now();
        }
        task.join().unwrap();
        info!("in none");
    });
    assert_eq!(record.events(), ["a/b", ""]);
}

#[test]
fn a_task_that_panics_or_is_cancelled_leaves_its_spans() {
    let record = record(|| {
        let cancelled = spawn(|| {
            let _entered = info_span!("cancelled").entered();
            lisle::sleep(std::time::Duration::from_secs(1000));
        });
        let panics = spawn(|| {
            let _entered = info_span!("panics").entered();
            yield_now();
            std::panic::resume_unwind(Box::new(()));
        });
        let _entered = info_span!("main").entered();
        yield_now();
        yield_now();
        info!("meanwhile");
        assert!(panics.join().is_err());
        cancelled.cancel();
        assert!(cancelled.join().is_err());
        info!("afterwards");
    });
    assert_eq!(record.events(), ["main", "main"]);
    record.assert_nested();
}

#[test]
fn threads_have_their_own_spans_too() {
    let record = record(|| {
        let _entered = info_span!("task").entered();
        let dispatch = dispatcher::get_default(Dispatch::clone);
        lisle::blocking(|| {
            dispatcher::with_default(&dispatch, || {
                info!("in none");
                info_span!("thread").in_scope(|| info!("of the thread"));
            });
        });
        info!("of the task");
    });
    assert_eq!(record.events(), ["", "thread", "task"]);
    record.assert_nested();
}

#[test]
fn what_surrounds_the_runtime_is_not_entered_in_its_tasks() {
    let record = Record::default();
    let subscriber = PerTask::new(Registry::default().with(Recorder(record.clone())));
    dispatcher::with_default(&Dispatch::new(subscriber), || {
        info_span!("outside").in_scope(|| {
            Runtime::builder().workers(1).run(|| info!("in none")).unwrap();
            info!("outside");
        });
    });
    assert_eq!(record.events(), ["", "outside"]);
    record.assert_nested();
}

/// On several workers, hence under the subscriber of all threads.
#[test]
fn many_tasks_that_enter_and_leave_as_they_please() {
    const NAMES: [&str; 3] = ["x", "y", "z"];
    fn wander(seed: &mut u32, path: &mut Vec<&'static str>, told: &mut Vec<String>) {
        for _ in 0..4 {
            *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let choice = (*seed >> 16) % 8;
            match choice {
                0..3 if path.len() < 6 => {
                    let span = match choice {
                        0 => info_span!("x"),
                        1 => info_span!("y"),
                        _ => info_span!("z"),
                    };
                    let _entered = span.entered();
                    path.push(NAMES[choice as usize]);
                    wander(seed, path, told);
                    path.pop();
                }
                3 => {
                    info!("here");
                    told.push(path.join("/"));
                }
                _ => yield_now(),
            }
        }
    }
    let wanted = Arc::new(Mutex::new(Vec::new()));
    let told = wanted.clone();
    let record = Record::default();
    let subscriber = PerTask::new(Registry::default().with(Recorder(record.clone())));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let main = move || {
        let tasks: Vec<_> = (0..50)
            .map(|seed| {
                let told = told.clone();
                spawn(move || {
                    let mut own = Vec::new();
                    wander(&mut (seed * 77), &mut Vec::new(), &mut own);
                    told.lock().unwrap().append(&mut own);
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
    };
    Runtime::builder().workers(4).run(main).unwrap();
    let (mut wanted, mut found) = (wanted.lock().unwrap().clone(), record.events());
    wanted.sort();
    found.sort();
    assert!(wanted.iter().any(|path| path.matches('/').count() > 2));
    assert_eq!(found, wanted);
    record.assert_nested();
}

#[test]
fn it_can_be_found_behind_a_dispatch_and_so_can_what_it_wraps() {
    let dispatch = Dispatch::new(PerTask::new(Registry::default()));
    assert!(dispatch.downcast_ref::<PerTask<Registry>>().is_some());
    assert!(dispatch.downcast_ref::<Registry>().is_some());
    assert!(dispatch.downcast_ref::<Record>().is_none());
}

#[test]
fn requests() {
    let log = Log::default();
    let writer = log.clone();
    requests::serve(move || writer.clone());
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let mut lines: Vec<_> = log.lines().map(|line| line.trim_start().to_owned()).collect();
    assert_eq!(lines.pop().unwrap(), "INFO site: all are answered");
    for number in 1..=3 {
        let request = format!("INFO site:request{{number={number}}}:");
        let own: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix(&request)).collect();
        let fetch = format!("fetch{{page={number}0}}: has come");
        assert_eq!(own, [" begins", &fetch, " is helped", " ends"]);
    }
    assert_eq!(lines.len(), 12);
    assert!(Span::current().is_none());
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

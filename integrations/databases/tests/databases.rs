//! The examples, and what they do not show: time-outs, cancelling, errors of the server.

#[path = "../examples/postgres_async.rs"]
mod postgres_async;
#[path = "../examples/postgres_pool.rs"]
mod postgres_pool;
#[path = "../examples/redis_counters.rs"]
mod redis_counters;

use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use lisle::net::UnixStream;
use lisle_database_examples::pool::Pool;
use lisle_database_examples::redis::Connection;
use lisle_database_examples::servers::{Postgres, Redis};
use redis::{Commands, ConnectionLike};

#[test]
fn redis_counters() {
    redis_counters::main().unwrap();
}

#[test]
fn postgres_async() {
    postgres_async::main().unwrap();
}

#[test]
fn postgres_pool() {
    postgres_pool::main().unwrap();
}

#[lisle::test(workers = 1)]
fn an_error_of_redis_leaves_the_connection_usable() {
    let Some(server) = Redis::start().unwrap() else { return };
    let mut connection = Connection::new(server.connect().unwrap());
    connection.set::<_, _, ()>("word", "no number").unwrap();
    assert!(connection.incr::<_, _, i64>("word", 1).is_err());
    let mut pipeline = redis::pipe();
    pipeline.atomic().incr("word", 1).get("word");
    assert!(pipeline.query::<(i64, String)>(&mut connection).is_err());
    assert!(redis::cmd("NONSENSE").query::<()>(&mut connection).is_err());
    assert_eq!(connection.get::<_, String>("word").unwrap(), "no number");
    assert!(connection.check_connection() && connection.is_open());
}

/// The answer that comes too late must not be taken for that of the next question.
#[lisle::test(workers = 1)]
fn a_connection_whose_answer_nobody_waited_for_asks_no_more() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut connection = Connection::new(near);
    let out_of_time = || connection.get::<_, String>("first");
    assert!(lisle::timeout(Duration::from_millis(1), out_of_time).is_err());
    assert!(!connection.is_open());
    far.write_all(b"+late\r\n").unwrap();
    let error = connection.get::<_, String>("second").unwrap_err();
    assert!(error.to_string().contains("open another one"), "{error}");
}

#[lisle::test(workers = 1)]
fn a_read_of_redis_that_is_out_of_time_is_an_error() {
    let (near, mut far) = UnixStream::pair().unwrap();
    near.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let mut connection = Connection::new(near);
    assert!(connection.get::<_, String>("key").is_err());
    assert!(far.read(&mut [0; 100]).unwrap() > 0);
    assert!(!connection.is_open());
}

#[lisle::test(workers = 1)]
fn a_client_of_postgres_comes_back_whatever_happens() {
    let Some(server) = Postgres::start().unwrap() else { return };
    let pool = Pool::connect(server.config(), 1).unwrap();
    let error = pool.with(|client| client.query_one("SELECT 1 / 0", &[])).unwrap_err();
    assert_eq!(error.as_db_error().unwrap().message(), "division by zero");
    let panics = || pool.with(|_| -> () { resume_unwind(Box::new(1)) });
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());

    // A call that has begun is finished, and its task unwinds then.
    let cancelled = pool.clone();
    let task = lisle::spawn(move || {
        cancelled.with(|client| client.query_one("SELECT pg_sleep(0.05)", &[]).unwrap());
        lisle::sleep(Duration::from_secs(1000));
    });
    lisle::yield_now();
    task.cancel();
    assert!(task.join().is_err());
    let one: i32 = pool.with(|client| client.query_one("SELECT 1", &[]).unwrap().get(0));
    assert_eq!(one, 1);
    pool.close();
}

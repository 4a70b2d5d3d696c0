//! Tasks that count in Redis, one that sends many commands at once, and one that listens to a
//! channel, each with a connection of its own.
//!
//! The crate `redis` needs an adapter, of a few lines: `src/redis.rs`. Where there is no
//! `redis-server`, nothing happens.

use std::error::Error;
use std::io;
use std::sync::Arc;

use lisle::net::UnixStream;
use lisle_database_examples::{redis::Connection, servers::Redis};
use redis::{Commands, Value};

const TASKS: usize = 10;
const ROUNDS: usize = 20;

#[lisle::main]
pub fn main() -> Result<(), Box<dyn Error>> {
    let Some(server) = Redis::start()? else { return Ok(()) };
    let server = Arc::new(server);
    let connect = |server: &Redis| -> io::Result<Connection<UnixStream>> {
        Ok(Connection::new(server.connect()?))
    };

    let mut listener = connect(&server)?;
    listener.send(redis::cmd("SUBSCRIBE").arg("news"))?;
    listener.receive()?; // that it has subscribed
    let listener = lisle::spawn(move || listener.receive());

    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let server = server.clone();
            lisle::spawn(move || -> Result<(), Box<dyn Error + Send + Sync>> {
                let mut connection = connect(&server)?;
                for _ in 0..ROUNDS {
                    let _: usize = connection.incr("counter", 1)?;
                }
                Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.join()
            .expect("the task counts to the end")
            .map_err(|error| error as Box<dyn Error>)?;
    }

    let mut connection = connect(&server)?;
    let mut pipeline = redis::pipe();
    for n in 0..100 {
        pipeline.set(format!("square {n}"), n * n).ignore();
    }
    let (total, square): (usize, u32) =
        pipeline.atomic().get("counter").get("square 12").query(&mut connection)?;
    assert_eq!((total, square), (TASKS * ROUNDS, 144));

    let _: usize = connection.publish("news", "all have counted")?;
    let news = listener.join().expect("the listener gets the message")?;
    let Value::Array(parts) = &news else { panic!("{news:?} is no message") };
    assert_eq!(parts.last(), Some(&Value::BulkString(b"all have counted".to_vec())));
    println!("{TASKS} tasks have counted to {total} in Redis, and it was heard of");
    Ok(())
}

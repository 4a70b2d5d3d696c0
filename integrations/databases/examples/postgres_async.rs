//! Tasks that share one connection to PostgreSQL, without a runtime of tokio's.
//!
//! tokio-postgres is asynchronous, and takes any stream with tokio's traits. `lisle::io::Async` has
//! those of futures-io, and tokio-util's `compat` makes the ones of the others. What one task asks
//! is on its way before the answer to another has come. Where there is no `postgres`, nothing
//! happens.

use std::error::Error;
use std::sync::Arc;

use lisle::io::Async;
use lisle_database_examples::servers::Postgres;
use tokio_postgres::NoTls;
use tokio_util::compat::FuturesAsyncReadCompatExt;

const TASKS: i32 = 20;

#[lisle::main]
pub fn main() -> Result<(), Box<dyn Error>> {
    let Some(server) = Postgres::start()? else { return Ok(()) };
    let stream = Async::new(server.connect()?).compat();
    let config = server.async_config();
    let (client, connection) = lisle::block_on(config.connect_raw(stream, NoTls))?;

    // The connection moves the bytes of all clients, in a task of its own.
    let connection = lisle::spawn(|| lisle::block_on(connection));
    let client = Arc::new(client);
    let tasks: Vec<_> = (0..TASKS)
        .map(|n| {
            let client = client.clone();
            lisle::spawn(move || {
                let row = lisle::block_on(client.query_one("SELECT $1::int * $1", &[&n]))?;
                row.try_get::<_, i32>(0)
            })
        })
        .collect();
    for (task, n) in tasks.into_iter().zip(0..) {
        assert_eq!(task.join().expect("the task has its answer")?, n * n);
    }

    drop(client);
    connection.join().expect("the connection ends with its client")?;
    println!("{TASKS} tasks have had a square each over one connection");
    Ok(())
}

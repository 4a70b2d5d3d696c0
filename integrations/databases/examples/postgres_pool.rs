//! Tasks that share a few connections to PostgreSQL.
//!
//! The crate `postgres` blocks the calling thread, so its calls go to threads for blocking calls,
//! by `src/pool.rs`. Where there is no `postgres`, nothing happens.

use std::error::Error;

use lisle_database_examples::{pool::Pool, servers::Postgres};

const CONNECTIONS: usize = 3;
const TASKS: i32 = 20;

#[lisle::main]
pub fn main() -> Result<(), Box<dyn Error>> {
    let Some(server) = Postgres::start()? else { return Ok(()) };
    let pool = Pool::connect(server.config(), CONNECTIONS)?;
    pool.with(|client| {
        client.batch_execute("CREATE TABLE entry (id INT PRIMARY KEY, text TEXT NOT NULL)")
    })?;

    // Tasks with connections wait for the server, and others run meanwhile.
    let tasks: Vec<_> = (0..TASKS)
        .map(|id| {
            let pool = pool.clone();
            lisle::spawn(move || {
                let text = format!("entry {id}");
                pool.with(|client| {
                    let mut transaction = client.transaction()?;
                    transaction.execute("INSERT INTO entry VALUES ($1, $2)", &[&id, &text])?;
                    transaction.query_one("SELECT pg_sleep(0.001)", &[])?;
                    transaction.commit()
                })
            })
        })
        .collect();
    for task in tasks {
        task.join().expect("the task writes its entry")?;
    }

    let rows = pool.with(|client| client.query("SELECT id, text FROM entry ORDER BY id", &[]))?;
    assert_eq!(rows.len() as i32, TASKS);
    for (row, id) in rows.iter().zip(0..) {
        let (found, text): (i32, String) = (row.get(0), row.get(1));
        assert_eq!((found, text), (id, format!("entry {id}")));
    }
    pool.close();
    println!("{TASKS} tasks have written an entry each over {CONNECTIONS} connections");
    Ok(())
}

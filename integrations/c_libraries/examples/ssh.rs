//! Programs that run at a server, which is `sshd` on this machine, all started from one thread.
//!
//! Where there is no `sshd`, nothing happens.

use std::error::Error;
use std::io::{self, Read, Write};
use std::sync::Arc;

use lisle::net::{TcpListener, TcpStream};
use lisle_c_library_examples::ssh::{Server, Ssh};

const TASKS: usize = 3;

#[lisle::main(workers = 1)]
pub fn main() -> Result<(), Box<dyn Error>> {
    let Some(server) = Server::new()? else { return Ok(()) };
    let (server, user) = (Arc::new(server), user()?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let sshd = server.clone();
    lisle::spawn(move || {
        listener.serve(move |stream, _| sshd.serve(stream).expect("sshd can be started"))
    });

    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            let (key, user) = (server.key(), user.clone());
            lisle::spawn(move || -> io::Result<()> {
                let ssh = Ssh::connect(TcpStream::connect(address)?, &user, &key)?;
                let mut program = ssh.start("tr a-z A-Z; exit 7")?;
                write!(program, "task {number}")?;
                program.end_of_input()?;
                let mut answer = String::new();
                program.read_to_string(&mut answer)?;
                assert_eq!(answer, format!("TASK {number}"));
                assert_eq!(program.end()?, 7);
                Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.join().expect("the program answers")?;
    }
    println!("{TASKS} tasks had a program run over SSH");
    Ok(())
}

fn user() -> io::Result<String> {
    let said = lisle::process::Command::new("id").arg("-un").output()?.stdout;
    Ok(String::from_utf8_lossy(&said).trim().to_owned())
}

//! Servers for the examples, each with a folder and a socket of its own.

use std::env;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lisle::fs;
use lisle::net::UnixStream;
use lisle::process::{Child, Command};

/// Redis, which listens at a Unix socket.
pub struct Redis {
    socket: PathBuf,
    _process: Child,
    _folder: Folder,
}

/// PostgreSQL, which listens at a Unix socket in its folder.
pub struct Postgres {
    config: postgres::Config,
    stop: Command,
    _process: Child,
    folder: Folder,
}

impl Redis {
    /// `None` if there is no such program here.
    pub fn start() -> io::Result<Option<Self>> {
        let Some(program) = find("redis-server", "/usr/bin")? else { return Ok(None) };
        let folder = Folder::new()?;
        let socket = folder.0.join("socket");
        let mut process = Command::new(program)
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(&socket)
            .current_dir(&folder.0)
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        until_it_answers(&mut process, || UnixStream::connect(&socket).map(drop))?;
        Ok(Some(Self { socket, _process: process, _folder: folder }))
    }

    pub fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect(&self.socket)
    }
}

impl Postgres {
    const USER: &str = "tester";
    const DATABASE: &str = "postgres";

    /// `None` if there is no such program here.
    pub fn start() -> io::Result<Option<Self>> {
        let Some(programs) = find("postgres", "/usr/lib/postgresql")? else { return Ok(None) };
        // What belongs to it is where the link leads.
        let programs = programs.canonicalize()?;
        let programs = programs.parent().expect("a program is in a folder");
        let folder = Folder::new()?;
        let data = folder.0.join("data");
        let user = Self::user()?;
        if let Some((user, group)) = user {
            fs::chown(&folder.0, Some(user), Some(group))?;
        }
        let command = |name: &str| {
            let mut command = Command::new(programs.join(name));
            if let Some((user, group)) = user {
                command.uid(user).gid(group);
            }
            command.arg("-D").arg(&data).current_dir(&folder.0).stdout(Stdio::null());
            command
        };
        let made = command("initdb")
            .args(["--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust"])
            .args(["--username", Self::USER])
            .status()?;
        if !made.success() {
            return Err(io::Error::other("initdb has failed"));
        }
        let mut process = command("postgres")
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-k"])
            .arg(&folder.0)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut config = postgres::Config::new();
        config.host_path(&folder.0).user(Self::USER).dbname(Self::DATABASE);
        until_it_answers(&mut process, || {
            let ready = lisle::blocking(|| config.connect(postgres::NoTls).map(drop));
            ready.map_err(io::Error::other)
        })?;
        let mut stop = command("pg_ctl");
        stop.args(["-m", "fast", "stop"]);
        Ok(Some(Self { config, stop, _process: process, folder }))
    }

    /// How to connect.
    pub fn config(&self) -> &postgres::Config {
        &self.config
    }

    /// A connection that nothing was said over yet.
    pub fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect(self.folder.0.join(".s.PGSQL.5432"))
    }

    /// What is to be said over it.
    pub fn async_config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.user(Self::USER).dbname(Self::DATABASE);
        config
    }

    /// The server refuses to run as root.
    fn user() -> io::Result<Option<(u32, u32)>> {
        let id = |arguments: &[&str]| {
            let said = Command::new("id").args(arguments).output()?.stdout;
            let number = String::from_utf8_lossy(&said).trim().parse();
            number.map_err(|_| io::Error::other("the system has no user `postgres`"))
        };
        if id(&["-u"])? != 0 {
            return Ok(None);
        }
        Ok(Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?)))
    }
}

/// The server has processes of its own, which it ends if it is asked to. Destructors that wait as a
/// task does could not do that while a task unwinds.
impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.stop.as_std_mut().status(); // it is killed otherwise
    }
}

/// A folder in the temporary one, for as long as its server.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("lisle-{}-{number}", std::process::id()));
        fs::create_dir(&path)?;
        fs::set_permissions(&path, PermissionsExt::from_mode(0o700))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0); // its server may be about to end
    }
}

/// Where a program is: on the path, or somewhere in a folder. One that is missing is said to be
/// skipped, and is an error on CI, which installs it.
fn find(name: &str, folder: &str) -> io::Result<Option<PathBuf>> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    for versions in fs::read_dir(folder).into_iter().flatten() {
        folders.push(versions?.path().join("bin"));
    }
    let found = folders.iter().map(|folder| folder.join(name)).find(|program| program.exists());
    if found.is_none() {
        if env::var("CI").is_ok_and(|ci| ci == "true") {
            return Err(io::Error::new(ErrorKind::NotFound, format!("{name} is not installed")));
        }
        println!("skipped: no {name}");
    }
    Ok(found)
}

/// A server needs a moment before it answers.
fn until_it_answers(server: &mut Child, mut ask: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    while let Err(error) = ask() {
        if let Some(status) = server.try_wait()? {
            return Err(io::Error::other(format!("the server has ended by {status}: {error}")));
        }
        lisle::sleep(Duration::from_millis(5));
    }
    Ok(())
}

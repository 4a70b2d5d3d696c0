//! ssh2, which stands on libssh2, over Lisle's sockets, and a server to talk to.

use std::env;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use lisle::net::TcpStream;
use ssh2::{BlockDirections, Channel, Session};

/// A connection to a server.
pub struct Ssh {
    session: Session,
    /// The library has a clone.
    socket: TcpStream,
}

/// A program that runs at the server: what is written it reads, and what it writes can be read.
pub struct Program<'a> {
    ssh: &'a Ssh,
    channel: Channel,
}

impl Ssh {
    /// Greets a server, and tells it by which key it knows the user.
    pub fn connect(socket: TcpStream, user: &str, key: &Path) -> io::Result<Self> {
        let mut session = Session::new()?;
        session.set_tcp_stream(socket.try_clone()?);
        session.set_blocking(false);
        wait(&session.clone(), &socket, || session.handshake())?;
        let new = Self { session, socket };
        new.wait(|| new.session.userauth_pubkey_file(user, None, key, None))?;
        Ok(new)
    }

    /// Starts a program at the server.
    pub fn start(&self, command: &str) -> io::Result<Program<'_>> {
        let mut channel = self.wait(|| self.session.channel_session())?;
        self.wait(|| channel.exec(command))?;
        Ok(Program { ssh: self, channel })
    }

    fn wait<R, E: Into<io::Error>>(&self, call: impl FnMut() -> Result<R, E>) -> io::Result<R> {
        wait(&self.session, &self.socket, call)
    }
}

/// Calls the library until it has done what it was asked for, and waits in between.
fn wait<R, E: Into<io::Error>>(
    session: &Session,
    socket: &TcpStream,
    mut call: impl FnMut() -> Result<R, E>,
) -> io::Result<R> {
    loop {
        match call().map_err(Into::into) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            result => return result,
        }
        match session.block_directions() {
            BlockDirections::Inbound => socket.readable(None)?,
            // What it has to send comes first.
            BlockDirections::Outbound | BlockDirections::Both => socket.writable(None)?,
            BlockDirections::None => lisle::yield_now(),
        }
    }
}

impl Program<'_> {
    /// Says that nothing more is written, as one does who presses Ctrl-D.
    pub fn end_of_input(&mut self) -> io::Result<()> {
        let Self { ssh, channel } = self;
        ssh.wait(|| channel.send_eof())
    }

    /// Waits for the end of the program, and returns its status.
    pub fn end(mut self) -> io::Result<i32> {
        let Self { ssh, channel } = &mut self;
        ssh.wait(|| channel.wait_eof())?;
        ssh.wait(|| channel.close())?;
        ssh.wait(|| channel.wait_close())?;
        Ok(channel.exit_status()?)
    }
}

impl Read for Program<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Self { ssh, channel } = self;
        ssh.wait(|| channel.read(buffer))
    }
}

impl Write for Program<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { ssh, channel } = self;
        ssh.wait(|| channel.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        let Self { ssh, channel } = self;
        ssh.wait(|| channel.flush())
    }
}

/// The settings of `sshd`, in a folder of their own, with which one key opens the door.
pub struct Server {
    program: PathBuf,
    folder: PathBuf,
}

impl Server {
    /// `None` if there is no `sshd` here, which is said, and is an error on CI.
    pub fn new() -> io::Result<Option<Self>> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let program = Path::new("/usr/sbin/sshd").to_owned();
        if !program.exists() {
            if env::var("CI").is_ok_and(|ci| ci == "true") {
                return Err(io::Error::new(ErrorKind::NotFound, "sshd is not installed"));
            }
            println!("skipped: no sshd");
            return Ok(None);
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("lisle-ssh-{}-{number}", std::process::id());
        let server = Self { program, folder: env::temp_dir().join(name) };
        fs::create_dir(&server.folder)?;
        for key in ["host", "user"] {
            let mut make = Command::new("ssh-keygen");
            make.args(["-q", "-t", "ecdsa", "-m", "PEM", "-N", "", "-f"]);
            if !make.arg(server.folder.join(key)).status()?.success() {
                return Err(io::Error::other("ssh-keygen has failed"));
            }
        }
        let folder = server.folder.display();
        let settings = format!(
            "HostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\nStrictModes no\n\
             UsePAM no\nPidFile none\n"
        );
        fs::write(server.folder.join("settings"), settings)?;
        // Where the server locks itself up while it does not know with whom it speaks.
        let _ = fs::create_dir("/run/sshd"); // it is there, or the server does not run as root
        Ok(Some(server))
    }

    /// The key of the user who runs this program.
    pub fn key(&self) -> PathBuf {
        self.folder.join("user")
    }

    /// Has a process of its own serve a connection to its end.
    pub fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let input = OwnedFd::from(stream);
        let output = input.try_clone()?;
        let mut server = lisle::process::Command::new(&self.program);
        server.arg("-i").arg("-f").arg(self.folder.join("settings"));
        server.stdin(input).stdout(output).status().map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

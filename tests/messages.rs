//! What the compiler says of wrong types: names that a user can write, and no private ones.
#![cfg(not(any(lisle_loom, lisle_sanitize = "address", lisle_sanitize = "thread")))]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of this program, and the newest build of the library there.
fn library() -> (PathBuf, PathBuf) {
    let this = env::current_exe().unwrap();
    let deps = this.parent().unwrap();
    let libraries = fs::read_dir(deps).unwrap().flatten().map(|entry| entry.path());
    let libraries = libraries.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("liblisle-") && name.ends_with(".rlib")
    });
    let newest = libraries.max_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
    (deps.to_owned(), newest.expect("cargo has built the library for this test"))
}

/// What the compiler says of a program whose errors are wanted, without the lines that point to
/// places.
fn errors(case: &str, program: &str) -> String {
    let folder = env::temp_dir().join(format!("lisle-messages-{}-{case}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let source = folder.join("program.rs");
    fs::write(&source, program).unwrap();
    let (deps, library) = library();
    let mut compiler = Command::new(env::var("RUSTC").unwrap_or_else(|_| "rustc".into()));
    // Built for another target than this machine's, the library is in a folder of that name.
    let target = deps.ancestors().nth(2).and_then(Path::file_name).unwrap().to_string_lossy();
    if target.contains("-linux-") {
        compiler.arg(format!("--target={target}"));
    }
    let output = compiler
        .args(["--edition=2024", "--emit=metadata", "--color=never", "--cap-lints=allow"])
        .arg(format!("-Ldependency={}", deps.display()))
        .arg("--extern")
        .arg(format!("lisle={}", library.display()))
        .arg("--out-dir")
        .arg(&folder)
        .arg(&source)
        .output()
        .unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("error[E0"), "{said}");
    said.lines()
        .filter(|line| !line.contains("-->"))
        .fold(String::new(), |all, line| all + line + "\n")
}

/// Panics if a crate is named that users do not depend on.
#[track_caller]
fn assert_no_crate_within(said: &str) {
    for within in ["lisle_runtime", "lisle_scheduler", "lisle_channel", "lisle_macros"] {
        assert!(!said.contains(within), "{within} is named:\n{said}");
    }
}

#[test]
fn types_are_named_by_the_path_that_a_user_writes() {
    let types = [
        "channel::Iter<'static, u8>",
        "channel::Receiver<u8>",
        "channel::RecvError",
        "channel::Select<'static>",
        "channel::SendError<u8>",
        "channel::Sender<u8>",
        "coroutine::CoroutineState<u8, u8>",
        "coroutine::CoroutineStatus",
        "coroutine::Generator<u8>",
        "coroutine::Stack",
        "coroutine::StackSize",
        "coroutine::Yielder<u8, u8, u8>",
        "deadlock::Awaited",
        "deadlock::Deadlock",
        "deadlock::ForeignThreads",
        "deadlock::TaskReport",
        "park::Reason",
        "park::Unparker",
        "park::Wait<'static>",
        "park::Wake",
        "task::Builder",
        "task::Cancelled",
        "task::JoinHandle<u8>",
        "task::Task",
        "task::TaskId",
        "Metrics",
        "Runtime",
        "RuntimeBuilder",
    ];
    // Wanted are types of the same names, so that the compiler does not leave out the path.
    let (mut namesakes, mut wrong) = (String::new(), String::new());
    for path in types {
        let (plain, arguments) = path.split_once('<').unwrap_or((path, ">"));
        let name = plain.rsplit("::").next().unwrap();
        let (parameters, fields) = match arguments {
            ">" => ("", ""),
            "'static>" => ("<'a>", "(&'a ())"),
            "u8>" => ("<A>", "(A)"),
            "'static, u8>" => ("<'a, A>", "(&'a A)"),
            "u8, u8>" => ("<A, B>", "(A, B)"),
            "u8, u8, u8>" => ("<A, B, C>", "(A, B, C)"),
            _ => unreachable!("other arguments: {arguments}"),
        };
        namesakes += &format!("pub struct {name}{parameters}{fields};\n");
        let wanted = path.replace(plain, name);
        wrong += &format!("    let _: other::{wanted} = give::<lisle::{path}>();\n");
    }
    let program = format!(
        "mod other {{\n{namesakes}}}\nfn give<T>() -> T {{ loop {{}} }}\nfn main() {{\n{wrong}}}\n"
    );
    let said = errors("types", &program);
    for path in types {
        let plain = path.split('<').next().unwrap();
        assert!(said.contains(&format!("found `lisle::{plain}")), "not so: lisle::{plain}\n{said}");
    }
}

#[test]
fn what_stays_on_its_thread_is_told_without_private_types() {
    for (case, kind) in [
        ("coroutine", "lisle::coroutine::Coroutine<u8, u8, u8>"),
        ("weak", "lisle::coroutine::WeakCoroutine<u8, u8, u8>"),
        ("generator", "lisle::coroutine::Generator<u8>"),
        ("yielder", "&'static lisle::coroutine::Yielder<u8, u8, u8>"),
        ("selected", "lisle::channel::SelectedOperation<'static>"),
    ] {
        let program = format!("fn send<T: Send>() {{}}\nfn main() {{ send::<{kind}>() }}\n");
        let said = errors(case, &program);
        assert_no_crate_within(&said);
        assert_eq!(said.matches("error[E0277]").count(), 1, "{said}");
    }
}

#[test]
fn messages_that_stay_on_their_thread_are_what_keeps_their_channel_there() {
    for (case, kind) in [
        ("sender", "lisle::channel::Sender<Rc<u8>>"),
        ("receiver", "lisle::channel::Receiver<Rc<u8>>"),
        ("handle", "lisle::task::JoinHandle<Rc<u8>>"),
    ] {
        let program = format!(
            "use std::rc::Rc;\nfn send<T: Send>() {{}}\nfn main() {{ send::<{kind}>() }}\n"
        );
        let said = errors(case, &program);
        assert_no_crate_within(&said);
        assert!(said.contains("`Rc<u8>` cannot be sent between threads safely"), "{said}");
    }
}

#[test]
fn wrong_closures_are_told_by_the_functions_that_a_user_calls() {
    let said = errors(
        "closures",
        "fn main() { lisle::spawn(1); lisle::task::Builder::new().spawn(1); lisle::run(1); }",
    );
    assert_no_crate_within(&said);
    assert!(said.contains("required by a bound in `lisle::spawn`"), "{said}");
}

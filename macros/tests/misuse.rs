//! What the compiler says of an attribute that is used wrongly: one error, at the right place.
#![cfg(not(lisle_loom))]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The newest build of the macros: a library that the compiler loads, beside this program or, if
/// the program is for another target, beside those for this machine.
fn macros() -> PathBuf {
    let this = env::current_exe().unwrap();
    let deps = this.parent().unwrap();
    let profile = deps.parent().unwrap();
    let name = profile.file_name().unwrap();
    let for_host = profile.join("../..").join(name).join("deps");
    let built = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let libraries = entries.map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("liblisle_macros-") && name.ends_with(".so")
        });
        libraries.max_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok())
    };
    let found = built(deps).or_else(|| built(&for_host));
    found.unwrap_or_else(|| panic!("no macros in {} or {}", deps.display(), for_host.display()))
}

/// The errors of a program, each with the line that it points to.
fn errors(program: &str) -> Vec<(String, String)> {
    // Where the attributes are, under their usual name.
    let program = format!(
        "#![allow(unused)]\nextern crate lisle_macros as lisle;\n#[doc = \"attributes stay\"]\n\
         {program}\n"
    );
    let folder = env::temp_dir().join(format!("lisle-misuse-{}", std::process::id()));
    let folder = folder.join(format!("{:?}", std::thread::current().id()));
    fs::create_dir_all(&folder).unwrap();
    let source = folder.join("program.rs");
    fs::write(&source, &program).unwrap();
    let output = Command::new(env::var("RUSTC").unwrap_or_else(|_| "rustc".into()))
        .args(["--edition=2024", "--emit=metadata", "--color=never"])
        .arg("--extern")
        .arg(format!("lisle_macros={}", macros().display()))
        .arg("--out-dir")
        .arg(&folder)
        .arg(&source)
        .output()
        .unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    let mut errors = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if let Some(error) = line.strip_prefix("error").filter(|error| error.contains(": ")) {
            let error = error.split_once(": ").unwrap().1;
            let place = lines[number..].iter().find(|line| line.contains(" | ")).unwrap_or(&"");
            let (_, code) = place.split_once(" | ").unwrap_or_default();
            if !error.starts_with("aborting") && !error.starts_with("could not compile") {
                errors.push((error.to_owned(), code.to_owned()));
            }
        }
    }
    errors
}

/// Panics unless this is all that is wrong with a program, and the compiler points to `line`.
#[track_caller]
fn assert_one_error(program: &str, line: &str, error: &str) {
    assert_eq!(errors(program), [(error.to_owned(), line.to_owned())], "{program}");
}

/// Of a program that is all there is, and of a test in one that has a `main`.
#[track_caller]
fn assert_wrong(attribute_and_function: &str, line: &str, what: &str) {
    let for_main = attribute_and_function.replace("NAME", "main");
    let for_main = for_main.replace("ATTRIBUTE", "main");
    let fix = |text: &str, attribute: &str| {
        text.replace("NAME", attribute).replace("ATTRIBUTE", attribute)
    };
    assert_one_error(&for_main, &fix(line, "main"), &format!("#[lisle::main] {what}"));
    let for_test = attribute_and_function.replace("NAME", "a_test").replace("ATTRIBUTE", "test");
    let line = line.replace("NAME", "a_test").replace("ATTRIBUTE", "test");
    let program = format!("{for_test}\nfn main() {{}}");
    assert_one_error(&program, &line, &format!("#[lisle::test] {what}"));
}

#[test]
fn functions_that_cannot_be_a_first_task() {
    for (function, what) in [
        (
            "async fn NAME() {}",
            "belongs to a plain function, which may wait as it is: remove `async`",
        ),
        ("pub unsafe fn NAME() {}", "belongs to a plain function: remove `unsafe`"),
        ("extern \"C\" fn NAME() {}", "belongs to a plain function: remove `extern`"),
        ("const fn NAME() {}", "belongs to a plain function: remove `const`"),
        ("fn NAME(n: i32) {}", "belongs to a function without parameters"),
        ("fn NAME<T>() {}", "belongs to a function without type parameters"),
    ] {
        assert_wrong(&format!("#[lisle::ATTRIBUTE]\n{function}"), function, what);
    }
}

#[test]
fn items_that_are_no_functions() {
    for item in ["struct S;", "mod m {}", "const N: u8 = 1;"] {
        let what = if item.ends_with(';') {
            "#[lisle::test] belongs to a function with a body"
        } else {
            "#[lisle::test] belongs to a function"
        };
        assert_one_error(&format!("#[lisle::test]\n{item}\nfn main() {{}}"), item, what);
    }
}

#[test]
fn arguments_that_are_wrong() {
    for (arguments, what) in [
        (
            "worker = 2",
            "has no argument `worker`: there are `workers`, `stack_size`, `main_stack_size`, \
             `foreign_threads`, `virtual_time`, `explore`, `faults` and `crate`",
        ),
        (
            "explore, workers = 2",
            "explores on one worker, with virtual time: its one other argument is `faults`",
        ),
        ("virtual_time =", "needs `virtual_time = …`"),
        ("workers", "needs `workers = …`"),
        ("workers =", "needs `workers = …`"),
        ("workers(2)", "needs `workers = …`"),
        ("stack_size = 1, workers = 1, stack_size = 2", "has `stack_size` twice"),
        ("crate = a, crate = b", "has `crate` twice"),
        ("crate = 5", "needs a path, as in `crate = green`"),
        ("crate = \"\"", "needs a path, as in `crate = green`"),
    ] {
        let line = format!("#[lisle::ATTRIBUTE({arguments})]");
        assert_wrong(&format!("{line}\nfn NAME() {{}}"), &line, what);
    }
}

#[test]
fn a_program_that_is_explored() {
    let line = "#[lisle::main(explore)]";
    let what = "#[lisle::main] explores nothing: that is for tests";
    assert_one_error(&format!("{line}\nfn main() {{}}"), line, what);
}

#[test]
fn a_test_twice() {
    let program = "#[lisle::test]\n#[test]\nfn a_test() {}\nfn main() {}";
    let what = "#[lisle::test] is all that a test needs: remove #[test]";
    assert_one_error(program, "#[test]", what);
}

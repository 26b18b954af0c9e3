//! Programs of others in the simulated guest: gcc's, bash, dash, and Python, without which its part is left out.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "run/attributes.rs"]
mod attributes; // programs that read and write an attribute with a state
#[path = "run/bus.rs"]
mod bus; // the AP bus, scenarios
#[path = "run/guest.rs"]
mod guest; // the device, the firmware's files, the lock folder, exit statuses

use pvsim::Machine;
use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// A machine in a folder of its own.
fn machine() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let machine = folder.path().join("machine");
    Machine::init(&machine, None).unwrap();
    (folder, machine)
}

/// Compiles a C program of `programs/` into `folder`.
fn compiled(folder: &Path, name: &str) -> PathBuf {
    let program = folder.join(name);
    let source = source(&format!("{name}.c"));
    let status = Command::new("gcc").args(["-Wall", "-o"]).arg(&program).arg(source).status();
    assert!(status.expect("gcc, which building needs").success(), "{name}");
    program
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(name)
}

/// Whether there is Python for `what`. If not, says on the real standard error that this is left out (the test runner shows
/// what a test prints only when it fails), and counts.
fn has_python(what: impl Display) -> bool {
    static COUNT: AtomicUsize = AtomicUsize::new(1);
    let found = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    let has = found.is_ok_and(|status| status.success());
    if !has {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let line = format!("left out ({count}): {test}: there is no python3 for {what}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    has
}

/// What a command did: status, stdout, stderr.
fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

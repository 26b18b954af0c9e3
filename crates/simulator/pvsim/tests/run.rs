//! Programs of others in the simulated guest. They are what the CI script installs: gcc, Python, bash, dash.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "run/attributes.rs"]
mod attributes; // programs that read and write an attribute with a state
#[path = "run/bus.rs"]
mod bus; // the AP bus, scenarios
#[path = "run/guest.rs"]
mod guest; // the device, the firmware's files, the lock folder, exit statuses

use pvsim::Machine;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
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
    assert!(status.expect("gcc: .ci/packages.sh installs it").success(), "{name}");
    program
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(name)
}

/// What a command did: status, stdout, stderr.
fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

//! `pvsim boot` as a program, with images that never come as far as a kernel: they need QEMU, and no kernel.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on says where")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pvsim::Machine;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const HEADER: usize = pvsim::image::HEADER_OFFSET;
/// The first page behind the header.
const PAGES: usize = HEADER + 0x1000;
/// Longer than any of this takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether these programs are installed; says so if not.
fn has(test: &str, programs: &[&str]) -> bool {
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect();
    let missing = programs.iter().find(|program| !folders.iter().any(|folder| folder.join(program).is_file()));
    if let Some(program) = missing {
        eprintln!("left out (1): {test}: {program} is not installed");
    }
    missing.is_none()
}

fn boot(machine: &Path, image: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pvsim"));
    command.args(["boot", "--seconds", "100", "--memory", "64", "--image"]).arg(image).arg(machine);
    command.stdin(Stdio::null());
    command
}

#[test]
fn an_image_that_is_refused_says_why_twice() {
    if !has("an_image_that_is_refused_says_why_twice", &["qemu-system-s390x"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [ours, other] = ["ours", "other"].map(|name| folder.path().join(name));
    Machine::init(&ours, None).unwrap();
    Machine::init(&other, None).unwrap();
    let image = fs::read(ours.join("se.img")).unwrap();
    let changed = |at: usize| {
        let mut image = image.clone();
        image[at] ^= 1;
        image
    };
    let rows = [
        (
            "another machine",
            &other,
            image.clone(),
            "no key slot of the header is for this machine's host key",
            "0x0108",
        ),
        ("a flipped bit in a page", &ours, changed(PAGES + 100), "the pages differ", "0x0102"),
        ("another version", &ours, changed(HEADER + 0xa), "the header's version is not supported", "0x0104"),
        ("a changed header", &ours, changed(HEADER + 0x60), "the header cannot be opened", "0x0108"),
    ];
    for (what, machine, image, why, rc) in rows {
        let file = folder.path().join("image");
        fs::write(&file, image).unwrap();
        let output = boot(machine, &file).output().unwrap();
        let (console, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let all = format!("{what}: {:?}\n--- console\n{console}\n--- stderr\n{said}", output.status);
        eprintln!("{all}");
        assert_eq!(output.status.code(), Some(1), "{all}");
        assert!(said.starts_with(&format!("error: secure mode is refused: {why}")) && said.contains(rc), "{all}");
        assert!(console.contains(rc), "{all}: the loader does not say so on the console");
    }
}

#[test]
fn a_killed_pvsim_leaves_nothing_behind() {
    if !has("a_killed_pvsim_leaves_nothing_behind", &["qemu-system-s390x", "setpriv"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let machine = folder.path().join("machine");
    Machine::init(&machine, None).unwrap();
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut pvsim = boot(&machine, &machine.join("se.img"));
    let mut pvsim = pvsim.env("TMPDIR", &temporary).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Its sockets had names, and have none any more: the guest starts.
    let (mut emulator, mut had_names) = (None, false);
    until("the guest starts", || {
        emulator = emulator.or_else(|| child_of(pvsim.id()));
        let has_names = fs::read_dir(&temporary).unwrap().next().is_some();
        had_names |= has_names;
        emulator.is_some() && had_names && !has_names
    });
    kill(Pid::from_raw(pvsim.id() as i32), Signal::SIGKILL).unwrap();
    pvsim.wait().unwrap();
    let process = format!("/proc/{}/cmdline", emulator.unwrap());
    // Whoever is its parent then may not have asked for its end: it has no command line any more.
    until("the emulator ends", || fs::read(&process).map_or(true, |line| line.is_empty()));
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "waited for too long: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The process that was started by `process`, if it is the emulator.
fn child_of(process: u32) -> Option<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok()).collect::<String>();
    children.split_whitespace().filter_map(|child| child.parse().ok()).find(|child| {
        fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name.starts_with("qemu-system"))
    })
}

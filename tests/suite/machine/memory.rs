//! When a command has done its work, its secrets are gone from its memory.
//!
//! The process stops itself at its very end, and its whole writable memory is searched.

use crate::faults::shim;
use crate::pvsecret_workstation::workstation;
use crate::support::Scratch;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often `needle` is in the memory that the process can write.
fn find(pid: u32, needle: &[u8]) -> usize {
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut found = 0;
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        if !rights.starts_with("rw") || line.ends_with("[vvar]") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let (start, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
        let mut bytes = vec![0; (end - start) as usize];
        // Guard pages cannot be read.
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            found += bytes.windows(needle.len()).filter(|window| *window == needle).count();
        }
    }
    found
}

/// Runs `command` to its end and looks for each needle before the process goes away.
fn leftovers(mut command: Command, needles: &[&[u8]]) -> Vec<usize> {
    command.env("LD_PRELOAD", shim()).env("PVSIM_STOP_AT_EXIT", "1").stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_raw(child.id() as i32);
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        match stat.rsplit(") ").next().and_then(|rest| rest.chars().next()) {
            Some('T') => break,
            Some('Z') | None => panic!("the process did not stop"),
            _ => thread::sleep(Duration::from_millis(2)),
        }
        assert!(Instant::now() < patience, "the process does not end");
    }
    let found = needles.iter().map(|needle| find(child.id(), needle)).collect();
    kill(pid, Signal::SIGCONT).unwrap();
    assert!(child.wait().unwrap().success(), "{command:?}");
    found
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    openssl::rand::rand_bytes(&mut bytes).unwrap();
    bytes
}

fn command(scratch: &Scratch, tool: &str, line: &str) -> Command {
    let mut command = scratch.command(tool);
    command.args(line.split(' '));
    command
}

#[test]
fn no_secret_is_left_when_a_command_has_ended() {
    if !Uid::effective().is_root() {
        crate::support::left_out("only root may look into the memory of a process that forbids it");
        return;
    }
    let scratch = workstation();
    let (secret, extension, cck) = (random(), random(), random());
    scratch.write("secret", secret);
    scratch.write("extension", extension);
    scratch.write("cck", cck);
    let create = "create -q -k host.crt --no-verify --hdr se.hdr -o request";
    let halves = [&secret[..16], &extension[..16], &cck[..16]];
    for line in [
        "--extension-secret extension association N --input-secret secret",
        "--cck cck retrievable N --type plain --secret secret",
        "--cck cck retrievable N --type aes --secret secret",
        "update-cck --secret cck",
    ] {
        let found = leftovers(command(&scratch, "pvsecret", &format!("{create} {line}")), &halves);
        assert_eq!(found, [0, 0, 0], "{line}: secret, extension secret, CCK");
    }
    // A random secret that is written out.
    let line = format!("{create} association N --output-secret fresh");
    let mut first = command(&scratch, "pvsecret", &line);
    assert!(first.status().unwrap().success());
    // The needle must be found where it is: the path of the output is in the memory of the process.
    let found = leftovers(command(&scratch, "pvsecret", &line), &[b"--output-secret"]);
    assert!(found[0] > 0, "the search finds nothing at all");
}

//! Every file and ioctl call of a command fails once, in every way, and the command is killed at each.
//!
//! Whatever fails: no panic, a documented exit code, one line that says why; an output is as it was or
//! complete, and nothing else is left behind.

use crate::guest::server;
use crate::pvsecret_workstation::workstation;
use crate::support::{Run, Scratch};
use pvsim::{GuestServer, Machine};
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// What happens to a call: errno values are the same on all of Linux's machines that matter here.
const FAULTS: [(&str, &str); 6] =
    [("EINTR", "4"), ("EIO", "5"), ("EACCES", "13"), ("ENOSPC", "28"), ("short", "short"), ("kill", "kill")];

/// Built beside the tests, as they depend on it.
pub(crate) fn shim() -> PathBuf {
    let shim = std::env::current_exe().unwrap().with_file_name("libpvsim_faults.so");
    assert!(shim.exists(), "{} is not there", shim.display());
    shim
}

/// In front of the preload library of a guest, if there is one.
pub(crate) fn with_shim(mut command: Command) -> Command {
    let others = command.get_envs().find(|(name, _)| *name == "LD_PRELOAD").and_then(|(_, value)| value);
    let mut preload = OsString::from(shim());
    if let Some(others) = others {
        preload.push(":");
        preload.push(others);
    }
    command.env("LD_PRELOAD", preload);
    command
}

/// One command, and what it leaves when it succeeds.
pub(crate) struct Victim<'a> {
    pub(crate) name: &'a str,
    /// Makes the inputs and the outputs of an earlier run.
    pub(crate) prepare: &'a dyn Fn(&Scratch),
    pub(crate) command: &'a dyn Fn(&Scratch) -> Command,
    /// Files that the command writes, with the content an earlier run left in them.
    pub(crate) outputs: &'a [&'a str],
    /// Exit codes that a failure may have.
    pub(crate) failures: &'a [i32],
    /// In a simulated guest the calls of the preload library are struck too: a short read of its socket is a failed
    /// ioctl.
    pub(crate) in_guest: bool,
    /// Each call fails in one of so many ways, in turn; with `PVTOOLS_EVERY_FAULT`, in all.
    pub(crate) one_in: usize,
}

pub(crate) fn fail_every_call(victim: &Victim<'_>) {
    let log = Scratch::new();
    let scratch = Scratch::new();
    (victim.prepare)(&scratch);
    Run::of(with_shim((victim.command)(&scratch)).env("PVSIM_FAULT_LOG", log.join("calls")), b"").succeeds();
    let calls = String::from_utf8(log.read("calls")).unwrap();
    let calls: Vec<_> = calls.lines().collect();
    assert!(calls.iter().any(|call| call.starts_with("open")), "{}: the shim sees nothing", victim.name);
    let names = scratch.names();
    let sizes: Vec<_> = victim.outputs.iter().map(|output| scratch.read(output).len()).collect();
    let mut failed = 0;
    // Where programs are emulated, not every call is struck.
    let step = std::env::var("PVTOOLS_FAULT_STEP").map_or(1, |step| step.parse().unwrap());
    let one_in = if std::env::var_os("PVTOOLS_EVERY_FAULT").is_some() { 1 } else { victim.one_in };
    for (call, function) in calls.iter().enumerate().step_by(step) {
        for (_, (fault, order)) in FAULTS.iter().enumerate().filter(|(at, _)| (at + call) % one_in == 0) {
            let place = format!("{}: call {} ({function}): {fault}", victim.name, call + 1);
            let scratch = Scratch::new();
            (victim.prepare)(&scratch);
            let before: Vec<_> = victim.outputs.iter().map(|output| fs::read(scratch.join(output)).ok()).collect();
            let order = format!("{}:{order}", call + 1);
            let run = Run::of(with_shim((victim.command)(&scratch)).env("PVSIM_FAULT", order), b"");
            assert!(!run.stderr.contains("panicked"), "{place}: {run:#?}");
            if *fault == "kill" {
                assert_eq!(run.status, 128 + 9, "{place}");
            } else if run.status != 0 {
                failed += 1;
                assert!(victim.failures.contains(&run.status), "{place}: {run:#?}");
                let errors = run.stderr.lines().filter(|line| line.to_lowercase().starts_with("error: ")).count();
                // When writing to stderr is what fails, nothing can be said.
                assert!(errors == 1 || *function == "write", "{place}: {run:#?}");
            }
            if *fault == "short" && !victim.in_guest {
                assert_eq!(run.status, 0, "{place}: {run:#?}");
            }
            for ((output, before), size) in victim.outputs.iter().zip(&before).zip(&sizes) {
                let now = fs::read(scratch.join(output)).ok();
                let whole = now.as_ref().is_some_and(|now| now.len() == *size && Some(now) != before.as_ref());
                assert!(now == *before || whole, "{place}: {output} is neither as it was nor complete");
                assert!(run.status != 0 || whole, "{place}: success without {output}");
            }
            if victim.outputs.len() > 1 && run.status != 0 && *fault != "kill" {
                let now: Vec<_> = victim.outputs.iter().map(|output| fs::read(scratch.join(output)).ok()).collect();
                assert!(now == before, "{place}: some outputs have changed, others have not");
            }
            let left: Vec<_> = scratch.names().into_iter().filter(|name| !names.contains(name)).collect();
            // A kill leaves the other version of an output, under a name that says of which.
            let is_other_version = |name: &String| {
                let of = victim
                    .outputs
                    .iter()
                    .zip(&before)
                    .zip(&sizes)
                    .find(|((output, _), _)| name.starts_with(&format!(".{output}.pvtools-")));
                of.is_some_and(|((_, before), size)| {
                    let left = scratch.read(name);
                    Some(&left) == before.as_ref() || left.len() == *size
                })
            };
            let is_allowed =
                *fault == "kill" && left.len() <= victim.outputs.len() && left.iter().all(is_other_version);
            // One output is renamed in one step: in all other moments it has one name or none.
            let is_moment = victim.outputs.len() > 1 || function.starts_with("rename");
            // An old file that cannot be removed is named.
            let is_told = *function == "unlink" && left.iter().all(|name| run.stderr.contains(name.as_str()));
            assert!(left.is_empty() || (is_allowed && is_moment) || is_told, "{place}: left {left:?}");
        }
    }
    println!("{}: {} calls, {} faults, {failed} failures", victim.name, calls.len(), calls.len() * FAULTS.len());
    assert!(failed > 0, "{}: no fault made a difference", victim.name);
}

#[test]
fn pvextract_hdr_survives_every_fault() {
    let image = crate::pvextract_hdr::with_image().read("img");
    for old in [false, true] {
        fail_every_call(&Victim {
            name: if old { "pvextract-hdr over an old header" } else { "pvextract-hdr" },
            prepare: &|scratch| {
                scratch.write("img", &image);
                if old {
                    scratch.write("hdr", "old");
                }
            },
            command: &|scratch| {
                let mut command = scratch.command("pvextract-hdr");
                command.args(["-o", "hdr", "img"]);
                command
            },
            outputs: &["hdr"],
            failures: &[1],
            in_guest: false,
            one_in: 1,
        });
    }
}

fn product(scratch: &Scratch, tool: &str, line: &str) -> Command {
    let mut command = scratch.command(tool);
    command.args(line.split(' '));
    command
}

#[test]
fn workstation_commands_survive_every_fault() {
    let made = workstation();
    made.write("data", "data");
    let create = "create -q -k host.crt --no-verify --hdr se.hdr -o request --user-data data meta";
    Run::of(&mut product(&made, "pvsecret", create), b"").succeeds();
    let copy = |scratch: &Scratch, old: &[&str]| {
        for name in ["host.crt", "se.hdr", "request"] {
            scratch.write(name, made.read(name));
        }
        old.iter().for_each(|old| drop(scratch.write(old, "old")));
    };
    let rows: [(&str, &str, &[&str], &[&str]); 4] = [
        ("pvsecret", "verify -q -i request -o out", &["out"], &["out"]),
        ("pvattest", "create -q -k host.crt --no-verify -o out -a arpk", &["arpk"], &["out", "arpk"]),
        ("pvattest", "create -q -k host.crt --no-verify -o out -a arpk", &["out", "arpk"], &["out", "arpk"]),
        ("pvverify", "-k host.crt --no-verify", &["unrelated"], &[]),
    ];
    for (tool, line, old, outputs) in rows {
        fail_every_call(&Victim {
            name: &format!("{tool} {line}"),
            prepare: &|scratch| copy(scratch, old),
            command: &|scratch| product(scratch, tool, line),
            outputs,
            failures: &[1],
            in_guest: false,
            one_in: 1,
        });
    }
}

/// As on a file system that cannot exchange two files: old outputs are replaced all the same, or none is.
#[test]
fn outputs_are_replaced_where_files_cannot_be_exchanged() {
    let made = workstation();
    let prepared = || {
        let scratch = Scratch::new();
        scratch.write("host.crt", made.read("host.crt"));
        ["out", "arpk"].iter().for_each(|old| drop(scratch.write(old, "old")));
        scratch
    };
    let run = |scratch: &Scratch, name: &str, value: &str| {
        let line = "create -q -k host.crt --no-verify -o out -a arpk";
        Run::of(with_shim(product(scratch, "pvattest", line)).env(name, value), b"")
    };
    let (log, scratch) = (Scratch::new(), prepared());
    run(&scratch, "PVSIM_FAULT_LOG", log.join("calls").to_str().unwrap()).succeeds();
    let calls = String::from_utf8(log.read("calls")).unwrap();
    let exchanges: Vec<_> = calls.lines().enumerate().filter(|(_, name)| *name == "renameat2").collect();
    assert!(exchanges.len() > 1, "{calls}");
    for (call, _) in exchanges {
        // EINVAL, ENOSYS, EOPNOTSUPP; and what is no answer to whether it can: EPERM.
        for (errno, status) in [(22, 0), (38, 0), (95, 0), (1, 1)] {
            let scratch = prepared();
            let names = scratch.names();
            let run = run(&scratch, "PVSIM_FAULT", &format!("{}:{errno}", call + 1));
            assert_eq!(run.status, status, "call {}: {errno}: {run:#?}", call + 1);
            for output in ["out", "arpk"] {
                assert_eq!(scratch.read(output) == b"old", status != 0, "call {}: {errno}: {output}", call + 1);
            }
            assert_eq!(scratch.names(), names, "call {}: {errno}", call + 1);
        }
    }
}

/// An image of all that an image can be made of.
const IMAGE: &str =
    "-k hkd.crt,hkd2.crt --no-verify -i kern -r rd -p parm --hdr-key s32 --image-key s64 --cck s32 -o out";

/// A folder with the inputs, and a finished image.
fn with_image() -> Scratch {
    let made = crate::pvimg::scratch();
    Run::of(&mut product(&made, "genprotimg", IMAGE), b"").succeeds();
    fs::rename(made.join("out"), made.join("image")).unwrap();
    made
}

#[test]
fn image_commands_survive_every_fault() {
    let made = with_image();
    let names = made.names();
    let seeded = format!("create {IMAGE} --seed s32 --overwrite -q");
    let rows: [(&str, &str, &[&str], &[&str]); 4] = [
        ("genprotimg", IMAGE, &["unrelated"], &["out"]),
        ("pvimg", &seeded, &["out"], &["out"]),
        ("pvimg", "extract image --hdr-key s32 -i out -r rd.out", &["out"], &["out", "rd.out"]),
        ("pvimg", "verify image --hdr-key s32", &[], &[]),
    ];
    for (tool, line, old, outputs) in rows {
        fail_every_call(&Victim {
            name: &format!("{tool} {line}"),
            prepare: &|scratch| {
                names.iter().for_each(|name| drop(scratch.write(name, made.read(name))));
                old.iter().for_each(|old| drop(scratch.write(old, "old")));
            },
            command: &|scratch| product(scratch, tool, line),
            outputs,
            failures: &[1],
            in_guest: false,
            one_in: 3,
        });
    }
}

/// Each read in turn finds the end of its file: there is no image, or what is in it is all of its inputs.
#[test]
fn an_input_that_ends_early_is_never_taken_for_whole() {
    let made = with_image();
    let log = made.join("calls");
    let run = |order: &str| {
        let _ = fs::remove_file(made.join("out"));
        let mut command = with_shim(product(&made, "genprotimg", IMAGE));
        Run::of(command.env("PVSIM_FAULT_LOG", &log).env("PVSIM_FAULT", order), b"")
    };
    run("0:kill").succeeds();
    let calls = String::from_utf8(made.read("calls")).unwrap();
    let reads: Vec<_> = calls.lines().zip(1..).filter(|(name, _)| *name == "read").map(|(_, number)| number).collect();
    let mut failed = 0;
    for number in reads {
        let run = run(&format!("{number}:end"));
        if run.status != 0 {
            failed += 1;
            assert!(run.status == 1 && run.stderr.contains("error: "), "call {number}: {run:#?}");
            assert!(!made.join("out").exists(), "call {number}: {run:#?}");
            continue;
        }
        let outputs = "extract out --hdr-key s32 -i kern.out -r rd.out -p parm.out";
        Run::of(&mut product(&made, "pvimg", outputs), b"").succeeds();
        for (input, end) in [("kern", &b""[..]), ("rd", b""), ("parm", b"\0")] {
            let expected = [&made.read(input)[..], end].concat();
            assert!(made.read(&format!("{input}.out")) == expected, "call {number}: another {input} is in the image");
        }
    }
    println!("{failed} images refused");
    assert!(failed > 5, "only {failed}");
}

#[test]
fn guest_commands_survive_every_fault() {
    let made = Scratch::new();
    let machine = Machine::init(&made.join("machine"), None).unwrap();
    let server = server(&machine);
    made.write("plain", "secret");
    let key = "-q -k machine/host.crt --no-verify";
    let run = |tool: &str, line: &str| Run::of(&mut product(&made, tool, line), b"").succeeds();
    run("pvsecret", &format!("create {key} --hdr machine/se.hdr -o request retrievable N --type plain --secret plain"));
    run("pvattest", &format!("create {key} -o attestation -a arpk --add-data secret-store-hash"));
    Run::of(&mut in_guest(&server, &made, "pvsecret", "add request"), b"").succeeds();
    let copy = |scratch: &Scratch| {
        scratch.write("attestation", made.read("attestation"));
        scratch.write("out", "old");
    };
    for (tool, line) in [
        ("pvsecret", "list -q -o out"),
        ("pvsecret", "retrieve -q --inform name N -o out"),
        ("pvattest", "perform -q -i attestation -o out"),
    ] {
        fail_every_call(&Victim {
            name: &format!("{tool} {line}"),
            prepare: &copy,
            command: &|scratch| in_guest(&server, scratch, tool, line),
            outputs: &["out"],
            failures: &[1],
            in_guest: true,
            one_in: 1,
        });
    }
}

/// What changes the store: a failure may come before or after that, but is told, and the store is in order.
#[test]
fn commands_that_change_the_store_survive_every_fault() {
    let made = Scratch::new();
    let machine = Machine::init(&made.join("machine"), None).unwrap();
    let server = server(&machine);
    let create = "create -q -k machine/host.crt --no-verify --hdr machine/se.hdr -o request association name";
    Run::of(&mut product(&made, "pvsecret", create), b"").succeeds();
    for line in ["add -q request", "lock -q"] {
        fail_every_call(&Victim {
            name: &format!("pvsecret {line}"),
            prepare: &|scratch| {
                // The store is empty and open again, whatever the run before came to.
                assert!(machine.guest().unwrap().secrets.len() <= 1);
                machine.reboot().unwrap();
                scratch.write("request", made.read("request"));
            },
            command: &|scratch| in_guest(&server, scratch, "pvsecret", line),
            outputs: &[],
            failures: &[1],
            in_guest: true,
            one_in: 1,
        });
    }
}

fn in_guest(server: &GuestServer, scratch: &Scratch, tool: &str, line: &str) -> Command {
    let mut command = server.command(env!("CARGO_BIN_EXE_pvtools"));
    command.arg0(tool).args(line.split(' ')).current_dir(scratch.path());
    command
}

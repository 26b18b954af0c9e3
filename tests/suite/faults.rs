//! Every file and ioctl call of a command fails once, in every way, and the command is killed at each.
//!
//! Whatever fails: no panic, a documented exit code, one line that says why; an output is as it was or
//! complete, and nothing else is left behind.

use crate::support::{Run, Scratch};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// What happens to a call: errno values are the same on all of Linux's machines that matter here.
const FAULTS: [(&str, &str); 6] =
    [("EINTR", "4"), ("EIO", "5"), ("EACCES", "13"), ("ENOSPC", "28"), ("short", "short"), ("kill", "kill")];

/// Built beside the tests, as they depend on it.
fn shim() -> PathBuf {
    let shim = std::env::current_exe().unwrap().with_file_name("libpvsim_faults.so");
    assert!(shim.exists(), "{} is not there", shim.display());
    shim
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
}

pub(crate) fn torment(victim: &Victim<'_>) {
    let log = Scratch::new();
    let scratch = Scratch::new();
    (victim.prepare)(&scratch);
    Run::of((victim.command)(&scratch).env("LD_PRELOAD", shim()).env("PVSIM_FAULT_LOG", log.join("calls")), b"")
        .succeeds();
    let calls = String::from_utf8(log.read("calls")).unwrap();
    let calls: Vec<_> = calls.lines().collect();
    assert!(calls.iter().any(|call| call.starts_with("open")), "{}: the shim sees nothing", victim.name);
    let names = scratch.names();
    let sizes: Vec<_> = victim.outputs.iter().map(|output| scratch.read(output).len()).collect();
    let mut failed = 0;
    for (call, function) in calls.iter().enumerate() {
        for (fault, order) in FAULTS {
            let place = format!("{}: call {} ({function}): {fault}", victim.name, call + 1);
            let scratch = Scratch::new();
            (victim.prepare)(&scratch);
            let before: Vec<_> = victim.outputs.iter().map(|output| fs::read(scratch.join(output)).ok()).collect();
            let order = format!("{}:{order}", call + 1);
            let run = Run::of((victim.command)(&scratch).env("LD_PRELOAD", shim()).env("PVSIM_FAULT", order), b"");
            assert!(!run.stderr.contains("panicked"), "{place}: {run:#?}");
            if fault == "kill" {
                assert_eq!(run.status, 128 + 9, "{place}");
            } else if run.status != 0 {
                failed += 1;
                assert!(victim.failures.contains(&run.status), "{place}: {run:#?}");
                let errors = run.stderr.lines().filter(|line| line.to_lowercase().starts_with("error: ")).count();
                // When writing to stderr is what fails, nothing can be said.
                assert!(errors == 1 || *function == "write", "{place}: {run:#?}");
            }
            if fault == "short" {
                assert_eq!(run.status, 0, "{place}: {run:#?}");
            }
            for ((output, before), size) in victim.outputs.iter().zip(&before).zip(&sizes) {
                let now = fs::read(scratch.join(output)).ok();
                let whole = now.as_ref().is_some_and(|now| now.len() == *size && Some(now) != before.as_ref());
                assert!(now == *before || whole, "{place}: {output} is neither as it was nor complete");
                assert!(run.status != 0 || whole, "{place}: success without {output}");
            }
            let left: Vec<_> = scratch.names().into_iter().filter(|name| !names.contains(name)).collect();
            // A kill between the two names that replacing takes leaves the temporary one.
            assert!(left.is_empty() || (fault == "kill" && function.starts_with("rename")), "{place}: left {left:?}");
        }
    }
    println!("{}: {} calls, {} faults, {failed} failures", victim.name, calls.len(), calls.len() * FAULTS.len());
    assert!(failed > 0, "{}: no fault made a difference", victim.name);
}

#[test]
fn pvextract_hdr_survives_every_fault() {
    let image = crate::pvextract_hdr::with_image().read("img");
    for old in [false, true] {
        torment(&Victim {
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
        });
    }
}

//! A command with two outputs, killed between any two of its system calls.

use crate::pvsecret_workstation::workstation;
use crate::support::{Run, Scratch, clean, left_out};
use nix::libc;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs;
use std::process::{Command, Stdio};

const OUTPUTS: [&str; 2] = ["request", "arpk"];

const CREATE: &str = "create -q -k host.crt --no-verify -o request -a arpk";

/// Follows the command and kills it when it is about to make its system call number `call`, from 0; gives the numbers of
/// the calls that it made. None where processes cannot be traced.
#[expect(clippy::zombie_processes, reason = "waited for by its id, as the one who traces it")]
pub(crate) fn followed(scratch: &Scratch, tool: &str, line: &str, call: usize) -> Option<Vec<Option<i64>>> {
    let link = scratch.link_tool(OsStr::new(tool));
    let mut command = Command::new("sh");
    clean(&mut command);
    // Stopped, it waits to be traced.
    command.args(["-c", "kill -STOP $$; exec \"$@\"", "sh"]).arg(link);
    command.args(line.split_whitespace());
    let child = command.current_dir(scratch.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let child = Pid::from_raw(i32::try_from(child.id()).unwrap());
    assert!(matches!(waitpid(child, Some(WaitPidFlag::WUNTRACED)), Ok(WaitStatus::Stopped(..))));
    use ptrace::Options;
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_EXITKILL;
    let end = || {
        let _ = kill(child, Signal::SIGKILL);
        while !matches!(waitpid(child, None), Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(_)) {}
    };
    if ptrace::seize(child, options).is_err() {
        end();
        return None;
    }
    kill(child, Signal::SIGCONT).unwrap();
    let (mut calls, mut is_program, mut is_entry) = (Vec::new(), false, true);
    loop {
        let signal = match waitpid(child, None).unwrap() {
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return Some(calls),
            WaitStatus::PtraceEvent(_, _, event) if event == libc::PTRACE_EVENT_EXEC => {
                // The end of the call itself is still to come.
                (is_program, is_entry) = (true, false);
                None
            }
            WaitStatus::PtraceSyscall(_) => {
                if is_program && is_entry {
                    calls.push(number_of_call(child));
                    if calls.len() > call {
                        end();
                        return Some(calls);
                    }
                }
                is_entry = !is_entry || !is_program;
                None
            }
            WaitStatus::Stopped(_, signal)
                if ![Signal::SIGSTOP, Signal::SIGCONT, Signal::SIGTRAP].contains(&signal) =>
            {
                Some(signal)
            }
            _ => None,
        };
        if ptrace::syscall(child, signal).is_err() {
            end();
            return Some(calls);
        }
    }
}

/// The number of the system call that the process is about to make. Not from /proc: a process that forbids looks into its
/// memory, as the product does, shows it to root alone.
#[cfg(target_arch = "x86_64")]
fn number_of_call(process: Pid) -> Option<i64> {
    const OFFSET: usize = libc::ORIG_RAX as usize * size_of::<u64>();
    ptrace::read_user(process, std::ptr::without_provenance_mut(OFFSET)).ok()
}

#[cfg(not(target_arch = "x86_64"))]
fn number_of_call(_: Pid) -> Option<i64> {
    None
}

fn prepared(made: &Scratch, has_old: bool) -> Scratch {
    let scratch = Scratch::new();
    scratch.write("host.crt", made.read("host.crt"));
    if has_old {
        OUTPUTS.iter().for_each(|output| drop(scratch.write(output, "old")));
    }
    scratch.link_tool(OsStr::new("pvattest"));
    scratch
}

#[test]
fn after_a_kill_at_any_call_each_output_is_old_or_new() {
    let made = workstation();
    let everywhere = std::env::var_os("PVTOOLS_KILL_EVERYWHERE").is_some();
    for has_old in [false, true] {
        let scratch = prepared(&made, has_old);
        let Some(calls) = followed(&scratch, "pvattest", CREATE, usize::MAX) else {
            left_out("processes cannot be traced here");
            return;
        };
        let sizes = OUTPUTS.map(|output| scratch.read(output).len());
        assert_eq!(sizes, [464, 32]);
        // Before the first file is complete there is nothing to be seen: a sample is enough, unless all are wished for.
        let first = calls.iter().position(|call| *call == Some(libc::SYS_fsync));
        assert!(first.is_some() || cfg!(not(target_arch = "x86_64")));
        let first = first.unwrap_or_default();
        let places: Vec<_> =
            (0..calls.len()).filter(|call| everywhere || *call + 2 >= first || call % 64 == 0).collect();
        let (mut kills, mut left_something) = (0, 0);
        for &place in &places {
            let scratch = prepared(&made, has_old);
            let names = scratch.names();
            let said = followed(&scratch, "pvattest", CREATE, place).unwrap();
            kills += 1;
            let at = format!("old: {has_old}, killed before call {place} ({:?})", said.last());
            for (output, size) in OUTPUTS.iter().zip(sizes) {
                match fs::read(scratch.join(output)) {
                    Ok(now) => assert!(now.len() == size || has_old && now == b"old", "{at}: {output}"),
                    Err(_) => assert!(!has_old, "{at}: {output} is missing"),
                }
            }
            for name in scratch.names().into_iter().filter(|name| !names.contains(name)) {
                let of = OUTPUTS.iter().zip(sizes).find(|(output, _)| name.starts_with(&format!(".{output}.pvtools-")));
                if let Some((_, size)) = of {
                    let content = scratch.read(&name);
                    assert!(content == b"old" || content.len() == size, "{at}: {name}");
                    assert_eq!(scratch.mode(&name) & 0o7000, 0);
                    left_something += 1;
                } else {
                    assert!(OUTPUTS.contains(&name.as_str()), "{at}: left {name}");
                }
            }
            // It stands in nobody's way.
            Run::of(scratch.command("pvattest").args(CREATE.split(' ')), b"").succeeds();
        }
        println!(
            "{kills} kills among {} system calls, old files: {has_old}; {left_something} left behind",
            calls.len()
        );
        assert!(kills > 20);
    }
}

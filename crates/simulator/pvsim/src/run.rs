//! Programs in the guest, from the command line.

use anyhow::Context;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use pvsim::{Error, GuestServer, Machine, ap};
use std::error::Error as _;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitCode};
use std::thread;

/// What a shell gives for a program that is not there, and for one that cannot be started.
const NOT_FOUND: u8 = 127;
const NOT_STARTED: u8 = 126;

/// Runs a program in the guest of the machine in `dir`; its exit status, or 128 and its signal.
pub(crate) fn run(dir: &Path, program: &[OsString]) -> anyhow::Result<ExitCode> {
    let [program, arguments @ ..] = program else { anyhow::bail!("which program?") };
    let machine = Machine::open(dir)?;
    // Before the first thread is there, so that it holds for all.
    let signals = passed_on();
    signals.thread_block().context("cannot block signals")?;
    let bus = ap::parts(&machine, report);
    let server = GuestServer::start(machine, bus, report)?;
    // A program inherits what is blocked. A signal in just this moment ends pvsim, as if it had come before.
    signals.thread_unblock().context("cannot unblock signals")?;
    let spawned = server.command(program).args(arguments).spawn();
    signals.thread_block().context("cannot block signals")?;
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            let code = if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_STARTED };
            say(&format!("error: cannot start '{}': {error}", program.to_string_lossy()));
            return Ok(ExitCode::from(code));
        }
    };
    pass_on(signals, &child);
    wait(&mut child)
}

/// Runs the user's shell in the guest of the machine in `dir`.
pub(crate) fn shell(dir: &Path) -> anyhow::Result<ExitCode> {
    let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "sh".into());
    run(dir, &[shell])
}

/// Signals that are meant for the program. The first three reach it from the terminal too; it has to be there to the
/// end, so they must not end this process.
fn passed_on() -> SigSet {
    [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect()
}

fn pass_on(signals: SigSet, child: &Child) {
    let child = Pid::from_raw(child.id() as i32);
    thread::spawn(move || {
        while let Ok(signal) = signals.wait() {
            if matches!(signal, Signal::SIGTERM | Signal::SIGHUP) {
                // One that has ended needs no signal.
                let _ = kill(child, signal);
            }
        }
    });
}

fn wait(child: &mut Child) -> anyhow::Result<ExitCode> {
    let status = child.wait().context("cannot wait for the program")?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(ExitCode::from(code as u8))
}

/// An error of the simulator itself, which the program only sees as an I/O error.
pub(crate) fn report(error: &Error) {
    let mut line = format!("pvsim: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    say(&line);
}

fn say(line: &str) {
    // Nothing can be done when stderr is gone.
    let _ = writeln!(io::stderr(), "{line}");
}

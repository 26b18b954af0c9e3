#![forbid(unsafe_code)]
//! `pvsim-cuse MACHINE`: serves a simulated machine's `/dev/uv` as a character device, through the real kernel.
//!
//! ```text
//! program ── ioctl ── kernel: /dev/uv ── cuse.ko ── /dev/cuse ── protocol ── session ── pvsim::Machine
//! ```
//!
//! The preload library of `pvsim run` needs no kernel module and no root, but it answers inside the program. Here
//! the program meets a real device node, a real system call, and a kernel that copies its memory: what the
//! preload could hide shows. Needs root and the module `cuse`.

mod protocol;
mod session;

use anyhow::{Context, ensure};
use clap::Parser;
use pvsim::Machine;
use session::Session;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where the kernel takes servers of character devices.
const CUSE: &str = "/dev/cuse";

/// More than any message: the kernel sends at most 32 pages and headers.
const BUFFER: usize = 1 << 20;

/// Serve a simulated machine's ultravisor at /dev/uv
#[derive(Parser)]
#[command(name = "pvsim-cuse", version)]
struct Arguments {
    /// Folder of the machine, made by 'pvsim init'
    machine: PathBuf,
}

fn main() -> ExitCode {
    match serve(&Arguments::parse().machine) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done when stderr is gone.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Answers until the kernel takes the device away.
fn serve(machine: &Path) -> anyhow::Result<()> {
    let mut session = Session::new(Machine::open(machine)?);
    let open = OpenOptions::new().read(true).write(true).open(CUSE);
    let mut kernel = open.with_context(|| format!("Cannot open '{CUSE}' (is the module cuse loaded?)"))?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = match kernel.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.raw_os_error() == Some(nix::libc::ENODEV) => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("Cannot read '{CUSE}'")),
        };
        let Some(message) = buffer.get(..length) else { continue };
        let (reply, trouble) = session.answer(message)?;
        if let Some(error) = trouble {
            writeln!(io::stderr(), "pvsim-cuse: {error}")?;
        }
        let Some(reply) = reply else { continue };
        // A reply is one write: the kernel takes it whole or not at all.
        match kernel.write(&reply) {
            Ok(written) => ensure!(written == reply.len(), "the kernel took a part of a reply only"),
            // The caller was killed while it waited.
            Err(error) if error.raw_os_error() == Some(nix::libc::ENOENT) => {}
            Err(error) => return Err(error).with_context(|| format!("Cannot write to '{CUSE}'")),
        }
    }
}

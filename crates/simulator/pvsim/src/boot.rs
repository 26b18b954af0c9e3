//! A real kernel on the machine, from the command line.

mod console;
mod image;

use anyhow::Context;
use clap::Args;
use console::Console;
use pvsim::{Booted, Machine};
use pvsim_machine::{Agent, Counts, End, Hardware, Job};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// As timeout(1) has for a command whose time is over.
const TIME_IS_OVER: u8 = 124;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Folder of the machine
    dir: PathBuf,
    /// The SE image to boot, made for the machine's host key
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kernel", "ramdisk", "parmfile"])]
    image: Option<PathBuf>,
    /// Make an image of this kernel first
    #[arg(long, value_name = "FILE", required_unless_present = "image")]
    kernel: Option<PathBuf>,
    /// With this ramdisk; without: one with the programs of --add, that runs COMMAND
    #[arg(long, value_name = "FILE")]
    ramdisk: Option<PathBuf>,
    /// With the command line in this file
    #[arg(long, value_name = "FILE")]
    parmfile: Option<PathBuf>,
    #[command(flatten)]
    guest: GuestArguments,
    /// Write the console to this file, too
    #[arg(long, value_name = "FILE")]
    append_console: Option<PathBuf>,
    /// The command that the ramdisk made here runs on the console
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// What a booted guest has.
#[derive(Args, Clone)]
pub(crate) struct GuestArguments {
    /// MiB of memory
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    pub(crate) memory: u32,
    /// Seconds after which the machine is switched off, with exit status 124
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) seconds: u64,
    /// Put a program for s390x with its libraries into the ramdisk, in /bin
    #[arg(long, value_name = "FILE")]
    pub(crate) add: Vec<PathBuf>,
    /// Put a kernel module into the ramdisk, to be loaded at start
    #[arg(long = "module", value_name = "FILE")]
    pub(crate) modules: Vec<PathBuf>,
    /// Look for libraries in this root folder of an s390x system
    #[arg(long = "root", value_name = "DIR")]
    pub(crate) roots: Vec<PathBuf>,
    /// Tell on standard error how often the machine stood still, and for what
    #[arg(long)]
    pub(crate) counts: bool,
    /// The first program of the ramdisk: pvsim-init, built for s390x; default: beside this program
    #[arg(long, value_name = "FILE")]
    pub(crate) init: Option<PathBuf>,
}

/// Boots a machine. The exit status is the guest's, as its last line on the console says it.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let machine = Machine::open(&arguments.dir)?;
    let made = match (&arguments.image, &arguments.kernel) {
        (Some(_), _) | (None, None) => None,
        (None, Some(kernel)) => {
            let ramdisk = match &arguments.ramdisk {
                Some(file) => Some(image::read(file)?),
                None => Some(image::ramdisk(&arguments.guest, &arguments.command)?),
            };
            let line = arguments.parmfile.as_deref().map(image::read).transpose()?;
            Some(image::make(&machine, kernel, ramdisk.as_deref(), line)?)
        }
    };
    let image = made.as_ref().map(|file| file.path()).or(arguments.image.as_deref()).context("which image?")?;
    let console = Console::new(arguments.append_console.as_deref(), true)?;
    let said = console.said();
    let hardware = Hardware { image: image.to_owned(), memory: arguments.guest.memory, agent: false };
    let limit = Duration::from_secs(arguments.guest.seconds);
    let Booted { end, counts, .. } = pvsim::boot(machine, &hardware, console, limit, |_| ())?;
    tell(arguments.guest.counts, &counts);
    ended(end, &counts, said.status(), &said.text())
}

/// Instructions by their names.
const NAMES: [(u16, &str); 4] = [(0xb9a4, "UVC"), (0xb2af, "PQAP"), (0xb2ad, "NQAP"), (0xb2ae, "DQAP")];

fn tell(wanted: bool, counts: &Counts) {
    if !wanted {
        return;
    }
    let mut line = format!("{} stops", counts.stops);
    for (instruction, name) in NAMES {
        line += &format!(", {} {name}", counts.instructions.get(&instruction).unwrap_or(&0));
    }
    let _ = writeln!(io::stderr(), "{line}, {} other operation exceptions", counts.others);
}

/// Runs a program in a booted guest. The exit status is the program's.
pub(crate) fn run_in_kernel(
    dir: &Path,
    kernel: &Path,
    guest: &GuestArguments,
    program: &[String],
) -> anyhow::Result<ExitCode> {
    let done = in_kernel(dir, kernel, guest, |agent, _| {
        let command = program.to_vec();
        let limit_ms = guest.seconds * 1000;
        Ok(agent.run(&Job { command, limit_ms, ..Job::default() })?)
    })?;
    io::stdout().write_all(&done.stdout).context("cannot write to standard output")?;
    io::stderr().write_all(&done.stderr).context("cannot write to standard error")?;
    Ok(ExitCode::from(done.status.unwrap_or(TIME_IS_OVER)))
}

/// Boots a guest that takes commands, and does `work` with it and the release of its kernel.
pub(crate) fn in_kernel<R: Send>(
    dir: &Path,
    kernel: &Path,
    guest: &GuestArguments,
    work: impl FnOnce(&mut Agent, &str) -> anyhow::Result<R> + Send,
) -> anyhow::Result<R> {
    let machine = Machine::open(dir)?;
    let ramdisk = image::ramdisk(guest, &[])?;
    let image = image::make(&machine, kernel, Some(&ramdisk), None)?;
    let console = Console::new(None, false)?;
    let said = console.said();
    let hardware = Hardware { image: image.path().to_owned(), memory: guest.memory, agent: true };
    let limit = Duration::from_secs(guest.seconds);
    let Booted { end, counts, result } = pvsim::boot(machine, &hardware, console, limit, |agent| {
        let mut agent = agent.context("the machine has no line to the guest")?;
        let release = agent.ready()?;
        let result = work(&mut agent, &release)?;
        agent.power_off(0)?;
        Ok(result)
    })?;
    tell(guest.counts, &counts);
    let result: anyhow::Result<R> = result;
    result.with_context(|| match (end, counts.refused) {
        (End::Time, _) => format!("the guest's {} s are over; its console:\n{}", guest.seconds, said.text()),
        (_, Some(refused)) => refusal(refused),
        (End::Off, None) => format!("not all could be done in the guest; its console:\n{}", said.text()),
    })
}

fn ended(end: End, counts: &Counts, status: Option<u8>, said: &str) -> anyhow::Result<ExitCode> {
    match (end, counts.refused, status) {
        (End::Time, ..) => {
            let _ = writeln!(io::stderr(), "error: the guest's time is over");
            Ok(ExitCode::from(TIME_IS_OVER))
        }
        (End::Off, _, Some(status)) => Ok(ExitCode::from(status)),
        (End::Off, Some(refused), None) => anyhow::bail!(refusal(refused)),
        _ if said.contains("Kernel panic") => anyhow::bail!("the guest's kernel panicked"),
        // One that was switched off in order, and has nothing to say.
        (End::Off, None, None) if counts.secure => Ok(ExitCode::SUCCESS),
        (End::Off, None, None) => anyhow::bail!("the machine was switched off before the guest came into secure mode"),
    }
}

/// What a refusal of secure mode means.
fn refusal(refused: pvsim_machine::Refused) -> String {
    let pvsim_machine::Refused { command, rc, rrc } = refused;
    let what = match (rc, rrc) {
        (0x0102, 0x1a) => "the list of addresses differs",
        (0x0102, 0x1b) => "the pages differ: the image was changed",
        (0x0102, 0x1c) => "the list of tweaks differs",
        (0x0102, 0x1d) => "the number of pages differs",
        (0x0104, _) => "the header's version is not supported",
        (0x0106, _) => "a plaintext control flag of the header is not known",
        (0x0108, 0x05) => "no key slot of the header is for this machine's host key",
        (0x0108, _) => "the header cannot be opened: it was changed",
        (0x010a, 0x31) => "the header's size is wrong",
        (0x010a, 0x39) => "the size of the header's encrypted part is wrong",
        (0x010a, 0x40) => "the header has no key slot",
        _ => "the image is not as it should be",
    };
    format!("secure mode is refused: {what} (command {command}, rc {rc:#06x}, rrc {rrc:#06x})")
}

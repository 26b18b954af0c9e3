#![forbid(unsafe_code)]
//! The first program in a guest that `pvsim` boots: it mounts what every program needs, loads the modules that were put
//! into the ramdisk, runs the command that was put there, and then what is asked for over the line to the outside.
//!
//! | file of the ramdisk | what |
//! |---|---|
//! | `/pvsim/modules/NAME` | kernel modules, loaded in any order that works |
//! | `/pvsim/command` | a command to run, its words separated by NUL; none: only what comes over the line |
//!
//! The line is the virtio port `pvsim`. Frames go both ways: u32 length, then that many bytes; a question's are parts,
//! each u32 length and content. `run`: milliseconds (u64), standard input, number of files (u64), path and content of
//! each, the words of the command. Answer: status (1 byte, none when its time was over), milliseconds (u64 each: by
//! the clock, user time, system time), standard output, standard error. `write` (to a file that is there), `put`: path, content;
//! answer: an errno, 0 for none. `get`: path; answer: the content. `remove`, `has`: path; answer: 0 or 1. `mode`: path;
//! answer: its type and permissions (u32), nothing if it is not there.
//! `read`: path; answer: an errno (1 byte), then the content.
//! `off`: status (1 byte); no answer.
//!
//! The last line on the console is `pvsim: exit status N`. Then the machine is switched off.

mod line;
mod program;

use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const MODULES: &str = "/pvsim/modules";
const COMMAND: &str = "/pvsim/command";
/// As a shell has for a command that cannot be run.
const NOT_RUN: u8 = 127;

fn main() {
    let status = run().unwrap_or_else(|error| {
        say(&format!("pvsim-init: {error}"));
        NOT_RUN
    });
    say(&format!("pvsim: exit status {status}"));
    let off: Result<Infallible, _> = reboot(RebootMode::RB_POWER_OFF);
    say(&format!("pvsim-init: cannot switch off: {off:?}"));
}

fn run() -> io::Result<u8> {
    prepare()?;
    load_modules()?;
    let command = fs::read(COMMAND).unwrap_or_default();
    let words: Vec<String> = words(&command);
    if !words.is_empty() {
        return program::on_console(&words);
    }
    match line::find()? {
        Some(port) => line::serve(port),
        None => Err(io::Error::other("there is neither a command nor a line to take some from")),
    }
}

fn words(command: &[u8]) -> Vec<String> {
    let words = command.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn prepare() -> io::Result<()> {
    for folder in ["/proc", "/sys", "/dev", "/tmp", "/run/lock"] {
        fs::create_dir_all(folder)?;
    }
    for (kind, place) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        let none: Option<&str> = None;
        match mount(Some(kind), place, Some(kind), MsFlags::empty(), none) {
            // The kernel may have mounted it.
            Ok(()) | Err(nix::errno::Errno::EBUSY) => {}
            Err(errno) => return Err(io::Error::other(format!("cannot mount {place}: {errno}"))),
        }
    }
    Ok(())
}

/// Loads all modules. One may need another: so those that failed are tried again as long as one more could be loaded.
fn load_modules() -> io::Result<()> {
    let Ok(entries) = fs::read_dir(MODULES) else { return Ok(()) };
    let mut left: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    left.sort();
    let mut errors = BTreeMap::new();
    loop {
        let before = left.len();
        left.retain(|module| match load(module) {
            Ok(()) => false,
            Err(error) => {
                errors.insert(module.clone(), error.to_string());
                true
            }
        });
        if left.is_empty() {
            return Ok(());
        }
        if left.len() == before {
            for module in &left {
                let why = errors.get(module).map_or("", String::as_str);
                say(&format!("pvsim-init: cannot load {}: {why}", module.display()));
            }
            return Ok(());
        }
    }
}

fn load(module: &Path) -> io::Result<()> {
    let compressed = module.extension().is_some_and(|end| end != "ko");
    // The kernel unpacks what its distribution packed.
    let flags = if compressed { ModuleInitFlags::from_bits_retain(4) } else { ModuleInitFlags::empty() };
    let none = CString::default();
    match finit_module(File::open(module)?, &none, flags) {
        Ok(()) | Err(nix::errno::Errno::EEXIST) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// A line on the console.
fn say(text: &str) {
    // Where there is no console nobody hears.
    if let Ok(mut console) = OpenOptions::new().write(true).open("/dev/console") {
        let _ = writeln!(console, "{text}");
    }
}

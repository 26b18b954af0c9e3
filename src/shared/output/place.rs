//! Where an output goes: to an open file of this process, or to a name in a folder.

use super::Privacy;
use super::policy::{Folder, Found, Kind};
use anyhow::{Context, bail};
use nix::unistd::Uid;
use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;
const STDOUT: u32 = 1;

/// Where an output goes.
#[derive(Debug)]
pub(super) enum Place {
    /// A file that this process has open.
    Open(u32),
    /// A name in a folder, both without links.
    Name(Name),
}

/// A name in a folder, and what is there.
#[derive(Debug)]
pub(super) struct Name {
    /// Without links.
    pub(super) folder: PathBuf,
    pub(super) name: OsString,
    pub(super) of_folder: Folder,
    pub(super) found: Option<Found>,
}

impl Name {
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }
}

impl Place {
    /// Where `path` leads to: a public output through links, a secret to the name itself.
    pub(super) fn of(path: &Path, privacy: Privacy) -> anyhow::Result<Self> {
        let caller = Uid::effective().as_raw();
        let mut path = path.to_owned();
        for _ in 0..=MOST_LINKS {
            if let Some(open) = open_file(&path) {
                return Ok(Self::Open(open));
            }
            let name = name(&path)?;
            let is_link = name.found.is_some_and(|found| found.kind == Kind::Link);
            let owner = name.found.map_or(caller, |found| found.owner);
            if !is_link || privacy == Privacy::Secret || !name.of_folder.may_follow(owner, caller) {
                return Ok(Self::Name(name));
            }
            path = name.path();
            let next = name.folder.join(path.read_link()?);
            // The links that the kernel keeps for the open files of other processes lead to no name.
            if let (Err(_), Some(metadata)) = (next.symlink_metadata(), path.metadata().ok().filter(is_stream)) {
                return Ok(Self::Name(Name { found: Some(Found::of(&metadata)), ..name }));
            }
            path = next;
        }
        bail!(io::Error::from(nix::errno::Errno::ELOOP))
    }
}

fn name(path: &Path) -> anyhow::Result<Name> {
    if path.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        bail!("it is a directory");
    }
    let no_name = path.as_os_str().as_bytes().ends_with(b"/");
    let name = path.file_name().filter(|_| !no_name).context("it is not the name of a file")?.to_owned();
    let folder = folder_of(path).canonicalize()?;
    let of_folder = Folder::of(&folder.metadata()?);
    let found = match folder.join(&name).symlink_metadata() {
        Ok(metadata) => Some(Found::of(&metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Name { folder, name, of_folder, found })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

fn is_stream(metadata: &Metadata) -> bool {
    let kind = metadata.file_type();
    kind.is_fifo() || kind.is_socket() || kind.is_char_device()
}

/// Whether an output goes to standard output, by any spelling; a public one, also by links.
pub(crate) fn is_stdout(path: &Path, privacy: Privacy) -> bool {
    match Place::of(path, privacy) {
        Ok(Place::Open(open)) => open == STDOUT,
        _ => false,
    }
}

/// The number of the open file of this process that `path` spells.
fn open_file(path: &Path) -> Option<u32> {
    if path == Path::new("-") {
        return Some(STDOUT);
    }
    let name = path.file_name()?.to_str()?;
    // Without /proc the links of /dev lead nowhere.
    let folder = folder_of(path);
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let number = match (folder.to_str()?, name) {
        ("/dev", "stdin") => return Some(0),
        ("/dev", "stdout") => return Some(STDOUT),
        ("/dev", "stderr") => return Some(2),
        ("/dev/fd" | "/proc/self/fd" | "/proc/thread-self/fd", number) => number,
        (folder, number) => {
            let below = folder.strip_prefix("/proc/")?.strip_prefix(&std::process::id().to_string())?;
            let thread = below.strip_prefix("/task/").and_then(|thread| thread.split_once('/'));
            (below == "/fd" || thread.is_some_and(|(_, rest)| rest == "fd")).then_some(number)?
        }
    };
    // Not "+1" or "01", which the kernel does not know either.
    number.parse().ok().filter(|parsed: &u32| parsed.to_string() == number)
}

/// What makes two outputs one.
#[derive(PartialEq)]
enum Mark {
    Open(u32),
    /// Device and inode of what is there.
    Inode(u64, u64),
    /// A device by its number.
    Device(u64),
    /// Device and inode of the folder, and the name.
    Name(u64, u64, OsString),
}

/// Whether writing to both would write to one file, which need not exist yet, or to one stream.
pub(crate) fn same_target(one: &Path, other: &Path) -> bool {
    let (one, other) = (marks(one), marks(other));
    one.iter().any(|mark| other.contains(mark))
}

/// Everything that `path` may turn out to be. A path that leads nowhere has no marks: writing will say why.
fn marks(path: &Path) -> Vec<Mark> {
    let mut marks = Vec::new();
    for privacy in [Privacy::Secret, Privacy::Public] {
        match Place::of(path, privacy) {
            Ok(Place::Open(open)) => {
                marks.push(Mark::Open(open));
                marks.extend(open_metadata(open).as_ref().and_then(mark));
            }
            Ok(Place::Name(name)) => {
                marks.extend(name.path().metadata().ok().as_ref().and_then(mark));
                if let Ok(folder) = name.folder.metadata() {
                    marks.push(Mark::Name(folder.dev(), folder.ino(), name.name));
                }
            }
            Err(_) => {}
        }
    }
    marks
}

fn mark(metadata: &Metadata) -> Option<Mark> {
    if !metadata.file_type().is_char_device() {
        return Some(Mark::Inode(metadata.dev(), metadata.ino()));
    }
    let number = metadata.rdev();
    (!is_null(number)).then_some(Mark::Device(number))
}

/// Whether a device swallows everything, so that nothing can be mixed there.
pub(super) fn is_null(device: u64) -> bool {
    (nix::sys::stat::major(device), nix::sys::stat::minor(device)) == (1, 3)
}

fn open_metadata(open: u32) -> Option<Metadata> {
    // A copy of the descriptor tells what it is without /proc.
    let copy = match open {
        0 => io::stdin().as_fd().try_clone_to_owned(),
        1 => io::stdout().as_fd().try_clone_to_owned(),
        2 => io::stderr().as_fd().try_clone_to_owned(),
        _ => return std::fs::metadata(format!("/proc/self/fd/{open}")).ok(),
    };
    std::fs::File::from(copy.ok()?).metadata().ok()
}

//! One pvapconfig at a time.
//!
//! The kernel's lock on the file is what counts: it ends with the process, however that ends. The file's existence is
//! what s390-tools' pvapconfig takes for a lock, so it is there as long as this runs, and a file with the id of a
//! living one is respected.

use crate::shared::system::System;
use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::Uid;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where s390-tools has it, too.
const PATH: &str = "run/lock/pvapconfig.lock";

/// Held until it is dropped.
pub(super) struct Lock {
    path: PathBuf,
    held: Held,
}

/// A file that is locked.
struct Held(Option<Flock<File>>);

impl Lock {
    pub(super) fn take(system: &System) -> anyhow::Result<Self> {
        let path = system.root.join(PATH);
        loop {
            let file = open(&path).with_context(|| format!("Failure trying to create lock file {}", path.display()))?;
            let mut held = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(file) => Held(Some(file)),
                Err((mut file, Errno::EWOULDBLOCK)) => match process(&mut file) {
                    Some(process) => bail!("pvapconfig is running already, as process {process}"),
                    None => bail!("pvapconfig is running already: it holds {}", path.display()),
                },
                Err((_, errno)) => {
                    return Err(errno).with_context(|| format!("cannot lock {}", path.display()));
                }
            };
            // The one before removed the file after it was opened here: this is the lock of nothing.
            if !held.is_at(&path) {
                continue;
            }
            let Some(file) = held.file() else { continue };
            if let Some(other) = process(file).filter(|&process| is_pvapconfig(process)) {
                bail!("pvapconfig of s390-tools is running already, as process {other}");
            }
            let written = file.set_len(0).and_then(|()| file.rewind());
            let written = written.and_then(|()| write!(file, "{}", std::process::id()));
            written.with_context(|| format!("cannot write to {}", path.display()))?;
            return Ok(Self { path, held });
        }
    }
}

/// Opens the lock file. Everybody may put something of that name into the folder: a link would have its target
/// overwritten, and another user's file could be locked for ever. Such things make way.
fn open(path: &Path) -> io::Result<File> {
    const MOST_TRIES: usize = 8;
    let make_way = |why: io::Error| fs::remove_file(path).map_err(|_| why);
    for _ in 0..MOST_TRIES {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o644);
        match options.custom_flags(OFlag::O_NOFOLLOW.bits() | OFlag::O_NONBLOCK.bits()).open(path) {
            Ok(file) => {
                let found = file.metadata()?;
                if found.is_file() && found.nlink() <= 1 && found.uid() == Uid::effective().as_raw() {
                    return Ok(file);
                }
                make_way(io::Error::other("it is not a file of this user"))?;
            }
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                // With the kernel's protection of such folders, another user's file is not even opened for root.
                Some(Errno::ELOOP | Errno::EACCES | Errno::ENXIO) => make_way(error)?,
                _ => return Err(error),
            },
        }
    }
    Err(io::Error::other("somebody puts something else there again and again"))
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Nobody else can have taken it meanwhile; if it cannot be removed, the next one will find it unlocked.
        if self.held.is_at(&self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Held {
    fn file(&mut self) -> Option<&mut File> {
        self.0.as_deref_mut()
    }

    /// Whether the file that is locked is the one at `path`.
    fn is_at(&self, path: &Path) -> bool {
        match (self.0.as_deref().map(File::metadata), fs::symlink_metadata(path)) {
            (Some(Ok(held)), Ok(there)) => (held.dev(), held.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Its own drop panics when unlocking fails. The lock ends with the process all the same.
        if let Some(Err((locked, _))) = self.0.take().map(Flock::unlock) {
            std::mem::forget(locked);
        }
    }
}

/// The process that the file names.
fn process(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|&process| process != std::process::id())
}

/// Whether it lives and is one, and not another program that got its number.
fn is_pvapconfig(process: u32) -> bool {
    fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name.trim_end() == "pvapconfig")
}

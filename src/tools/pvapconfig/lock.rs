//! One pvapconfig at a time.
//!
//! What counts is a lock of the kernel on a file in a folder that nobody but this user can enter: it ends with the
//! process, however that ends, and the kernel tells who holds it. For s390-tools' pvapconfig the existence of a file in
//! `/run/lock` is the lock. That file is there, too, as long as this runs; but everybody may write to that folder on
//! some distributions, so nothing there stops a run but the id of a living pvapconfig of this user's.

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::unistd::Uid;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A folder of this user's in one of root's.
const FOLDER: &str = "run/pvtools";
const FILE: &str = "pvapconfig.lock";
/// Where s390-tools looks.
const REFERENCE: &str = "run/lock/pvapconfig.lock";

/// Held until it is dropped.
pub(super) struct Lock {
    /// Closing it ends the lock.
    _file: File,
    reference: Option<Reference>,
}

/// The file that s390-tools takes for a lock.
struct Reference {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Lock {
    /// Takes both locks below `root`.
    pub(super) fn take(root: &Path) -> anyhow::Result<Self> {
        let folder = root.join(FOLDER);
        let path = folder.join(FILE);
        let cannot = || format!("Failure trying to create lock file {}", path.display());
        make_private(&folder).with_context(cannot)?;
        let file = open(&path).with_context(cannot)?;
        lock(&file, &path)?;
        let reference = Reference::take(&root.join(REFERENCE))?;
        Ok(Self { _file: file, reference })
    }
}

/// Makes a folder for this user alone, or makes sure that it is one.
fn make_private(folder: &Path) -> anyhow::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    let found = folder.symlink_metadata()?;
    if !found.is_dir() || found.uid() != Uid::effective().as_raw() || found.mode() & 0o022 != 0 {
        bail!("{} is not a folder that belongs to this user and that nobody else may write to", folder.display());
    }
    Ok(())
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(path)
}

/// Takes the kernel's lock, or says which process has it.
#[expect(clippy::cast_possible_truncation, reason = "the C library's constants are 0, 1 and 2")]
fn lock(file: &File, path: &Path) -> anyhow::Result<()> {
    /// The one who has it may end before it is asked for.
    const MOST_TRIES: usize = 8;
    let whole = |kind: libc::c_int| libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    for _ in 0..MOST_TRIES {
        match fcntl(file, FcntlArg::F_SETLK(&whole(libc::F_WRLCK))) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => continue,
            Err(Errno::EAGAIN | Errno::EACCES) => {}
            Err(errno) => return Err(errno).with_context(|| format!("cannot lock {}", path.display())),
        }
        let mut holder = whole(libc::F_WRLCK);
        match fcntl(file, FcntlArg::F_GETLK(&mut holder)) {
            Ok(_) if holder.l_type == libc::F_UNLCK as libc::c_short => {}
            Ok(_) if holder.l_pid > 0 => bail!("pvapconfig is running already, as process {}", holder.l_pid),
            // The kernel has no number here for a process of another container.
            Ok(_) => bail!("pvapconfig is running already, outside of this container: it holds {}", path.display()),
            Err(errno) => return Err(errno).with_context(|| format!("cannot ask who holds {}", path.display())),
        }
    }
    bail!("pvapconfig is running already: it holds {}", path.display())
}

impl Reference {
    /// Puts the file there. What others put there instead makes way; if it does not, s390-tools finds that.
    fn take(path: &Path) -> anyhow::Result<Option<Self>> {
        const MOST_TRIES: usize = 8;
        for _ in 0..MOST_TRIES {
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            match made.and_then(|file| Self::fill(file, path)) {
                Ok(reference) => return Ok(Some(reference)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                // No such folder, no space: then s390-tools cannot make its lock either.
                Err(_) => return Ok(None),
            }
            if let Some(other) = process_of(path).filter(|&process| is_pvapconfig(process)) {
                bail!("pvapconfig of s390-tools is running already, as process {other}: see {}", path.display());
            }
            if fs::remove_file(path).is_err() && fs::remove_dir(path).is_err() && path.symlink_metadata().is_ok() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn fill(mut file: File, path: &Path) -> io::Result<Self> {
        let found = file.metadata()?;
        // An empty file is a lock as well.
        let _ = write!(file, "{}", std::process::id());
        Ok(Self { path: path.to_owned(), identity: (found.dev(), found.ino()) })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let Some(Reference { path, identity }) = &self.reference else { return };
        // If it cannot be removed, the next one will find that its process is dead.
        if path.symlink_metadata().is_ok_and(|found| (found.dev(), found.ino()) == *identity) {
            let _ = fs::remove_file(path);
        }
    }
}

/// The process that a file of this user's names.
fn process_of(path: &Path) -> Option<u32> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let found = file.metadata().ok()?;
    if !found.is_file() || found.uid() != Uid::effective().as_raw() || found.nlink() > 1 {
        return None;
    }
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|&process| process != std::process::id())
}

/// Whether it lives, is this user's and is one, and not another program that got its number. One that has ended but was
/// not waited for does not live.
fn is_pvapconfig(process: u32) -> bool {
    let folder = PathBuf::from(format!("/proc/{process}"));
    let is_own = folder.metadata().is_ok_and(|found| found.uid() == Uid::effective().as_raw());
    // "123 (pvapconfig) S ...": a name may contain anything.
    let Ok(stat) = fs::read_to_string(folder.join("stat")) else { return false };
    let Some((name, rest)) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(") ")) else { return false };
    is_own && name == "pvapconfig" && !rest.starts_with(['Z', 'X'])
}

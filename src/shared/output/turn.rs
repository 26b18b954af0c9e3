//! The folders of outputs: one run at a time, and names that outlast a power cut.

use crate::shared::system::System;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a lock is waited for that others may hold for ever.
const LONGEST: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// The folders in which names change.
pub(super) struct Folders {
    /// By device and inode, so that all runs lock them in one order. One that cannot be read cannot be synced either.
    folders: BTreeMap<(u64, u64), Folder>,
    locked: Vec<Locked>,
}

/// A lock that ends when it is dropped.
pub(crate) struct Locked(Option<Flock<File>>);

struct Folder {
    path: PathBuf,
    file: File,
    is_changed: bool,
}

impl Folders {
    pub(super) fn of<'a>(paths: impl Iterator<Item = &'a Path>) -> Self {
        let folder = |path: &Path| {
            let file = File::open(path).ok()?;
            let metadata = file.metadata().ok()?;
            Some(((metadata.dev(), metadata.ino()), Folder { path: path.to_owned(), file, is_changed: false }))
        };
        Self { folders: paths.filter_map(folder).collect(), locked: Vec::new() }
    }

    /// Waits until no other run is publishing several outputs there.
    pub(super) fn take_turn(&mut self, system: &mut System) {
        for folder in self.folders.values() {
            let Ok(file) = folder.file.try_clone() else { continue };
            match lock_within_bound(file) {
                Ok(locked) => self.locked.push(locked),
                Err(Errno::EWOULDBLOCK) => system.warn(&format!(
                    "Note: another process keeps the folder '{}' locked: if another run writes the same outputs now, they may \
                     not belong together.",
                    folder.path.display()
                )),
                // File systems without such locks.
                Err(_) => {}
            }
        }
    }

    pub(super) fn changed(&mut self, path: &Path) {
        self.folders.values_mut().filter(|folder| folder.path == path).for_each(|folder| folder.is_changed = true);
    }

    /// Makes the changes of names durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        for folder in self.folders.values_mut().filter(|folder| folder.is_changed) {
            sync_names(&folder.file)?;
            folder.is_changed = false;
        }
        Ok(())
    }
}

/// Makes the names in a folder durable, where the file system can.
pub(crate) fn sync_names(folder: &File) -> io::Result<()> {
    match folder.sync_all() {
        Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        result => result,
    }
}

/// Locks, or gives the file back with the reason: `EWOULDBLOCK` if somebody else has the lock.
pub(crate) fn lock_at_once(file: File) -> Result<Locked, (File, Errno)> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map(|locked| Locked(Some(locked)))
}

/// Tries to lock until it works, but for a bounded time.
pub(super) fn lock_within_bound(mut file: File) -> Result<Locked, Errno> {
    let began = Instant::now();
    loop {
        match lock_at_once(file) {
            Ok(locked) => return Ok(locked),
            Err((again, Errno::EWOULDBLOCK | Errno::EINTR)) if began.elapsed() < LONGEST => file = again,
            Err((_, errno)) => return Err(errno),
        }
        std::thread::sleep(PAUSE);
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Its own drop panics when unlocking fails. The lock ends with the process all the same.
        if let Some(Err((locked, _))) = self.0.take().map(Flock::unlock) {
            std::mem::forget(locked);
        }
    }
}

//! All that a folder holds, replaced in one step, while it is mounted elsewhere and read.
//!
//! The folder itself has to stay: whoever mounted it would go on seeing the old one. So for a moment its parts are links:
//!
//! ```text
//! hkds -> .pvtools-X/.now/hkds      .pvtools-X/.now -> .old     a copy of what is there
//! hdr  -> .pvtools-X/.now/hdr       .pvtools-X/.now -> .        what comes, after one rename
//! ```
//!
//! Each part is exchanged with its link, which shows the same; one rename of `.now` changes all; each link is exchanged
//! with the new part, which again shows the same. Wherever this ends, the folder shows the old parts or the new ones, and
//! the next run goes on from there.

use crate::shared::output::{Locked, lock_at_once, sync_names};
use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use uvtypes::text::shown_path;

/// What the names of folders begin with that a run makes for itself.
pub(super) const PREFIX: &str = ".pvtools-";
/// The link that decides what is seen.
const NOW: &str = ".now";
/// The copy of what was there.
const OLD: &str = ".old";

/// A folder that no other run replaces meanwhile.
pub(super) struct FolderLock {
    folder: PathBuf,
    _lock: Locked,
}

impl FolderLock {
    /// Takes the lock, or says that another run has it.
    pub(super) fn take(folder: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("Cannot replace '{}'", shown_path(folder));
        let file = File::open(folder).with_context(cannot)?;
        match lock_at_once(file) {
            Ok(lock) => Ok(Self { folder: folder.to_owned(), _lock: lock }),
            Err((_, Errno::EWOULDBLOCK)) => {
                bail!("Cannot replace '{}': another run is replacing it: wait until it has ended", shown_path(folder))
            }
            Err((_, errno)) => Err(errno).with_context(cannot),
        }
    }

    /// Puts the parts called `names` of `staged`, a folder inside, in the place of those that are there. A part that
    /// `staged` does not have is gone afterwards.
    pub(super) fn replace(self, staged: tempfile::TempDir, names: &[&str]) -> anyhow::Result<()> {
        let replacement = Replacement { folder: &self.folder, staged: staged.path() };
        match replacement.until_the_switch(names) {
            Ok(()) => {}
            Err((error, true)) => return Err(error),
            Err((error, false)) => {
                // Links lead into it.
                let _ = staged.keep();
                return Err(error);
            }
        }
        // From here on, the new parts are seen.
        if replacement.put_parts_in_place(names).is_err() {
            let kept = staged.keep();
            let folder = shown_path(&self.folder);
            bail!(
                "The folder '{folder}' is replaced, but links into '{}' have stayed: run the command again",
                shown_path(&kept)
            );
        }
        drop(staged);
        self.remove_what_killed_runs_left();
        Ok(())
    }

    /// No link leads there: the parts are in their places.
    fn remove_what_killed_runs_left(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
            if is_ours && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                // Nothing depends on it.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

struct Replacement<'a> {
    folder: &'a Path,
    staged: &'a Path,
}

impl Replacement<'_> {
    /// With an error goes whether everything is as it was.
    fn until_the_switch(&self, names: &[&str]) -> Result<(), (anyhow::Error, bool)> {
        let cannot = || format!("Cannot replace '{}'", shown_path(self.folder));
        self.prepare(names).with_context(cannot).map_err(|error| (error, true))?;
        let mut linked = Vec::new();
        let result = names.iter().try_for_each(|name| {
            let (place, link) = (self.folder.join(name), self.staged.join(format!(".link-{name}")));
            let was_there = is_there(&place)?;
            if was_there {
                exchange(&link, &place)?
            } else {
                fs::rename(&link, &place)?
            }
            linked.push((place, link, was_there));
            Ok(())
        });
        let result = result.and_then(|()| {
            sync(self.folder)?;
            fs::rename(self.staged.join(".next"), self.staged.join(NOW))
        });
        let Err(error) = result else { return Ok(()) };
        let mut is_undone = true;
        for (place, link, was_there) in linked.into_iter().rev() {
            let undone = if was_there { exchange(&link, &place) } else { fs::remove_file(&place) };
            is_undone &= undone.is_ok();
        }
        let advice = if error.raw_os_error() == Some(Errno::EINVAL as i32) {
            ": its file system cannot exchange two names; make the folder under another name, and rename it"
        } else {
            ""
        };
        Err((anyhow::Error::new(error).context(format!("{}{advice}", cannot())), is_undone))
    }

    /// The copy, and the links.
    fn prepare(&self, names: &[&str]) -> anyhow::Result<()> {
        let inside = self.staged.file_name().context("the folder has no name")?;
        let old = self.staged.join(OLD);
        fs::create_dir(&old)?;
        for name in names {
            copy(&self.folder.join(name), &old.join(name))?;
            symlink(Path::new(inside).join(NOW).join(name), self.staged.join(format!(".link-{name}")))?;
        }
        symlink(OLD, self.staged.join(NOW))?;
        symlink(".", self.staged.join(".next"))?;
        // Whoever can look into the folder has to be able to look through the links.
        let there = fs::metadata(self.folder)?;
        give(self.staged, &there)?;
        give(&old, &there)?;
        for folder in fs::read_dir(self.staged)?.flatten().filter(|entry| entry.path().is_dir()) {
            sync(&folder.path())?;
        }
        Ok(sync(self.staged)?)
    }

    fn put_parts_in_place(&self, names: &[&str]) -> io::Result<()> {
        sync(self.staged)?;
        for name in names {
            let (new, place) = (self.staged.join(name), self.folder.join(name));
            if is_there(&new)? { exchange(&new, &place)? } else { fs::remove_file(&place)? }
        }
        sync(self.folder)
    }
}

/// What cannot be looked at is not missing.
fn is_there(path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    Ok(renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE)?)
}

fn sync(folder: &Path) -> io::Result<()> {
    sync_names(&File::open(folder)?)
}

/// Gives `path` mode and group of another file.
fn give(path: &Path, like: &fs::Metadata) -> anyhow::Result<()> {
    if fs::metadata(path)?.gid() != like.gid() {
        nix::unistd::chown(path, None, Some(like.gid().into()))?;
    }
    Ok(fs::set_permissions(path, like.permissions())?)
}

/// Copies a file, or a folder with the files in it: what the verifier sees. Links are followed.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let cannot = || format!("Cannot copy '{}'", shown_path(from));
    match fs::metadata(from) {
        Ok(there) if there.is_dir() => {
            fs::create_dir(to).with_context(cannot)?;
            for entry in fs::read_dir(from).with_context(cannot)? {
                let name = entry.with_context(cannot)?.file_name();
                // The verifier does not look into folders.
                if !from.join(&name).is_dir() {
                    copy(&from.join(&name), &to.join(&name))?;
                }
            }
            give(to, &there).with_context(cannot)
        }
        Ok(there) if there.is_file() => {
            let bytes = zeroize::Zeroizing::new(fs::read(from).with_context(cannot)?);
            super::folder::write_new(to, &bytes).with_context(cannot)?;
            give(to, &there).with_context(cannot)
        }
        // Nothing that could be read.
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(cannot),
    }
}

//! The verifier's folder on disk: read for a check, replaced part by part.

use super::replace::{self, FolderLock};
use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::unistd::{Gid, Group};
use setrustee::Finding;
use setrustee::verifier::{Entry, EntryKind, FOLDERS, Folder, ROOT_CA};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use uvtypes::text::shown_path;
use zeroize::Zeroizing;

/// No file that the verifier reads is larger, but for a whole image, of which the beginning holds the header.
const MOST: u64 = 16 << 20;

/// Reads a folder as the verifier would see it.
pub(super) fn read(folder: &Path) -> anyhow::Result<Folder> {
    if !folder.is_dir() {
        bail!("Cannot check '{}': it is no folder", shown_path(folder));
    }
    let mut entries = Vec::new();
    read_level(folder, "", &mut entries)?;
    for name in FOLDERS {
        if folder.join(name).is_dir() {
            read_level(&folder.join(name), name, &mut entries)?;
        }
    }
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(Folder { entries })
}

fn read_level(folder: &Path, prefix: &str, entries: &mut Vec<Entry>) -> anyhow::Result<()> {
    let cannot = || format!("Cannot read the folder '{}'", shown_path(folder));
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if prefix.is_empty() && FOLDERS.contains(&name.as_str()) {
            continue;
        }
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        // As the verifier does: links are followed.
        let metadata = fs::metadata(entry.path()).ok();
        let kind = match &metadata {
            Some(metadata) if metadata.is_file() => EntryKind::File,
            Some(metadata) if metadata.is_dir() => EntryKind::Folder,
            _ => EntryKind::Other,
        };
        let mode = metadata.as_ref().map_or(0, |metadata| metadata.permissions().mode() & 0o7777);
        let size = metadata.as_ref().map_or(0, fs::Metadata::len);
        let mut bytes = Zeroizing::new(Vec::new());
        if kind == EntryKind::File {
            let cannot = || format!("Cannot read '{}'", shown_path(&entry.path()));
            File::open(entry.path()).and_then(|file| file.take(MOST).read_to_end(&mut bytes)).with_context(cannot)?;
        }
        entries.push(Entry { path, kind, mode, bytes, size });
    }
    Ok(())
}

/// What a pod of this group cannot read. A pod runs as another user than the one who made the folder.
pub(super) fn unreadable_for(folder: &Path, group: Gid) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut look = |path: &Path| {
        // A link to nothing was said before.
        let Ok(there) = fs::metadata(path) else { return };
        let needed = if there.is_dir() { 0o5 } else { 0o4 };
        let mode = there.permissions().mode();
        let is_open = mode & needed == needed || there.gid() == group.as_raw() && mode >> 3 & needed == needed;
        if !is_open {
            let problem = format!(
                "the group {group} cannot read it: its group is {}, its mode {:04o}",
                there.gid(),
                mode & 0o7777
            );
            findings.push(Finding::error(shown_path(path), problem, "run 'pvtools trustee verifier' with '--group'"));
        }
    };
    let cannot = || format!("Cannot read the folder '{}'", shown_path(folder));
    look(folder);
    for name in FOLDERS.into_iter().map(|name| folder.join(name)).filter(|folder| folder.is_dir()) {
        look(&name);
        let entries = fs::read_dir(&name).with_context(cannot)?.collect::<Result<Vec<_>, _>>().with_context(cannot)?;
        let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
        paths.sort();
        paths.iter().for_each(|path| look(path));
    }
    look(&folder.join(ROOT_CA));
    Ok(findings)
}

/// The group of a pod: a number, or a name of this system.
pub(super) fn group(text: &str) -> anyhow::Result<Gid> {
    if let Ok(number) = text.parse() {
        return Ok(Gid::from_raw(number));
    }
    let group = Group::from_name(text).with_context(|| format!("Cannot look up the group '{text}'"))?;
    group.map(|group| group.gid).with_context(|| format!("There is no group '{text}': give its number"))
}

/// A folder that is being made beside its target; removed when it is dropped unpublished.
pub(super) struct Staging {
    target: PathBuf,
    staged: tempfile::TempDir,
    group: Option<Gid>,
    /// Of a folder that is there.
    lock: Option<FolderLock>,
}

impl Staging {
    /// Begins a folder that will be at `target`, for `group` to read.
    pub(super) fn begin(target: &Path, group: Option<Gid>) -> anyhow::Result<Self> {
        let cannot = || format!("Cannot make the folder '{}'", shown_path(target));
        let lock = target.is_dir().then(|| FolderLock::take(target)).transpose()?;
        let parent = if lock.is_some() {
            target
        } else {
            target.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
        };
        let staged = tempfile::Builder::new().prefix(replace::PREFIX).tempdir_in(parent).with_context(cannot)?;
        let staging = Self { target: target.to_owned(), staged, group, lock };
        for name in FOLDERS {
            let folder = staging.staged.path().join(name);
            fs::create_dir(&folder).with_context(cannot)?;
            staging.permit(&folder, staging.folder_mode())?;
        }
        Ok(staging)
    }

    /// Adds a file. All are for the owner, and the group if there is one: the public RSA key is a secret here.
    pub(super) fn add(&self, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let file = self.staged.path().join(path);
        write_new(&file, bytes).with_context(|| format!("Cannot write '{path}' for '{}'", shown_path(&self.target)))?;
        self.permit(&file, if self.group.is_some() { 0o640 } else { 0o600 })
    }

    fn folder_mode(&self) -> u32 {
        if self.group.is_some() { 0o750 } else { 0o700 }
    }

    fn permit(&self, path: &Path, mode: u32) -> anyhow::Result<()> {
        let cannot = || format!("Cannot set mode and group for '{}'", shown_path(&self.target));
        if let Some(group) = self.group {
            nix::unistd::chown(path, None, Some(group)).with_context(cannot)?;
        }
        fs::set_permissions(path, Permissions::from_mode(mode)).with_context(cannot)
    }

    /// Makes everything appear in one step. The parts of a folder that is there are replaced: the folders that the verifier
    /// reads, and the files called `extra`.
    pub(super) fn publish(mut self, extra: &[&str]) -> anyhow::Result<()> {
        let Some(lock) = self.lock.take() else {
            let cannot = || format!("Cannot make the folder '{}'", shown_path(&self.target));
            self.permit(self.staged.path(), self.folder_mode())?;
            // Not over a folder that somebody made meanwhile.
            let path = self.staged.path();
            match renameat2(AT_FDCWD, path, AT_FDCWD, &self.target, RenameFlags::RENAME_NOREPLACE) {
                // Not every file system can; without the flag, a folder with something in it is refused.
                Err(Errno::EINVAL) => fs::rename(path, &self.target).with_context(cannot)?,
                result => result.with_context(cannot)?,
            }
            let _ = self.staged.keep();
            return Ok(());
        };
        if self.group.is_some() {
            self.permit(&self.target, self.folder_mode())?;
        }
        let names: Vec<_> = FOLDERS.iter().chain(extra).copied().collect();
        lock.replace(self.staged, &names)
    }
}

/// Writes a file that is not there yet, for the owner alone.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

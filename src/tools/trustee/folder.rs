//! The verifier's folder on disk: read for a check, replaced part by part.

use anyhow::{Context, bail};
use nix::unistd::{Gid, Group};
use setrustee::verifier::{Entry, EntryKind, FOLDERS, Folder};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// No file that the verifier reads is larger, but for a whole image, of which the beginning holds the header.
const MOST: u64 = 16 << 20;

/// Reads a folder as the verifier would see it.
pub(super) fn read(folder: &Path) -> anyhow::Result<Folder> {
    if !folder.is_dir() {
        bail!("Cannot check '{}': it is no folder", folder.display());
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
    let cannot = || format!("Cannot read the folder '{}'", folder.display());
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
            let cannot = || format!("Cannot read '{}'", entry.path().display());
            File::open(entry.path()).and_then(|file| file.take(MOST).read_to_end(&mut bytes)).with_context(cannot)?;
        }
        entries.push(Entry { path, kind, mode, bytes, size });
    }
    Ok(())
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
}

impl Staging {
    /// Begins a folder that will be at `target`, for `group` to read.
    pub(super) fn begin(target: &Path, group: Option<Gid>) -> anyhow::Result<Self> {
        let cannot = || format!("Cannot make the folder '{}'", target.display());
        // Inside a folder that is there, for it may be mounted in a pod, which would go on seeing the old one.
        let parent = if target.is_dir() {
            target
        } else {
            target.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
        };
        let staged = tempfile::Builder::new().prefix(".pvtools-").tempdir_in(parent).with_context(cannot)?;
        let staging = Self { target: target.to_owned(), staged, group };
        for name in FOLDERS {
            let folder = staging.staged.path().join(name);
            fs::create_dir(&folder).with_context(cannot)?;
            staging.permit(&folder, if group.is_some() { 0o750 } else { 0o700 })?;
        }
        Ok(staging)
    }

    /// Adds a file. All are for the owner, and the group if there is one: the public RSA key is a secret here.
    pub(super) fn add(&self, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let file = self.staged.path().join(path);
        let cannot = || format!("Cannot write '{path}' for '{}'", self.target.display());
        let mut opened =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).with_context(cannot)?;
        opened.write_all(bytes).and_then(|()| opened.sync_all()).with_context(cannot)?;
        self.permit(&file, if self.group.is_some() { 0o640 } else { 0o600 })
    }

    fn permit(&self, path: &Path, mode: u32) -> anyhow::Result<()> {
        let cannot = || format!("Cannot set mode and group for '{}'", self.target.display());
        if let Some(group) = self.group {
            nix::unistd::chown(path, None, Some(group)).with_context(cannot)?;
        }
        fs::set_permissions(path, Permissions::from_mode(mode)).with_context(cannot)
    }

    /// Makes everything appear: a new folder in one step, an old one part by part, the header last. If a part cannot
    /// appear, those before it are put back.
    pub(super) fn publish(self, extra: &[&str]) -> anyhow::Result<()> {
        let Self { target, staged, group } = self;
        let cannot = || format!("Cannot replace '{}'", target.display());
        if !target.is_dir() {
            let mode = if group.is_some() { 0o750 } else { 0o700 };
            if let Some(group) = group {
                nix::unistd::chown(staged.path(), None, Some(group)).with_context(cannot)?;
            }
            fs::set_permissions(staged.path(), Permissions::from_mode(mode)).with_context(cannot)?;
            let path = staged.keep();
            return fs::rename(&path, &target).inspect_err(|_| drop(fs::remove_dir_all(&path))).with_context(cannot);
        }
        let old = staged.path().join(".old");
        fs::create_dir(&old).with_context(cannot)?;
        let mut moved = Vec::new();
        for name in FOLDERS.iter().chain(extra) {
            let (new, place, old) = (staged.path().join(name), target.join(name), old.join(name));
            let result = (|| {
                if place.symlink_metadata().is_ok() {
                    fs::rename(&place, &old)?;
                }
                if new.symlink_metadata().is_ok() { fs::rename(&new, &place) } else { Ok(()) }
            })();
            moved.push((place, new, old));
            if let Err(error) = result {
                for (place, new, old) in moved.into_iter().rev() {
                    // The error to report is the one that led here.
                    let _ = fs::rename(&place, &new);
                    let _ = fs::rename(&old, &place);
                }
                return Err(error).with_context(cannot);
            }
        }
        Ok(())
    }
}

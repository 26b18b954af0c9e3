//! Output files: complete or not at all.

use anyhow::{Context, bail};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Who may read an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// What the umask allows; an existing file keeps its mode.
    Public,
    /// The owner alone (0600), whatever the umask or an existing file's mode.
    Secret,
}

/// An output that is safely on disk beside its target, but not yet seen under its name.
/// Dropped without [`Staged::publish`], it leaves nothing behind.
#[derive(Debug)]
#[must_use]
pub(crate) struct Staged {
    shown: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Renamed over `target`.
    Replace { file: NamedTempFile, target: PathBuf },
    /// A pipe or device, which cannot be replaced: written when published.
    Stream { file: File, bytes: zeroize::Zeroizing<Vec<u8>> },
}

/// Writes `bytes` to `path` in one step.
pub(crate) fn write(path: &Path, bytes: &[u8], privacy: Privacy, what: &str) -> anyhow::Result<()> {
    Staged::new(path, bytes, privacy, what)?.publish()
}

impl Staged {
    /// Writes `bytes` beside `path` and syncs them. `what` says in errors what the file is.
    pub(crate) fn new(path: &Path, bytes: &[u8], privacy: Privacy, what: &str) -> anyhow::Result<Self> {
        let kind =
            stage(path, bytes, privacy).with_context(|| format!("Cannot write {what} at '{}'", path.display()))?;
        Ok(Self { shown: path.to_owned(), kind })
    }

    /// Makes the output appear under its name.
    pub(crate) fn publish(self) -> anyhow::Result<()> {
        let shown = self.shown;
        match self.kind {
            Kind::Replace { file, target } => file.persist(&target).map(drop).map_err(|error| error.error),
            Kind::Stream { mut file, bytes } => file.write_all(&bytes).and_then(|()| file.flush()),
        }
        .with_context(|| format!("Cannot write to '{}'", shown.display()))
    }
}

/// Refuses an output that is one of the inputs, also by another path or through a link.
pub(crate) fn refuse_overwriting(output: &Path, inputs: &[&Path]) -> anyhow::Result<()> {
    match inputs.iter().find(|input| same_file(output, input)) {
        Some(input) if output != Path::new("-") => {
            bail!("'{}' would overwrite the input '{}': choose another output", output.display(), input.display())
        }
        _ => Ok(()),
    }
}

/// Whether two paths lead to one regular file.
pub(crate) fn same_file(one: &Path, other: &Path) -> bool {
    match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

fn stage(path: &Path, bytes: &[u8], privacy: Privacy) -> anyhow::Result<Kind> {
    let existing = match path.metadata() {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    if existing.as_ref().is_some_and(|metadata| metadata.is_dir()) {
        bail!("it is a directory");
    }
    // Renaming over /dev/stdout would replace the link, not reach the stream behind it.
    let is_stream = existing.as_ref().is_some_and(|metadata| {
        let kind = metadata.file_type();
        kind.is_char_device() || kind.is_fifo() || kind.is_socket() || kind.is_block_device()
    }) || ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder));
    if is_stream {
        let file = OpenOptions::new().write(true).open(path)?;
        return Ok(Kind::Stream { file, bytes: bytes.to_vec().into() });
    }
    // A link is followed for what anyone may read, and replaced by a secret: the secret must not land
    // where somebody else pointed it to.
    let target = match (privacy, &existing) {
        (Privacy::Public, Some(_)) => path.canonicalize()?,
        _ => path.to_owned(),
    };
    if existing.is_some() && privacy == Privacy::Public {
        // Rename asks for rights on the folder alone; a file its owner made read-only stays as it is.
        OpenOptions::new().write(true).open(&target)?;
    }
    let Some(name) = target.file_name() else { bail!("it is not the name of a file") };
    let folder = match target.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mode = match (privacy, &existing) {
        (Privacy::Secret, _) => 0o600,
        (Privacy::Public, _) => 0o666,
    };
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name.to_string_lossy().chars().take(32).collect::<String>());
    let mut file =
        tempfile::Builder::new().prefix(&prefix).permissions(Permissions::from_mode(mode)).tempfile_in(folder)?;
    if privacy == Privacy::Secret {
        file.as_file().set_permissions(Permissions::from_mode(0o600))?;
    } else if let Some(existing) = existing {
        file.as_file().set_permissions(Permissions::from_mode(existing.permissions().mode() & 0o7777))?;
    }
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(Kind::Replace { file, target })
}

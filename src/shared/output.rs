//! Output files: complete or not at all.

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::unistd::linkat;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
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
    /// Has no name yet, so that nothing is left behind even by a kill: linked to `target`.
    Link { file: File, target: PathBuf },
    /// For file systems without unnamed files: renamed to `target`.
    Rename { file: NamedTempFile, target: PathBuf },
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
        let stage = || -> anyhow::Result<Kind> {
            match open(path, privacy)? {
                Kind::Stream { file, .. } => Ok(Kind::Stream { file, bytes: bytes.to_vec().into() }),
                mut kind => {
                    let file = kind.file();
                    file.write_all(bytes)?;
                    file.sync_all()?;
                    Ok(kind)
                }
            }
        };
        let kind = stage().with_context(|| format!("Cannot write {what} at '{}'", path.display()))?;
        Ok(Self { shown: path.to_owned(), kind })
    }

    /// An empty file beside `path`, to be written through [`Staged::file`] and published when it is complete. Refuses what
    /// cannot be replaced, as pipes and devices.
    pub(crate) fn empty(path: &Path, privacy: Privacy, what: &str) -> anyhow::Result<Self> {
        let stage = || {
            // Looked at first: opening a pipe waits for its reader.
            let is_stream = path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
            match (!is_stream).then(|| open(path, privacy)).transpose()? {
                None | Some(Kind::Stream { .. }) => bail!("expected a regular file, found a pipe or device"),
                Some(kind) => Ok(kind),
            }
        };
        let kind = stage().with_context(|| format!("Cannot write {what} at '{}'", path.display()))?;
        Ok(Self { shown: path.to_owned(), kind })
    }

    /// What [`Staged::empty`] made.
    pub(crate) fn file(&mut self) -> &mut File {
        self.kind.file()
    }

    /// Like [`Staged::publish`], but what is there under that name stays, and is an error.
    pub(crate) fn publish_new(self) -> anyhow::Result<()> {
        let shown = self.shown;
        match self.kind {
            Kind::Link { file, target } => link_new(&file, &target),
            Kind::Rename { file, target } => file.persist_noclobber(&target).map(drop).map_err(|error| error.error),
            Kind::Stream { .. } => Err(io::ErrorKind::AlreadyExists.into()),
        }
        .with_context(|| format!("Cannot write to '{}'", shown.display()))
    }

    /// Makes the output appear under its name.
    pub(crate) fn publish(self) -> anyhow::Result<()> {
        let shown = self.shown;
        match self.kind {
            Kind::Link { file, target } => link(&file, &target),
            Kind::Rename { file, target } => file.persist(&target).map(drop).map_err(|error| error.error),
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

/// Whether writing to both would write to one file, which need not exist yet.
pub(crate) fn same_target(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| Some((folder_of(path).canonicalize().ok()?, path.file_name()?.to_owned()));
    let streams = [one, other].contains(&Path::new("-"));
    !streams && (one == other || same_file(one, other) || place(one).is_some() && place(one) == place(other))
}

/// Makes outputs appear, in their order but streams first, which may still fail. If one cannot appear, those before
/// it that were not there are taken back.
pub(crate) fn publish_all(mut outputs: Vec<Staged>) -> anyhow::Result<()> {
    outputs.sort_by_key(|output| !matches!(output.kind, Kind::Stream { .. }));
    let mut new = Vec::new();
    for output in outputs {
        let shown = output.shown.clone();
        let appears = !shown.exists();
        if let Err(error) = output.publish() {
            for path in new {
                // The error to report is the one that led here.
                let _ = std::fs::remove_file(path);
            }
            return Err(error);
        }
        if appears {
            new.push(shown);
        }
    }
    Ok(())
}

impl Kind {
    fn file(&mut self) -> &mut File {
        match self {
            Self::Link { file, .. } | Self::Stream { file, .. } => file,
            Self::Rename { file, .. } => file.as_file_mut(),
        }
    }
}

/// An empty file that can be published at `path`, or the stream there.
fn open(path: &Path, privacy: Privacy) -> anyhow::Result<Kind> {
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
        return Ok(Kind::Stream { file, bytes: Vec::new().into() });
    }
    // A link is followed for what anyone may read, and replaced by a secret: the secret must not land
    // where somebody else pointed it to.
    let target = match (privacy, &existing) {
        (Privacy::Public, Some(_)) => path.canonicalize()?,
        (Privacy::Public, None) if path.is_symlink() => folder_of(path).join(path.read_link()?),
        _ => path.to_owned(),
    };
    if existing.is_some() && privacy == Privacy::Public {
        // Rename asks for rights on the folder alone; a file its owner made read-only stays as it is.
        OpenOptions::new().write(true).open(&target)?;
    }
    if target.file_name().is_none() {
        bail!("it is not the name of a file");
    }
    let private = privacy == Privacy::Secret;
    let mode = Permissions::from_mode(if private { 0o600 } else { 0o666 });
    let exact_mode = match existing {
        _ if private => Some(mode.clone()),
        Some(existing) => Some(Permissions::from_mode(existing.permissions().mode() & 0o7777)),
        None => None,
    };
    let mut kind = match unnamed_file(folder_of(&target), mode.mode()) {
        Ok(file) => Kind::Link { file, target },
        Err(error) if has_no_unnamed_files(&error) => {
            let file = tempfile::Builder::new().permissions(mode).tempfile_in(folder_of(&target)).map_err(plain)?;
            Kind::Rename { file, target }
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(mode) = exact_mode {
        kind.file().set_permissions(mode)?;
    }
    Ok(kind)
}

fn unnamed_file(folder: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).mode(mode).custom_flags(OFlag::O_TMPFILE.bits()).open(folder)
}

fn has_no_unnamed_files(error: &io::Error) -> bool {
    let answers = [Errno::EOPNOTSUPP, Errno::EISDIR, Errno::EINVAL];
    error.raw_os_error().is_some_and(|code| answers.contains(&Errno::from_raw(code)))
}

/// Without the name of the temporary file, which is none of the user's.
fn plain(error: io::Error) -> io::Error {
    error.raw_os_error().map_or(error, io::Error::from_raw_os_error)
}

/// Gives an unnamed file its name; a file of that name is replaced in one step.
fn link(file: &File, target: &Path) -> io::Result<()> {
    match link_new(file, target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let named = tempfile::Builder::new().make_in(folder_of(target), |path| link_new(file, path))?;
            named.into_temp_path().persist(target).map_err(|error| error.error)
        }
        result => result,
    }
}

/// Gives an unnamed file its name, if nothing has it.
fn link_new(file: &File, target: &Path) -> io::Result<()> {
    let unnamed = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    linkat(AT_FDCWD, &unnamed, AT_FDCWD, target, AtFlags::AT_SYMLINK_FOLLOW).map_err(io::Error::from)
}

fn folder_of(target: &Path) -> &Path {
    target.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn staged_output_is_seen_only_when_published() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let staged = Staged::new(&path, b"new", Privacy::Public, "it").unwrap();
        assert!(!path.exists());
        drop(staged);
        assert_eq!(names(folder.path()), [""; 0]);
        fs::write(&path, "old").unwrap();
        let staged = Staged::new(&path, b"new", Privacy::Public, "it").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        staged.publish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[test]
    fn both_ways_of_publishing_replace_in_one_step() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out");
        for round in 0..2 {
            let mut file = unnamed_file(folder.path(), 0o600).unwrap();
            file.write_all(b"linked").unwrap();
            link(&file, &target).unwrap();
            assert_eq!(fs::read(&target).unwrap(), b"linked", "{round}");
            let mut file = NamedTempFile::new_in(folder.path()).unwrap();
            file.write_all(b"renamed").unwrap();
            let staged = Staged { shown: target.clone(), kind: Kind::Rename { file, target: target.clone() } };
            staged.publish().unwrap();
            assert_eq!(fs::read(&target).unwrap(), b"renamed", "{round}");
        }
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[test]
    fn secret_is_for_the_owner_alone_and_does_not_follow_links() {
        let folder = tempfile::tempdir().unwrap();
        let (victim, link) = (folder.path().join("victim"), folder.path().join("link"));
        fs::write(&victim, "harmless").unwrap();
        fs::set_permissions(&victim, Permissions::from_mode(0o666)).unwrap();
        symlink("victim", &link).unwrap();
        write(&link, b"secret", Privacy::Secret, "it").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"harmless");
        assert!(!link.is_symlink());
        assert_eq!(mode(&link), 0o600);
        write(&victim, b"secret", Privacy::Secret, "it").unwrap();
        assert_eq!(mode(&victim), 0o600);
    }

    #[test]
    fn public_output_keeps_mode_and_link_of_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let (old, link) = (folder.path().join("old"), folder.path().join("link"));
        fs::write(&old, "old").unwrap();
        fs::set_permissions(&old, Permissions::from_mode(0o604)).unwrap();
        symlink("old", &link).unwrap();
        write(&link, b"new", Privacy::Public, "it").unwrap();
        assert_eq!((fs::read(&old).unwrap(), mode(&old), link.is_symlink()), (b"new".to_vec(), 0o604, true));
    }

    #[test]
    fn dangling_link_is_created_where_it_points() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink("new", &link).unwrap();
        write(&link, b"data", Privacy::Public, "it").unwrap();
        assert_eq!(fs::read(folder.path().join("new")).unwrap(), b"data");
        assert!(link.is_symlink());
    }

    #[test]
    fn errors_name_the_file_and_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let rows = [("missing/out", "No such file"), ("", "directory"), ("..", "directory")];
        for (name, part) in rows {
            let error = write(&folder.path().join(name), b"x", Privacy::Public, "the thing").unwrap_err();
            let error = format!("{error:#}");
            assert!(error.starts_with("Cannot write the thing at '") && error.contains(part), "{name}: {error}");
        }
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn same_file_is_recognised_by_identity() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        fs::write(&one, "").unwrap();
        fs::hard_link(&one, &other).unwrap();
        assert!(same_file(&one, &other));
        fs::remove_file(&other).unwrap();
        fs::write(&other, "").unwrap();
        assert!(!same_file(&one, &other));
        assert!(!same_file(&one, &folder.path().join("missing")));
        assert!(refuse_overwriting(&one, &[&other, &one]).is_err());
    }
}

//! A file that is complete before it has a name, and how it gets one.

use super::policy::Rights;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, renameat2};
use nix::unistd::{Gid, Uid, fchown, linkat};
use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempPath;

/// A complete file in the folder of its target.
#[derive(Debug)]
pub(super) struct NewFile {
    file: File,
    /// None for a file without a name, of which even a kill leaves nothing.
    name: Option<TempPath>,
}

/// What took the place of what.
#[derive(Debug)]
pub(super) struct Landed {
    target: PathBuf,
    /// Device and inode of the new file.
    new: (u64, u64),
    old: Old,
}

/// What was there before.
#[derive(Debug)]
enum Old {
    Nothing,
    /// Replaced for good.
    Gone,
    Kept(TempPath),
}

impl NewFile {
    /// Writes and syncs a file that is to become `target`.
    pub(super) fn write(target: &Path, bytes: &[u8], rights: Rights) -> io::Result<Self> {
        match unnamed(folder_of(target), mode(rights)) {
            Ok(file) => Self { file, name: None }.fill(bytes, rights),
            Err(error) if has_no_unnamed_files(&error) => Self::write_named(target, bytes, rights),
            Err(error) => Err(error),
        }
    }

    /// The same for file systems without unnamed files.
    pub(super) fn write_named(target: &Path, bytes: &[u8], rights: Rights) -> io::Result<Self> {
        named(target, mode(rights))?.fill(bytes, rights)
    }

    fn fill(mut self, bytes: &[u8], rights: Rights) -> io::Result<Self> {
        give(&self.file, rights)?;
        self.file.write_all(bytes)?;
        self.file.sync_all()?;
        Ok(self)
    }

    /// Another descriptor of the file, to fill it.
    pub(super) fn again(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Gets the name `target` if nothing has it.
    pub(super) fn land_new(self, target: &Path) -> io::Result<Landed> {
        let new = identity(&self.file.metadata()?);
        let new = match self.name {
            Some(name) => name.persist_noclobber(target).map(|()| new).map_err(|error| error.error)?,
            None => match link(&self.file, target) {
                Err(error) if cannot_link(&error) => {
                    let name = copy_beside(&self.file, target)?;
                    let new = identity(&name.symlink_metadata()?);
                    name.persist_noclobber(target).map(|()| new).map_err(|error| error.error)?
                }
                result => result.map(|()| new)?,
            },
        };
        Ok(Landed { target: target.to_owned(), new, old: Old::Nothing })
    }

    /// Takes the place of what is at `target`, in one step. `keep_old`: so that it can be undone.
    pub(super) fn land(self, target: &Path, keep_old: bool) -> io::Result<Landed> {
        let is_missing = target.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        let landed = |new, old| Landed { target: target.to_owned(), new, old };
        if self.name.is_none() && is_missing {
            let new = identity(&self.file.metadata()?);
            match link(&self.file, target) {
                Ok(()) => return Ok(landed(new, Old::Nothing)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists || cannot_link(&error) => {}
                Err(error) => return Err(error),
            }
        }
        // From here to the end of the rename a kill leaves the temporary name.
        let (name, new) = self.into_name(target)?;
        if !keep_old || is_missing {
            name.persist(target).map_err(|error| error.error)?;
            return Ok(landed(new, if is_missing { Old::Nothing } else { Old::Gone }));
        }
        let exchange = || renameat2(AT_FDCWD, &*name, AT_FDCWD, target, RenameFlags::RENAME_EXCHANGE);
        match exchange() {
            // A rename would not have replaced a folder.
            Ok(()) if name.symlink_metadata().is_ok_and(|old| old.is_dir()) => {
                exchange()?;
                Err(Errno::EISDIR.into())
            }
            Ok(()) => Ok(landed(new, Old::Kept(name))),
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
                let old = second_name(target)?;
                name.persist(target).map_err(|error| error.error)?;
                Ok(landed(new, Old::Kept(old)))
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Gives the file a name beside `target`, if it has none. Gives the name and what is under it.
    fn into_name(self, target: &Path) -> io::Result<(TempPath, (u64, u64))> {
        let new = identity(&self.file.metadata()?);
        if let Some(name) = self.name {
            return Ok((name, new));
        }
        let make = |path: &Path| link(&self.file, path);
        match tempfile::Builder::new().prefix(&prefix(target)).make_in(folder_of(target), make).map_err(os_error_only) {
            Ok(named) => Ok((named.into_temp_path(), new)),
            Err(error) if cannot_link(&error) => {
                let name = copy_beside(&self.file, target)?;
                let new = identity(&name.symlink_metadata()?);
                Ok((name, new))
            }
            Err(error) => Err(error),
        }
    }
}

impl Landed {
    /// Whether the new file is still under its name.
    pub(super) fn is_there(&self) -> bool {
        self.target.symlink_metadata().is_ok_and(|there| identity(&there) == self.new)
    }

    /// Lets the old file go. If it cannot be removed, gives its name.
    pub(super) fn keep(self) -> Result<(), PathBuf> {
        let Old::Kept(old) = self.old else { return Ok(()) };
        let name = old.to_path_buf();
        old.close().map_err(|_| name)
    }

    /// Puts back what was there.
    pub(super) fn undo(self) -> io::Result<()> {
        if !self.is_there() {
            // Somebody else has replaced it meanwhile: that is none of this run's. What was there is not thrown away.
            return match self.old {
                Old::Kept(old) => {
                    let old = old.keep().map_err(|error| error.error)?;
                    Err(io::Error::other(format!(
                        "another process has replaced it; the previous version is '{}'",
                        old.display()
                    )))
                }
                Old::Nothing | Old::Gone => Ok(()),
            };
        }
        match self.old {
            // One step: the name is never missing.
            Old::Kept(old) => old.persist(&self.target).map_err(|error| {
                // The only copy is not thrown away.
                let _ = error.path.keep();
                error.error
            }),
            Old::Nothing => std::fs::remove_file(&self.target),
            // The new one is complete, and all that there is.
            Old::Gone => Ok(()),
        }
    }
}

fn mode(rights: Rights) -> u32 {
    if rights == Rights::Private { 0o600 } else { 0o666 }
}

fn unnamed(folder: &Path, mode: u32) -> io::Result<File> {
    if !Path::new("/proc/self/fd").is_dir() {
        // It could not be given a name.
        return Err(Errno::EOPNOTSUPP.into());
    }
    OpenOptions::new().read(true).write(true).mode(mode).custom_flags(OFlag::O_TMPFILE.bits()).open(folder)
}

fn named(target: &Path, mode: u32) -> io::Result<NewFile> {
    let mode = Permissions::from_mode(mode);
    let made = tempfile::Builder::new().prefix(&prefix(target)).permissions(mode).tempfile_in(folder_of(target));
    let made = made.map_err(os_error_only)?;
    let (file, name) = made.into_parts();
    Ok(NewFile { file, name: Some(name) })
}

/// Makes names that tell whose they are: `.NAME.pvtools-XXXXXX`.
fn prefix(target: &Path) -> OsString {
    const MOST: usize = 200;
    let name = target.file_name().unwrap_or_default().as_bytes();
    OsString::from_vec([b".", name.get(..MOST).unwrap_or(name), b".pvtools-"].concat())
}

/// A second name for what is at `target`: by a link, or else by a copy.
fn second_name(target: &Path) -> io::Result<TempPath> {
    let again = |path: &Path| linkat(AT_FDCWD, target, AT_FDCWD, path, AtFlags::empty()).map_err(io::Error::from);
    let prefix = prefix(target);
    match tempfile::Builder::new().prefix(&prefix).make_in(folder_of(target), again) {
        Ok(named) => Ok(named.into_temp_path()),
        Err(_) => {
            let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
            copy_beside(&OpenOptions::new().read(true).custom_flags(flags).open(target)?, target)
        }
    }
}

/// A copy with the same owner and permissions if the caller may give files away; for the caller alone otherwise.
fn copy_beside(mut file: &File, target: &Path) -> io::Result<TempPath> {
    let mut copy = named(target, 0o600)?;
    file.rewind()?;
    io::copy(&mut file, &mut copy.file)?;
    let like = file.metadata()?;
    give(&copy.file, Rights::Others { owner: like.uid(), group: like.gid(), mode: like.mode() & 0o777 })?;
    copy.file.sync_all()?;
    copy.name.ok_or_else(|| io::Error::other("it has no name"))
}

/// Gives an unnamed file a name that is free.
fn link(file: &File, path: &Path) -> io::Result<()> {
    let unnamed = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    linkat(AT_FDCWD, &unnamed, AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW).map_err(io::Error::from)
}

/// Makes a file of the caller's into whose it is to be. Owners come before permissions: changing them clears some.
fn give(file: &File, rights: Rights) -> io::Result<()> {
    let own = file.metadata()?;
    let permit = |mode: u32| file.set_permissions(Permissions::from_mode(mode));
    match rights {
        Rights::Default => Ok(()),
        Rights::Private => permit(0o600),
        Rights::Kept { group, mode } => {
            let keeps_group = own.gid() == group || fchown(file, None, Some(Gid::from_raw(group))).is_ok();
            permit(if keeps_group { mode } else { mode & !0o070 | (mode & 0o007) << 3 & mode })
        }
        Rights::Others { owner, group, mode } => {
            match fchown(file, Some(Uid::from_raw(owner)), Some(Gid::from_raw(group))) {
                Ok(()) => permit(mode),
                Err(_) => permit(mode & own.mode() & 0o777),
            }
        }
    }
}

fn has_no_unnamed_files(error: &io::Error) -> bool {
    let answers = [Errno::EOPNOTSUPP, Errno::EISDIR, Errno::EINVAL, Errno::ENOENT];
    error.raw_os_error().is_some_and(|code| answers.contains(&Errno::from_raw(code)))
}

/// Whether the file system, or a system without `/proc`, cannot name unnamed files.
fn cannot_link(error: &io::Error) -> bool {
    let answers = [Errno::ENOENT, Errno::EOPNOTSUPP, Errno::ENOSYS, Errno::EPERM, Errno::EXDEV, Errno::EINVAL];
    error.raw_os_error().is_some_and(|code| answers.contains(&Errno::from_raw(code)))
}

/// Without the name of the temporary file, which is none of the user's.
fn os_error_only(error: io::Error) -> io::Error {
    error.raw_os_error().map_or(error, io::Error::from_raw_os_error)
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn folder_of(target: &Path) -> &Path {
    target.parent().unwrap_or(Path::new("/"))
}

//! Outputs: complete or not at all, several of them all or none, and never for the eyes or the good of others.
//!
//! The rules are in `docs/security.md`; which of them holds for what is there is decided in [`policy`] alone.

mod append;
mod in_place;
mod new_file;
mod place;
mod policy;
mod turn;

use crate::shared::system::System;
use anyhow::{Context, bail};
use append::Append;
use in_place::InPlace;
use new_file::{Landed, NewFile};
use nix::errno::Errno;
use nix::unistd::Uid;
pub(crate) use place::is_stdout;
#[cfg(feature = "workstation")]
pub(crate) use place::same_target;
use place::{Name, Place};
use policy::{Found, Way, may_write_in_place, way};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use turn::Folders;
#[cfg(feature = "workstation")]
pub(crate) use turn::{Locked, lock_at_once, sync_names};
use uvtypes::text::shown_path;
use zeroize::Zeroizing;

/// Who may read an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// What the umask, or what was there before, allows.
    Public,
    /// The caller alone.
    Secret,
}

/// Outputs that are complete, but not yet seen under their names. Dropped without [`Outputs::publish`], they leave
/// nothing behind.
#[derive(Default)]
#[must_use]
pub(crate) struct Outputs(Vec<Staged>);

struct Staged {
    shown: PathBuf,
    content: Content,
    /// What is there already stays, and is an error.
    must_be_new: bool,
}

enum Content {
    New { file: NewFile, name: Name, instead: Option<InPlace> },
    InPlace(InPlace),
    Stream { file: File, bytes: Zeroizing<Vec<u8>> },
    Stdout(Zeroizing<Vec<u8>>),
    Append(Append),
}

/// What has appeared, so that it can be taken back.
enum Done {
    New(Landed),
    InPlace(InPlace),
    Append(Append),
    /// What a stream has got is gone.
    Passed,
}

/// Writes `bytes` to `path`, which may be standard output. `what` says in errors what it is.
pub(crate) fn write(
    path: &Path,
    bytes: &[u8],
    privacy: Privacy,
    what: &str,
    system: &mut System,
) -> anyhow::Result<()> {
    let mut outputs = Outputs::default();
    outputs.add(path, bytes, privacy, what)?;
    outputs.publish(system)
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
fn same_file(one: &Path, other: &Path) -> bool {
    match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

impl Outputs {
    /// Writes `bytes` beside `path` and syncs them. They appear in the order in which they were added.
    pub(crate) fn add(&mut self, path: &Path, bytes: &[u8], privacy: Privacy, what: &str) -> anyhow::Result<()> {
        let content =
            stage(path, bytes, privacy).with_context(|| format!("Cannot write {what} at '{}'", path.display()))?;
        self.0.push(Staged { shown: path.to_owned(), content, must_be_new: false });
        Ok(())
    }

    /// Adds a secret that is too large for memory: an empty file, for the caller to fill and to sync before it is published.
    /// With `must_be_new`, what is at `path` by then stays, and is an error. Refuses pipes and devices.
    pub(crate) fn create(&mut self, path: &Path, must_be_new: bool, what: &str) -> anyhow::Result<File> {
        let create = || {
            // Looked at first: opening a pipe waits for its reader.
            let is_stream = path.symlink_metadata().is_ok_and(|there| {
                let kind = there.file_type();
                !kind.is_file() && !kind.is_dir() && !kind.is_symlink()
            });
            if is_stream {
                bail!("expected a regular file, found a pipe or device");
            }
            match stage(path, &[], Privacy::Secret)? {
                Content::New { file, name, instead } => {
                    let filled = file.again()?;
                    Ok((filled, Content::New { file, name, instead }))
                }
                _ => bail!("expected a regular file, found a pipe or device"),
            }
        };
        let (file, content) = create().with_context(|| format!("Cannot write {what} at '{}'", path.display()))?;
        self.0.push(Staged { shown: path.to_owned(), content, must_be_new });
        Ok(file)
    }

    /// Lets what was added first appear last.
    pub(crate) fn first_appears_last(&mut self) {
        if !self.0.is_empty() {
            self.0.rotate_left(1);
        }
    }

    /// Gets ready to append `line` to the file at `path`.
    pub(crate) fn append(&mut self, path: &Path, line: &str, what: &str) -> anyhow::Result<()> {
        let append = Append::new(path, line).with_context(|| format!("Cannot write to {what} '{}'", path.display()))?;
        self.0.push(Staged { shown: path.to_owned(), content: Content::Append(append), must_be_new: false });
        Ok(())
    }

    /// Makes them appear. If one cannot, all is as it was before, but for what streams have got.
    pub(crate) fn publish(self, system: &mut System) -> anyhow::Result<()> {
        let several = self.0.len() > 1;
        let mut folders = Folders::of(self.0.iter().filter_map(Staged::folder));
        if self.0.iter().filter(|output| output.folder().is_some()).count() > 1 {
            folders.take_turn(system);
        }
        let mut done = Vec::new();
        let landed = self.0.into_iter().try_for_each(|output| {
            let is_stream = output.folder().is_none();
            if is_stream {
                folders.sync()?;
            }
            let shown = output.shown.clone();
            done.push((output.land(several, &mut folders, system)?, shown));
            Ok(())
        });
        let landed = landed.and_then(|()| folders.sync().context("Cannot sync the folder of the output"));
        let landed = landed.and_then(|()| if several { all_there(&done) } else { Ok(()) });
        match landed {
            Ok(()) => {
                for (done, shown) in done {
                    if let Err(old) = done.keep() {
                        let (shown, old) = (shown_path(&shown), shown_path(&old));
                        // Also for those who want to hear nothing: it may be a key.
                        system.eprint(&format!(
                            "Note: the previous version of '{shown}' could not be removed: it is '{old}'\n"
                        ));
                    }
                }
                Ok(())
            }
            Err(error) => Err(take_back(done, error)),
        }
    }
}

/// What was written last may have replaced what was written first where two names are one.
fn all_there(done: &[(Done, PathBuf)]) -> anyhow::Result<()> {
    let lost = done.iter().find(|(done, _)| matches!(done, Done::New(landed) if !landed.is_there()));
    match lost {
        Some((_, shown)) => bail!("'{}' was replaced while the outputs were written", shown.display()),
        None => Ok(()),
    }
}

fn take_back(done: Vec<(Done, PathBuf)>, mut error: anyhow::Error) -> anyhow::Error {
    for (done, shown) in done.into_iter().rev() {
        if let Err(problem) = done.undo() {
            error = anyhow::anyhow!("{error:#}; '{}' could not be put back: {problem}", shown.display());
        }
    }
    error
}

impl Staged {
    /// The folder in which a name changes.
    fn folder(&self) -> Option<&Path> {
        match &self.content {
            Content::New { name, .. } => Some(&name.folder),
            Content::InPlace(_) | Content::Stream { .. } | Content::Stdout(_) | Content::Append(_) => None,
        }
    }

    fn land(self, keep_old: bool, folders: &mut Folders, system: &mut System) -> anyhow::Result<Done> {
        let in_place = |mut there: InPlace, system: &mut System| {
            system.warn(&format!(
                "Note: '{}' is written in place, as it cannot be replaced: a run that is cut short leaves it incomplete.",
                self.shown.display()
            ));
            there.write()?;
            Ok(Done::InPlace(there))
        };
        let landed = match self.content {
            Content::New { file, name, .. } if self.must_be_new => {
                let landed = file.land_new(&name.path());
                folders.changed(&name.folder);
                landed.map(Done::New).map_err(anyhow::Error::from)
            }
            Content::New { file, name, instead } => match (file.land(&name.path(), keep_old), instead) {
                (Ok(landed), _) => {
                    folders.changed(&name.folder);
                    Ok(Done::New(landed))
                }
                // A file that is mounted itself.
                (Err(error), Some(instead)) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
                    in_place(instead, system)
                }
                (Err(error), _) => Err(error.into()),
            },
            Content::InPlace(there) => in_place(there, system),
            Content::Stream { mut file, bytes } => {
                file.write_all(&bytes).map(|()| Done::Passed).map_err(anyhow::Error::from)
            }
            // Its errors say so.
            Content::Stdout(bytes) => return system.deliver(&bytes).map(|()| Done::Passed),
            Content::Append(mut append) => append.write().map(|()| Done::Append(append)),
        };
        landed.with_context(|| format!("Cannot write to '{}'", self.shown.display()))
    }
}

impl Done {
    fn keep(self) -> Result<(), PathBuf> {
        match self {
            Self::New(landed) => landed.keep(),
            Self::InPlace(_) | Self::Append(_) | Self::Passed => Ok(()),
        }
    }

    fn undo(self) -> io::Result<()> {
        match self {
            Self::New(landed) => landed.undo(),
            Self::InPlace(there) => there.undo(),
            Self::Append(append) => append.undo(),
            Self::Passed => Ok(()),
        }
    }
}

fn stage(path: &Path, bytes: &[u8], privacy: Privacy) -> anyhow::Result<Content> {
    let bytes = Zeroizing::new(bytes.to_vec());
    let name = match Place::of(path, privacy)? {
        Place::Open(1) => return Ok(Content::Stdout(bytes)),
        Place::Open(number) => return Ok(Content::Stream { file: open_again(number)?, bytes }),
        Place::Name(name) => name,
    };
    let caller = Uid::effective().as_raw();
    let way_for = |found| way(privacy, caller, name.of_folder, found);
    match way_for(name.found) {
        Way::Refuse(why) => bail!(why),
        Way::Stream => {
            let file = open_stream(&name.path(), privacy)?;
            // It may be another one than the one that was looked at.
            match way_for(Some(Found::of(&file.metadata()?))) {
                Way::Stream => Ok(Content::Stream { file, bytes }),
                _ => bail!("another process has just replaced it"),
            }
        }
        Way::New(rights) if privacy == Privacy::Secret || name.found.is_none() => {
            let file = NewFile::write(&name.path(), &bytes, rights).with_context(|| cannot_make(&name))?;
            Ok(Content::New { file, name, instead: None })
        }
        Way::New(_) | Way::InPlace => {
            // Rename asks for rights on the folder alone; a file its owner made read-only stays as it is. What is
            // decided is decided about the file that was opened.
            let there = InPlace::open(&name.path(), bytes)?;
            let found = there.found()?;
            let rights = match way_for(Some(found)) {
                Way::New(rights) => rights,
                Way::InPlace => return Ok(Content::InPlace(there)),
                Way::Stream | Way::Refuse(_) => bail!("another process has just replaced it"),
            };
            let may_stay = may_write_in_place(privacy, caller, name.of_folder, found);
            match NewFile::write(&name.path(), there.bytes(), rights) {
                Ok(file) => Ok(Content::New { file, name, instead: Some(there).filter(|_| may_stay) }),
                Err(error) if may_stay && is_closed_folder(&error) => Ok(Content::InPlace(there)),
                Err(error) => Err(error).with_context(|| cannot_make(&name)),
            }
        }
    }
}

fn cannot_make(name: &Name) -> String {
    format!("no file can be created in the folder '{}'", name.folder.display())
}

fn is_closed_folder(error: &io::Error) -> bool {
    let answers = [Errno::EACCES, Errno::EPERM, Errno::EROFS];
    error.raw_os_error().is_some_and(|code| answers.contains(&Errno::from_raw(code)))
}

/// Opens a FIFO or a device. A secret is for the one that is there, not for one that a link leads to.
fn open_stream(path: &Path, privacy: Privacy) -> io::Result<File> {
    use nix::fcntl::OFlag;
    let follow = if privacy == Privacy::Secret { OFlag::O_NOFOLLOW } else { OFlag::empty() };
    OpenOptions::new().write(true).custom_flags((follow | OFlag::O_NOCTTY).bits()).open(path)
}

/// Another descriptor for a file that this process has open.
fn open_again(number: u32) -> io::Result<File> {
    match number {
        0 => io::stdin().as_fd().try_clone_to_owned().map(File::from),
        1 => io::stdout().as_fd().try_clone_to_owned().map(File::from),
        2 => io::stderr().as_fd().try_clone_to_owned().map(File::from),
        _ => OpenOptions::new().append(true).open(format!("/proc/self/fd/{number}")),
    }
}

#[cfg(test)]
mod tests;

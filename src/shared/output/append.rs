//! A line at the end of a file that others write to as well.

use super::place::Place;
use super::policy::{Found, Way, may_append, way};
use super::turn::{self, Locked};
use super::{Name, Privacy, open_again, open_stream};
use anyhow::{Context, bail};
use nix::fcntl::OFlag;
use nix::unistd::{AccessFlags, Uid, access};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A line that is to be appended, or is.
pub(super) struct Append {
    target: Target,
    line: Vec<u8>,
    /// Its length before, once the line is there.
    before: Option<u64>,
}

enum Target {
    /// It is made with the line: before, there is none.
    Missing(Name),
    Stream(File),
    File(File),
    Locked(File, Locked),
}

impl Append {
    pub(super) fn new(path: &Path, line: &str) -> anyhow::Result<Self> {
        let target = match Place::of(path, Privacy::Public)? {
            Place::Open(number) => Target::Stream(open_again(number)?),
            Place::Name(name) => match way(Privacy::Public, Uid::effective().as_raw(), name.of_folder, name.found) {
                Way::Refuse(why) => bail!(why),
                Way::Stream => Target::Stream(open_stream(&name.path(), Privacy::Public)?),
                _ if name.found.is_none() => {
                    access(&name.folder, AccessFlags::W_OK | AccessFlags::X_OK)
                        .with_context(|| super::cannot_make(&name))?;
                    Target::Missing(name)
                }
                _ => Target::File(open_file(&name)?),
            },
        };
        Ok(Self { target, line: format!("{line}\n").into_bytes(), before: None })
    }

    /// Appends the line; the file stays locked until this is dropped.
    pub(super) fn write(&mut self) -> anyhow::Result<()> {
        let mut file = match &mut self.target {
            Target::Stream(stream) => return Ok(stream.write_all(&self.line)?),
            Target::Missing(name) => open_file(name)?,
            Target::File(file) => file.try_clone()?,
            Target::Locked(..) => bail!("it was written already"),
        };
        let locked = turn::lock_within_bound(file.try_clone()?);
        let locked = locked.context("it cannot be locked: another process may hold the lock")?;
        let before = file.metadata()?.len();
        let written = file.write_all(&self.line).and_then(|()| file.sync_all());
        if written.is_err() && file.metadata().is_ok_and(|now| now.len() <= before + self.line.len() as u64) {
            // No part of a line stays. What led here is the error to report.
            let _ = file.set_len(before);
        }
        self.target = Target::Locked(file, locked);
        self.before = Some(before);
        Ok(written?)
    }

    /// Takes the line back, unless there is something behind it.
    pub(super) fn undo(self) -> io::Result<()> {
        let (Target::Locked(file, _lock), Some(before)) = (&self.target, self.before) else { return Ok(()) };
        if file.metadata()?.len() == before + self.line.len() as u64 {
            file.set_len(before)?;
        }
        Ok(())
    }
}

/// What is decided is decided about the file that was opened.
fn open_file(name: &Name) -> anyhow::Result<File> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = OpenOptions::new().append(true).create(true).custom_flags(flags).open(name.path())?;
    match may_append(Uid::effective().as_raw(), name.of_folder, Found::of(&file.metadata()?)) {
        Ok(()) => Ok(file),
        Err(why) => bail!(why),
    }
}

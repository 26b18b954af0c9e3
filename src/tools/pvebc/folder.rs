//! The folder of a set of requests, which a hostile host may have filled.

use crate::shared::input;
use anyhow::{Context, bail, ensure};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use uvtypes::text::shown;

/// A folder that is looked up once: whoever replaces it afterwards changes nothing.
pub(super) struct Folder {
    path: PathBuf,
    fd: OwnedFd,
}

impl Folder {
    /// Opens the folder. The caller named it, so links on the way to it are followed.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = nix::fcntl::open(path, flags, Mode::empty());
        let fd = fd.with_context(|| format!("Cannot open the folder '{}'", path.display()))?;
        Ok(Self { path: path.to_owned(), fd })
    }

    /// The path of `name` for messages.
    pub(super) fn display(&self, name: &Path) -> String {
        shown(&self.path.join(name).to_string_lossy()).to_string()
    }

    /// Names of the entries that end in `.asr`, in the order of the alphabet.
    pub(super) fn requests(&self) -> anyhow::Result<Vec<PathBuf>> {
        let cannot = || format!("Cannot list the folder '{}'", self.path.display());
        // A descriptor of its own: the position in a listing belongs to the open file.
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut listing = nix::dir::Dir::openat(&self.fd, ".", flags, Mode::empty()).with_context(cannot)?;
        let mut names = Vec::new();
        for entry in listing.iter() {
            let entry = entry.with_context(cannot)?;
            let name = PathBuf::from(OsStr::from_bytes(entry.file_name().to_bytes()));
            if name.extension().is_some_and(|extension| extension == "asr") {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Opens a regular file below the folder. No link is followed, on no part of `name`, and `..` is refused: what a
    /// request refers to lies in its folder.
    fn file(&self, name: &Path) -> anyhow::Result<File> {
        let parts: Vec<_> = name.components().collect();
        ensure!(!parts.is_empty(), "the path is empty");
        let mut fd = None;
        for (number, part) in parts.iter().enumerate() {
            let Component::Normal(part) = part else { bail!("expected a path below the folder, without '..'") };
            let last = number + 1 == parts.len();
            let kind = if last { OFlag::O_NONBLOCK | OFlag::O_NOCTTY } else { OFlag::O_DIRECTORY };
            let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | kind;
            let parent = fd.as_ref().unwrap_or(&self.fd).as_fd();
            fd = Some(openat(parent, *part, flags, Mode::empty()).map_err(std::io::Error::from)?);
        }
        let file = File::from(fd.context("the path is empty")?);
        ensure!(file.metadata()?.is_file(), "expected a regular file");
        Ok(file)
    }

    /// All of a regular file of at most `limit` bytes.
    pub(super) fn read(&self, name: &Path, limit: usize) -> anyhow::Result<Vec<u8>> {
        whole(&mut self.file(name)?, limit)
    }

    /// All of a request if `wanted` its tag, the last 16 bytes; `None` if not. The bytes that are returned are read
    /// once: their tag has to be looked at again.
    pub(super) fn read_if(
        &self,
        name: &Path,
        limit: usize,
        wanted: impl Fn(&[u8; 16]) -> bool,
    ) -> anyhow::Result<Option<Vec<u8>>> {
        let mut file = self.file(name)?;
        let mut tag = [0; 16];
        if file.metadata()?.len() < tag.len() as u64 {
            return Ok(None);
        }
        file.seek(SeekFrom::End(-16))?;
        file.read_exact(&mut tag)?;
        if !wanted(&tag) {
            return Ok(None);
        }
        file.rewind()?;
        whole(&mut file, limit).map(Some)
    }
}

fn whole(file: &mut File, limit: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input::read_within(file, limit, &mut bytes)?;
    Ok(bytes)
}

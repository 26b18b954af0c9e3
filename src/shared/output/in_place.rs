//! A file that is written where it is.

use super::policy::Found;
use nix::fcntl::OFlag;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// More of an old file is not kept in memory to be put back.
const MOST: u64 = 16 << 20;

/// A file that is there and may be written.
pub(super) struct InPlace {
    file: File,
    bytes: Zeroizing<Vec<u8>>,
    old: Option<Zeroizing<Vec<u8>>>,
}

impl InPlace {
    /// Opens the file at `path`, which is no link, for `bytes`.
    pub(super) fn open(path: &Path, bytes: Zeroizing<Vec<u8>>) -> io::Result<Self> {
        let open = |read| {
            let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
            OpenOptions::new().read(read).write(true).custom_flags(flags).open(path)
        };
        // What cannot be read cannot be put back, but be written.
        let file = open(true).or_else(|_| open(false))?;
        Ok(Self { file, bytes, old: None })
    }

    pub(super) fn found(&self) -> io::Result<Found> {
        self.file.metadata().map(|metadata| Found::of(&metadata))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Replaces the content. If that fails, the old content is put back.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let mut old = Zeroizing::new(Vec::new());
        let fits = self.file.metadata()?.len() <= MOST;
        if fits && self.file.read_to_end(&mut old).is_ok() {
            self.old = Some(old);
        }
        self.drop_special_bits()?;
        let written = fill(&self.file, &self.bytes);
        if let (Err(_), Some(old)) = (&written, &self.old) {
            // What led here is the error to report.
            let _ = fill(&self.file, old);
        }
        written
    }

    pub(super) fn undo(self) -> io::Result<()> {
        let old = self.old.ok_or_else(|| io::Error::other("its old content could not be read"))?;
        fill(&self.file, &old)
    }

    /// Takes set-id and sticky bits away. Root's writes would leave them; those of others take set-id bits away, so that they
    /// need no right to do so here.
    fn drop_special_bits(&self) -> io::Result<()> {
        let mode = self.file.metadata()?.permissions().mode();
        if mode & 0o7000 == 0 {
            return Ok(());
        }
        match self.file.set_permissions(Permissions::from_mode(mode & 0o777)) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            result => result,
        }
    }
}

/// The end is cut off last: a full disk is noticed before.
fn fill(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    file.rewind()?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)?;
    file.sync_all()
}

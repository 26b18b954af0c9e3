//! The list of all writes to attributes.

use super::terms::Millis;
use crate::Error;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const FILE: &str = "ap-writes.jsonl";

/// A write to an attribute, as a line of `ap-writes.jsonl` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedWrite {
    /// When it ended: milliseconds since the guest was started.
    pub ms: Millis,
    /// Where it went.
    pub path: String,
    /// What was written.
    pub text: String,
    /// `ok`, or the name of the errno.
    pub result: String,
}

/// Appends a line behind the first `length` bytes: what stands there later belongs to a state that was never saved.
/// Gives the new length.
pub(super) fn append(folder: &Path, length: u64, line: &LoggedWrite) -> Result<u64, Error> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    let write = || -> io::Result<()> {
        let mut file = open(folder)?;
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        file.write_all(&text)
    };
    write().map_err(|source| Error::File { file: FILE, source })?;
    Ok(length + text.len() as u64)
}

/// The writes in the first `length` bytes.
pub(super) fn read(folder: &Path, length: u64) -> Result<Vec<LoggedWrite>, Error> {
    let bytes = match std::fs::read(folder.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        bytes => bytes.map_err(|source| Error::File { file: FILE, source })?,
    };
    let end = usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len());
    let lines = bytes[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let wrong = |error: serde_json::Error| Error::Content { file: FILE, reason: error.to_string() };
    lines.map(|line| serde_json::from_slice(line).map_err(wrong)).collect()
}

fn open(folder: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(folder.join(FILE))
}

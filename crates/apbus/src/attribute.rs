//! The files of sysfs.

use crate::Error;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

/// An attribute is at most a page.
const MOST: u64 = 4096;

/// The text of an attribute, without the newline.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    let wrong = |source| Error::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut bytes)).map_err(wrong)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.trim_end().to_owned())
}

/// Writes to an attribute, in one call. Never creates a file: a missing attribute is `ENOENT`.
pub(crate) fn write(path: &Path, value: &str) -> Result<(), Error> {
    let wrong = |source| Error::Write { path: path.to_owned(), value: value.to_owned(), source };
    let mut file = OpenOptions::new().write(true).open(path).map_err(wrong)?;
    file.write_all(value.as_bytes()).map_err(wrong)
}

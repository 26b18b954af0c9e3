//! Input files: read with a limit, errors that name the file.

use crate::System;
use anyhow::{Context, bail, ensure};
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use uvtypes::text::shown_path;
use zeroize::Zeroizing;

/// Reads all of `path`, which may hold `limit` bytes at most. `what` says in errors what the file is.
/// The bytes are wiped when they are dropped: they may be a secret.
pub(crate) fn read(path: &Path, limit: usize, what: &str) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let file = open(path, what)?;
    read_from(file, limit).with_context(|| cannot_read(path, what))
}

/// Like [`read`], but `-` is standard input.
pub(crate) fn read_or_stdin(
    path: &Path,
    limit: usize,
    what: &str,
    system: &mut System,
) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    if path == Path::new("-") {
        return read_from(&mut system.stdin, limit).with_context(|| format!("Cannot read {what} from standard input"));
    }
    read(path, limit, what)
}

/// Opens a file for reading; a directory is refused here, where Linux would only refuse to read it.
pub(crate) fn open(path: &Path, what: &str) -> anyhow::Result<File> {
    let file = File::open(path).with_context(|| cannot_read(path, what))?;
    if file.metadata().with_context(|| cannot_read(path, what))?.is_dir() {
        bail!("{}: it is a directory", cannot_read(path, what));
    }
    Ok(file)
}

pub(crate) fn cannot_read(path: &Path, what: &str) -> String {
    format!("Cannot read {what} at '{}'", shown_path(path))
}

fn read_from(source: impl Read, limit: usize) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    // Room for everything from the start: a growing buffer would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit.min(1 << 16) + 1));
    read_within(source, limit, &mut bytes)?;
    Ok(bytes)
}

/// Appends all of `source`, `limit` bytes at most, to `bytes`. Wiping them, if they are a secret, is for the caller.
pub(crate) fn read_within(source: impl Read, limit: usize, bytes: &mut Vec<u8>) -> anyhow::Result<()> {
    source.take(limit as u64 + 1).read_to_end(bytes)?;
    ensure!(bytes.len() <= limit, "it is larger than {limit} bytes");
    Ok(())
}

/// A file in which one can search, or as much of a pipe as is looked at.
pub(crate) enum Seekable {
    File(File),
    Stream(Cursor<Vec<u8>>),
}

/// Opens a file to search in; `-` is standard input. Of what cannot be searched, the first 16 MiB are read.
pub(crate) fn open_seekable(path: &Path, what: &str, system: &mut System) -> anyhow::Result<Seekable> {
    const STREAM_LIMIT: u64 = 16 << 20;
    let mut start = Vec::new();
    if path == Path::new("-") {
        let read = (&mut system.stdin).take(STREAM_LIMIT).read_to_end(&mut start);
        read.with_context(|| format!("Cannot read {what} from standard input"))?;
        return Ok(Seekable::Stream(Cursor::new(start)));
    }
    let mut file = open(path, what)?;
    if file.stream_position().is_ok() {
        return Ok(Seekable::File(file));
    }
    file.take(STREAM_LIMIT).read_to_end(&mut start).with_context(|| cannot_read(path, what))?;
    Ok(Seekable::Stream(Cursor::new(start)))
}

impl Read for Seekable {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Stream(stream) => stream.read(buffer),
        }
    }
}

impl Seek for Seekable {
    fn seek(&mut self, position: SeekFrom) -> std::io::Result<u64> {
        match self {
            Self::File(file) => file.seek(position),
            Self::Stream(stream) => stream.seek(position),
        }
    }
}

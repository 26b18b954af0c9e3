#![forbid(unsafe_code)]
// What others wrote is taken apart here: nothing that can panic or cut a number off, without a reason beside it.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss
    )
)]
//! Explains Secure Execution files field by field: what a file is, and what every byte of it means.
//!
//! [`explain`] recognises the file and gives a [`Report`]: fields in file order with offset, size, value and
//! meaning. It needs no key: what is encrypted stays so, and no format it knows holds a secret in the clear.
//! The layouts are walked here on their own, so that a file which the strict parsers refuse can still be
//! explained up to the place where it is wrong.

mod attestation;
mod certificate;
mod error;
mod frame;
mod identity;
mod image;
mod report;
mod request;
mod se_header;
mod secret_list;
mod walker;

pub use error::Error;
pub use report::{Field, FileKind, KnownHostKey, Report, Value};

use std::io::{Read, Seek, SeekFrom};
use walker::Walker;

/// The largest file that is read as a whole. A boot image may be larger: of it, header, loader, metadata and IPIB are read.
pub const MAX_SIZE: u64 = 4 << 20;

/// Recognises and explains what `file` holds. Key slots are matched against `known` host keys.
///
/// # Errors
/// [`Error::Unknown`] when the file is none of the known kinds, [`Error::Broken`] with what could be
/// explained when it ends or contradicts itself inside a field, [`Error::Io`].
pub fn explain(file: &mut (impl Read + Seek), known: &[KnownHostKey]) -> Result<Report, Error> {
    let size = file.seek(SeekFrom::End(0))?;
    if let Ok(found) = sehdr::locate(file, sehdr::Search::Everywhere) {
        if found.offset == 0 {
            return walk_file(FileKind::SeHeader, size, Walker::new(&found.bytes, 0, known), se_header::walk);
        }
        let surroundings = image::Surroundings::read(file)?;
        // An offset that fits a file fits the reports of it.
        let base = usize::try_from(found.offset).unwrap_or(usize::MAX);
        return walk_file(FileKind::SeImage, size, Walker::new(&found.bytes, base, known), |walker| {
            let flags = se_header::walk_with_flags(walker)?;
            surroundings.as_ref().map_or(Ok(()), |surroundings| surroundings.walk(walker, flags))
        });
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(Error::TooLarge { limit: MAX_SIZE });
    }
    explain_bytes(&bytes, known)
}

/// Like [`explain`], for everything but boot images.
pub fn explain_bytes(bytes: &[u8], known: &[KnownHostKey]) -> Result<Report, Error> {
    type Walk = fn(&mut Walker<'_>) -> Result<(), uvtypes::ReadError>;
    let binary: Option<(FileKind, Walk)> = match bytes {
        [b'I', b'B', b'M', b'S', b'e', b'c', b'E', b'x', ..] => Some((FileKind::SeHeader, se_header::walk)),
        [b'a', b's', b'r', b'c', b'b', b'M', ..] => Some((FileKind::AddSecretRequest, request::walk)),
        [b'p', b'v', b'a', b't', b't', b'e', b's', b't', ..] => {
            Some((FileKind::AttestationExchange, attestation::walk_exchange))
        }
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, ..] => Some((FileKind::AttestationRequest, attestation::walk_request)),
        _ => None,
    };
    let size = bytes.len() as u64;
    if let Some((kind, walk)) = binary {
        return walk_file(kind, size, Walker::new(bytes, 0, known), walk);
    }
    if let Some(report) = certificate::explain(bytes, known) {
        return Ok(report);
    }
    if let Some(report) = identity::explain(bytes) {
        return Ok(report);
    }
    if secret_list::looks_like_one(bytes) {
        return walk_file(FileKind::SecretList, size, Walker::new(bytes, 0, known), secret_list::walk);
    }
    Err(Error::Unknown)
}

fn walk_file<'a>(
    kind: FileKind,
    size: u64,
    mut walker: Walker<'a>,
    walk: impl FnOnce(&mut Walker<'a>) -> Result<(), uvtypes::ReadError>,
) -> Result<Report, Error> {
    let result = walk(&mut walker);
    let report = walker.into_report(kind, size);
    match result {
        Ok(()) => Ok(report),
        Err(source) => Err(Error::Broken { report: Box::new(report), source }),
    }
}

#[cfg(test)]
mod tests;

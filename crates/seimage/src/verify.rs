//! Is an image complete and unchanged against its header?

use crate::image::read_at;
use crate::layout::{MAX_HEADER, SHORT_PSW, STAGE3A};
use crate::lists::Lists;
use crate::page::PAGE;
use crate::pipeline::{Chunk, digest_beside};
use crate::{Difference, Error, Image, Loader, Metadata, PAGE_SIZE, decrypt_header};
use sehdr::METADATA_OFFSET;
use std::io::{Read, Seek, SeekFrom};
use uvrequest::aead::Key;

/// Findings in an image in which nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// Pages of all components, their digests as in the header.
    pub pages: u64,
    /// Origin of the loader.
    pub loader: LoaderFinding,
    /// Whether the header itself was authenticated, which takes its key.
    pub header_authenticated: bool,
}

/// The loader of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoaderFinding {
    /// One of those that were asked for.
    Known,
    /// Another; its arguments are right.
    Unknown {
        /// Bytes of stage3a.
        size: usize,
    },
}

/// Compares the file with its header: the short PSW, gaps, the loader's arguments, number of pages, and the digests of the lists
/// of addresses, tweaks and pages. Everything in the file takes part in that, but for what only a key can prove: the header's
/// own bytes, with `header_key`, and the code of a loader that is none of `loaders`. `progress` gets bytes.
///
/// One digest stands for all pages, so it cannot be said which of them is another.
///
/// # Errors
/// [`Error::Differs`] says what is wrong with the image; others, that it could not be read.
pub fn verify(
    image: &Image,
    file: &mut (impl Read + Seek),
    loaders: &[&Loader],
    header_key: Option<&Key>,
    progress: &mut dyn FnMut(u64),
) -> Result<Findings, Error> {
    let mut psw = [0; 8];
    read_at(file, 0, &mut psw)?;
    if psw != SHORT_PSW.to_be_bytes() {
        return Err(Difference::ShortPsw(u64::from_be_bytes(psw)).into());
    }
    if image.header.size() as usize > MAX_HEADER {
        return Err(Difference::HeaderSize(image.header.size()).into());
    }
    if let Some(key) = header_key {
        decrypt_header(image, key).map_err(|error| match error {
            Error::HeaderKey => Difference::HeaderTag.into(),
            other => other,
        })?;
    }
    let stage3a = stage3a(image, file)?;
    let loader = match loaders.iter().any(|loader| loader.has_stage3a(&stage3a)) {
        true => LoaderFinding::Known,
        false => LoaderFinding::Unknown { size: stage3a.len() },
    };
    check_gaps(image, file, STAGE3A + stage3a.len() as u64)?;
    let mut lists = Lists::new();
    let mut pages = 0_u64;
    for component in &image.ipib.components {
        pages = pages.saturating_add(component.size / PAGE_SIZE);
    }
    if pages != image.header.encrypted_pages() {
        return Err(Difference::Pages { found: pages, expected: image.header.encrypted_pages() }.into());
    }
    let ((), page_list_digest) = digest_beside(|list| {
        for component in &image.ipib.components {
            lists.push(component.address, component.prefix, 0, component.size / PAGE_SIZE);
            file.seek(SeekFrom::Start(component.address))?;
            let mut left = component.size;
            while left > 0 {
                let mut chunk = list.chunk();
                let read = chunk.fill(file, left)? as u64;
                if read == 0 {
                    return Err(Error::Io(std::io::ErrorKind::UnexpectedEof.into()));
                }
                list.push(chunk);
                left -= read;
                progress(read);
            }
        }
        Ok(())
    })?;
    let (digests, tags) = (lists.finish(), image.header.boot_tags());
    let rows = [
        ("address list", "a component lies elsewhere", digests.addresses, tags.address_list_digest),
        ("tweak list", "a component has another tweak", digests.tweaks, tags.tweak_list_digest),
        ("page list", "a page is changed, or one is missing", page_list_digest, tags.page_list_digest),
    ];
    for (list, meaning, found, expected) in rows {
        if found != expected {
            let (found, expected) = (Box::new(found), Box::new(expected));
            return Err(Difference::Digest { list, meaning, found, expected }.into());
        }
    }
    Ok(Findings { pages, loader, header_authenticated: header_key.is_some() })
}

/// The stage3a of an image, arguments at its end: 68 KiB at most are read to find it by them.
///
/// # Errors
/// [`Difference::LoaderArguments`], or that the file cannot be read.
pub fn stage3a(image: &Image, file: &mut (impl Read + Seek)) -> Result<Vec<u8>, Error> {
    let room = (image.metadata.header - STAGE3A).min(Loader::MAX_STAGE as u64 + PAGE_SIZE);
    let mut area = vec![0; usize::try_from(room).unwrap_or_default()];
    read_at(file, STAGE3A, &mut area)?;
    let Metadata { header, ipib } = image.metadata;
    let size = Loader::find_stage3a(&area, header, image.header.size().into(), ipib);
    area.truncate(size.ok_or(Difference::LoaderArguments)?);
    Ok(area)
}

/// What a page of a gap is.
static ZEROS: [u8; PAGE] = [0; PAGE];

fn check_gaps(image: &Image, file: &mut (impl Read + Seek), loader_end: u64) -> Result<(), Error> {
    let mut parts = vec![
        (0, 8),
        (METADATA_OFFSET, METADATA_OFFSET + Metadata::SIZE as u64),
        (STAGE3A, loader_end),
        (image.metadata.header, image.header_end()),
    ];
    parts.extend(image.ipib.components.iter().map(|component| (component.address, component.end())));
    parts.push((image.metadata.ipib, image.size));
    let mut chunk = Chunk::new();
    for ((_, start), (end, _)) in parts.iter().zip(parts.iter().skip(1)) {
        let (mut at, end) = (*start, *end);
        file.seek(SeekFrom::Start(at))?;
        while at < end {
            let read = chunk.fill(file, end - at)? as u64;
            for (page, part) in chunk.bytes().chunks(ZEROS.len()).enumerate() {
                // Compared as a whole: gaps may be large.
                if ZEROS.get(..part.len()) != Some(part) {
                    let start = at + (page * ZEROS.len()) as u64;
                    let found = (start..).zip(part).find(|(_, byte)| **byte != 0);
                    let (offset, value) = found.map_or((start, 0), |(offset, byte)| (offset, *byte));
                    return Err(Difference::Gap { offset, value }.into());
                }
            }
            if read == 0 {
                return Err(Error::Io(std::io::ErrorKind::UnexpectedEof.into()));
            }
            at += read;
        }
    }
    Ok(())
}

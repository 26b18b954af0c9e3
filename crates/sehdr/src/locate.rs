//! Where in a file the header is.

use crate::Error;
use crate::header::{MAGIC, Stated, VERSION_1};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use uvtypes::Reader;

/// An SE header begins on a page.
pub const PAGE_SIZE: u64 = 4096;
/// The page at which images have had their header from the beginning.
pub const DEFAULT_SKIP: u64 = 0x14;
/// Pages searched from there.
pub const DEFAULT_COUNT: u64 = 4;

/// Newer images say where their header is: 28 bytes at 0xc000, big-endian: magic 8, offset of the header 8,
/// version 4, offset of the IPIB 8. Source: the image format of the Secure Execution boot tooling.
pub const METADATA_OFFSET: u64 = 0xc000;
/// Magic: the first 8 bytes of the metadata.
pub const METADATA_MAGIC: [u8; 8] = *b"SeImgLnx";
/// The only version of the metadata there is.
pub const METADATA_VERSION_1: u32 = 1;

/// The last page that is looked at when nobody says where to look.
const LAST_PAGE: u64 = (1 << 20) / PAGE_SIZE;

/// Places to look for a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// At the start of the file; where the image metadata says; on the usual pages; in the first MiB.
    Everywhere,
    /// On `count` pages behind the first `skip` pages, and nowhere else.
    Pages {
        /// Number of pages at the start of the file that are skipped; a page has 4096 bytes.
        skip: u64,
        /// Number of pages, from there on, that are looked at.
        count: u64,
    },
}

/// A header as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Offset of the header in the file, in bytes.
    pub offset: u64,
    /// The header, as long as it says it is.
    pub bytes: Vec<u8>,
    /// The version it states, if it is not the known one. Its bytes are then only cut out, not understood.
    pub unknown_version: Option<u32>,
    /// The version of the image metadata, if there is one that is not the known one.
    pub unknown_metadata_version: Option<u32>,
}

/// Finds the SE header of `image`. Reads a few bytes of each page that it looks at, never the whole image.
///
/// # Errors
/// [`Error::NotFound`], [`Error::NotWhereStated`], [`Error::Truncated`], [`Error::Size`], [`Error::Io`].
pub fn locate(image: &mut (impl Read + Seek), search: Search) -> Result<Found, Error> {
    match search {
        Search::Pages { skip, count } => scan(image, skip..skip.saturating_add(count)),
        Search::Everywhere if begins_header(image, 0)? => cut(image, 0, None),
        Search::Everywhere => match Metadata::read(image)? {
            Some(metadata) => metadata.header(image),
            None => match scan(image, DEFAULT_SKIP..DEFAULT_SKIP + DEFAULT_COUNT) {
                Err(Error::NotFound) => scan(image, 0..LAST_PAGE),
                found => found,
            },
        },
    }
}

fn scan(image: &mut (impl Read + Seek), pages: Range<u64>) -> Result<Found, Error> {
    let size = image.seek(SeekFrom::End(0))?;
    let pages = pages.start..pages.end.min(size.div_ceil(PAGE_SIZE));
    for offset in pages.map(|page| page * PAGE_SIZE) {
        if begins_header(image, offset)? {
            return cut(image, offset, None);
        }
    }
    Err(Error::NotFound)
}

struct Metadata {
    header_offset: u64,
    version: u32,
}

impl Metadata {
    fn read(image: &mut (impl Read + Seek)) -> Result<Option<Self>, Error> {
        let mut block = [0; 28];
        if read_at(image, METADATA_OFFSET, &mut block)? < block.len() {
            return Ok(None);
        }
        let mut reader = Reader::new(&block);
        if reader.array("magic")? != METADATA_MAGIC {
            return Ok(None);
        }
        Ok(Some(Self { header_offset: reader.u64("header offset")?, version: reader.u32("version")? }))
    }

    /// The header that it names. An unknown version of the block is no reason to look elsewhere.
    fn header(&self, image: &mut (impl Read + Seek)) -> Result<Found, Error> {
        if !begins_header(image, self.header_offset)? {
            return Err(Error::NotWhereStated { offset: self.header_offset });
        }
        cut(image, self.header_offset, (self.version != METADATA_VERSION_1).then_some(self.version))
    }
}

fn begins_header(image: &mut (impl Read + Seek), offset: u64) -> Result<bool, Error> {
    let mut magic = [0; MAGIC.len()];
    Ok(read_at(image, offset, &mut magic)? == magic.len() && magic == MAGIC)
}

fn cut(image: &mut (impl Read + Seek), offset: u64, unknown_metadata_version: Option<u32>) -> Result<Found, Error> {
    let mut prefix = [0; Stated::PREFIX];
    let got = read_at(image, offset, &mut prefix)?;
    let stated = Stated::parse(prefix.get(..got).unwrap_or_default())?;
    let mut bytes = vec![0; stated.size as usize];
    let got = read_at(image, offset, &mut bytes)?;
    if got < bytes.len() {
        return Err(Error::Truncated { offset, size: stated.size, missing: (bytes.len() - got) as u64 });
    }
    let unknown_version = (stated.version != VERSION_1).then_some(stated.version);
    Ok(Found { offset, bytes, unknown_version, unknown_metadata_version })
}

/// Fills `buffer` from `offset` on, as far as the file goes.
fn read_at(image: &mut (impl Read + Seek), offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
    // Some kernels and file systems refuse offsets beyond i64; no file is that long.
    if i64::try_from(offset).is_err() {
        return Ok(0);
    }
    image.seek(SeekFrom::Start(offset))?;
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match image.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(io::Error::into(error)),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::tests::header;
    use std::io::Cursor;

    fn image(header_page: u64, header: &[u8]) -> Vec<u8> {
        let mut image = vec![0x11; (header_page * PAGE_SIZE) as usize];
        image.extend(header);
        image
    }

    fn with_metadata(mut image: Vec<u8>, header_offset: u64, version: u32) -> Vec<u8> {
        let mut block = METADATA_MAGIC.to_vec();
        block.extend(header_offset.to_be_bytes());
        block.extend(version.to_be_bytes());
        block.extend([0; 8]);
        let at = METADATA_OFFSET as usize;
        image[at..at + block.len()].copy_from_slice(&block);
        image
    }

    fn find(image: Vec<u8>, search: Search) -> Result<Found, Error> {
        locate(&mut Cursor::new(image), search)
    }

    #[test]
    fn finds_the_header_wherever_it_may_be() {
        for page in [0, 1, 0x14, 0x17, 0x18, 0xff] {
            let found = find(image(page, &header(2)), Search::Everywhere).unwrap();
            assert_eq!((found.offset, found.bytes), (page * PAGE_SIZE, header(2)), "page {page:#x}");
        }
        assert!(matches!(find(image(0x100, &header(1)), Search::Everywhere), Err(Error::NotFound)));
    }

    #[test]
    fn prefers_the_usual_page_to_an_earlier_one() {
        let mut image = image(0x14, &header(1));
        image[0x3000..0x3000 + 720].copy_from_slice(&header(2));
        assert_eq!(find(image, Search::Everywhere).unwrap().offset, 0x14000);
    }

    #[test]
    fn looks_at_the_pages_it_is_told_and_no_others() {
        let pages = |skip, count| find(image(0x12, &header(1)), Search::Pages { skip, count });
        assert_eq!(pages(0x12, 1).unwrap().offset, 0x12000);
        assert_eq!(pages(0, 0x13).unwrap().offset, 0x12000);
        for (skip, count) in [(0x13, 4), (0, 0x12), (0x12, 0), (u64::MAX, u64::MAX), (1 << 60, 1 << 60)] {
            assert!(matches!(pages(skip, count), Err(Error::NotFound)), "{skip:#x}, {count:#x}");
        }
    }

    #[test]
    fn believes_the_metadata() {
        let image = |offset, version| with_metadata(image(0x20, &header(1)), offset, version);
        assert_eq!(find(image(0x20000, 1), Search::Everywhere).unwrap().offset, 0x20000);
        assert_eq!(find(image(0x20000, 7), Search::Everywhere).unwrap().unknown_metadata_version, Some(7));
        for offset in [0, 0x1f000, 0x21000, u64::MAX] {
            let error = find(image(offset, 1), Search::Everywhere).unwrap_err();
            assert!(matches!(error, Error::NotWhereStated { offset: at } if at == offset), "{offset:#x}: {error}");
        }
    }

    #[test]
    fn cuts_out_a_header_of_an_unknown_version() {
        let mut newer = header(1);
        newer[10] = 2;
        let found = find(image(0x14, &newer), Search::Everywhere).unwrap();
        assert_eq!((found.unknown_version, found.bytes), (Some(0x200), newer));
    }

    #[test]
    fn says_how_much_of_a_header_is_missing() {
        let whole = image(0x14, &header(1));
        for length in 0x14000 + 16..whole.len() {
            let error = find(whole[..length].to_vec(), Search::Everywhere).unwrap_err();
            let missing = (whole.len() - length) as u64;
            assert!(
                matches!(error, Error::Truncated { offset: 0x14000, size: 640, missing: m } if m == missing),
                "{length}: {error}"
            );
        }
    }

    #[test]
    fn reads_little_of_a_large_image() {
        struct Counting<R>(R, usize);
        impl<R: Read> Read for Counting<R> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.1 += buffer.len();
                self.0.read(buffer)
            }
        }
        impl<R: Seek> Seek for Counting<R> {
            fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
                self.0.seek(position)
            }
        }
        let mut image = Counting(Cursor::new(vec![0; 8 << 20]), 0);
        assert!(matches!(locate(&mut image, Search::Everywhere), Err(Error::NotFound)));
        assert!(image.1 < 4096, "{} bytes read", image.1);
    }

    #[test]
    fn passes_errors_of_the_file_on() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        impl Seek for Broken {
            fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
                Ok(0)
            }
        }
        assert!(matches!(locate(&mut Broken, Search::Everywhere), Err(Error::Io(_))));
    }
}

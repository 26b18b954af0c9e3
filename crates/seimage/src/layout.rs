//! Where the fixed parts of an image are.

use crate::page::next_page;
use crate::{Error, Kind};
use sehdr::{HeaderDraft, METADATA_MAGIC, METADATA_VERSION_1};
use uvtypes::Reader;
use uvtypes::layout::{self, Field, FieldKind};

/// What the machine starts with: 64-bit mode, address 0x11000, in the short format of 8 bytes.
pub const SHORT_PSW: u64 = 0x0008_0001_8001_1000;
/// Where stage3a lies.
pub const STAGE3A: u64 = 0x10000;
/// The header is here or on a later page; programs of old look from here on.
pub(crate) const FIRST_HEADER: u64 = 0x14000;
/// Who reads a header reads so many bytes at most.
pub(crate) const MAX_HEADER: usize = 8192;
/// The largest number of host keys whose header every reader reads.
pub const MAX_HOST_KEYS: usize = {
    let room = MAX_HEADER - HeaderDraft::size(0);
    room / sehdr::KEY_SLOTS.size()
};
/// An image ends below this address.
pub const MAX_IMAGE: u64 = 1 << 31;

/// Offset of the SE header, in bytes, in an image with a stage3a of so many bytes.
pub const fn header_offset(stage3a: usize) -> u64 {
    let behind = next_page(STAGE3A + stage3a as u64);
    if behind > FIRST_HEADER { behind } else { FIRST_HEADER }
}

/// The metadata block at 0xc000, 28 bytes, big-endian.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 8 | magic `SeImgLnx` |
/// | 8 | 8 | offset of the SE header in the file |
/// | 16 | 4 | version, 1 |
/// | 20 | 8 | offset of the IPIB in the file |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Offset of the SE header, in bytes.
    pub header: u64,
    /// Offset of the IPIB, in bytes.
    pub ipib: u64,
}

impl Metadata {
    /// Bytes of the block.
    pub const SIZE: usize = layout::end(Self::FIELDS);

    /// Its fields.
    pub const FIELDS: &'static [Field] = &[
        Field::new(0, 8, "magic of the metadata", FieldKind::Magic),
        Field::new(8, 8, "place of the SE header", FieldKind::Address),
        Field::new(16, 4, "version of the metadata", FieldKind::Number),
        Field::new(20, 8, "place of the IPIB", FieldKind::Address),
    ];

    /// The block as it stands in a file.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let (header, version, ipib) =
            (self.header.to_be_bytes(), METADATA_VERSION_1.to_be_bytes(), self.ipib.to_be_bytes());
        let mut bytes = [0; Self::SIZE];
        for (place, byte) in bytes.iter_mut().zip([&METADATA_MAGIC[..], &header, &version, &ipib].concat()) {
            *place = byte;
        }
        bytes
    }

    /// Reads a block; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::MetadataVersion`], [`Error::Wire`].
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Error> {
        let mut reader = Reader::new(bytes);
        if reader.array("magic of the metadata")? != METADATA_MAGIC {
            return Ok(None);
        }
        let header = reader.u64("header offset")?;
        match reader.u32("version of the metadata")? {
            METADATA_VERSION_1 => Ok(Some(Self { header, ipib: reader.u64("IPIB offset")? })),
            version => Err(Error::MetadataVersion(version)),
        }
    }
}

/// Gives out addresses, in order.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) next: u64,
}

impl Places {
    /// Behind the room of a header with `host_keys` slots.
    pub(crate) fn behind_header(header: u64, host_keys: usize) -> Self {
        Self { next: next_page(header + HeaderDraft::size(host_keys) as u64) }
    }

    /// The place of a component of `pages` pages.
    pub(crate) fn take(&mut self, kind: Kind, pages: u64) -> Result<u64, Error> {
        let address = self.next;
        let end = pages.checked_mul(crate::PAGE_SIZE).and_then(|size| address.checked_add(size));
        self.next = end.filter(|end| *end <= MAX_IMAGE).ok_or(Error::TooLarge(kind))?;
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_lies_behind_the_loader_but_never_before_0x14000() {
        assert_eq!([0, 0x3000, 0x4000, 0x4001].map(header_offset), [0x14000, 0x14000, 0x14000, 0x15000]);
        assert_eq!(MAX_HOST_KEYS, 95);
    }

    #[test]
    fn metadata_is_read_as_written() {
        let metadata = Metadata { header: 0x14000, ipib: 0x1234_5000 };
        let bytes = metadata.to_bytes();
        assert_eq!(hex::encode(bytes), "5365496d674c6e780000000000014000000000010000000012345000");
        assert_eq!(Metadata::parse(&bytes).unwrap(), Some(metadata));
        let mut newer = bytes;
        newer[19] = 2;
        assert!(matches!(Metadata::parse(&newer), Err(Error::MetadataVersion(2))));
        assert_eq!(Metadata::parse(&[0; 28]).unwrap(), None);
        assert!(Metadata::parse(&bytes[..27]).is_err());
    }
}

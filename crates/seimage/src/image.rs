//! An image that exists.

use crate::layout::{MAX_IMAGE, STAGE3A};
use crate::{Difference, Error, Ipib, Metadata, PAGE_SIZE};
use sehdr::{METADATA_OFFSET, SeHeader, Search};
use std::io::{Read, Seek, SeekFrom};

/// Where everything in an image is. That it lies where it can be is checked; whether it is what the header says, is not:
/// see [`crate::verify()`].
#[derive(Clone, Debug)]
pub struct Image {
    /// Bytes of the file.
    pub size: u64,
    /// The metadata.
    pub metadata: Metadata,
    /// The header.
    pub header: SeHeader,
    /// The header as it stands in the file.
    pub header_bytes: Vec<u8>,
    /// The IPIB.
    pub ipib: Ipib,
}

impl Image {
    /// Reads metadata, header and IPIB: never more than 73 KiB, whatever the file says.
    ///
    /// # Errors
    /// [`Error::NoMetadata`] for old images and bare headers, [`Error::Place`], [`Error::Differs`], and those of the parts.
    pub fn open(file: &mut (impl Read + Seek)) -> Result<Self, Error> {
        let size = file.seek(SeekFrom::End(0))?;
        let mut block = [0; Metadata::SIZE];
        if size < METADATA_OFFSET + block.len() as u64 {
            return Err(Error::NoMetadata);
        }
        read_at(file, METADATA_OFFSET, &mut block)?;
        let metadata = Metadata::parse(&block)?.ok_or(Error::NoMetadata)?;
        let place = |what, offset, problem| Err(Error::Place { what, offset, problem });
        if size > MAX_IMAGE {
            return place("a place", 0, "the file is larger than 2 GiB, which no image is");
        }
        for (what, offset) in [("the SE header", metadata.header), ("the IPIB", metadata.ipib)] {
            if offset % PAGE_SIZE != 0 {
                return place(what, offset, "it must begin on a page");
            }
            if offset <= STAGE3A {
                return place(what, offset, "it must lie behind stage3a, which begins at 0x10000");
            }
            if offset >= size {
                return place(what, offset, "the file ends before");
            }
        }
        // From here on, what the metadata says is what the header's finder goes by, too.
        let found = sehdr::locate(file, Search::Pages { skip: metadata.header / PAGE_SIZE, count: 1 })?;
        let header = SeHeader::parse(&found.bytes)?;
        let ipib_size = size - metadata.ipib;
        if ipib_size > Ipib::MAX_SIZE as u64 {
            return place("the IPIB", metadata.ipib, "more than 4 KiB follow, but the file must end with the IPIB");
        }
        let mut bytes = vec![0; usize::try_from(ipib_size).unwrap_or(Ipib::MAX_SIZE)];
        read_at(file, metadata.ipib, &mut bytes)?;
        let image = Self { size, metadata, header, header_bytes: found.bytes, ipib: Ipib::parse(&bytes)? };
        image.check_places()?;
        Ok(image)
    }

    /// The first address behind the header.
    pub(crate) fn header_end(&self) -> u64 {
        self.metadata.header + u64::from(self.header.size())
    }

    fn check_places(&self) -> Result<(), Difference> {
        let overlap = |address, what| Err(Difference::Overlap { address, what });
        if self.header_end() > self.metadata.ipib {
            return overlap(self.metadata.ipib, "end of the SE header: the IPIB begins there");
        }
        for component in &self.ipib.components {
            if component.address < self.header_end() {
                return overlap(component.address, "SE header or what is before it");
            }
            if component.end() > self.metadata.ipib {
                return overlap(component.address, "IPIB or what would be behind it");
            }
        }
        let (address, size) = (self.ipib.header, self.ipib.header_size);
        let (expected, expected_size) = (self.metadata.header, u64::from(self.header.size()));
        // stage3a writes both before the firmware reads them, so they may be left out.
        if (address, size) != (0, 0) && (address, size) != (expected, expected_size) {
            return Err(Difference::Header { address, size, expected, expected_size });
        }
        Ok(())
    }
}

/// Fills `bytes` from `offset` on.
pub(crate) fn read_at(file: &mut (impl Read + Seek), offset: u64, bytes: &mut [u8]) -> Result<(), Error> {
    file.seek(SeekFrom::Start(offset))?;
    Ok(file.read_exact(bytes)?)
}

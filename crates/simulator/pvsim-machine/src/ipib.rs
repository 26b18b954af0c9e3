//! The IPL information block for secure mode (PV): where the header and the components are.
//!
//! | offset | field |
//! |---|---|
//! | 0x00 | u32 length of all, u8 flags, 2 reserved, u8 version (1) |
//! | 0x08 | u32 length of the rest, u8 type (5), 98 reserved, u8 version (1), 4 reserved |
//! | 0x74 | u32 number of components |
//! | 0x78 | u64 header address, u64 header size |
//! | 0x88 | components: u64 tweak prefix, u64 address, u64 length |
//!
//! Source: Linux `arch/s390/include/uapi/asm/ipl.h` (`struct ipl_pb0_common`) and what images of s390-tools hold.

use crate::Error;
use uvtypes::Reader;

/// Type of a block for secure mode.
const TYPE_PV: u8 = 5;
/// Bytes in front of the components.
const FIXED: usize = 0x88;
/// More does not fit into the page that the block has.
const MOST: u32 = ((0x1000 - FIXED) / 24) as u32;

/// What the loader asks the firmware to unpack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipib {
    /// Absolute address of the SE header.
    pub header_address: u64,
    /// Bytes of it.
    pub header_size: u64,
    /// The components, in the order in which they are unpacked.
    pub components: Vec<Component>,
}

/// A component of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// First half of the tweak of each of its pages.
    pub tweak_prefix: u64,
    /// Absolute address, as it should be a multiple of the page size.
    pub address: u64,
    /// Bytes, as they should be whole pages.
    pub length: u64,
}

impl Ipib {
    /// Reads a block.
    ///
    /// # Errors
    /// [`Error::Image`].
    pub fn parse(block: &[u8]) -> Result<Self, Error> {
        const CUT: &str = "the IPL information block is cut";
        let mut reader = Reader::new(block);
        let cut = |_| Error::Image(CUT);
        reader.bytes(12, "lengths").map_err(cut)?;
        if reader.u8("type").map_err(cut)? != TYPE_PV {
            return Err(Error::Image("the IPL information block is not one for secure mode (type 5)"));
        }
        reader.bytes(0x74 - 13, "reserved").map_err(cut)?;
        let count = reader.u32("number of components").map_err(cut)?;
        let header_address = reader.u64("header address").map_err(cut)?;
        let header_size = reader.u64("header size").map_err(cut)?;
        if count > MOST {
            return Err(Error::Image("the IPL information block has more components than fit into it"));
        }
        let mut components = Vec::new();
        for _ in 0..count {
            components.push(Component {
                tweak_prefix: reader.u64("tweak prefix").map_err(cut)?,
                address: reader.u64("address").map_err(cut)?,
                length: reader.u64("length").map_err(cut)?,
            });
        }
        Ok(Self { header_address, header_size, components })
    }

    /// The block in memory.
    pub fn to_bytes(&self) -> Vec<u8> {
        let length = (FIXED + 24 * self.components.len()) as u32;
        let mut block = vec![0; FIXED];
        block[..4].copy_from_slice(&length.to_be_bytes());
        block[7] = 1;
        block[8..12].copy_from_slice(&(length - 8).to_be_bytes());
        block[12] = TYPE_PV;
        block[0x6f] = 1;
        block[0x74..0x78].copy_from_slice(&(self.components.len() as u32).to_be_bytes());
        block[0x78..0x80].copy_from_slice(&self.header_address.to_be_bytes());
        block[0x80..0x88].copy_from_slice(&self.header_size.to_be_bytes());
        for component in &self.components {
            for word in [component.tweak_prefix, component.address, component.length] {
                block.extend(word.to_be_bytes());
            }
        }
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let component = |n: u64| Component { tweak_prefix: n << 48, address: n << 12, length: 0x2000 };
        let ipib = Ipib { header_address: 0x14000, header_size: 640, components: vec![component(40), component(50)] };
        let bytes = ipib.to_bytes();
        assert_eq!(bytes.len(), 0x88 + 48);
        assert_eq!(Ipib::parse(&bytes).unwrap(), ipib);
        for end in 0..bytes.len() {
            assert!(Ipib::parse(&bytes[..end]).is_err(), "{end} bytes");
        }
        let mut many = bytes;
        many[0x74] = 1;
        assert!(Ipib::parse(&many).is_err());
    }
}

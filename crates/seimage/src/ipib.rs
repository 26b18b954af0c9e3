//! The IPIB: what the loader hands to the firmware.

use crate::page::{PAGE, PAGE_SIZE};
use crate::{Error, error::Field};
use uvtypes::Reader;
use uvtypes::layout::{self, FieldKind};

/// Before the components.
const FIXED: usize = layout::end(Ipib::FIELDS);
const PER_COMPONENT: usize = layout::end(Ipib::COMPONENT);
const VERSION: u8 = 1;
const TYPE_PV: u8 = 5;

/// An IPL information block with its one block of type 5 (PV). All fields are big-endian.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0x00 | 4 | size of the whole: 8 and that of the next block |
/// | 0x04 | 1, 2, 1 | flags 0; reserved; version 1 |
/// | 0x08 | 4 | size of this block: 128 and 24 for each component |
/// | 0x0c | 1, 3 | type 5; reserved |
/// | 0x10 | 8 | load parameter 0 |
/// | 0x18 | 87 | reserved |
/// | 0x6f | 1, 4 | version 1; reserved |
/// | 0x74 | 4 | number of components |
/// | 0x78 | 8, 8 | address and size of the SE header; stage3a writes them again |
/// | 0x88 | 24 each | tweak prefix, address, size in bytes, of each component |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipib {
    /// Address of the SE header.
    pub header: u64,
    /// Bytes of the SE header.
    pub header_size: u64,
    /// In the order of their addresses.
    pub components: Vec<IpibComponent>,
}

/// A component as the firmware knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpibComponent {
    /// The first half of its tweaks.
    pub prefix: u64,
    /// Address of the component.
    pub address: u64,
    /// Size of the component in bytes: whole pages.
    pub size: u64,
}

impl IpibComponent {
    /// The first address behind it; [`Ipib::parse`] made sure that there is one.
    pub fn end(&self) -> u64 {
        self.address.saturating_add(self.size)
    }
}

impl Ipib {
    /// The fields before the components.
    pub const FIELDS: &'static [layout::Field] = &[
        layout::Field::new(0x00, 4, "size of the IPIB", FieldKind::Number),
        layout::Field::new(0x04, 1, "flags of the IPIB", FieldKind::Number),
        layout::Field::reserved(0x05, 2),
        layout::Field::new(0x07, 1, "version of the IPIB", FieldKind::Number),
        layout::Field::new(0x08, 4, "size of the PV block", FieldKind::Number),
        layout::Field::new(0x0c, 1, "type of the block", FieldKind::Number),
        layout::Field::reserved(0x0d, 3),
        layout::Field::new(0x10, 8, "load parameter", FieldKind::Bytes),
        layout::Field::reserved(0x18, 0x57),
        layout::Field::new(0x6f, 1, "version of the PV block", FieldKind::Number),
        layout::Field::reserved(0x70, 4),
        layout::Field::new(0x74, 4, "number of components", FieldKind::Number),
        layout::Field::new(0x78, 8, "address of the SE header", FieldKind::Address),
        layout::Field::new(0x80, 8, "bytes of the SE header", FieldKind::Number),
    ];
    /// The fields of each component.
    pub const COMPONENT: &'static [layout::Field] = &[
        layout::Field::new(0, 8, "tweak prefix", FieldKind::Bytes),
        layout::Field::new(8, 8, "address", FieldKind::Address),
        layout::Field::new(16, 8, "bytes", FieldKind::Number),
    ];

    /// The machine keeps an IPIB on one page.
    pub const MAX_SIZE: usize = PAGE;
    /// So many components fit.
    pub const MAX_COMPONENTS: usize = (Self::MAX_SIZE - FIXED) / PER_COMPONENT;

    /// Bytes of the block as it stands in a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let count = self.components.len();
        let block = u32::try_from(FIXED - 8 + PER_COMPONENT * count).unwrap_or(u32::MAX);
        let mut bytes = vec![0; FIXED];
        let mut put = |at: usize, field: &[u8]| {
            for (place, byte) in bytes.iter_mut().skip(at).zip(field) {
                *place = *byte;
            }
        };
        put(0x00, &(block + 8).to_be_bytes());
        put(0x07, &[VERSION]);
        put(0x08, &block.to_be_bytes());
        put(0x0c, &[TYPE_PV]);
        put(0x6f, &[VERSION]);
        put(0x74, &u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
        put(0x78, &self.header.to_be_bytes());
        put(0x80, &self.header_size.to_be_bytes());
        for component in &self.components {
            for word in [component.prefix, component.address, component.size] {
                bytes.extend(word.to_be_bytes());
            }
        }
        bytes
    }

    /// Reads an IPIB that must be all of `bytes`, and nothing in it may be other than the table above says. Components
    /// are whole pages, one behind the other, and none reaches beyond the last address.
    ///
    /// # Errors
    /// [`Error::Ipib`], [`Error::Components`], [`Error::Wire`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let expect = |field: Field, found: u64, expected: u64| {
            if found == expected { Ok(()) } else { Err(Error::Ipib { field, found, expected }) }
        };
        let size = bytes.len() as u64;
        expect("the size", reader.u32("size of the IPIB")?.into(), size)?;
        expect("the flags", reader.u8("flags of the IPIB")?.into(), 0)?;
        zeros(&mut reader, 2)?;
        expect("the version", reader.u8("version of the IPIB")?.into(), VERSION.into())?;
        expect("the size of the PV block", reader.u32("size of the PV block")?.into(), size.saturating_sub(8))?;
        expect("the type of the block", reader.u8("type of the PV block")?.into(), TYPE_PV.into())?;
        zeros(&mut reader, 3 + 8 + 87)?;
        expect("the version of the PV block", reader.u8("version of the PV block")?.into(), VERSION.into())?;
        zeros(&mut reader, 4)?;
        let count = reader.u32("number of components")?;
        let (header, header_size) = (reader.u64("address of the header")?, reader.u64("size of the header")?);
        let room = size.saturating_sub(FIXED as u64);
        expect("the number of components", count.into(), room / PER_COMPONENT as u64)?;
        let mut components = Vec::new();
        let mut last_end = 0;
        for number in 0..count {
            let component = IpibComponent {
                prefix: reader.u64("tweak prefix")?,
                address: reader.u64("address of a component")?,
                size: reader.u64("size of a component")?,
            };
            let IpibComponent { address, size, .. } = component;
            let problem = if address % PAGE_SIZE != 0 || size % PAGE_SIZE != 0 {
                Some("is not made of whole pages")
            } else if size == 0 {
                Some("has no pages")
            } else if address.checked_add(size).is_none() {
                Some("ends behind the last address")
            } else if address < last_end {
                Some("does not lie behind the one before it")
            } else {
                None
            };
            if let Some(problem) = problem {
                return Err(Error::Components { number, address, problem });
            }
            last_end = component.end();
            components.push(component);
        }
        reader.finish("IPIB")?;
        Ok(Self { header, header_size, components })
    }
}

fn zeros(reader: &mut Reader<'_>, count: usize) -> Result<(), Error> {
    let at = reader.offset();
    let bytes = reader.bytes(count, "reserved part of the IPIB")?;
    match bytes.iter().position(|byte| *byte != 0) {
        None => Ok(()),
        Some(place) => Err(Error::IpibReserved(at + place)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipib() -> Ipib {
        let component = |prefix, address, size| IpibComponent { prefix, address, size };
        let components = vec![component(0x28 << 48, 0x15000, 0x13000), component(0x46 << 48, 0x30000, 0x1000)];
        Ipib { header: 0x14000, header_size: 640, components }
    }

    #[test]
    fn is_read_as_written() {
        let bytes = ipib().to_bytes();
        assert_eq!(bytes.len(), 8 + 128 + 2 * 24);
        assert_eq!(Ipib::parse(&bytes).unwrap(), ipib());
        assert_eq!(Ipib::MAX_COMPONENTS, 165);
    }

    #[test]
    fn refuses_every_prefix_and_every_change_of_a_fixed_byte() {
        let bytes = ipib().to_bytes();
        for length in 0..bytes.len() {
            assert!(Ipib::parse(&bytes[..length]).is_err(), "{length}");
        }
        for at in 0..0x78 {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert!(Ipib::parse(&changed).is_err(), "byte {at:#x}, bit {bit}");
            }
        }
    }

    #[test]
    fn refuses_components_that_cannot_be() {
        type Change = fn(&mut IpibComponent);
        let rows: [(Change, &str); 6] = [
            (|c| c.address += 1, "whole pages"),
            (|c| c.size -= 1, "whole pages"),
            (|c| c.size = 0, "no pages"),
            (|c| c.size = 0_u64.wrapping_sub(0x1000), "behind the last address"),
            (|c| c.address = 0x27000, "behind the one before"),
            (|c| c.address = 0, "behind the one before"),
        ];
        for (change, part) in rows {
            let mut ipib = ipib();
            change(&mut ipib.components[1]);
            let error = Ipib::parse(&ipib.to_bytes()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}

//! A machine's share of a request or an image: the key that opens it, wrapped for this machine alone.

use crate::layout::{self, Field, FieldKind};
use crate::{HostKeyHash, ReadError, Reader};

/// Bytes of each of the two coordinates of a public EC key: big-endian, padded on the left with zeros.
pub const COORDINATE_SIZE: usize = 80;

const P521_FIELDS: &[Field] = &[
    Field::new(0, 32, "host-key hash", FieldKind::HostKeyHash),
    Field::new(32, 32, "wrapped key", FieldKind::Encrypted),
    Field::new(64, 16, "tag", FieldKind::Bytes),
];

/// Which form the key slots of a request or a header have. Its version says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeySlotKind {
    /// For host keys on the curve P-521, 80 bytes: what version 0x100 of every format has.
    P521,
}

impl KeySlotKind {
    /// Fields of a slot.
    ///
    /// | offset | size | field |
    /// |---|---|---|
    /// | 0 | 32 | host-key hash, SHA-256 |
    /// | 32 | 32 | the wrapped key, AES-256-GCM with the key that customer and machine agree on and an IV of zeros |
    /// | 64 | 16 | its tag |
    ///
    /// Source: requests and images that the ultravisor accepts.
    pub const fn fields(self) -> &'static [Field] {
        match self {
            Self::P521 => P521_FIELDS,
        }
    }

    /// Size of a slot in bytes.
    pub const fn size(self) -> usize {
        match self {
            Self::P521 => layout::end(P521_FIELDS),
        }
    }

    /// Reads one slot.
    ///
    /// # Errors
    /// [`ReadError::Truncated`] when the input ends inside the slot.
    pub fn read(self, reader: &mut Reader<'_>) -> Result<KeySlot, ReadError> {
        match self {
            Self::P521 => Ok(KeySlot::P521 {
                host_key: HostKeyHash::sha256(reader.array("host-key hash of a key slot")?),
                wrapped: reader.array("wrapped key of a key slot")?,
                tag: reader.array("tag of a key slot")?,
            }),
        }
    }
}

/// A key slot, by the kind of its host key. Later machines get wider slots.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeySlot {
    /// The form of [`KeySlotKind::P521`].
    P521 {
        /// Hash of the host key of the machine that the slot is for.
        host_key: HostKeyHash,
        /// The wrapped protection key.
        wrapped: [u8; 32],
        /// The tag of the wrapped key.
        tag: [u8; 16],
    },
}

impl KeySlot {
    /// The form of this slot.
    pub const fn kind(&self) -> KeySlotKind {
        match self {
            Self::P521 { .. } => KeySlotKind::P521,
        }
    }

    /// The machine that can unwrap the key.
    pub const fn host_key(&self) -> HostKeyHash {
        match self {
            Self::P521 { host_key, .. } => *host_key,
        }
    }

    /// Appends the slot as it stands in a request or a header.
    pub fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::P521 { host_key, wrapped, tag } => {
                to.extend(host_key.as_bytes());
                to.extend(wrapped);
                to.extend(tag);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slot_is_read_as_it_was_written_and_has_its_fields() {
        let slot = KeySlot::P521 { host_key: HostKeyHash::sha256([1; 32]), wrapped: [2; 32], tag: [3; 16] };
        let mut bytes = Vec::new();
        slot.write(&mut bytes);
        assert_eq!(bytes, [&[1; 32][..], &[2; 32], &[3; 16]].concat());
        assert_eq!((bytes.len(), layout::end(slot.kind().fields())), (slot.kind().size(), slot.kind().size()));
        let mut reader = Reader::new(&bytes);
        assert_eq!(slot.kind().read(&mut reader).unwrap(), slot);
        reader.finish("slot").unwrap();
        for length in 0..bytes.len() {
            slot.kind().read(&mut Reader::new(&bytes[..length])).expect_err("a slot that is cut");
        }
    }
}

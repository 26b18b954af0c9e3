//! How a format is described: its fields, one behind the other.
//!
//! The crate that knows a format keeps its table of fields beside the structure that it parses, and asserts when it is
//! compiled that both agree. Who explains a file reads the table.

use crate::flags::Flag;

/// A field of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Bytes between the start of the structure and the field.
    pub offset: usize,
    /// Bytes of the field.
    pub size: usize,
    /// The name of the field in the architecture's terms.
    pub name: &'static str,
    /// Kind of the field.
    pub kind: FieldKind,
}

/// Kind of a field: what its bytes are. Every number is big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldKind {
    /// A constant that the format is known by.
    Magic,
    /// The version of the format, 4 bytes.
    Version,
    /// A number of 1, 2, 4 or 8 bytes.
    Number,
    /// An address, or an offset in the file: a number that people read in hexadecimal digits.
    Address,
    /// Flags, 8 bytes, with the table of their names.
    Flags(&'static [Flag]),
    /// The hash of a host key.
    HostKeyHash,
    /// The CUID of a guest, 16 bytes.
    Cuid,
    /// The id of a secret, 32 bytes.
    SecretId,
    /// The kind of a secret, 2 bytes.
    SecretKind,
    /// Other bytes that anybody can read.
    Bytes,
    /// Bytes that only the ultravisor can decrypt.
    Encrypted,
    /// Reserved bytes, which must be zeros.
    Reserved,
}

impl Field {
    /// A field at `offset` of its structure.
    pub const fn new(offset: usize, size: usize, name: &'static str, kind: FieldKind) -> Self {
        Self { offset, size, name, kind }
    }

    /// Zeros at `offset` of the structure.
    pub const fn reserved(offset: usize, size: usize) -> Self {
        Self::new(offset, size, "reserved", FieldKind::Reserved)
    }
}

/// Offset at which the structure ends whose table this is: 0 for an empty table, and for one with a gap or an overlap in it.
///
/// ```
/// use uvtypes::layout::{Field, FieldKind, end};
/// const FIELDS: &[Field] = &[Field::new(0, 2, "count", FieldKind::Number), Field::reserved(2, 6)];
/// const _: () = assert!(end(FIELDS) == 8);
/// ```
pub const fn end(fields: &[Field]) -> usize {
    let Some(first) = fields.first() else { return 0 };
    let (mut rest, mut end) = (fields, first.offset);
    while let [field, others @ ..] = rest {
        if field.offset != end {
            return 0;
        }
        end += field.size;
        rest = others;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_with_gaps_end_nowhere() {
        let field = |offset, size| Field::new(offset, size, "x", FieldKind::Bytes);
        assert_eq!(end(&[field(0, 2), field(2, 3)]), 5);
        assert_eq!(end(&[field(0x30, 8), field(0x38, 8)]), 0x40);
        assert_eq!(end(&[field(0, 2), field(3, 3)]), 0);
        assert_eq!(end(&[field(0, 2), field(1, 3)]), 0);
        assert_eq!(end(&[]), 0);
    }
}

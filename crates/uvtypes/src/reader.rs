//! A bounds-checked reader for big-endian wire formats.
//!
//! Every format that pvtools takes from outside is read through [`Reader`]: it never indexes past its
//! input, knows the offset it stands at, and names the field in every error.
//!
//! ```
//! use uvtypes::Reader;
//! let mut reader = Reader::new(&[0x00, 0x2a, 0xff]);
//! assert_eq!(reader.u16("length")?, 42);
//! assert_eq!(reader.rest(), [0xff]);
//! # Ok::<(), uvtypes::ReadError>(())
//! ```

/// Reason why bytes could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The input ends inside a field.
    #[error("truncated at offset {offset:#x}: '{field}' needs {needed} bytes, {left} are left")]
    Truncated {
        /// Name of the field.
        field: &'static str,
        /// Offset of the field's first byte in the input.
        offset: usize,
        /// Bytes the field needs.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// Bytes follow where the format ends.
    #[error("{count} unexpected bytes at offset {offset:#x}, behind the end of '{what}'")]
    Trailing {
        /// Name of the structure that ended.
        what: &'static str,
        /// Offset of the first byte behind the end.
        offset: usize,
        /// Number of bytes behind the end.
        count: usize,
    },
}

/// Reads big-endian fields one after another. Where a format must end, [`Reader::finish`] says whether it does.
#[derive(Clone, Debug)]
#[must_use = "what is left unread is not checked: end with `finish`, or look at `rest`"]
pub struct Reader<'a> {
    input: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Starts at offset 0 of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, offset: 0 }
    }

    /// The offset of the next byte.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Bytes that are left, without consuming them.
    pub fn rest(&self) -> &'a [u8] {
        self.input.get(self.offset..).unwrap_or_default()
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], ReadError> {
        let rest = self.rest();
        let bytes = rest.get(..count).ok_or(ReadError::Truncated {
            field,
            offset: self.offset,
            needed: count,
            left: rest.len(),
        })?;
        self.offset += count;
        Ok(bytes)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], ReadError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N, field)?);
        Ok(array)
    }

    /// Reads one byte.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, ReadError> {
        self.array(field).map(u8::from_be_bytes)
    }

    /// Two bytes, big-endian.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, ReadError> {
        self.array(field).map(u16::from_be_bytes)
    }

    /// Four bytes, big-endian.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, ReadError> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// Eight bytes, big-endian.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, ReadError> {
        self.array(field).map(u64::from_be_bytes)
    }

    /// Succeeds when everything was read; `what` names the structure that has to end here.
    pub fn finish(self, what: &'static str) -> Result<(), ReadError> {
        match self.rest().len() {
            0 => Ok(()),
            count => Err(ReadError::Trailing { what, offset: self.offset, count }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_big_endian_fields_in_order() {
        let input = [1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 9, 9];
        let mut r = Reader::new(&input);
        assert_eq!(r.u8("a"), Ok(1));
        assert_eq!(r.u16("b"), Ok(2));
        assert_eq!(r.u32("c"), Ok(3));
        assert_eq!(r.u64("d"), Ok(4));
        assert_eq!(r.offset(), 15);
        assert_eq!(r.array("e"), Ok([9, 9]));
        assert_eq!(r.finish("all"), Ok(()));
    }

    #[test]
    fn names_the_field_that_is_cut_and_stays_where_it_was() {
        let mut r = Reader::new(&[1, 2, 3]);
        r.u8("first").unwrap();
        let error = r.u32("second").unwrap_err();
        assert_eq!(error, ReadError::Truncated { field: "second", offset: 1, needed: 4, left: 2 });
        assert_eq!(r.offset(), 1);
        assert_eq!(
            r.bytes(usize::MAX, "huge").unwrap_err().to_string(),
            format!("truncated at offset 0x1: 'huge' needs {} bytes, 2 are left", usize::MAX)
        );
    }

    #[test]
    fn reports_what_is_left_over() {
        let mut r = Reader::new(&[1, 2, 3]);
        r.u8("only").unwrap();
        assert_eq!(r.finish("thing"), Err(ReadError::Trailing { what: "thing", offset: 1, count: 2 }));
    }
}

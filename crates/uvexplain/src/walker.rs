//! Walks a binary layout and notes each field.

use crate::report::{Field, FileKind, KnownHostKey, Report, Value};
use uvtypes::{ReadError, Reader};

pub(crate) struct Walker<'a> {
    reader: Reader<'a>,
    input: &'a [u8],
    /// Where in the file the input begins.
    base: usize,
    known: &'a [KnownHostKey],
    fields: Vec<Field>,
    warnings: Vec<String>,
}

impl<'a> Walker<'a> {
    pub(crate) fn new(input: &'a [u8], base: usize, known: &'a [KnownHostKey]) -> Self {
        Self { reader: Reader::new(input), input, base, known, fields: Vec::new(), warnings: Vec::new() }
    }

    /// A walker over `size` bytes at `offset` of the same input, whose fields are added by [`Walker::adopt`].
    pub(crate) fn part(&self, offset: usize, size: usize, what: &'static str) -> Result<Self, ReadError> {
        let left = self.input.len().saturating_sub(offset);
        let end = offset.checked_add(size).filter(|end| *end <= self.input.len());
        let input = end.and_then(|end| self.input.get(offset..end));
        let input = input.ok_or(ReadError::Truncated { field: what, offset, needed: size, left })?;
        Ok(Self::new(input, self.base.saturating_add(offset), self.known))
    }

    pub(crate) fn adopt(&mut self, part: Self) {
        self.fields.extend(part.fields);
        self.warnings.extend(part.warnings);
    }

    pub(crate) fn into_report(mut self, kind: FileKind, size: u64) -> Report {
        self.fields.sort_by_key(|field| field.offset);
        Report { kind, size, fields: self.fields, warnings: self.warnings }
    }

    pub(crate) fn input(&self) -> &'a [u8] {
        self.input
    }

    pub(crate) fn offset(&self) -> usize {
        self.reader.offset()
    }

    pub(crate) fn left(&self) -> usize {
        self.reader.rest().len()
    }

    pub(crate) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// The meaning of the field noted last.
    pub(crate) fn means(&mut self, meaning: impl Into<String>) {
        if let Some(field) = self.fields.last_mut() {
            field.meaning = meaning.into();
        }
    }

    /// The name of the field noted last, where it depends on a number.
    pub(crate) fn named(&mut self, name: impl Into<String>) {
        if let Some(field) = self.fields.last_mut() {
            field.name = name.into();
        }
    }

    pub(crate) fn bytes(&mut self, size: usize, name: &'static str) -> Result<&'a [u8], ReadError> {
        let bytes = self.reader.bytes(size, name)?;
        self.note(size, name, Value::Bytes(bytes.to_vec()));
        Ok(bytes)
    }

    pub(crate) fn encrypted(&mut self, size: usize, name: &'static str) -> Result<(), ReadError> {
        self.reader.bytes(size, name)?;
        self.note(size, name, Value::Encrypted);
        Ok(())
    }

    pub(crate) fn reserved(&mut self, size: usize) -> Result<(), ReadError> {
        let bytes = self.reader.bytes(size, "reserved")?;
        if bytes.iter().all(|byte| *byte == 0) {
            self.note(size, "reserved", Value::Zeros);
            return Ok(());
        }
        let at = self.base + self.reader.offset() - size;
        self.note(size, "reserved", Value::Bytes(bytes.to_vec()));
        self.warn(format!("the reserved field at {at:#x} is not zero"));
        Ok(())
    }

    pub(crate) fn magic(&mut self, size: usize) -> Result<&'a [u8], ReadError> {
        let bytes = self.reader.bytes(size, "magic")?;
        let value = match std::str::from_utf8(bytes) {
            Ok(text) if text.chars().all(|c| c.is_ascii_graphic()) => Value::Text(format!("'{text}'")),
            _ => Value::Bytes(bytes.to_vec()),
        };
        self.note(size, "magic", value);
        Ok(bytes)
    }

    pub(crate) fn u8(&mut self, name: &'static str) -> Result<u8, ReadError> {
        let number = self.reader.u8(name)?;
        self.note(1, name, Value::Number(number.into()));
        Ok(number)
    }

    pub(crate) fn u16(&mut self, name: &'static str) -> Result<u16, ReadError> {
        let number = self.reader.u16(name)?;
        self.note(2, name, Value::Number(number.into()));
        Ok(number)
    }

    pub(crate) fn u32(&mut self, name: &'static str) -> Result<u32, ReadError> {
        let number = self.reader.u32(name)?;
        self.note(4, name, Value::Number(number.into()));
        Ok(number)
    }

    pub(crate) fn u64(&mut self, name: &'static str) -> Result<u64, ReadError> {
        let number = self.reader.u64(name)?;
        self.note(8, name, Value::Number(number));
        Ok(number)
    }

    pub(crate) fn version(&mut self) -> Result<(), ReadError> {
        let version = self.reader.u32("version")?;
        self.note(4, "version", Value::Hex(version.into()));
        if version != 0x100 {
            self.warn(format!("version {version:#x} is not known; the fields may mean something else"));
        }
        Ok(())
    }

    /// 64 flags, bit 0 being the most significant.
    pub(crate) fn flags(&mut self, name: &'static str, names: &[(u32, &str)]) -> Result<u64, ReadError> {
        let flags = self.reader.u64(name)?;
        self.note(8, name, Value::Text(format!("{flags:#018x}")));
        let set = (0..64).filter(|bit| flags >> (63 - bit) & 1 == 1);
        let meaning: Vec<_> = set
            .map(|bit| match names.iter().find(|(known, _)| *known == bit) {
                Some((_, name)) => (*name).to_owned(),
                None => format!("unknown bit {bit}"),
            })
            .collect();
        self.means(meaning.join(", "));
        Ok(flags)
    }

    /// X and Y of a P-521 key, 80 bytes each.
    pub(crate) fn coordinates(&mut self) -> Result<(), ReadError> {
        self.bytes(80, "customer key, X coordinate")?;
        self.bytes(80, "customer key, Y coordinate")?;
        Ok(())
    }

    /// Key slots of 80 bytes.
    pub(crate) fn key_slots(&mut self, count: u64) -> Result<(), ReadError> {
        for slot in 0..count {
            let hash = self.bytes(32, "host-key hash")?;
            self.named(format!("key slot {slot}: host-key hash"));
            if let Some(known) = self.known.iter().find(|known| known.hash == *hash) {
                self.means(format!("host key of '{}'", known.name));
            }
            self.encrypted(32, "wrapped request key")?;
            self.named(format!("key slot {slot}: wrapped key"));
            self.bytes(16, "tag of the wrapped key")?;
            self.named(format!("key slot {slot}: tag"));
        }
        Ok(())
    }

    /// Whatever is left when all is explained.
    pub(crate) fn trailing(&mut self, what: &str) -> Result<(), ReadError> {
        let left = self.left();
        if left > 0 {
            self.warn(format!("{left} bytes follow the end of the {what}"));
            self.bytes(left, "trailing bytes")?;
        }
        Ok(())
    }

    fn note(&mut self, size: usize, name: &str, value: Value) {
        let offset = self.base.saturating_add(self.reader.offset() - size);
        self.fields.push(Field {
            offset: Some(offset),
            size: Some(size),
            name: name.to_owned(),
            value,
            meaning: String::new(),
        });
    }
}

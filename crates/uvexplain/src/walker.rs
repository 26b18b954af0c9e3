//! Walks a binary layout and notes each field.

use crate::report::{Field, FileKind, KnownHostKey, Report, Value};
use uvtypes::flags::{self, Flag};
use uvtypes::layout::{Field as Layout, FieldKind};
use uvtypes::{COORDINATE_SIZE, KeySlotKind, ReadError, Reader, SecretId, SecretKind, SecretUse};

/// The fields of one table as they stand in the input.
pub(crate) struct Values<'a>(Vec<(&'static str, &'a [u8])>);

impl<'a> Values<'a> {
    /// The bytes of the field called `name`; none for a name that the table does not have.
    pub(crate) fn bytes(&self, name: &str) -> &'a [u8] {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, bytes)| *bytes).unwrap_or_default()
    }

    /// The number in the field called `name`.
    pub(crate) fn number(&self, name: &str) -> u64 {
        be_number(self.bytes(name))
    }
}

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

    /// A walker over another part of the file, which begins at `base` there.
    pub(crate) fn beside(&self, input: &'a [u8], base: usize) -> Self {
        Self::new(input, base, self.known)
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

    /// Notes the fields of a table, one behind the other.
    pub(crate) fn fields(&mut self, table: &'static [Layout]) -> Result<Values<'a>, ReadError> {
        self.fields_of("", table)
    }

    /// Like [`Walker::fields`], with `prefix` before each name but `reserved`.
    pub(crate) fn fields_of(&mut self, prefix: &str, table: &'static [Layout]) -> Result<Values<'a>, ReadError> {
        let mut values = Vec::with_capacity(table.len());
        for Layout { size, name, kind, .. } in table {
            let bytes = self.reader.bytes(*size, name)?;
            let (value, meaning) = self.explain(*kind, bytes);
            let prefix = if *kind == FieldKind::Reserved { "" } else { prefix };
            self.note(*size, &format!("{prefix}{name}"), value);
            self.means(meaning);
            values.push((*name, bytes));
        }
        Ok(Values(values))
    }

    /// Value and meaning of a field whose bytes were just read.
    fn explain(&mut self, kind: FieldKind, bytes: &[u8]) -> (Value, String) {
        let number = be_number(bytes);
        match kind {
            FieldKind::Magic => match std::str::from_utf8(bytes) {
                Ok(text) if text.chars().all(|c| c.is_ascii_graphic()) => {
                    (Value::Text(format!("'{text}'")), String::new())
                }
                _ => (Value::Bytes(bytes.to_vec()), String::new()),
            },
            FieldKind::Version => {
                if number != 0x100 {
                    self.warn(format!("version {number:#x} is not known; the fields may mean something else"));
                }
                (Value::Hex(number), String::new())
            }
            FieldKind::Number => (Value::Number(number), String::new()),
            FieldKind::Address => (Value::Hex(number), String::new()),
            FieldKind::Flags(table) => (Value::Text(format!("{number:#018x}")), flag_names(number, table)),
            FieldKind::HostKeyHash => {
                let known = self.known.iter().find(|known| known.hash.as_bytes() == bytes);
                let meaning = known.map(|known| format!("host key of '{}'", known.name));
                (Value::Bytes(bytes.to_vec()), meaning.unwrap_or_default())
            }
            FieldKind::SecretKind => {
                (Value::Number(number), u16::try_from(number).map_or_else(|_| String::new(), secret_kind))
            }
            FieldKind::SecretId => {
                let id = <[u8; 32]>::try_from(bytes).map(SecretId::from).ok();
                let name = id.as_ref().and_then(SecretId::as_name);
                (Value::Bytes(bytes.to_vec()), name.map(|name| format!("'{name}'")).unwrap_or_default())
            }
            FieldKind::Encrypted => (Value::Encrypted, String::new()),
            FieldKind::Reserved if bytes.iter().all(|byte| *byte == 0) => (Value::Zeros, String::new()),
            FieldKind::Reserved => {
                let at = self.base.saturating_add(self.reader.offset() - bytes.len());
                self.warn(format!("the reserved field at {at:#x} is not zero"));
                (Value::Bytes(bytes.to_vec()), String::new())
            }
            _ => (Value::Bytes(bytes.to_vec()), String::new()),
        }
    }

    /// The meaning of the field noted last.
    pub(crate) fn means(&mut self, meaning: impl Into<String>) {
        if let Some(field) = self.fields.last_mut() {
            field.meaning = meaning.into();
        }
    }

    /// The meaning of the field with this name.
    pub(crate) fn field_means(&mut self, name: &str, meaning: impl Into<String>) {
        if let Some(field) = self.fields.iter_mut().rfind(|field| field.name == name) {
            field.meaning = meaning.into();
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
        let at = self.base.saturating_add(self.reader.offset() - size);
        self.note(size, "reserved", Value::Bytes(bytes.to_vec()));
        self.warn(format!("the reserved field at {at:#x} is not zero"));
        Ok(())
    }

    /// X and Y of a P-521 key.
    pub(crate) fn coordinates(&mut self) -> Result<(), ReadError> {
        self.bytes(COORDINATE_SIZE, "customer key, X coordinate")?;
        self.bytes(COORDINATE_SIZE, "customer key, Y coordinate")?;
        Ok(())
    }

    /// The slots of `count` machines.
    pub(crate) fn key_slots(&mut self, kind: KeySlotKind, count: u64) -> Result<(), ReadError> {
        (0..count).try_for_each(|slot| self.fields_of(&format!("key slot {slot}: "), kind.fields()).map(drop))
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
        self.note_elsewhere(offset, size, name, value, "");
    }

    /// Notes a part of the file that is not in the input, for nobody reads it.
    pub(crate) fn note_elsewhere(&mut self, offset: usize, size: usize, name: &str, value: Value, meaning: &str) {
        let (name, meaning) = (name.to_owned(), meaning.to_owned());
        self.fields.push(Field { offset: Some(offset), size: Some(size), name, value, meaning });
    }
}

/// A big-endian number of up to 8 bytes; 0 for a field that is wider.
fn be_number(bytes: &[u8]) -> u64 {
    match bytes.len() {
        ..=8 => bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
        _ => 0,
    }
}

/// The names of the flags that are set, bit 0 being the most significant.
fn flag_names(word: u64, table: &[Flag]) -> String {
    let name = |bit| match flags::find(table, bit) {
        Some(flag) => flag.name.to_owned(),
        None => format!("unknown bit {bit}"),
    };
    flags::ones(word).map(name).collect::<Vec<_>>().join(", ")
}

/// The name of a kind of secret: as lists show it, or what a request of this kind does.
fn secret_kind(number: u16) -> String {
    match SecretKind(number).row().map(|row| row.used) {
        Some(SecretUse::NotStored(what)) => what.to_owned(),
        _ => SecretKind(number).to_string(),
    }
}

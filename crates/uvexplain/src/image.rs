//! What lies around the header of a boot image.

use crate::report::Value;
use crate::walker::Walker;
use sehdr::{METADATA_MAGIC, METADATA_OFFSET, pcf};
use seimage::{Image, Ipib, Kind, Loader, Metadata, SHORT_PSW, STAGE3A, stage3a};
use std::io::{self, Read, Seek, SeekFrom};
use uvtypes::ReadError;

/// The parts of an image that are read here. One that is damaged is explained up to there; an image of an old tool has none.
pub(crate) struct Surroundings {
    psw: Vec<u8>,
    metadata: Vec<u8>,
    ipib_at: usize,
    ipib: Vec<u8>,
    /// Of an image in which everything lies where it can.
    stage3a: Vec<u8>,
    size: u64,
    problem: Option<String>,
}

impl Surroundings {
    /// Reads less than 100 KiB, whatever the file says.
    pub(crate) fn read(file: &mut (impl Read + Seek)) -> io::Result<Option<Self>> {
        let metadata = part(file, METADATA_OFFSET, Metadata::SIZE)?;
        if !metadata.starts_with(&METADATA_MAGIC) {
            return Ok(None);
        }
        let ipib_at = metadata.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let (loader, problem) = match Image::open(file) {
            Ok(image) => (stage3a(&image, file), None),
            Err(error) => (Ok(Vec::new()), Some(said(&error))),
        };
        let (stage3a, problem) = match loader {
            Ok(bytes) => (bytes, problem),
            Err(error) => (Vec::new(), Some(said(&error))),
        };
        Ok(Some(Self {
            psw: part(file, 0, 8)?,
            metadata,
            ipib_at: place(ipib_at),
            ipib: part(file, ipib_at, Ipib::MAX_SIZE + 1)?,
            stage3a,
            size: file.seek(SeekFrom::End(0))?,
            problem,
        }))
    }

    /// Adds all to the fields of the header, whose plaintext control flags are `flags`.
    pub(crate) fn walk<'a>(&'a self, header: &mut Walker<'a>, flags: u64) -> Result<(), ReadError> {
        self.walk_loader(header)?;
        let mut metadata = header.beside(&self.metadata, place(METADATA_OFFSET));
        metadata.fields(Metadata::FIELDS)?;
        header.adopt(metadata);
        let mut ipib = header.beside(&self.ipib, self.ipib_at);
        let walked = self.walk_ipib(&mut ipib, flags);
        header.adopt(ipib);
        if let Some(problem) = &self.problem {
            header.warn(problem);
        }
        walked
    }

    fn walk_loader<'a>(&'a self, header: &mut Walker<'a>) -> Result<(), ReadError> {
        let psw = self.psw.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        if psw == SHORT_PSW {
            header.note_elsewhere(0, 8, "short PSW", Value::Hex(psw), "64-bit mode, starts at 0x11000");
        } else {
            header.note_elsewhere(0, 8, "short PSW", Value::Hex(psw), "");
            header.warn(format!("expected the short PSW {SHORT_PSW:#018x}, found {psw:#018x}"));
        }
        let code = self.stage3a.len().saturating_sub(uvtypes::layout::end(Loader::STAGE3A_ARGUMENTS));
        if let Some(arguments) = self.stage3a.get(code..).filter(|arguments| !arguments.is_empty()) {
            let whose =
                if Loader::own().has_stage3a(&self.stage3a) { "that of pvtools" } else { "not that of pvtools" };
            let what = Value::Text("(program)".to_owned());
            header.note_elsewhere(place(STAGE3A), code, "stage3a", what, &format!("boot loader, {whose}"));
            let mut walker = header.beside(arguments, place(STAGE3A).saturating_add(code));
            walker.fields_of("stage3a: ", Loader::STAGE3A_ARGUMENTS)?;
            header.adopt(walker);
        }
        Ok(())
    }

    fn walk_ipib<'a>(&'a self, ipib: &mut Walker<'a>, flags: u64) -> Result<(), ReadError> {
        let values = ipib.fields(Ipib::FIELDS)?;
        let is_encrypted = flags & pcf::NO_ENCRYPTION.mask() == 0;
        for number in 0..values.number("number of components") {
            let values = ipib.fields_of(&format!("component {number}: "), Ipib::COMPONENT)?;
            let [prefix, address, size] = ["tweak prefix", "address", "bytes"].map(|name| values.number(name));
            if address.checked_add(size).is_none_or(|end| end > self.size) {
                ipib.warn(format!("component {number} lies beyond the end of the file"));
                continue;
            }
            let [address, size] = [place(address), place(size)];
            let meaning = Kind::of_prefix(prefix).map_or(String::new(), |kind| format!("{kind}, by its tweak prefix"));
            let value = if is_encrypted { Value::Encrypted } else { Value::Text("(not encrypted)".to_owned()) };
            ipib.note_elsewhere(address, size, &format!("component {number}"), value, &meaning);
        }
        ipib.trailing("IPIB")
    }
}

/// A place in a file, or a size, as reports have it.
fn place(word: u64) -> usize {
    usize::try_from(word).unwrap_or(usize::MAX)
}

/// `size` bytes at `offset`, or as many as there are.
fn part(file: &mut (impl Read + Seek), offset: u64, size: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // No file is longer, and some refuse such places.
    if i64::try_from(offset).is_ok() {
        file.seek(SeekFrom::Start(offset))?;
        file.take(size as u64).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// An error with its causes.
fn said(error: &seimage::Error) -> String {
    let mut text = format!("its parts do not fit each other: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

//! The file that carries an attestation request into the guest, and the response out of it.

use super::AdditionalData;
use super::arcb::flags_of;
use crate::FormatError;
use std::ops::Range;
use uvtypes::attestation::AttestationFlags;
use uvtypes::layout::{self, Field, FieldKind};
use uvtypes::limits::{ADDITIONAL_MAX, ARCB_MAX, MEASUREMENT_MAX, USER_DATA_MAX};
use uvtypes::{Cuid, Reader};

/// Bytes of the measurement that we ask for: HMAC-SHA-512.
pub const MEASUREMENT_SIZE: usize = 64;

const MAGIC: [u8; 8] = *b"pvattest";
const VERSION_1: u32 = 0x100;
const HEADER_SIZE: usize = layout::end(FIELDS);

/// Fields of the file's header: of each part size and offset.
pub const FIELDS: &[Field] = &[
    Field::new(0x00, 8, "magic", FieldKind::Magic),
    Field::new(0x08, 4, "version", FieldKind::Version),
    Field::new(0x0c, 4, "size of the file", FieldKind::Number),
    Field::reserved(0x10, 8),
    Field::new(0x18, 4, "request: size", FieldKind::Number),
    Field::new(0x1c, 4, "request: offset", FieldKind::Number),
    Field::new(0x20, 4, "measurement: size", FieldKind::Number),
    Field::new(0x24, 4, "measurement: offset", FieldKind::Number),
    Field::new(0x28, 4, "additional data: size", FieldKind::Number),
    Field::new(0x2c, 4, "additional data: offset", FieldKind::Number),
    Field::new(0x30, 4, "user data: size", FieldKind::Number),
    Field::new(0x34, 4, "user data: offset", FieldKind::Number),
    Field::new(0x38, 4, "CUID: size", FieldKind::Number),
    Field::new(0x3c, 4, "CUID: offset", FieldKind::Number),
];

const _: () = assert!(HEADER_SIZE == 0x40);

/// An exchange file. All fields are big-endian.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0x00 | 8 | magic `pvattest` |
/// | 0x08 | 4 | version, 0x100 |
/// | 0x0c | 4 | size of the file |
/// | 0x10 | 8 | reserved |
/// | 0x18 | 8 | attestation request: size 4, offset 4 |
/// | 0x20 | 8 | measurement |
/// | 0x28 | 8 | additional data |
/// | 0x30 | 8 | user data |
/// | 0x38 | 8 | CUID |
/// | 0x40 | | the parts in this order |
///
/// An offset of 0 says that the part is not there: the size is then how much the response will have, or 0. Source:
/// files that other attestation tools write and take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    request: Vec<u8>,
    flags: AttestationFlags,
    measurement_size: usize,
    additional_size: usize,
    response: Option<Response>,
}

/// The parts of an exchange that the guest adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The measurement: an HMAC over the guest's state.
    pub measurement: Vec<u8>,
    /// The additional data; empty when there is none.
    pub additional: Vec<u8>,
    /// User data that the guest added; empty when there is none.
    pub user_data: Vec<u8>,
    /// The guest's configuration unique id.
    pub cuid: Cuid,
}

/// Size and offset of a part.
#[derive(Clone, Copy)]
struct Entry {
    size: usize,
    offset: usize,
}

impl Exchange {
    /// A file with a request that was sealed with these flags.
    pub fn new(request: Vec<u8>, flags: AttestationFlags) -> Self {
        let additional_size = AdditionalData::size(flags);
        Self { request, flags, measurement_size: MEASUREMENT_SIZE, additional_size, response: None }
    }

    /// Parses a file: a request, or a request with its response.
    ///
    /// # Errors
    /// [`FormatError::NotAnExchange`], [`FormatError::Version`], [`FormatError::Exchange`] with what is wrong where, and those of the
    /// request inside.
    pub fn parse(file: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(file);
        if reader.array("magic").map_err(|_| FormatError::NotAnExchange)? != MAGIC {
            return Err(FormatError::NotAnExchange);
        }
        let version = reader.u32("version")?;
        if version != VERSION_1 {
            return Err(FormatError::Version(version));
        }
        let size = reader.u32("size of the file")? as usize;
        if size != file.len() || size < HEADER_SIZE {
            return Err(FormatError::Exchange {
                what: "the file",
                offset: 0xc,
                problem: format!("says it has {size} bytes, there are {}", file.len()),
            });
        }
        // What a later version puts here may change the meaning of the rest.
        if reader.u64("reserved")? != 0 {
            return Err(FormatError::Exchange {
                what: "the file",
                offset: 0x10,
                problem: "uses a reserved field".to_owned(),
            });
        }
        let mut parts = Parts { file, seen: Vec::new() };
        let request = Entry::read(&mut reader)?;
        let measurement = Entry::read(&mut reader)?;
        let additional = Entry::read(&mut reader)?;
        let user_data = Entry::read(&mut reader)?;
        let cuid = Entry::read(&mut reader)?;
        let request = parts.take(request, "the attestation request", 0x18, ARCB_MAX)?;
        let request = request.filter(|request| !request.is_empty()).ok_or(FormatError::Exchange {
            what: "the file",
            offset: 0x18,
            problem: "contains no attestation request".to_owned(),
        })?;
        let flags = flags_of(request)?;
        let (measurement_size, additional_size) = (measurement.size, additional.size);
        let announced = [additional, user_data].map(|entry| entry.offset == 0 && entry.size != 0);
        let measurement = parts.take(measurement, "the measurement", 0x20, MEASUREMENT_MAX)?;
        let additional = parts.take(additional, "the additional data", 0x28, ADDITIONAL_MAX)?;
        let user_data = parts.take(user_data, "the user data", 0x30, USER_DATA_MAX)?;
        let cuid = parts.take(cuid, "the CUID", 0x38, Cuid::SIZE)?;
        let response = match measurement {
            None => None,
            Some(measurement) => {
                for (announced, what, offset) in
                    [(announced[0], "additional data", 0x28), (announced[1], "user data", 0x30)]
                {
                    if announced {
                        let problem = format!("announces {what}, but does not contain any");
                        return Err(FormatError::Exchange { what: "the response", offset, problem });
                    }
                }
                let problem = |problem: String| FormatError::Exchange { what: "the response", offset: 0x38, problem };
                let cuid = cuid.ok_or_else(|| problem("has no CUID".to_owned()))?;
                Some(Response {
                    measurement: measurement.to_vec(),
                    additional: additional.unwrap_or_default().to_vec(),
                    user_data: user_data.unwrap_or_default().to_vec(),
                    cuid: <[u8; Cuid::SIZE]>::try_from(cuid).map(Cuid::from).map_err(|_| {
                        problem(format!("has a CUID of {} bytes; it must have {}", cuid.len(), Cuid::SIZE))
                    })?,
                })
            }
        };
        Ok(Self { request: request.to_vec(), flags, measurement_size, additional_size, response })
    }

    /// The attestation request.
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// The flags of the request.
    pub fn flags(&self) -> AttestationFlags {
        self.flags
    }

    /// Bytes that the measurement will have.
    pub fn measurement_size(&self) -> usize {
        self.measurement_size
    }

    /// Bytes that the additional data will have.
    pub fn additional_size(&self) -> usize {
        self.additional_size
    }

    /// The response.
    ///
    /// # Errors
    /// [`FormatError::Exchange`] when the file holds a request alone.
    pub fn response(&self) -> Result<&Response, FormatError> {
        self.response.as_ref().ok_or(FormatError::Exchange {
            what: "the file",
            offset: 0x20,
            problem: "contains no attestation response (the measurement is missing)".to_owned(),
        })
    }

    /// This exchange with a response to its request.
    pub fn with_response(mut self, response: Response) -> Self {
        self.response = Some(response);
        self
    }

    /// The bytes of the exchange file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let empty = Response { measurement: vec![], additional: vec![], user_data: vec![], cuid: Cuid::default() };
        let response = self.response.as_ref().unwrap_or(&empty);
        let cuid: &[u8] = if self.response.is_some() { response.cuid.as_bytes() } else { &[] };
        // What is not there yet has only its size announced.
        let announced = [0, self.measurement_size, self.additional_size, 0, 0];
        let parts = [&self.request[..], &response.measurement, &response.additional, &response.user_data, cuid];
        let size = HEADER_SIZE + parts.iter().map(|part| part.len()).sum::<usize>();
        let mut file = Vec::with_capacity(size);
        file.extend(MAGIC);
        file.extend(VERSION_1.to_be_bytes());
        // Each part is far below 4 GiB.
        let number =
            |file: &mut Vec<u8>, number: usize| file.extend(u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
        number(&mut file, size);
        file.extend([0; 8]);
        let mut offset = HEADER_SIZE;
        for (part, announced) in parts.iter().zip(announced) {
            let there = !part.is_empty();
            let awaited = if self.response.is_some() { 0 } else { announced };
            number(&mut file, if there { part.len() } else { awaited });
            number(&mut file, if there { offset } else { 0 });
            offset += part.len();
        }
        parts.iter().for_each(|part| file.extend(*part));
        file
    }
}

impl Entry {
    fn read(reader: &mut Reader<'_>) -> Result<Self, uvtypes::ReadError> {
        Ok(Self { size: reader.u32("size of a part")? as usize, offset: reader.u32("offset of a part")? as usize })
    }
}

/// The parts of a file, none of which may lie over another.
struct Parts<'a> {
    file: &'a [u8],
    seen: Vec<Range<usize>>,
}

impl<'a> Parts<'a> {
    /// `at` is where the entry stands.
    fn take(
        &mut self,
        entry: Entry,
        what: &'static str,
        at: usize,
        limit: usize,
    ) -> Result<Option<&'a [u8]>, FormatError> {
        let Entry { size, offset } = entry;
        let error = |problem: String| FormatError::Exchange { what, offset: at, problem };
        if size > limit {
            return Err(error(format!("says it has {size} bytes; {limit} are possible")));
        }
        if offset == 0 {
            return Ok(None);
        }
        if size == 0 {
            return Err(error(format!("is empty, but says it is at {offset:#x}")));
        }
        let range = offset..offset.saturating_add(size);
        let bytes = self.file.get(range.clone()).filter(|_| offset >= HEADER_SIZE);
        let bytes = bytes.ok_or_else(|| {
            error(format!("says it is at {offset:#x} and has {size} bytes; the file has {}", self.file.len()))
        })?;
        if self.seen.iter().any(|other| range.start < other.end && other.start < range.end) {
            return Err(error(format!("at {offset:#x} lies over another part")));
        }
        self.seen.push(range);
        Ok(Some(bytes))
    }
}

//! The attestation request control block (ARCB).

use crate::FormatError;
use crate::request_frame::{FrameHeader, SealedRequest};
use std::mem::offset_of;
use uvtypes::HostKeyHash;
use uvtypes::attestation::AttestationFlags;
use uvtypes::flags::attestation as flags;
use uvtypes::layout::{self, Field, FieldKind};
use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Measurement algorithm: HMAC-SHA-512.
pub const HMAC_SHA_512: u32 = 1;

/// The authenticated data between the frame and the customer's coordinates. All fields are big-endian.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0x30 | 8 | [`AttestationFlags`] |
/// | 0x38 | 4 | measurement algorithm: 1, HMAC-SHA-512 |
/// | 0x3c | 4 | reserved |
///
/// Behind coordinates and key slots stands the encrypted area: measurement key 64, nonce 16. Source: requests that
/// the ultravisor accepts.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RequestData {
    pub(super) flags: U64,
    pub(super) algorithm: U32,
    pub(super) reserved: [u8; 4],
}

const _: () = assert!(size_of::<RequestData>() == 0x10);

/// Fields between the frame's header and the customer's coordinates.
pub const FIELDS: &[Field] = &[
    Field::new(at(offset_of!(RequestData, flags)), 8, "flags", FieldKind::Flags(flags::TABLE)),
    Field::new(at(offset_of!(RequestData, algorithm)), 4, "measurement algorithm", FieldKind::Number),
    Field::reserved(at(offset_of!(RequestData, reserved)), 4),
];

const _: () = assert!(layout::end(FIELDS) == size_of::<FrameHeader>() + size_of::<RequestData>());

const fn at(offset: usize) -> usize {
    size_of::<FrameHeader>() + offset
}

/// The host keys that `request` is for, in the order of its slots.
///
/// # Errors
/// Those of a malformed request.
pub fn key_slots(request: &[u8]) -> Result<Vec<HostKeyHash>, FormatError> {
    parse(request).map(|(sealed, _)| sealed.host_keys())
}

/// The flags of a request, which anybody can read.
pub(crate) fn flags_of(request: &[u8]) -> Result<AttestationFlags, FormatError> {
    parse(request).map(|(_, flags)| flags)
}

pub(super) fn parse(request: &[u8]) -> Result<(SealedRequest<'_>, AttestationFlags), FormatError> {
    if request.get(..8).is_none_or(|magic| magic != [0; 8]) {
        return Err(FormatError::NotAnAttestationRequest);
    }
    let sealed = SealedRequest::parse(request, size_of::<RequestData>(), 0..=0)?;
    let data = RequestData::read_from_bytes(sealed.aad_prefix).map_err(|_| FormatError::NotAnAttestationRequest)?;
    if data.algorithm.get() != HMAC_SHA_512 {
        return Err(FormatError::Algorithm(data.algorithm.get()));
    }
    Ok((sealed, AttestationFlags::from(data.flags.get())))
}

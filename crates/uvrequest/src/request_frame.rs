//! What add-secret and attestation requests have in common: the frame, and a checked view.

use crate::FormatError;
use std::mem::offset_of;
use uvtypes::layout::{self, Field, FieldKind};
use uvtypes::{COORDINATE_SIZE, HostKeyHash, KeySlotKind, Reader};
use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of an initialization vector of AES-GCM.
#[cfg_attr(not(feature = "openssl"), expect(unreachable_pub, reason = "public where something can be encrypted"))]
pub const IV_SIZE: usize = 12;
/// Bytes of a tag of AES-GCM.
#[cfg_attr(not(feature = "openssl"), expect(unreachable_pub, reason = "public where something can be encrypted"))]
pub const TAG_SIZE: usize = 16;
/// The form of the key slots of version 1 requests.
pub const KEY_SLOTS: KeySlotKind = KeySlotKind::P521;
pub(crate) const VERSION_1: u32 = 0x100;

/// The start of every request. All fields are big-endian.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0x00 | 8 | magic |
/// | 0x08 | 4 | version, 0x100 |
/// | 0x0c | 4 | size of the whole request, tag included |
/// | 0x10 | 12 | initialization vector |
/// | 0x1c | 4 | reserved |
/// | 0x20 | 7 | reserved |
/// | 0x27 | 1 | number of key slots |
/// | 0x28 | 4 | reserved |
/// | 0x2c | 4 | size of the encrypted area |
///
/// Behind it: the authenticated data of the kind of request, with the customer's coordinates and the key
/// slots in it; the encrypted area; the tag, 16 bytes. Source: requests that the ultravisor accepts.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct FrameHeader {
    pub(crate) magic: [u8; 8],
    pub(crate) version: U32,
    pub(crate) size: U32,
    pub(crate) iv: [u8; IV_SIZE],
    pub(crate) reserved: [u8; 4],
    pub(crate) reserved_20: [u8; 7],
    pub(crate) key_slots: u8,
    pub(crate) reserved_28: [u8; 4],
    pub(crate) encrypted_size: U32,
}

const _: () = assert!(size_of::<FrameHeader>() == 0x30);

/// Fields of the frame behind its magic, which each kind of request has its own form of.
pub const FIELDS: &[Field] = &[
    Field::new(offset_of!(FrameHeader, version), 4, "version", FieldKind::Version),
    Field::new(offset_of!(FrameHeader, size), 4, "size of the request", FieldKind::Number),
    Field::new(offset_of!(FrameHeader, iv), IV_SIZE, "initialization vector", FieldKind::Bytes),
    Field::reserved(offset_of!(FrameHeader, reserved), 4),
    Field::reserved(offset_of!(FrameHeader, reserved_20), 7),
    Field::new(offset_of!(FrameHeader, key_slots), 1, "number of key slots", FieldKind::Number),
    Field::reserved(offset_of!(FrameHeader, reserved_28), 4),
    Field::new(offset_of!(FrameHeader, encrypted_size), 4, "size of the encrypted area", FieldKind::Number),
];

const _: () = assert!(layout::end(FIELDS) == size_of::<FrameHeader>());

/// A sealed request whose parts fit each other exactly. Nothing in it has been authenticated: only the
/// holder of the request protection key can do that.
#[derive(Clone, Debug)]
pub(crate) struct SealedRequest<'a> {
    pub(crate) header: FrameHeader,
    /// Authenticated data behind the header and before the customer's coordinates.
    pub(crate) aad_prefix: &'a [u8],
    /// The key slots.
    slots: &'a [u8],
    /// Authenticated data behind the key slots.
    pub(crate) aad_suffix: &'a [u8],
    /// All authenticated data.
    #[cfg_attr(not(feature = "openssl"), expect(dead_code, reason = "signatures are over it"))]
    pub(crate) aad: &'a [u8],
    /// The encrypted area.
    pub(crate) encrypted: &'a [u8],
    /// The tag.
    pub(crate) tag: [u8; TAG_SIZE],
}

impl<'a> SealedRequest<'a> {
    /// Checks the frame of `request`. `aad_prefix` and the range `aad_suffix` are the sizes of the authenticated
    /// parts around coordinates and key slots.
    pub(crate) fn parse(
        request: &'a [u8],
        aad_prefix: usize,
        aad_suffix: std::ops::RangeInclusive<usize>,
    ) -> Result<Self, FormatError> {
        let mut reader = Reader::new(request);
        let header: [u8; size_of::<FrameHeader>()] = reader.array("request header")?;
        let header: FrameHeader = zerocopy::transmute!(header);
        if header.version.get() != VERSION_1 {
            return Err(FormatError::Version(header.version.get()));
        }
        if header.size.get() as usize != request.len() {
            let limit = format!("there are {}", request.len());
            return Err(FormatError::Size {
                what: "the size of the request",
                offset: 0xc,
                stated: header.size.get().into(),
                limit,
            });
        }
        if header.key_slots == 0 {
            return Err(FormatError::NoKeySlot);
        }
        let aad_prefix = reader.bytes(aad_prefix, "authenticated data")?;
        reader.bytes(2 * COORDINATE_SIZE, "customer's coordinates")?;
        let slots = reader.bytes(KEY_SLOTS.size() * usize::from(header.key_slots), "key slots")?;
        let encrypted_size = header.encrypted_size.get() as usize;
        let rest = reader.rest().len();
        let suffix_size = rest.checked_sub(TAG_SIZE).and_then(|rest| rest.checked_sub(encrypted_size));
        let Some(suffix_size) = suffix_size.filter(|size| aad_suffix.contains(size)) else {
            return Err(FormatError::Size {
                what: "the size of the encrypted area",
                offset: 0x2c,
                stated: encrypted_size as u64,
                limit: format!("{rest} bytes follow the key slots"),
            });
        };
        let aad_suffix = reader.bytes(suffix_size, "authenticated data behind the key slots")?;
        let aad = request.get(..reader.offset()).unwrap_or_default();
        let encrypted = reader.bytes(encrypted_size, "encrypted area")?;
        let tag = reader.array("tag")?;
        reader.finish("request")?;
        Ok(Self { header, aad_prefix, slots, aad_suffix, aad, encrypted, tag })
    }

    /// The host keys of the slots, in their order.
    pub(crate) fn host_keys(&self) -> Vec<HostKeyHash> {
        let mut reader = Reader::new(self.slots);
        std::iter::from_fn(|| KEY_SLOTS.read(&mut reader).ok()).map(|slot| slot.host_key()).collect()
    }
}

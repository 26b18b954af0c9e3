//! The add-secret request control block (ASRCB).

use crate::request_frame::FrameHeader;
use sehdr::BootTags;
use std::mem::offset_of;
use uvtypes::flags::add_secret;
use uvtypes::layout::{self, Field, FieldKind};
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub(crate) const MAGIC: [u8; 6] = *b"asrcbM";
pub(crate) const USER_DATA_OFFSET: usize = size_of::<FrameHeader>() + offset_of!(RequestData, user_data);

/// The authenticated data between the frame and the customer's coordinates. All fields are big-endian.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0x030 | 8 | flags, bit 0 (most significant): disable dump |
/// | 0x038 | 64 | page-list digest of the SE header |
/// | 0x078 | 64 | address-list digest |
/// | 0x0b8 | 64 | tweak-list digest |
/// | 0x0f8 | 16 | tag of the SE header |
/// | 0x108 | 16 | CUID; zero when the request is not bound to one boot |
/// | 0x118 | 256 | reserved |
/// | 0x218 | 512 | user data |
///
/// Source: requests that the ultravisor accepts.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RequestData {
    pub(crate) flags: U64,
    pub(crate) page_list_digest: [u8; 64],
    pub(crate) address_list_digest: [u8; 64],
    pub(crate) tweak_list_digest: [u8; 64],
    pub(crate) header_tag: [u8; 16],
    pub(crate) cuid: [u8; 16],
    pub(crate) reserved: [u8; 256],
    pub(crate) user_data: [u8; 512],
}

impl RequestData {
    pub(crate) fn cuid(&self) -> [u8; 16] {
        self.cuid
    }

    pub(crate) fn boot_tags(&self) -> BootTags {
        BootTags {
            page_list_digest: self.page_list_digest,
            address_list_digest: self.address_list_digest,
            tweak_list_digest: self.tweak_list_digest,
            tag: self.header_tag,
        }
    }
}

const _: () = assert!(size_of::<RequestData>() == 0x418 - 0x30);

/// What a request begins with, in place of the frame's magic: the user data say themselves what they are.
pub const MAGIC_FIELDS: &[Field] =
    &[Field::new(0, 6, "magic", FieldKind::Magic), Field::new(6, 2, "kind of user data", FieldKind::Number)];

/// Fields between the frame's header and the user data.
pub const FIELDS: &[Field] = &[
    Field::new(at(offset_of!(RequestData, flags)), 8, "flags", FieldKind::Flags(add_secret::TABLE)),
    Field::new(at(offset_of!(RequestData, page_list_digest)), 64, "page-list digest", FieldKind::Bytes),
    Field::new(at(offset_of!(RequestData, address_list_digest)), 64, "address-list digest", FieldKind::Bytes),
    Field::new(at(offset_of!(RequestData, tweak_list_digest)), 64, "tweak-list digest", FieldKind::Bytes),
    Field::new(at(offset_of!(RequestData, header_tag)), 16, "SE header tag", FieldKind::Bytes),
    Field::new(at(offset_of!(RequestData, cuid)), 16, "CUID", FieldKind::Cuid),
    Field::reserved(at(offset_of!(RequestData, reserved)), 256),
];

const _: () = assert!(layout::end(FIELDS) == USER_DATA_OFFSET);

const fn at(offset: usize) -> usize {
    size_of::<FrameHeader>() + offset
}

/// The authenticated data between the key slots and the encrypted area; the secret's id follows, 32 bytes,
/// in all kinds but meta.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0x0 | 2 | reserved |
/// | 0x2 | 2 | kind |
/// | 0x4 | 4 | size of the secret as stored |
/// | 0x8 | 8 | reserved |
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct SecretHeader {
    pub(crate) reserved: [u8; 2],
    pub(crate) kind: U16,
    pub(crate) size: U32,
    pub(crate) reserved_8: [u8; 8],
}

const _: () = assert!(size_of::<SecretHeader>() == 16);

/// Fields between the key slots and the encrypted area, whose offsets are counted from the end of the slots. A meta
/// request ends before the last one.
pub const SECRET_FIELDS: &[Field] = &[
    Field::reserved(offset_of!(SecretHeader, reserved), 2),
    Field::new(offset_of!(SecretHeader, kind), 2, "kind of secret", FieldKind::SecretKind),
    Field::new(offset_of!(SecretHeader, size), 4, "size of the secret", FieldKind::Number),
    Field::reserved(offset_of!(SecretHeader, reserved_8), 8),
    Field::new(size_of::<SecretHeader>(), 32, "secret id", FieldKind::SecretId),
];

const _: () = assert!(layout::end(SECRET_FIELDS) == size_of::<SecretHeader>() + 32);

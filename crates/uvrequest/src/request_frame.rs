//! What add-secret and attestation requests have in common: the frame, sealing, and a checked view.

use crate::aead::{IV_SIZE, Key, TAG_SIZE, seal};
use crate::key_exchange::CustomerKey;
use crate::keyslot::{KEY_SLOTS, wrap_for_all};
use crate::{Error, FormatError};
use hostkey::TrustedHostKey;
use openssl::error::ErrorStack;
use openssl::rand::rand_bytes;
use std::mem::offset_of;
use uvtypes::layout::{self, Field, FieldKind};
use uvtypes::{COORDINATE_SIZE, HostKeyHash, Reader, SecretBox};
use zerocopy::big_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

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
    version: U32,
    size: U32,
    pub(crate) iv: [u8; IV_SIZE],
    reserved: [u8; 4],
    reserved_20: [u8; 7],
    key_slots: u8,
    reserved_28: [u8; 4],
    encrypted_size: U32,
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

/// The random values of one request.
pub(crate) struct RequestKeys {
    pub(crate) customer: CustomerKey,
    pub(crate) protection_key: Key,
    pub(crate) iv: [u8; IV_SIZE],
}

impl RequestKeys {
    pub(crate) fn generate() -> Result<Self, ErrorStack> {
        let mut protection_key = Key::zeros();
        rand_bytes(protection_key.expose_mut())?;
        let mut iv = [0; IV_SIZE];
        rand_bytes(&mut iv)?;
        Ok(Self { customer: CustomerKey::generate()?, protection_key, iv })
    }
}

/// A request that is ready to be sealed: everything that is authenticated, and what will be encrypted.
///
/// To sign a request, it is sealed twice with the same key and IV. That is sound here and nowhere else: the
/// plaintext is the same both times, so the same keystream yields the same ciphertext, and the first tag is
/// thrown away unseen.
pub(crate) struct RequestFrame {
    aad: Vec<u8>,
    plain: SecretBox<Vec<u8>>,
    keys: RequestKeys,
}

impl RequestFrame {
    /// `aad_prefix` is the authenticated data between the frame's header and the customer's coordinates,
    /// `aad_suffix` that between the key slots and the encrypted area.
    pub(crate) fn new(
        magic: [u8; 8],
        aad_prefix: &[u8],
        aad_suffix: &[u8],
        plain: SecretBox<Vec<u8>>,
        keys: RequestKeys,
        host_keys: &[TrustedHostKey],
    ) -> Result<Self, Error> {
        let slots = wrap_for_all(&keys.protection_key, &keys.customer, host_keys)?;
        let (Ok(key_slots), encrypted_size) = (u8::try_from(slots.len()), plain.expose().len()) else {
            return Err(Error::HostKeyCount(slots.len()));
        };
        let coordinates = keys.customer.coordinates();
        let authenticated = size_of::<FrameHeader>()
            + aad_prefix.len()
            + coordinates.len()
            + KEY_SLOTS.size() * slots.len()
            + aad_suffix.len();
        let header = FrameHeader {
            magic,
            version: VERSION_1.into(),
            size: size_field("the request", authenticated + encrypted_size + TAG_SIZE)?,
            iv: keys.iv,
            reserved: [0; 4],
            reserved_20: [0; 7],
            key_slots,
            reserved_28: [0; 4],
            encrypted_size: size_field("the encrypted area", encrypted_size)?,
        };
        let mut aad = Vec::with_capacity(authenticated);
        aad.extend(header.as_bytes());
        aad.extend(aad_prefix);
        aad.extend(coordinates);
        slots.iter().for_each(|slot| slot.write(&mut aad));
        aad.extend(aad_suffix);
        Ok(Self { aad, plain, keys })
    }

    /// The authenticated data, to put a signature into.
    pub(crate) fn aad_mut(&mut self) -> &mut [u8] {
        &mut self.aad
    }

    /// The whole request without its tag.
    pub(crate) fn without_tag(&self) -> Result<Vec<u8>, ErrorStack> {
        let (sealed, _) = seal(&self.keys.protection_key, &self.keys.iv, &self.aad, self.plain.expose())?;
        Ok([&self.aad[..], &sealed].concat())
    }

    /// The finished request.
    pub(crate) fn seal(&self) -> Result<Vec<u8>, ErrorStack> {
        let (sealed, tag) = seal(&self.keys.protection_key, &self.keys.iv, &self.aad, self.plain.expose())?;
        Ok([&self.aad[..], &sealed, &tag].concat())
    }

    /// The key that opens the request: for attestation, its owner keeps it.
    pub(crate) fn into_protection_key(self) -> Key {
        self.keys.protection_key
    }
}

fn size_field(what: &'static str, size: usize) -> Result<U32, FormatError> {
    let limit = || "a request has 4 bytes for it".to_owned();
    let fits = u32::try_from(size).map(U32::from);
    fits.map_err(|_| FormatError::Size { what, offset: 0xc, stated: size as u64, limit: limit() })
}

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

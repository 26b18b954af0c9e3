//! Sealing, which add-secret and attestation requests have in common.

use crate::aead::{IV_SIZE, Key, TAG_SIZE, seal};
use crate::key_exchange::CustomerKey;
use crate::keyslot::wrap_for_all;
use crate::request_frame::{FrameHeader, KEY_SLOTS, VERSION_1};
use crate::{Error, FormatError};
use hostkey::TrustedHostKey;
use openssl::error::ErrorStack;
use openssl::rand::rand_bytes;
use uvtypes::SecretBox;
use zerocopy::IntoBytes;
use zerocopy::big_endian::U32;

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

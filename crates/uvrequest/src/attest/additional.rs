//! What the ultravisor says beside the measurement.

use super::AttestationFlags;
use crate::Error;
use openssl::sha::Sha512;
use uvtypes::Reader;

const HOST_KEY_HASH: usize = 32;
const STORE_HASH: usize = 64;
const FIRMWARE_STATE: usize = 320;

/// The additional data of a response: one part behind the other, in the order of their flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdditionalData<'a> {
    /// Hash of the host key that opened the image, 32 bytes.
    pub image_host_key: Option<&'a [u8]>,
    /// Hash of the host key that opened the request, 32 bytes.
    pub attestation_host_key: Option<&'a [u8]>,
    /// Hash over add-secret requests and lock state, 64 bytes.
    pub secret_store_hash: Option<&'a [u8]>,
    /// State of the firmware, 320 bytes.
    pub firmware_state: Option<&'a [u8]>,
    /// What follows; empty if nothing does.
    pub unrecognized: &'a [u8],
}

impl<'a> AdditionalData<'a> {
    /// Bytes that a response to a request with `flags` has.
    pub fn size(flags: AttestationFlags) -> usize {
        let parts = [
            (AttestationFlags::IMAGE_HOST_KEY, HOST_KEY_HASH),
            (AttestationFlags::ATTESTATION_HOST_KEY, HOST_KEY_HASH),
            (AttestationFlags::SECRET_STORE_HASH, STORE_HASH),
            (AttestationFlags::FIRMWARE_STATE, FIRMWARE_STATE),
        ];
        parts.into_iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, size)| size).sum()
    }

    /// Splits `bytes` as `flags` say.
    ///
    /// # Errors
    /// [`Error::AdditionalDataMissing`] when a part that was asked for is not there.
    pub fn parse(bytes: &'a [u8], flags: AttestationFlags) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let mut part = |flag, size, name| {
            if !flags.contains(flag) {
                return Ok(None);
            }
            reader.bytes(size, name).map(Some).map_err(|_| Error::AdditionalDataMissing(name))
        };
        Ok(Self {
            image_host_key: part(AttestationFlags::IMAGE_HOST_KEY, HOST_KEY_HASH, "the image host-key hash")?,
            attestation_host_key: part(
                AttestationFlags::ATTESTATION_HOST_KEY,
                HOST_KEY_HASH,
                "the attestation host-key hash",
            )?,
            secret_store_hash: part(AttestationFlags::SECRET_STORE_HASH, STORE_HASH, "the secret-store hash")?,
            firmware_state: part(AttestationFlags::FIRMWARE_STATE, FIRMWARE_STATE, "the firmware state")?,
            unrecognized: reader.rest(),
        })
    }
}

/// SHA-512 over the tags of the add-secret requests in the order in which they were accepted, and one byte: 1 if the
/// store is locked.
pub fn secret_store_hash(tags: &[[u8; 16]], locked: bool) -> [u8; STORE_HASH] {
    let mut hash = Sha512::new();
    tags.iter().for_each(|tag| hash.update(tag));
    hash.update(&[u8::from(locked)]);
    hash.finish()
}

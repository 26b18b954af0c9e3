//! What all requests have in common.

use crate::host_key::Coordinates;
use crate::{Error, HostKey};
use openssl::symm::{Cipher, decrypt_aead};
use uvtypes::Reader;
use uvtypes::SecretBox;

const VERSION_1: u32 = 0x100;
const TAG_SIZE: usize = 16;

/// The frame of a request. All integers are big-endian.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0x00 | 8 | magic |
/// | 0x08 | 4 | version, 0x100 |
/// | 0x0c | 4 | size of the whole request |
/// | 0x10 | 12 | initialization vector |
/// | 0x1c | 11 | reserved, 0 |
/// | 0x27 | 1 | number of key slots |
/// | 0x28 | 4 | reserved, 0 |
/// | 0x2c | 4 | size of the encrypted area |
/// | 0x30 | .. | authenticated fields, by kind of request |
/// | .. | .. | encrypted area |
/// | -16 | 16 | GCM tag over everything in front of it |
///
/// Source: requests of s390-tools 2.43, confirmed by decrypting them.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The first eight bytes.
    pub magic: [u8; 8],
    /// 0x100.
    pub version: u32,
    /// Bytes of the whole request.
    pub size: u32,
    /// Initialization vector of the encrypted area.
    pub iv: [u8; 12],
    /// Whether all reserved bytes are zero.
    pub reserved_zero: bool,
    /// Number of key slots.
    pub key_slots: u8,
    /// Everything in front of the encrypted area.
    pub authenticated: Vec<u8>,
    /// The encrypted area.
    pub encrypted: Vec<u8>,
    /// The GCM tag.
    pub tag: [u8; TAG_SIZE],
}

/// One machine's way to the request protection key: 80 bytes.
#[derive(Clone, Debug)]
pub struct KeySlot {
    /// Offset 0: SHA-256 over the machine's public coordinates.
    pub host_key_hash: [u8; 32],
    /// Offset 32: the protection key, encrypted with AES-256-GCM, an IV of zeros and no further data.
    pub wrapped_key: [u8; 32],
    /// Offset 64: the tag of that.
    pub tag: [u8; TAG_SIZE],
}

/// What only the machine can know.
pub(super) struct Decrypted {
    pub(super) protection_key: SecretBox<Vec<u8>>,
    pub(super) plain: SecretBox<Vec<u8>>,
}

impl Frame {
    /// Reads the frame of a request that fills `bytes` exactly.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let magic = reader.array("magic")?;
        let version = reader.u32("version")?;
        let size = reader.u32("size")?;
        let iv = reader.array("initialization vector")?;
        let reserved: [u8; 11] = reader.array("reserved")?;
        let key_slots = reader.u8("number of key slots")?;
        let more_reserved = reader.u32("reserved")?;
        let encrypted_size = reader.u32("size of the encrypted area")? as usize;
        if size as usize != bytes.len() {
            return Err(Error::StatedSize { stated: size, given: bytes.len() });
        }
        if version != VERSION_1 {
            return Err(Error::Version(version));
        }
        if key_slots == 0 {
            return Err(Error::NoKeySlots);
        }
        let encrypted_at = bytes
            .len()
            .checked_sub(TAG_SIZE)
            .and_then(|end| end.checked_sub(encrypted_size))
            .filter(|at| *at >= reader.offset())
            .ok_or_else(|| Error::Areas { reason: format!("{encrypted_size} encrypted bytes have no room") })?;
        let mut areas = Reader::new(bytes);
        Ok(Self {
            magic,
            version,
            size,
            iv,
            reserved_zero: reserved == [0; 11] && more_reserved == 0,
            key_slots,
            authenticated: areas.bytes(encrypted_at, "authenticated area")?.to_vec(),
            encrypted: areas.bytes(encrypted_size, "encrypted area")?.to_vec(),
            tag: areas.array("tag")?,
        })
    }

    /// The authenticated fields behind the frame itself.
    pub(super) fn fields(&self) -> Result<Reader<'_>, Error> {
        let mut reader = Reader::new(&self.authenticated);
        reader.bytes(0x30, "frame")?;
        Ok(reader)
    }

    /// The key slots, at which `reader` stands.
    pub(super) fn read_key_slots(&self, reader: &mut Reader<'_>) -> Result<Vec<KeySlot>, Error> {
        (0..self.key_slots)
            .map(|_| {
                Ok(KeySlot {
                    host_key_hash: reader.array("host-key hash of a key slot")?,
                    wrapped_key: reader.array("wrapped key of a key slot")?,
                    tag: reader.array("tag of a key slot")?,
                })
            })
            .collect::<Result<_, uvtypes::ReadError>>()
            .map_err(|error| Error::Areas { reason: format!("{} key slots: {error}", self.key_slots) })
    }

    /// Finds the slot for `host_key`, unwraps the protection key, decrypts.
    pub(super) fn decrypt(
        &self,
        customer: &Coordinates,
        slots: &[KeySlot],
        host_key: &HostKey,
    ) -> Result<Decrypted, Error> {
        let slot = slots
            .iter()
            .find(|slot| slot.host_key_hash == host_key.hash())
            .ok_or_else(|| Error::WrongHost(host_key.hash()))?;
        let wrapping = host_key.key_encryption_key(customer)?;
        let aes = Cipher::aes_256_gcm();
        let key = decrypt_aead(aes, wrapping.expose(), Some(&[0; 12]), &[], &slot.wrapped_key, &slot.tag)
            .map_err(|_| Error::Tampered("the key slot"))?;
        let key = SecretBox::new(key);
        let plain = decrypt_aead(aes, key.expose(), Some(&self.iv), &self.authenticated, &self.encrypted, &self.tag)
            .map_err(|_| Error::Tampered("the request"))?;
        Ok(Decrypted { protection_key: key, plain: SecretBox::new(plain) })
    }
}

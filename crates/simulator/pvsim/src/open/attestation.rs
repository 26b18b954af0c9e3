//! The attestation request (ARCB).

use super::frame::{Decrypted, Frame, KeySlot};
use crate::host_key::Coordinates;
use crate::{Error, HostKey};
use uvtypes::Reader;
use uvtypes::SecretBox;

/// The encrypted area begins with the key of the measurement.
const MEASUREMENT_KEY_SIZE: usize = 64;
/// A nonce follows when the flags say so.
const NONCE_SIZE: usize = 16;

/// The authenticated part of an attestation request, readable without any key.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0x00 | 48 | [`Frame`], magic 0 |
/// | 0x30 | 8 | flags, bit 0 being the most significant |
/// | 0x38 | 4 | measurement algorithm: 1 = HMAC-SHA-512 |
/// | 0x3c | 4 | reserved, 0 |
/// | 0x40 | 160 | customer's public coordinates |
/// | 0xe0 | 80 n | key slots |
/// | .. | .. | encrypted: measurement key 64, nonce 16 if the flags say so |
#[derive(Clone, Debug)]
pub struct AttestationRequest {
    /// Frame, encrypted area and tag.
    pub frame: Frame,
    /// Flags, bit 0 being the most significant.
    pub flags: u64,
    /// Measurement algorithm.
    pub algorithm: u32,
    /// The customer's public key.
    pub customer: Coordinates,
    /// One per machine.
    pub key_slots: Vec<KeySlot>,
}

/// A decrypted attestation request.
#[derive(Debug)]
pub struct OpenAttestation {
    /// The authenticated part.
    pub request: AttestationRequest,
    /// Key of the measurement.
    pub measurement_key: SecretBox<Vec<u8>>,
    /// Makes the measurement fresh.
    pub nonce: Option<[u8; NONCE_SIZE]>,
    /// The request protection key (ARPK).
    pub protection_key: SecretBox<Vec<u8>>,
}

impl AttestationRequest {
    /// A nonce is in the encrypted area and in the measurement.
    pub const FLAG_NONCE: u64 = 1 << 62;
    /// Additional data: hash of the host key that opened the image's SE header.
    pub const FLAG_IMAGE_HOST_KEY: u64 = 1 << 61;
    /// Additional data: hash of the host key that opened this request.
    pub const FLAG_ATTESTATION_HOST_KEY: u64 = 1 << 60;
    /// Additional data: hash of the secret store.
    pub const FLAG_SECRET_STORE: u64 = 1 << 59;
    /// Additional data: state of the firmware.
    pub const FLAG_FIRMWARE_STATE: u64 = 1 << 58;

    /// Reads a request that fills `bytes` exactly.
    ///
    /// # Errors
    /// [`Error::NotARequest`] for a wrong magic, else which field is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let frame = Frame::parse(bytes)?;
        if frame.magic != [0; 8] {
            return Err(Error::NotARequest);
        }
        let mut fields = frame.fields()?;
        let flags = fields.u64("flags")?;
        let algorithm = fields.u32("measurement algorithm")?;
        fields.bytes(4, "reserved")?;
        let customer = fields.array("customer's public key")?;
        let key_slots = frame.read_key_slots(&mut fields)?;
        fields.finish("key slots")?;
        Ok(Self { flags, algorithm, customer, key_slots, frame })
    }

    /// Bytes that the flags ask for in the encrypted area.
    pub fn expected_encrypted_size(&self) -> usize {
        MEASUREMENT_KEY_SIZE + if self.flags & Self::FLAG_NONCE == 0 { 0 } else { NONCE_SIZE }
    }

    /// Decrypts the request.
    ///
    /// # Errors
    /// [`Error::WrongHost`], [`Error::CustomerKey`], [`Error::Tampered`], [`Error::EncryptedSize`].
    pub fn open(self, host_key: &HostKey) -> Result<OpenAttestation, Error> {
        let Decrypted { protection_key, plain } = self.frame.decrypt(&self.customer, &self.key_slots, host_key)?;
        let (found, expected) = (plain.expose().len(), self.expected_encrypted_size());
        if found != expected {
            return Err(Error::EncryptedSize { found, expected });
        }
        let mut reader = Reader::new(plain.expose());
        let measurement_key = reader.bytes(MEASUREMENT_KEY_SIZE, "measurement key")?.to_vec();
        let nonce = if reader.rest().is_empty() { None } else { Some(reader.array("nonce")?) };
        Ok(OpenAttestation { measurement_key: SecretBox::new(measurement_key), nonce, protection_key, request: self })
    }
}

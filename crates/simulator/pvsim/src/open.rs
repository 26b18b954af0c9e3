//! The firmware's view of a request: decode it with the host's private key.
//!
//! Written from the format, and sharing nothing but [`uvtypes::Reader`] with the crate that builds requests: a mistake in
//! the builder must not cancel itself here.
//!
//! ```text
//! request:  frame 0x30 ─ authenticated fields ─ customer's public key ─ key slots ─ ... ─ encrypted area ─ tag
//! key slot: host-key hash ─ protection key, wrapped with ECDH(host, customer) ─ tag
//! ```

mod add_secret;
mod attestation;
mod frame;
mod yaml;

pub use add_secret::{AddSecretRequest, OpenAddSecret, SecretHeader};
pub use attestation::{AttestationRequest, OpenAttestation};
pub use frame::{Frame, KeySlot};

use crate::{Error, HostKey};
use uvtypes::Reader;

/// A decoded request of either kind.
#[derive(Debug)]
pub enum Request {
    /// Adds a secret to the store of a guest.
    AddSecret(Box<OpenAddSecret>),
    /// Asks for a measurement of a guest.
    Attestation(Box<OpenAttestation>),
}

impl Request {
    /// Decodes `bytes`, which are an add-secret request, an attestation request, or an attestation exchange file
    /// with an attestation request in it.
    ///
    /// # Errors
    /// [`Error::NotARequest`], or why the request cannot be decoded.
    pub fn open(bytes: &[u8], host_key: &HostKey) -> Result<Self, Error> {
        match bytes.get(..8).unwrap_or_default() {
            magic if magic.starts_with(add_secret::MAGIC) => {
                Ok(Self::AddSecret(Box::new(AddSecretRequest::parse(bytes)?.open(host_key)?)))
            }
            b"pvattest" => Self::open_attestation(request_of_exchange(bytes)?, host_key),
            [0, 0, 0, 0, 0, 0, 0, 0] => Self::open_attestation(bytes, host_key),
            _ => Err(Error::NotARequest),
        }
    }

    fn open_attestation(bytes: &[u8], host_key: &HostKey) -> Result<Self, Error> {
        Ok(Self::Attestation(Box::new(AttestationRequest::parse(bytes)?.open(host_key)?)))
    }
}

/// The attestation request in an exchange file: the first of its (size, offset) entries, at 0x18.
fn request_of_exchange(bytes: &[u8]) -> Result<&[u8], Error> {
    let mut reader = Reader::new(bytes);
    reader.bytes(0x18, "head of the exchange file")?;
    let (size, offset) = (reader.u32("size of the attestation request")?, reader.u32("its offset")?);
    let mut reader = Reader::new(bytes);
    reader.bytes(offset as usize, "what stands in front of the attestation request")?;
    Ok(reader.bytes(size as usize, "attestation request")?)
}

#[cfg(test)]
mod tests;

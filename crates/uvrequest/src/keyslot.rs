//! Key slots: the request protection key, wrapped once for each machine.

use crate::Error;
use crate::aead::{IV_SIZE, Key, TAG_SIZE, seal};
use crate::key_exchange::CustomerKey;
use hostkey::{HostKeyHash, TrustedHostKey};

/// A slot, by the kind of its host key. There is one kind; later machines get wider slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keyslot {
    /// | offset | size | field |
    /// |---|---|---|
    /// | 0 | 32 | host-key hash |
    /// | 32 | 32 | request protection key, AES-256-GCM with the key-encryption key and an IV of zeros |
    /// | 64 | 16 | its tag |
    P521 {
        /// Whose slot it is.
        host_key: HostKeyHash,
        /// The wrapped key.
        wrapped: Vec<u8>,
        /// The tag of the wrapped key.
        tag: [u8; TAG_SIZE],
    },
}

impl Keyslot {
    /// Bytes of a slot.
    pub const SIZE: usize = 80;

    /// One slot for each host key, in their order.
    ///
    /// # Errors
    /// [`Error::HostKeyCount`], or OpenSSL's.
    pub fn wrap_all(
        protection_key: &Key,
        customer: &CustomerKey,
        host_keys: &[TrustedHostKey],
    ) -> Result<Vec<Self>, Error> {
        let keks = customer.key_encryption_keys(host_keys)?;
        let slots = keks.iter().zip(host_keys).map(|(kek, host_key)| {
            // The key-encryption key is used once, so a constant IV is safe.
            let (wrapped, tag) = seal(kek, &[0; IV_SIZE], &[], protection_key.expose())?;
            Ok(Self::P521 { host_key: host_key.hash(), wrapped, tag })
        });
        slots.collect()
    }

    /// Appends the slot.
    pub fn write(&self, request: &mut Vec<u8>) {
        let Self::P521 { host_key, wrapped, tag } = self;
        request.extend(host_key.0);
        request.extend(wrapped);
        request.extend(tag);
    }
}

//! Key slots: the request protection key, wrapped once for each machine.

use crate::Error;
use crate::aead::{IV_SIZE, Key, seal};
use crate::key_exchange::CustomerKey;
use hostkey::TrustedHostKey;
use uvtypes::KeySlot;

/// Wraps `protection_key` for each machine: one slot for each host key, in their order.
///
/// # Errors
/// [`Error::HostKeyCount`] unless there are 1 to 255 host keys, [`Error::OpenSsl`].
pub fn wrap_for_all(
    protection_key: &Key,
    customer: &CustomerKey,
    host_keys: &[TrustedHostKey],
) -> Result<Vec<KeySlot>, Error> {
    let keks = customer.key_encryption_keys(host_keys)?;
    let slots = keks.iter().zip(host_keys).map(|(kek, host_key)| {
        // The key-encryption key is used once, so a constant IV is safe.
        let (sealed, tag) = seal(kek, &[0; IV_SIZE], &[], protection_key.expose())?;
        let mut wrapped = [0; 32];
        // GCM gives as many bytes as it takes.
        wrapped.copy_from_slice(&sealed);
        Ok(KeySlot::P521 { host_key: host_key.hash(), wrapped, tag })
    });
    slots.collect()
}

//! From the customer's key and a host key to the key that wraps the request protection key.

use crate::Error;
use crate::aead::Key;
use hostkey::TrustedHostKey;
use openssl::bn::{BigNum, BigNumContext};
use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private, Public};
use openssl::sha::Sha256;
use uvtypes::limits::HOST_KEYS_MAX;
use uvtypes::{COORDINATE_SIZE, SecretBox};
use zeroize::Zeroize;

/// An EC P-521 key pair for one request or image. OpenSSL wipes the private part when it is dropped.
pub struct CustomerKey {
    private: PKey<Private>,
    coordinates: [u8; 2 * COORDINATE_SIZE],
}

impl CustomerKey {
    /// A fresh key pair on the curve P-521.
    ///
    /// # Errors
    /// When OpenSSL refuses.
    pub fn generate() -> Result<Self, ErrorStack> {
        let group = EcGroup::from_curve_name(Nid::SECP521R1)?;
        Self::from_key(EcKey::generate(&group)?)
    }

    /// The key pair that `secret` stands for: the number 1 + (`secret` mod (n - 1)), n being the order of the curve.
    /// The 82 bytes are 135 bits more than n has, so that no number is likelier than another by more than 2^-135.
    ///
    /// # Errors
    /// When OpenSSL refuses.
    pub fn derive(secret: &SecretBox<[u8; 82]>) -> Result<Self, ErrorStack> {
        let group = EcGroup::from_curve_name(Nid::SECP521R1)?;
        let mut context = BigNumContext::new_secure()?;
        let (mut order, mut number) = (BigNum::new()?, BigNum::new_secure()?);
        group.order(&mut order, &mut context)?;
        order.sub_word(1)?;
        let secret = BigNum::from_slice(secret.expose())?;
        let remainder = number.nnmod(&secret, &order, &mut context);
        // As its bytes were, so must the number be wiped.
        let mut secret = secret;
        secret.clear();
        remainder?;
        number.add_word(1)?;
        let mut public = EcPoint::new(&group)?;
        public.mul_generator2(&group, &number, &mut context)?;
        let key = EcKey::from_private_components(&group, &number, &public);
        number.clear();
        Self::from_key(key?)
    }

    /// A chosen key makes a chosen request: for known answers in tests, and for [`CustomerKey::derive`].
    pub(crate) fn from_key(key: EcKey<Private>) -> Result<Self, ErrorStack> {
        let coordinates = hostkey::coordinates(&key)?;
        Ok(Self { private: PKey::from_ec_key(key)?, coordinates })
    }

    /// X then Y, each big-endian and padded on the left with zeros to 80 bytes.
    pub fn coordinates(&self) -> &[u8; 2 * COORDINATE_SIZE] {
        &self.coordinates
    }

    /// The key-encryption key that this customer key and each host key agree on, in the order of the
    /// host keys. Curve arithmetic is what a request with many host keys costs, so all cores share it.
    pub(crate) fn key_encryption_keys(&self, host_keys: &[TrustedHostKey]) -> Result<Vec<Key>, Error> {
        if host_keys.is_empty() || host_keys.len() > HOST_KEYS_MAX {
            return Err(Error::HostKeyCount(host_keys.len()));
        }
        // To ask how many cores there are takes a dozen system calls; for one host key the answer does not matter.
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if host_keys.len() == 1 { 1 } else { cores().min(host_keys.len()) };
        let agree_all = |part: &[TrustedHostKey]| -> Result<Vec<Key>, ErrorStack> {
            part.iter().map(|host_key| agree(&self.private, host_key.public_key())).collect()
        };
        if threads == 1 {
            return Ok(agree_all(host_keys)?);
        }
        let parts = host_keys.chunks(host_keys.len().div_ceil(threads));
        let keys = std::thread::scope(|scope| {
            let workers: Vec<_> = parts.map(|part| scope.spawn(move || agree_all(part))).collect();
            let joined = workers.into_iter().map(|worker| match worker.join() {
                Ok(keys) => keys,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            joined.collect::<Result<Vec<_>, _>>()
        })?;
        Ok(keys.into_iter().flatten().collect())
    }
}

/// SHA-256(X coordinate of the ECDH point, 66 bytes, then the counter 1, 4 bytes).
///
/// Single-step key derivation with the counter behind the secret, as the ultravisor does it.
fn agree(own: &PKey<Private>, peer: &PKey<Public>) -> Result<Key, ErrorStack> {
    let mut deriver = Deriver::new(own)?;
    // Without multiplying the peer's point by the order of the curve, which costs as much as the agreement: the
    // cofactor of P-521 is 1, so a point on the curve is good, and OpenSSL decodes no others.
    deriver.set_peer_ex(peer, false)?;
    let shared = SecretBox::new(deriver.derive_to_vec()?);
    let mut hash = Sha256::new();
    hash.update(shared.expose());
    hash.update(&1_u32.to_be_bytes());
    let mut digest = hash.finish();
    let mut key = Key::zeros();
    key.expose_mut().copy_from_slice(&digest);
    digest.zeroize();
    Ok(key)
}

impl std::fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CustomerKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_keys_depend_on_their_secret_alone() {
        let derive = |byte| CustomerKey::derive(&SecretBox::new([byte; 82])).unwrap();
        assert_eq!(derive(1).coordinates(), derive(1).coordinates());
        assert_ne!(derive(1).coordinates(), derive(2).coordinates());
        // 0 stands for the number 1, and so for the generator itself.
        let generator_x = "c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66";
        assert_eq!(hex::encode(&derive(0).coordinates()[15..80]), generator_x);
    }
}

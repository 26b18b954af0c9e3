//! The random values of an image.

use crate::{Error, InputsDigest, Kind};
use openssl::rand::rand_bytes;
use uvrequest::aead::{IV_SIZE, Key};
use uvrequest::{CustomerKey, hkdf_sha512};
use uvtypes::SecretBox;

/// All that must be random in an image, and secret but for IV and prefixes. What somebody chose is put in its place.
#[derive(Debug)]
pub struct ImageKeys {
    /// Opens the header; each key slot wraps it for one machine.
    pub header_key: Key,
    /// Customer-communication key.
    pub cck: SecretBox<[u8; 32]>,
    /// Key of the pages: two AES-256 keys for XTS, which must differ.
    pub image_key: SecretBox<[u8; 64]>,
    pub(crate) iv: [u8; IV_SIZE],
    pub(crate) customer: CustomerKey,
    /// The random part of each component's tweaks, in the order of [`Kind::ALL`].
    pub(crate) prefixes: [[u8; 6]; 4],
}

impl ImageKeys {
    /// Fresh ones.
    ///
    /// # Errors
    /// When OpenSSL refuses.
    pub fn random() -> Result<Self, Error> {
        Self::filled(CustomerKey::generate()?, |_, place| Ok(rand_bytes(place)?))
    }

    /// Those that belong to `seed` and to these inputs: HKDF (RFC 5869) with SHA-512, the seed as key, the digest of all
    /// inputs as salt, and a name for each value. Any other input makes all of them others, so that no two images share a
    /// key or an IV. Whoever knows seed and inputs knows them all.
    ///
    /// # Errors
    /// When OpenSSL refuses.
    pub fn derived(seed: &SecretBox<[u8; 32]>, inputs: &InputsDigest) -> Result<Self, Error> {
        let derive = |name: &str, place: &mut [u8]| -> Result<(), Error> {
            Ok(hkdf_sha512(seed.expose(), inputs.as_bytes(), format!("SE image: {name}").as_bytes(), place)?)
        };
        let mut customer = SecretBox::zeros();
        derive("customer key", customer.expose_mut())?;
        Self::filled(CustomerKey::derive(&customer)?, derive)
    }

    fn filled(customer: CustomerKey, fill: impl Fn(&str, &mut [u8]) -> Result<(), Error>) -> Result<Self, Error> {
        let mut keys = Self {
            header_key: SecretBox::zeros(),
            cck: SecretBox::zeros(),
            image_key: SecretBox::zeros(),
            iv: [0; IV_SIZE],
            customer,
            prefixes: [[0; 6]; 4],
        };
        fill("header key", keys.header_key.expose_mut())?;
        fill("CCK", keys.cck.expose_mut())?;
        fill("image key", keys.image_key.expose_mut())?;
        fill("IV", &mut keys.iv)?;
        for (kind, prefix) in Kind::ALL.iter().zip(&mut keys.prefixes) {
            fill(&format!("tweaks of the {kind}"), prefix)?;
        }
        Ok(keys)
    }

    /// The first half of all tweaks of a component.
    pub(crate) fn prefix(&self, kind: Kind) -> u64 {
        let random = Kind::ALL.iter().zip(&self.prefixes).find(|(other, _)| **other == kind);
        let mut prefix = [0; 8];
        let (left, right) = prefix.split_at_mut(2);
        left.copy_from_slice(&kind.prefix().to_be_bytes());
        right.copy_from_slice(&random.map_or([0; 6], |(_, random)| *random));
        u64::from_be_bytes(prefix)
    }

    /// # Errors
    /// [`Error::EqualHalves`].
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (left, right) = self.image_key.expose().split_at(32);
        if openssl::memcmp::eq(left, right) { Err(Error::EqualHalves) } else { Ok(()) }
    }
}

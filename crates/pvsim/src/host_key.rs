//! The private half of a machine's host key, which on real machines never leaves the firmware.

use crate::Error;
use confidential::Confidential;
use openssl::bn::{BigNum, BigNumContext};
use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::sha::{Sha256, sha256};
use std::fmt;

/// Bytes of one affine coordinate on the wire: P-521's 66, padded on the left with zeros.
const COORDINATE: usize = 80;
/// The same as OpenSSL wants it.
const COORDINATE_INT: i32 = COORDINATE as i32;

/// X then Y of a P-521 public key, each big-endian and padded on the left with zeros to 80 bytes.
pub type Coordinates = [u8; 2 * COORDINATE];

/// A host key with its private half.
#[derive(Clone)]
pub struct HostKey {
    private: PKey<Private>,
    coordinates: Coordinates,
    hash: [u8; 32],
}

impl HostKey {
    /// A fresh one.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn generate() -> Result<Self, Error> {
        Self::from_ec(EcKey::generate(&*EcGroup::from_curve_name(Nid::SECP521R1)?)?)
    }

    /// The P-521 key in a PEM file.
    ///
    /// # Errors
    /// [`Error::NotAHostKey`] for anything else.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        let ec = PKey::private_key_from_pem(pem).and_then(|key| key.ec_key()).map_err(|_| Error::NotAHostKey)?;
        if ec.group().curve_name() != Some(Nid::SECP521R1) {
            return Err(Error::NotAHostKey);
        }
        Self::from_ec(ec)
    }

    fn from_ec(ec: EcKey<Private>) -> Result<Self, Error> {
        let (mut x, mut y) = (BigNum::new()?, BigNum::new()?);
        ec.public_key().affine_coordinates(ec.group(), &mut x, &mut y, &mut *BigNumContext::new()?)?;
        let mut coordinates = [0; 2 * COORDINATE];
        let (left, right) = coordinates.split_at_mut(COORDINATE);
        left.copy_from_slice(&x.to_vec_padded(COORDINATE_INT)?);
        right.copy_from_slice(&y.to_vec_padded(COORDINATE_INT)?);
        Ok(Self { private: PKey::from_ec_key(ec)?, hash: sha256(&coordinates), coordinates })
    }

    /// The key as PKCS#8 PEM.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn to_pem(&self) -> Result<Confidential<Vec<u8>>, Error> {
        Ok(Confidential::new(self.private.private_key_to_pem_pkcs8()?))
    }

    /// The key, to make a host-key document of.
    pub fn private_key(&self) -> &PKey<Private> {
        &self.private
    }

    /// The public half.
    pub fn coordinates(&self) -> &Coordinates {
        &self.coordinates
    }

    /// SHA-256 over [`HostKey::coordinates`]: how requests and SE headers name this machine.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The key that wraps a request's protection key: SHA-256 over the X coordinate of the ECDH product
    /// and the counter 1, which stands last (single-step key derivation of NIST SP 800-56C).
    ///
    /// # Errors
    /// [`Error::CustomerKey`] when `customer` is no point of the curve.
    pub(crate) fn key_encryption_key(&self, customer: &Coordinates) -> Result<Confidential<[u8; 32]>, Error> {
        let (x, y) = customer.split_at(COORDINATE);
        let group = EcGroup::from_curve_name(Nid::SECP521R1)?;
        let (x, y) = (BigNum::from_slice(x)?, BigNum::from_slice(y)?);
        let customer = EcKey::from_public_key_affine_coordinates(&group, &x, &y).map_err(|_| Error::CustomerKey)?;
        let customer = PKey::from_ec_key(customer)?;
        let mut deriver = Deriver::new(&self.private)?;
        deriver.set_peer(&customer)?;
        let shared = Confidential::new(deriver.derive_to_vec()?);
        let mut hash = Sha256::new();
        hash.update(shared.expose());
        hash.update(&1_u32.to_be_bytes());
        Ok(Confidential::new(hash.finish()))
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({})", hex::encode(self.hash))
    }
}

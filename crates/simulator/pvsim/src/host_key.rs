//! The private half of a machine's host key, which on real machines never leaves the firmware.

use crate::{Error, image};
use hostkey::{HostKeyDocument, TrustedHostKey};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::sha::sha256;
use openssl::x509::X509;
use std::fmt;
use uvtypes::SecretBox;

/// X then Y of a P-521 public key, each big-endian and padded on the left with zeros to 80 bytes.
pub type Coordinates = [u8; 160];

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
        let private = PKey::from_ec_key(ec)?;
        let coordinates = image::coordinates(&private)?;
        Ok(Self { private, hash: sha256(&coordinates), coordinates })
    }

    /// The key as PKCS#8 PEM.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn to_pem(&self) -> Result<SecretBox<Vec<u8>>, Error> {
        Ok(SecretBox::new(self.private.private_key_to_pem_pkcs8()?))
    }

    /// The key, to make a host-key document of.
    pub fn private_key(&self) -> &PKey<Private> {
        &self.private
    }

    /// The public half as request and image builders take it, of a host-key document that nobody signed but the key itself.
    ///
    /// # Errors
    /// [`Error::OpenSsl`], [`Error::NotAHostKey`].
    pub fn trusted(&self) -> Result<TrustedHostKey, Error> {
        let mut certificate = X509::builder()?;
        certificate.set_pubkey(&self.private)?;
        certificate.sign(&self.private, MessageDigest::sha512())?;
        let document = HostKeyDocument::from_certificate(certificate.build()).map_err(|_| Error::NotAHostKey)?;
        Ok(document.trust_unverified())
    }

    /// The public half.
    pub fn coordinates(&self) -> &Coordinates {
        &self.coordinates
    }

    /// SHA-256 over [`HostKey::coordinates`]: how requests and SE headers name this machine.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The key that wraps the protection key of a request from `customer`.
    ///
    /// # Errors
    /// [`Error::CustomerKey`] when `customer` is no point of the curve.
    pub(crate) fn key_encryption_key(&self, customer: &Coordinates) -> Result<SecretBox<[u8; 32]>, Error> {
        let customer = image::public_key(customer).map_err(|_| Error::CustomerKey)?;
        Ok(SecretBox::new(image::key_encryption_key(&self.private, &customer)?))
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({})", hex::encode(self.hash))
    }
}

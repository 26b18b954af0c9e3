//! The RSA pair of the verifier, which carries the measurement key from a challenge to the evidence.

use crate::Error;
use openssl::encrypt::{Decrypter, Encrypter};
use openssl::pkey::{HasPublic, Id, PKey, PKeyRef, Private, Public};
use openssl::rsa::{Padding, Rsa};
use std::fmt;
use uvtypes::SecretBox;

/// Bits of the pairs that we make.
pub const RSA_BITS: u32 = 4096;

/// RSA key pair that encrypts measurement keys for the verifier: both halves.
#[derive(Clone)]
pub struct MeasurementKeyPair(PKey<Private>);

/// The public half. It is a secret all the same: who has it can choose a measurement key, encrypt it, and compute a valid
/// measurement of any image without any hardware.
#[derive(Clone)]
pub struct PublicHalf(PKey<Public>);

impl fmt::Debug for MeasurementKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MeasurementKeyPair")
    }
}

impl fmt::Debug for PublicHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicHalf")
    }
}

impl MeasurementKeyPair {
    /// A fresh pair of [`RSA_BITS`].
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn generate() -> Result<Self, Error> {
        Self::of_bits(RSA_BITS)
    }

    /// A fresh pair of this size. Smaller ones are for tests.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn of_bits(bits: u32) -> Result<Self, Error> {
        Ok(Self(PKey::from_rsa(Rsa::generate(bits)?)?))
    }

    /// The pair in a PEM file without a passphrase.
    ///
    /// # Errors
    /// [`Error::NotAnRsaKey`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        // Without a callback, OpenSSL would ask the terminal for a passphrase.
        let key = PKey::private_key_from_pem_callback(pem, |_| Ok(0)).map_err(|_| Error::NotAnRsaKey)?;
        if key.id() == Id::RSA { Ok(Self(key)) } else { Err(Error::NotAnRsaKey) }
    }

    /// The private key as PKCS#8 PEM.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn to_pem(&self) -> Result<SecretBox<Vec<u8>>, Error> {
        Ok(SecretBox::new(self.0.private_key_to_pem_pkcs8()?))
    }

    /// The public half, which makes challenges.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn public(&self) -> Result<PublicHalf, Error> {
        PublicHalf::from_pem(&self.0.public_key_to_pem()?)
    }

    /// Bits of the modulus.
    pub fn bits(&self) -> u32 {
        self.0.bits()
    }

    /// Refuses a public half of another pair.
    ///
    /// # Errors
    /// [`Error::RsaHalves`].
    pub fn belongs_to(&self, public: &PublicHalf) -> Result<(), Error> {
        if self.0.public_eq(&public.0) { Ok(()) } else { Err(Error::RsaHalves) }
    }

    /// What was encrypted, PKCS#1 version 1.5. Of a ciphertext that is none, newer OpenSSL gives a random plaintext of
    /// random length instead of an error: the caller has to look at the length.
    pub(crate) fn decrypt(&self, ciphertext: &[u8]) -> Option<SecretBox<Vec<u8>>> {
        let mut decrypter = Decrypter::new(&self.0).ok()?;
        decrypter.set_rsa_padding(Padding::PKCS1).ok()?;
        let mut plain = SecretBox::new(vec![0; decrypter.decrypt_len(ciphertext).ok()?]);
        let length = decrypter.decrypt(ciphertext, plain.expose_mut()).ok()?;
        plain.expose_mut().truncate(length);
        Some(plain)
    }
}

impl PublicHalf {
    /// The key in a PEM file.
    ///
    /// # Errors
    /// [`Error::NotAnRsaKey`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        let key = PKey::public_key_from_pem(pem).map_err(|_| Error::NotAnRsaKey)?;
        if key.id() == Id::RSA { Ok(Self(key)) } else { Err(Error::NotAnRsaKey) }
    }

    /// SubjectPublicKeyInfo PEM, to be kept as secret as the private half.
    ///
    /// # Errors
    /// [`Error::OpenSsl`].
    pub fn to_pem(&self) -> Result<Vec<u8>, Error> {
        Ok(self.0.public_key_to_pem()?)
    }

    pub(crate) fn encrypt(&self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        encrypt(&self.0, plain)
    }
}

fn encrypt<T: HasPublic>(key: &PKeyRef<T>, plain: &[u8]) -> Result<Vec<u8>, Error> {
    let mut encrypter = Encrypter::new(key)?;
    encrypter.set_rsa_padding(Padding::PKCS1)?;
    let mut sealed = vec![0; encrypter.encrypt_len(plain)?];
    let length = encrypter.encrypt(plain, &mut sealed)?;
    sealed.truncate(length);
    Ok(sealed)
}

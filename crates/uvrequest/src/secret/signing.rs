//! User data that is put into a request, and its signature.

use super::guest_secret::{describe, private_key};
use super::user_data::{AREA_SIZE, EC_SIGNATURE, EC_SIGNATURE_SIZE_AT, Scheme};
use crate::Error;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, Id, PKey, Private, Public};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer, Verifier};

impl Scheme {
    fn of_key<T: HasPublic>(key: &PKey<T>) -> Option<Self> {
        match (key.id(), key.bits()) {
            (Id::RSA, 2048) => Some(Self::Rsa2048),
            (Id::RSA, 3072) => Some(Self::Rsa3072),
            (Id::EC, _) if key.ec_key().ok()?.group().curve_name() == Some(Nid::SECP521R1) => Some(Self::EcP521),
            _ => None,
        }
    }

    fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072)
    }

    /// The signature's part of the area.
    fn place(self, signature: &[u8]) -> Vec<u8> {
        let mut part = signature.to_vec();
        if self == Self::EcP521 {
            part.resize(EC_SIGNATURE_SIZE_AT - self.data_size(), 0);
            // DER of P-521 is far below 64 KiB.
            part.extend(u16::try_from(signature.len()).unwrap_or_default().to_be_bytes());
        }
        part.resize(AREA_SIZE - self.data_size(), 0);
        part
    }

    /// The signature in its part of the area.
    fn find(self, part: &[u8]) -> Option<&[u8]> {
        if self != Self::EcP521 {
            return Some(part);
        }
        let at = EC_SIGNATURE_SIZE_AT - self.data_size();
        let size = u16::from_be_bytes(part.get(at..at + 2)?.try_into().ok()?);
        part.get(..usize::from(size)).filter(|signature| signature.len() <= EC_SIGNATURE)
    }
}

/// A private key that can sign user data.
#[derive(Clone, Debug)]
pub struct SigningKey {
    key: PKey<Private>,
    scheme: Scheme,
}

impl SigningKey {
    /// An RSA 2048, RSA 3072 or EC P-521 private key, PEM or DER.
    pub fn from_pem_or_der(bytes: &[u8]) -> Result<Self, Error> {
        let key = private_key(bytes)?;
        let scheme = Scheme::of_key(&key).ok_or_else(|| Error::SigningKey { found: describe(&key) })?;
        Ok(Self { key, scheme })
    }

    /// The signature's part of the area.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signer = Signer::new(MessageDigest::sha512(), &self.key)?;
        if self.scheme.is_rsa() {
            signer.set_rsa_padding(Padding::PKCS1_PSS)?;
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::MAXIMUM_LENGTH)?;
        }
        Ok(self.scheme.place(&signer.sign_oneshot_to_vec(message)?))
    }
}

/// The user data of a request.
#[derive(Clone, Debug, Default)]
pub enum UserData {
    /// No user data.
    #[default]
    None,
    /// User data without a signature.
    Unsigned(Vec<u8>),
    /// Signed; the data may be empty.
    Signed {
        /// Data that is signed with the request.
        data: Vec<u8>,
        /// Private key that signs.
        key: SigningKey,
    },
}

impl UserData {
    /// The data fits its area.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (data, kind, limit) = match self {
            Self::None => return Ok(()),
            Self::Unsigned(data) => (data, "unsigned", AREA_SIZE),
            Self::Signed { data, key } => (data, key.scheme.name(), key.scheme.data_size()),
        };
        if data.len() > limit {
            return Err(Error::UserDataSize { kind, actual: data.len(), limit });
        }
        Ok(())
    }

    pub(crate) fn kind(&self) -> u16 {
        match self {
            Self::None => 0,
            Self::Unsigned(_) => 1,
            Self::Signed { key, .. } => key.scheme as u16,
        }
    }

    /// The area without a signature.
    pub(crate) fn area(&self) -> [u8; AREA_SIZE] {
        let mut area = [0; AREA_SIZE];
        if let Self::Unsigned(data) | Self::Signed { data, .. } = self {
            area.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
        }
        area
    }

    pub(crate) fn signing_key(&self) -> Option<&SigningKey> {
        match self {
            Self::Signed { key, .. } => Some(key),
            _ => None,
        }
    }
}

/// Checks the signature in `part` over `message` with the key of a certificate.
pub(crate) fn verify(scheme: Scheme, key: &PKey<Public>, part: &[u8], message: &[u8]) -> Result<(), Error> {
    if Scheme::of_key(key) != Some(scheme) {
        return Err(Error::SignatureKind { certificate: describe(key), request: scheme.name() });
    }
    let signature = scheme.find(part).ok_or(Error::Signature)?;
    // What is behind an EC signature is not signed: nobody may write there.
    if scheme.place(signature) != part {
        return Err(Error::Signature);
    }
    let mut verifier = Verifier::new(MessageDigest::sha512(), key)?;
    if scheme.is_rsa() {
        verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
    }
    // OpenSSL reports a malformed signature as an error, not as a mismatch.
    match verifier.verify_oneshot(signature, message) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(Error::Signature),
    }
}

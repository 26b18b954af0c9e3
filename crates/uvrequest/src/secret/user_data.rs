//! User data: bytes of the request's owner that the ultravisor passes by, signed if wanted.
//!
//! The area has 512 bytes:
//!
//! | kind | content |
//! |---|---|
//! | 0 | zeros |
//! | 1 | up to 512 bytes, filled with zeros |
//! | 2, EC P-521 | 256 data, 139 signature (DER, filled with zeros), 5 reserved, 2 size of the signature, 110 reserved |
//! | 3, RSA-2048 | 256 data, 256 signature |
//! | 4, RSA-3072 | 128 data, 384 signature |
//!
//! The signature (SHA-512 with ECDSA or RSASSA-PSS, whose salt is as long as fits) is over the request up to the end
//! of the encrypted area, with the signature's part of this area zero.

use super::guest_secret::{describe, private_key};
use crate::Error;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, Id, PKey, Private, Public};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer, Verifier};
use uvtypes::layout::{self, Field, FieldKind};

/// Bytes of the area.
pub(crate) const AREA_SIZE: usize = 512;
/// Bytes of a DER-encoded P-521 signature, at most.
const EC_SIGNATURE: usize = 139;
/// Where in the area the size of an EC signature stands.
const EC_SIGNATURE_SIZE_AT: usize = 0x190;

/// Layout of the user-data area, by the kind in the request's magic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserDataLayout {
    /// The kind.
    pub kind: u16,
    /// Meaning of the kind.
    pub meaning: &'static str,
    /// Fields of the area, whose offsets are counted from its start.
    pub fields: &'static [Field],
}

/// All kinds of user data.
pub const LAYOUTS: &[UserDataLayout] = &[
    UserDataLayout { kind: 0, meaning: "none", fields: &[Field::reserved(0, AREA_SIZE)] },
    UserDataLayout { kind: 1, meaning: "not signed", fields: &[data(AREA_SIZE)] },
    UserDataLayout {
        kind: Scheme::EcP521 as u16,
        meaning: "signed with EC P-521",
        fields: &[
            data(Scheme::EcP521.data_size()),
            Field::new(256, EC_SIGNATURE, "signature (DER, ECDSA with SHA-512)", FieldKind::Bytes),
            Field::reserved(395, 5),
            Field::new(EC_SIGNATURE_SIZE_AT, 2, "size of the signature", FieldKind::Number),
            Field::reserved(EC_SIGNATURE_SIZE_AT + 2, 110),
        ],
    },
    UserDataLayout {
        kind: Scheme::Rsa2048 as u16,
        meaning: "signed with RSA-2048",
        fields: &[
            data(Scheme::Rsa2048.data_size()),
            Field::new(256, 256, "signature (RSASSA-PSS with SHA-512)", FieldKind::Bytes),
        ],
    },
    UserDataLayout {
        kind: Scheme::Rsa3072 as u16,
        meaning: "signed with RSA-3072",
        fields: &[
            data(Scheme::Rsa3072.data_size()),
            Field::new(128, 384, "signature (RSASSA-PSS with SHA-512)", FieldKind::Bytes),
        ],
    },
];

const _: () = {
    let mut index = 0;
    while index < LAYOUTS.len() {
        assert!(LAYOUTS[index].kind as usize == index && layout::end(LAYOUTS[index].fields) == AREA_SIZE);
        index += 1;
    }
};

const fn data(size: usize) -> Field {
    Field::new(0, size, "user data", FieldKind::Bytes)
}

/// How user data is signed. The numbers are the kinds in the request's magic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    EcP521 = 2,
    Rsa2048 = 3,
    Rsa3072 = 4,
}

impl Scheme {
    pub(crate) fn from_kind(kind: u16) -> Option<Self> {
        [Self::EcP521, Self::Rsa2048, Self::Rsa3072].into_iter().find(|scheme| *scheme as u16 == kind)
    }

    fn of_key<T: HasPublic>(key: &PKey<T>) -> Option<Self> {
        match (key.id(), key.bits()) {
            (Id::RSA, 2048) => Some(Self::Rsa2048),
            (Id::RSA, 3072) => Some(Self::Rsa3072),
            (Id::EC, _) if key.ec_key().ok()?.group().curve_name() == Some(Nid::SECP521R1) => Some(Self::EcP521),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::EcP521 => "EC secp521r1",
            Self::Rsa2048 => "RSA 2048",
            Self::Rsa3072 => "RSA 3072",
        }
    }

    /// Bytes of the area that are data; the signature has the rest.
    pub(crate) const fn data_size(self) -> usize {
        match self {
            Self::EcP521 | Self::Rsa2048 => 256,
            Self::Rsa3072 => 128,
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
    /// None.
    #[default]
    None,
    /// User data without a signature.
    Unsigned(Vec<u8>),
    /// Signed; the data may be empty.
    Signed {
        /// The data.
        data: Vec<u8>,
        /// The key.
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

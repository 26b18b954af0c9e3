//! Secrets in the form in which the ultravisor stores them.

use super::{Cck, SecretId, SecretKind};
use crate::Error;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use uvtypes::SecretBox;

/// Bytes that a plaintext secret can have: a page of the ultravisor without the length field.
pub const MAX_PLAINTEXT: usize = 8190;

/// What a request adds to the guest's secret store, or does instead.
#[derive(Clone, Debug)]
pub enum GuestSecret {
    /// Nothing.
    Meta,
    /// Ties a Crypto Express queue to the guest.
    Association {
        /// What it is found by.
        id: SecretId,
        /// The secret.
        secret: SecretBox<[u8; 32]>,
    },
    /// The guest can get it back: as it is, or as a key that only works in this guest.
    Retrievable {
        /// What it is found by.
        id: SecretId,
        /// The secret.
        secret: RetrievableSecret,
    },
    /// Replaces the guest's customer-communication key.
    UpdateCck(Cck),
}

impl GuestSecret {
    /// What it is to the ultravisor.
    pub fn kind(&self) -> SecretKind {
        match self {
            Self::Meta => SecretKind::Meta,
            Self::Association { .. } => SecretKind::Association,
            Self::Retrievable { secret, .. } => secret.kind,
            Self::UpdateCck(_) => SecretKind::UpdateCck,
        }
    }

    /// The stored form.
    pub(crate) fn stored(&self) -> &[u8] {
        match self {
            Self::Meta => &[],
            Self::Association { secret, .. } => secret.expose(),
            Self::Retrievable { secret, .. } => secret.stored.expose(),
            Self::UpdateCck(cck) => cck.expose(),
        }
    }

    /// The id field behind the secret's header; a meta request has none.
    pub(crate) fn id_field(&self) -> Option<[u8; 32]> {
        match self {
            Self::Meta => None,
            Self::Association { id, .. } | Self::Retrievable { id, .. } => Some(*id.as_bytes()),
            Self::UpdateCck(_) => Some([0; 32]),
        }
    }
}

/// A secret that the guest can get back.
#[derive(Clone, Debug)]
pub struct RetrievableSecret {
    kind: SecretKind,
    stored: SecretBox<Vec<u8>>,
}

impl RetrievableSecret {
    /// Any bytes, [`MAX_PLAINTEXT`] at most. Stored as 2 bytes of length (big-endian), the bytes, and zeros up
    /// to a multiple of 16.
    pub fn plaintext(bytes: &[u8]) -> Result<Self, Error> {
        let size = u16::try_from(bytes.len()).ok().filter(|size| usize::from(*size) <= MAX_PLAINTEXT);
        let size = size.ok_or(Error::SecretSize {
            kind: "a plaintext secret",
            actual: bytes.len(),
            expected: "8190 bytes at most",
        })?;
        let mut stored = Vec::with_capacity((2 + bytes.len()).next_multiple_of(16));
        stored.extend(size.to_be_bytes());
        stored.extend(bytes);
        stored.resize(stored.len().next_multiple_of(16), 0);
        Ok(Self { kind: SecretKind::Plaintext, stored: stored.into() })
    }

    /// An AES key of 16, 24 or 32 bytes.
    pub fn aes(key: &[u8]) -> Result<Self, Error> {
        let kind = match key.len() {
            16 => SecretKind::Aes128,
            24 => SecretKind::Aes192,
            32 => SecretKind::Aes256,
            actual => return Err(Error::SecretSize { kind: "an AES key", actual, expected: "16, 24 or 32 bytes" }),
        };
        Ok(Self { kind, stored: key.to_vec().into() })
    }

    /// The two AES keys of XTS mode, one behind the other: 32 or 64 bytes.
    pub fn aes_xts(keys: &[u8]) -> Result<Self, Error> {
        let kind = match keys.len() {
            32 => SecretKind::AesXts128,
            64 => SecretKind::AesXts256,
            actual => return Err(Error::SecretSize { kind: "an AES-XTS key", actual, expected: "32 or 64 bytes" }),
        };
        Ok(Self { kind, stored: keys.to_vec().into() })
    }

    /// An HMAC key of 64 bytes (SHA-256) or 128 bytes (SHA-512).
    pub fn hmac_sha(key: &[u8]) -> Result<Self, Error> {
        let kind = match key.len() {
            64 => SecretKind::HmacSha256,
            128 => SecretKind::HmacSha512,
            actual => return Err(Error::SecretSize { kind: "an HMAC-SHA key", actual, expected: "64 or 128 bytes" }),
        };
        Ok(Self { kind, stored: key.to_vec().into() })
    }

    /// An EC private key, PEM or DER, on one of the five curves the ultravisor knows. Stored as the private
    /// scalar (or the raw Edwards key), padded on the left with zeros to 32, 48, 80, 32 or 64 bytes.
    pub fn ec(pem_or_der: &[u8]) -> Result<Self, Error> {
        let key = private_key(pem_or_der)?;
        let (kind, size, raw) = match key.id() {
            Id::ED25519 => (SecretKind::EcEd25519, 32, SecretBox::new(key.raw_private_key()?)),
            Id::ED448 => (SecretKind::EcEd448, 64, SecretBox::new(key.raw_private_key()?)),
            Id::EC => {
                let ec = key.ec_key()?;
                let (kind, size) = match ec.group().curve_name() {
                    Some(Nid::X9_62_PRIME256V1) => (SecretKind::EcSecp256r1, 32),
                    Some(Nid::SECP384R1) => (SecretKind::EcSecp384r1, 48),
                    Some(Nid::SECP521R1) => (SecretKind::EcSecp521r1, 80),
                    _ => return Err(Error::Curve { found: describe(&key) }),
                };
                (kind, size, SecretBox::new(ec.private_key().to_vec()))
            }
            _ => return Err(Error::Curve { found: describe(&key) }),
        };
        let mut stored = SecretBox::new(vec![0; size]);
        let room = size.checked_sub(raw.expose().len()).ok_or_else(|| Error::Curve { found: describe(&key) })?;
        stored.expose_mut().splice(room.., raw.expose().iter().copied());
        Ok(Self { kind, stored })
    }

    /// What it is to the ultravisor.
    pub fn kind(&self) -> SecretKind {
        self.kind
    }
}

/// Reads a private key without ever asking for a password.
pub(crate) fn private_key(pem_or_der: &[u8]) -> Result<PKey<Private>, Error> {
    let key = if pem_or_der.windows(10).any(|window| window == b"-----BEGIN") {
        PKey::private_key_from_pem_passphrase(pem_or_der, b"")
    } else {
        PKey::private_key_from_der(pem_or_der)
    };
    key.map_err(|_| Error::NotAPrivateKey)
}

/// The kind of a key in words.
pub(crate) fn describe<T: openssl::pkey::HasPublic>(key: &PKey<T>) -> String {
    let curve = key.ec_key().ok().and_then(|ec| ec.group().curve_name());
    match (key.id(), curve) {
        (Id::RSA, _) => format!("RSA {}", key.bits()),
        (Id::EC, Some(curve)) => format!("EC {}", curve.short_name().unwrap_or("of an unknown curve")),
        (Id::EC, None) => "EC of an unnamed curve".to_owned(),
        (Id::ED25519, _) => "Ed25519".to_owned(),
        (Id::ED448, _) => "Ed448".to_owned(),
        _ => "of another type".to_owned(),
    }
}

//! Secrets in the form in which the ultravisor stores them.

use super::Cck;
use crate::Error;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use uvtypes::limits::PLAINTEXT_MAX;
use uvtypes::{RetrievableType, SecretBox, SecretId, SecretKind};

/// Content of an add-secret request: what it adds to the guest's secret store, or does instead.
#[derive(Clone, Debug)]
pub enum GuestSecret {
    /// No secret: a request that only carries other things, such as user data or an extension secret.
    Meta,
    /// Ties a Crypto Express queue to the guest.
    Association {
        /// Id by which the secret is found in the store.
        id: SecretId,
        /// Value of the secret.
        secret: SecretBox<[u8; 32]>,
    },
    /// The guest can get it back: as it is, or as a key that only works in this guest.
    Retrievable {
        /// Id by which the secret is found in the store.
        id: SecretId,
        /// Kind and value of the secret.
        secret: RetrievableSecret,
    },
    /// Replaces the guest's customer-communication key.
    UpdateCck(Cck),
}

impl GuestSecret {
    /// Kind of the secret, as the ultravisor counts it.
    pub fn kind(&self) -> SecretKind {
        match self {
            Self::Meta => SecretKind::META,
            Self::Association { .. } => SecretKind::ASSOCIATION,
            Self::Retrievable { secret, .. } => secret.kind,
            Self::UpdateCck(_) => SecretKind::UPDATE_CCK,
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
    /// The secret of type `kind` in a file.
    ///
    /// # Errors
    /// [`Error::SecretSize`] for a size that `kind` does not have; for EC keys [`Error::NotAPrivateKey`],
    /// [`Error::Curve`], [`Error::OpenSsl`].
    pub fn new(kind: RetrievableType, file: &[u8]) -> Result<Self, Error> {
        match kind {
            RetrievableType::Plain => Self::plaintext(file),
            RetrievableType::Ec => Self::ec(file),
            raw => Self::raw_key(raw, file),
        }
    }

    /// Any bytes, [`PLAINTEXT_MAX`] at most. Stored as 2 bytes of length (big-endian), the bytes, and zeros up
    /// to a multiple of 16.
    fn plaintext(bytes: &[u8]) -> Result<Self, Error> {
        let size = u16::try_from(bytes.len()).ok().filter(|size| usize::from(*size) <= PLAINTEXT_MAX);
        let size = size.ok_or(Error::SecretSize {
            kind: "a plaintext secret",
            actual: bytes.len(),
            expected: format!("{PLAINTEXT_MAX} bytes at most"),
        })?;
        let mut stored = Vec::with_capacity((2 + bytes.len()).next_multiple_of(16));
        stored.extend(size.to_be_bytes());
        stored.extend(bytes);
        stored.resize(stored.len().next_multiple_of(16), 0);
        Ok(Self { kind: SecretKind::PLAINTEXT, stored: stored.into() })
    }

    /// A key that is stored as it is, whose size says which kind of `kind` it is: all but plaintext and EC.
    fn raw_key(kind: RetrievableType, key: &[u8]) -> Result<Self, Error> {
        match kind.kinds().find(|row| row.stored_size == Some(key.len())) {
            Some(row) => Ok(Self { kind: row.kind, stored: key.to_vec().into() }),
            None => {
                let (_, _, name) = kind.words();
                Err(Error::SecretSize { kind: name, actual: key.len(), expected: sizes(kind) })
            }
        }
    }

    /// An EC private key, PEM or DER, on one of the five curves the ultravisor knows. Stored as the private
    /// scalar (or the raw Edwards key), padded on the left with zeros to 32, 48, 80, 32 or 64 bytes.
    fn ec(pem_or_der: &[u8]) -> Result<Self, Error> {
        let key = private_key(pem_or_der)?;
        let unsupported = || Error::Curve { found: describe(&key) };
        let (kind, raw) = match key.id() {
            Id::ED25519 => (SecretKind::EC_ED25519, SecretBox::new(key.raw_private_key()?)),
            Id::ED448 => (SecretKind::EC_ED448, SecretBox::new(key.raw_private_key()?)),
            Id::EC => {
                let ec = key.ec_key()?;
                let kind = match ec.group().curve_name() {
                    Some(Nid::X9_62_PRIME256V1) => SecretKind::EC_SECP256R1,
                    Some(Nid::SECP384R1) => SecretKind::EC_SECP384R1,
                    Some(Nid::SECP521R1) => SecretKind::EC_SECP521R1,
                    _ => return Err(unsupported()),
                };
                (kind, SecretBox::new(ec.private_key().to_vec()))
            }
            _ => return Err(unsupported()),
        };
        let size = kind.row().and_then(|row| row.stored_size).ok_or_else(unsupported)?;
        let mut stored = SecretBox::new(vec![0; size]);
        let room = size.checked_sub(raw.expose().len()).ok_or_else(unsupported)?;
        stored.expose_mut().splice(room.., raw.expose().iter().copied());
        Ok(Self { kind, stored })
    }

    /// Kind of the secret, as the ultravisor counts it.
    pub fn kind(&self) -> SecretKind {
        self.kind
    }
}

/// `16, 24 or 32 bytes`.
fn sizes(kind: RetrievableType) -> String {
    let sizes: Vec<_> = kind.kinds().filter_map(|row| row.stored_size).map(|size| size.to_string()).collect();
    match sizes.split_last() {
        Some((last, [])) => format!("exactly {last} bytes"),
        Some((last, others)) => format!("{} or {last} bytes", others.join(", ")),
        None => "of another type".to_owned(),
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

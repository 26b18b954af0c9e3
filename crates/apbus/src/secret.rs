//! Association secrets, as far as a queue is concerned.

use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// The id of a secret in the ultravisor's store: of an association secret the SHA-256 of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretId(pub [u8; 32]);

/// A text that is no [`SecretId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no secret id: wanted are 64 hex digits")]
pub struct InvalidSecretId(String);

/// An association secret that the ultravisor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssociationSecret {
    /// Its id. Several secrets may have the same one.
    pub id: SecretId,
    /// Its index in the store, which is what a queue is associated with.
    pub index: u16,
}

impl SecretId {
    /// The id of the association secret with this name: the SHA-256 of it.
    pub fn of_name(name: &str) -> Self {
        Self(Sha256::digest(name).into())
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for SecretId {
    type Err = InvalidSecretId;

    /// 64 hex digits in any case, with or without `0x`.
    fn from_str(text: &str) -> Result<Self, InvalidSecretId> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let mut id = [0; 32];
        match hex::decode_to_slice(digits, &mut id) {
            Ok(()) => Ok(Self(id)),
            Err(_) => Err(InvalidSecretId(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_64_digits() {
        assert_eq!("0xAb".to_owned().parse::<SecretId>().ok(), None);
        assert_eq!(("0x".to_owned() + &"Ab".repeat(32)).parse(), Ok(SecretId([0xab; 32])));
        assert_eq!(SecretId([0xab; 32]).to_string(), "ab".repeat(32));
        for wrong in ["", &"ab".repeat(31), &"ab".repeat(33), &"xy".repeat(32)] {
            assert!(wrong.parse::<SecretId>().is_err(), "{wrong}");
        }
    }
}

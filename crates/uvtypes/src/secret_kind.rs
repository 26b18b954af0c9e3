//! What a secret is.

use std::fmt;

/// Kind of a secret, as the ultravisor counts it: the number in requests and lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SecretKind(pub u16);

/// Use of a secret: what becomes of it in the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretUse {
    /// The secret is never in the store: the request alone has this kind. The words say what such a request does.
    NotStored(&'static str),
    /// The secret ties a Crypto Express queue to the guest.
    Association,
    /// The guest can get the secret back: as it is, or as a key that only works in this guest.
    Retrievable(RetrievableType),
}

/// Row of [`SecretKind::TABLE`]: all that is known of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindRow {
    /// Kind that the row is about.
    pub kind: SecretKind,
    /// The name that lists and identity files show; it is that of s390-tools.
    pub name: &'static str,
    /// The name that `pvinfo` shows; it is that of s390-tools.
    pub title: &'static str,
    /// Use of the secret.
    pub used: SecretUse,
    /// Bytes of the secret as the ultravisor stores it; `None` if they depend on the secret.
    pub stored_size: Option<usize>,
}

impl SecretKind {
    /// No secret: the request only carries flags or fixes the extension secret.
    pub const META: Self = Self(0x01);
    /// Ties a Crypto Express queue to the guest.
    pub const ASSOCIATION: Self = Self(0x02);
    /// Bytes that the guest gets back as they are.
    pub const PLAINTEXT: Self = Self(0x03);
    /// Private key on NIST P-256.
    pub const EC_SECP256R1: Self = Self(0x11);
    /// Private key on NIST P-384.
    pub const EC_SECP384R1: Self = Self(0x12);
    /// Private key on NIST P-521.
    pub const EC_SECP521R1: Self = Self(0x13);
    /// Ed25519 private key.
    pub const EC_ED25519: Self = Self(0x14);
    /// Ed448 private key.
    pub const EC_ED448: Self = Self(0x15);
    /// A new customer-communication key.
    pub const UPDATE_CCK: Self = Self(0x16);

    /// All kinds, by number.
    ///
    /// Source: requests that the ultravisor accepts; Linux `arch/s390/include/asm/uv.h`.
    pub const TABLE: &[KindRow] = &[
        row(0x01, "Meta", "Meta", SecretUse::NotStored("meta: no secret"), Some(0)),
        row(0x02, "Association", "AP-association", SecretUse::Association, Some(32)),
        retrievable(0x03, "PLAINTEXT", "Plaintext", RetrievableType::Plain, None),
        retrievable(0x04, "AES-128-KEY", "AES 128", RetrievableType::Aes, Some(16)),
        retrievable(0x05, "AES-192-KEY", "AES 192", RetrievableType::Aes, Some(24)),
        retrievable(0x06, "AES-256-KEY", "AES 256", RetrievableType::Aes, Some(32)),
        retrievable(0x07, "AES-XTS-128-KEY", "AES 128 XTS", RetrievableType::AesXts, Some(32)),
        retrievable(0x08, "AES-XTS-256-KEY", "AES 256 XTS", RetrievableType::AesXts, Some(64)),
        retrievable(0x09, "HMAC-SHA-256-KEY", "HMAC SHA 256", RetrievableType::HmacSha, Some(64)),
        retrievable(0x0a, "HMAC-SHA-512-KEY", "HMAC SHA 512", RetrievableType::HmacSha, Some(128)),
        retrievable(0x11, "EC-SECP256R1-PRIVATE-KEY", "ECDSA P256 private key", RetrievableType::Ec, Some(32)),
        retrievable(0x12, "EC-SECP384R1-PRIVATE-KEY", "ECDSA P384 private key", RetrievableType::Ec, Some(48)),
        retrievable(0x13, "EC-SECP521R1-PRIVATE-KEY", "ECDSA P521 private key", RetrievableType::Ec, Some(80)),
        retrievable(0x14, "EC-ED25519-PRIVATE-KEY", "EdDSA Ed25529 private key", RetrievableType::Ec, Some(32)),
        retrievable(0x15, "EC-ED448-PRIVATE-KEY", "EdDSA Ed448 private key", RetrievableType::Ec, Some(64)),
        row(0x16, "Update-CCK", "Update-CCK", SecretUse::NotStored("update of the CCK"), Some(32)),
    ];

    /// Row of this kind; `None` for a number that is in no row of [`SecretKind::TABLE`].
    pub fn row(self) -> Option<&'static KindRow> {
        Self::TABLE.iter().find(|row| row.kind == self)
    }

    /// The number in requests and lists.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Whether a guest can retrieve such a secret: as it is, or as a protected key.
    pub fn is_retrievable(self) -> bool {
        self.row().is_some_and(|row| matches!(row.used, SecretUse::Retrievable(_)))
    }
}

/// As lists name a kind: `Invalid` is a kind that no stored secret can have.
impl fmt::Display for SecretKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some(KindRow { used: SecretUse::NotStored(_), .. }) => write!(f, "Invalid({:#06x})", self.0),
            Some(row) => f.write_str(row.name),
            None if self.0 == 0 => write!(f, "Invalid({:#06x})", self.0),
            None => write!(f, "Unknown({:#06x})", self.0),
        }
    }
}

const fn row(
    number: u16,
    name: &'static str,
    title: &'static str,
    used: SecretUse,
    stored_size: Option<usize>,
) -> KindRow {
    KindRow { kind: SecretKind(number), name, title, used, stored_size }
}

const fn retrievable(
    number: u16,
    name: &'static str,
    title: &'static str,
    kind: RetrievableType,
    stored_size: Option<usize>,
) -> KindRow {
    row(number, name, title, SecretUse::Retrievable(kind), stored_size)
}

/// Kinds of retrievable secrets that are made from the same sort of file: what `--type` of `pvsecret create` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetrievableType {
    /// Plaintext: any bytes.
    Plain,
    /// An AES key, whose size says which.
    Aes,
    /// Two AES keys for XTS mode, whose size says which.
    AesXts,
    /// An HMAC key, whose size says for which hash.
    HmacSha,
    /// An EC private key, PEM or DER.
    Ec,
}

impl RetrievableType {
    /// All types, in the order in which help shows them.
    pub const ALL: &[Self] = &[Self::Plain, Self::Aes, Self::AesXts, Self::HmacSha, Self::Ec];

    /// The value of `--type`, its help, and what errors call such a secret.
    pub const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Plain => ("plain", "Any bytes, 8190 at most", "a plaintext secret"),
            Self::Aes => ("aes", "AES key: 16, 24 or 32 bytes", "an AES key"),
            Self::AesXts => ("aes-xts", "Pair of AES keys for XTS mode: 32 or 64 bytes", "an AES-XTS key"),
            Self::HmacSha => ("hmac-sha", "HMAC key for SHA-256 or SHA-512: 64 or 128 bytes", "an HMAC-SHA key"),
            Self::Ec => (
                "ec",
                "EC private key in PEM or DER: secp256r1, secp384r1, secp521r1, Ed25519 or Ed448",
                "an EC private key",
            ),
        }
    }

    /// The kinds of this type, by number.
    pub fn kinds(self) -> impl Iterator<Item = &'static KindRow> {
        SecretKind::TABLE.iter().filter(move |row| row.used == SecretUse::Retrievable(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_in_the_order_of_their_numbers_and_every_type_has_one() {
        assert!(SecretKind::TABLE.windows(2).all(|pair| pair[0].kind.0 < pair[1].kind.0));
        for kind in RetrievableType::ALL {
            assert!(kind.kinds().next().is_some(), "{kind:?}");
        }
        assert_eq!(RetrievableType::ALL.iter().map(|kind| kind.kinds().count()).sum::<usize>(), 13);
    }

    /// A second list, so that no name that scripts read changes by an edit of the first.
    #[test]
    fn lists_show_the_names_that_scripts_read() {
        let rows = [
            (0x02, "Association"),
            (0x03, "PLAINTEXT"),
            (0x04, "AES-128-KEY"),
            (0x05, "AES-192-KEY"),
            (0x06, "AES-256-KEY"),
            (0x07, "AES-XTS-128-KEY"),
            (0x08, "AES-XTS-256-KEY"),
            (0x09, "HMAC-SHA-256-KEY"),
            (0x0a, "HMAC-SHA-512-KEY"),
            (0x11, "EC-SECP256R1-PRIVATE-KEY"),
            (0x12, "EC-SECP384R1-PRIVATE-KEY"),
            (0x13, "EC-SECP521R1-PRIVATE-KEY"),
            (0x14, "EC-ED25519-PRIVATE-KEY"),
            (0x15, "EC-ED448-PRIVATE-KEY"),
            (0x00, "Invalid(0x0000)"),
            (0x01, "Invalid(0x0001)"),
            (0x16, "Invalid(0x0016)"),
            (0x0b, "Unknown(0x000b)"),
            (0x99, "Unknown(0x0099)"),
        ];
        for (kind, name) in rows {
            assert_eq!(SecretKind(kind).to_string(), name);
            let retrievable = name.ends_with("-KEY") || name == "PLAINTEXT";
            assert_eq!(SecretKind(kind).is_retrievable(), retrievable, "{name}");
        }
    }
}

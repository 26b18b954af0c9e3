//! Public identifiers: of a secret, and of one boot of a guest.

use crate::Error;
use openssl::sha::sha256;
use std::fmt;
use std::str::FromStr;

/// What a secret is found by in the guest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretId([u8; 32]);

impl SecretId {
    /// Bytes of a name that [`SecretId::spelling`] can hold.
    pub const SPELLED: usize = 31;

    /// SHA-256 of the name's UTF-8 bytes: what everybody uses.
    pub fn of_name(name: &str) -> Self {
        Self(sha256(name.as_bytes()))
    }

    /// The first 31 bytes of the name itself, filled with zeros, so that lists can show it.
    pub fn spelling(name: &str) -> Self {
        let mut id = [0; 32];
        id.iter_mut().take(Self::SPELLED).zip(name.as_bytes()).for_each(|(to, from)| *to = *from);
        Self(id)
    }

    /// The bytes as they stand in requests and lists.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for SecretId {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// Configuration unique id: the ultravisor gives each boot of a guest another one.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Cuid([u8; 16]);

impl Cuid {
    /// The bytes as they stand in requests.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for Cuid {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

macro_rules! hexadecimal {
    ($type:ident, $what:literal) => {
        /// `0x` and lower-case hexadecimal digits.
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0x")?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        /// Hexadecimal digits of any case, optionally behind `0x`.
        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                parse_hex($what, text).map(Self)
            }
        }
    };
}

hexadecimal!(SecretId, "a secret id");
hexadecimal!(Cuid, "a CUID");

fn parse_hex<const N: usize>(what: &'static str, text: &str) -> Result<[u8; N], Error> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let error = |found: String| Error::Hex { what, digits: 2 * N, found };
    if let Some(other) = digits.chars().find(|digit| !digit.is_ascii_hexdigit()) {
        return Err(error(format!("{other:?} is none")));
    }
    if digits.len() != 2 * N {
        return Err(error(format!("there are {}", digits.len())));
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).unwrap_or_default();
        *byte = u8::from_str_radix(pair, 16).unwrap_or_default();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_of_a_name_is_its_hash() {
        // IBM Redbook SG24-8547, section 5.4.
        assert_eq!(
            SecretId::of_name("SECRET1").to_string(),
            "0x03153249db7ce46b0330ffb1a760b59710531af08ec4d7f8424a6870fae49360"
        );
    }

    #[test]
    fn spelled_name_ends_with_a_zero() {
        let id = SecretId::spelling(&"é".repeat(20));
        assert_eq!(id.as_bytes()[..30], "é".repeat(15).as_bytes()[..]);
        assert_eq!(id.as_bytes()[30..], [0xc3, 0]);
        assert_eq!(SecretId::spelling("ab").as_bytes()[..4], [b'a', b'b', 0, 0]);
    }

    #[test]
    fn hexadecimal_forms_round_trip() {
        let text = "0x00112233445566778899aabbccddeeff";
        assert_eq!(text.parse::<Cuid>().unwrap().to_string(), text);
        assert_eq!("00112233445566778899AABBCCDDEEFF".parse::<Cuid>().unwrap().to_string(), text);
    }

    #[test]
    fn other_texts_are_refused_with_what_was_found() {
        let rows = [
            ("", "there are 0"),
            ("0x", "there are 0"),
            ("00112233445566778899aabbccddee", "there are 30"),
            ("00112233445566778899aabbccddeeff0", "there are 33"),
            ("+0112233445566778899aabbccddeeff", "'+' is none"),
            ("0X112233445566778899aabbccddeeff", "'X' is none"),
            ("aééééééééééééééééb", "'é' is none"),
            ("0x0x112233445566778899aabbccddee", "'x' is none"),
        ];
        for (text, expected) in rows {
            let error = text.parse::<Cuid>().expect_err(text).to_string();
            assert!(error.contains(expected) && error.contains("32 hexadecimal digits"), "{text}: {error}");
        }
    }
}

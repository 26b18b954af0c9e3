//! Which secret.

use crate::hexadecimal::{self, InvalidHex, shown_as_hex};
use sha2::{Digest, Sha256};
use std::str::FromStr;

/// Id by which a secret is found in the guest: 32 bytes, the SHA-256 of a name or the name itself filled with zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretId(pub [u8; 32]);

impl SecretId {
    /// Bytes of a name that [`SecretId::from_name_bytes`] keeps: the last byte of an id stays zero.
    pub const NAME_MAX: usize = 31;

    /// The SHA-256 of the UTF-8 bytes of `name`, which is the id that everybody uses.
    pub fn of_name(name: &str) -> Self {
        Self(Sha256::digest(name).into())
    }

    /// The first 31 bytes of `name` itself, filled with zeros, so that lists can show it.
    pub fn from_name_bytes(name: &str) -> Self {
        let mut id = [0; 32];
        id.iter_mut().take(Self::NAME_MAX).zip(name.as_bytes()).for_each(|(to, from)| *to = *from);
        Self(id)
    }

    /// The bytes of the id as they stand in requests and lists.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The name that the id is: printable ASCII, filled with zeros. `None` for all others, which are hashes.
    pub fn as_name(&self) -> Option<&str> {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(end);
        // No line breaks and tabs: a name must not look like another line of a list.
        let printable = name.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
        if name.is_empty() || !printable || rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        std::str::from_utf8(name).ok()
    }
}

impl From<[u8; 32]> for SecretId {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

shown_as_hex!(SecretId);

/// 64 hexadecimal digits of any case, optionally behind `0x` or `0X`.
impl FromStr for SecretId {
    type Err = InvalidHex;

    fn from_str(text: &str) -> Result<Self, InvalidHex> {
        hexadecimal::parse("a secret id", &["0x", "0X"], text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn id_of_a_name_is_its_hash() {
        // IBM Redbook SG24-8547, section 5.4.
        assert_eq!(
            SecretId::of_name("SECRET1").to_string(),
            "0x03153249db7ce46b0330ffb1a760b59710531af08ec4d7f8424a6870fae49360"
        );
    }

    #[test]
    fn name_itself_ends_with_a_zero() {
        let id = SecretId::from_name_bytes(&"é".repeat(20));
        assert_eq!(id.as_bytes()[..30], "é".repeat(15).as_bytes()[..]);
        assert_eq!(id.as_bytes()[30..], [0xc3, 0]);
        assert_eq!(SecretId::from_name_bytes("ab").as_bytes()[..4], [b'a', b'b', 0, 0]);
    }

    #[test]
    fn shows_ids_that_are_names() {
        let id = |start: &[u8]| {
            let mut id = [0; 32];
            id[..start.len()].copy_from_slice(start);
            SecretId(id)
        };
        let rows: [(&[u8], Option<&str>); 8] = [
            (b"SHORT", Some("SHORT")),
            (b"with blank", Some("with blank")),
            (b"thirty-two bytes, no zero at all", Some("thirty-two bytes, no zero at all")),
            (b"", None),
            (b"two\nlines", None),
            (b"\x1b[2J", None),
            (b"hidden\0tail", None),
            ("caf\u{e9}".as_bytes(), None),
        ];
        for (start, expected) in rows {
            assert_eq!(id(start).as_name(), expected, "{:?}", String::from_utf8_lossy(start));
        }
    }

    #[test]
    fn reads_only_whole_ids_with_either_prefix_or_none() {
        let digits = "0aF".repeat(21) + "1";
        let expected = format!("0x{}", digits.to_lowercase());
        for text in [digits.clone(), format!("0x{digits}"), format!("0X{digits}")] {
            assert_eq!(text.parse::<SecretId>().unwrap().to_string(), expected, "{text}");
        }
        let id: SecretId = digits.parse().unwrap();
        assert_eq!((format!("{id:x}"), format!("{id:?}")), (expected[2..].to_owned(), expected));
        for wrong in ["", "0x", "0xAb", &digits[..63], &format!("{digits}0"), &format!("0x0x{}", &digits[4..])] {
            assert!(wrong.parse::<SecretId>().is_err(), "{wrong}");
        }
        for (text, expected) in [
            (format!("0x+{}", &digits[1..]), "found '+'"),
            (format!("0x\u{e9}{}", &digits[2..]), "found '\u{e9}'"),
            ("ab".repeat(31), "found 62"),
        ] {
            let error = text.parse::<SecretId>().expect_err(&text).to_string();
            assert!(error.contains(expected) && error.contains("64 hexadecimal digits"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn an_id_survives_its_text(id in any::<[u8; 32]>()) {
            prop_assert_eq!(SecretId(id).to_string().parse::<SecretId>().unwrap(), SecretId(id));
        }
    }
}

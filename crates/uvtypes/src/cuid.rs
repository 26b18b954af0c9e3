//! Which boot of which guest.

use crate::hexadecimal::{self, InvalidHex, shown_as_hex};
use std::str::FromStr;

/// Configuration unique id: 16 bytes, which the ultravisor chooses anew for each boot of a guest.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Cuid([u8; 16]);

impl Cuid {
    /// Size of a CUID in bytes.
    pub const SIZE: usize = 16;

    /// The bytes of the CUID as they stand in requests and responses.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for Cuid {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

shown_as_hex!(Cuid);

/// 32 hexadecimal digits of any case, optionally behind `0x`; not behind `0X`, which s390-tools refuses here.
impl FromStr for Cuid {
    type Err = InvalidHex;

    fn from_str(text: &str) -> Result<Self, InvalidHex> {
        hexadecimal::parse("a CUID", &["0x"], text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_forms_round_trip() {
        let text = "0x00112233445566778899aabbccddeeff";
        assert_eq!(text.parse::<Cuid>().unwrap().to_string(), text);
        assert_eq!("00112233445566778899AABBCCDDEEFF".parse::<Cuid>().unwrap().to_string(), text);
    }

    #[test]
    fn other_texts_are_refused_with_what_was_found() {
        let rows = [
            ("", "found 0"),
            ("0x", "found 0"),
            ("00112233445566778899aabbccddee", "found 30"),
            ("00112233445566778899aabbccddeeff0", "found 33"),
            ("+0112233445566778899aabbccddeeff", "found '+'"),
            ("0X112233445566778899aabbccddeeff", "found 'X'"),
            ("aééééééééééééééééb", "found 'é'"),
            ("0x0x112233445566778899aabbccddee", "found 'x'"),
        ];
        for (text, expected) in rows {
            let error = text.parse::<Cuid>().expect_err(text).to_string();
            assert!(error.contains(expected) && error.contains("32 hexadecimal digits"), "{text}: {error}");
        }
    }
}

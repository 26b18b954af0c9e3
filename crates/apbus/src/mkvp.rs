//! Which master key a queue has.

use std::fmt;
use std::str::FromStr;

/// The master key verification pattern of an EP11 queue: the first 16 bytes of the hash of its wrapping key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mkvp(pub [u8; 16]);

/// A text that is no [`Mkvp`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a master key verification pattern: expected 32 or 64 hex digits")]
pub struct InvalidMkvp(String);

impl fmt::Display for Mkvp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for Mkvp {
    type Err = InvalidMkvp;

    /// 32 hex digits in any case, with or without `0x`. Of 64, as sysfs and `ep11info` show them, the first 32 count.
    fn from_str(text: &str) -> Result<Self, InvalidMkvp> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let bytes = hex::decode(digits).map_err(|_| InvalidMkvp(text.to_owned()))?;
        match bytes.len() {
            16 | 32 => bytes.first_chunk().copied().map(Self).ok_or_else(|| InvalidMkvp(text.to_owned())),
            _ => Err(InvalidMkvp(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_32_or_64_digits() {
        let pattern = Mkvp([0xab; 16]);
        for text in ["ab".repeat(16), "0xAB".to_owned() + &"ab".repeat(15), "ab".repeat(16) + &"00".repeat(16)] {
            assert_eq!(text.parse(), Ok(pattern), "{text}");
        }
        assert_eq!(pattern.to_string(), "ab".repeat(16));
        for wrong in ["", "0x", "ab", &"ab".repeat(17), &"ag".repeat(16), &"a".repeat(33)] {
            assert!(wrong.parse::<Mkvp>().is_err(), "{wrong}");
        }
    }
}

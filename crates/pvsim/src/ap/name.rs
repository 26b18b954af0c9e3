//! Names of cards and queues, as sysfs spells them.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use std::str::FromStr;

/// A card: two hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CardId(pub u8);

/// A queue (APQN): `cc.dddd`, card and domain in hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueId {
    /// Its card.
    pub card: CardId,
    /// Its domain.
    pub domain: u16,
}

impl FromStr for CardId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = digits(text, 2).ok_or_else(|| format!("'{text}' is no card: two lower-case hex digits"))?;
        Ok(Self(number as u8))
    }
}

impl FromStr for QueueId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('.').and_then(|(card, domain)| Some((digits(card, 2)?, digits(domain, 4)?)));
        let (card, domain) =
            parts.ok_or_else(|| format!("'{text}' is no queue: card and domain in lower-case hex, as in 28.0014"))?;
        Ok(Self { card: CardId(card as u8), domain })
    }
}

/// The number that exactly `count` lower-case hex digits make.
fn digits(text: &str, count: usize) -> Option<u16> {
    let hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == count && text.bytes().all(hex)).then(|| u16::from_str_radix(text, 16).ok())?
}

impl fmt::Display for CardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}", self.0)
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:04x}", self.card, self.domain)
    }
}

macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

as_text!(CardId QueueId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_sysfs_writes_them_and_in_no_other_way() {
        for name in ["28.0014", "00.0000", "ff.00ff"] {
            assert_eq!(name.parse::<QueueId>().unwrap().to_string(), name);
        }
        assert_eq!("0f".parse::<CardId>().unwrap(), CardId(15));
        for wrong in ["", "28", "28.", "28.14", "28.00140", "28.001G", "2A.0014", "28_0014", "+8.0014"] {
            assert!(wrong.parse::<QueueId>().is_err(), "{wrong}");
        }
        for wrong in ["", "2", "028", "2A", "+8", "card28"] {
            assert!(wrong.parse::<CardId>().is_err(), "{wrong}");
        }
    }
}

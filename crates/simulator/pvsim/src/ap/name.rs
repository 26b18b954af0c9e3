//! Names of cards and queues, as sysfs spells them.

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
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
    ($($name:ident $what:literal)*) => {$(
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
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    )*};
}

as_text!(CardId "a card, as in 28" QueueId "a queue, as in 28.0014");

#[cfg(test)]
mod tests {
    use super::*;

    /// Without quotes YAML takes them for numbers, but it is text that is asked for.
    #[test]
    fn names_need_no_quotes_in_yaml() {
        use std::collections::BTreeMap;
        let queues: BTreeMap<QueueId, u8> = serde_yaml::from_str("{28.0010: 1, \"29.0014\": 2}").unwrap();
        assert_eq!(queues.keys().map(ToString::to_string).collect::<Vec<_>>(), ["28.0010", "29.0014"]);
        assert_eq!(serde_json::to_string(&queues).unwrap(), r#"{"28.0010":1,"29.0014":2}"#);
        assert!(serde_yaml::from_str::<BTreeMap<CardId, u8>>("{[]: 1}").is_err());
    }

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

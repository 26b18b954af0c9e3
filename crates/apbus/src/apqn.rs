//! The name of a queue.

use crate::text;
use std::fmt;
use std::str::FromStr;

/// Adapter and domain of a queue: `28.0014`, two and four hex digits, as sysfs writes them
/// (`Documentation/arch/s390/vfio-ap.rst`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Apqn {
    /// Number of the card (adapter).
    pub card: u8,
    /// Number of the domain.
    pub domain: u16,
}

/// A text that is no [`Apqn`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a queue: expected card and domain in hex digits, such as 28.0014")]
pub struct InvalidApqn(String);

impl fmt::Display for Apqn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}.{:04x}", self.card, self.domain)
    }
}

impl FromStr for Apqn {
    type Err = InvalidApqn;

    /// Leading zeros may be missing: `28.14` is `28.0014`.
    fn from_str(name: &str) -> Result<Self, InvalidApqn> {
        let parsed = name
            .split_once('.')
            .and_then(|(card, domain)| Some(Self { card: text::card(card)?, domain: text::domain(domain)? }));
        parsed.ok_or_else(|| InvalidApqn(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_queues() {
        for (text, card, domain) in
            [("28.0014", 0x28, 0x14), ("0.0", 0, 0), ("ff.FFFF", 0xff, 0xffff), ("3.01e", 3, 0x1e)]
        {
            assert_eq!(text.parse(), Ok(Apqn { card, domain }), "{text}");
        }
        assert_eq!(Apqn { card: 3, domain: 0x14 }.to_string(), "03.0014");
        for wrong in
            ["", ".", "28", "28.", ".14", "128.0014", "28.00014", "+8.0014", "28.0014 ", "28.0014.1", "zz.0001"]
        {
            assert!(wrong.parse::<Apqn>().is_err(), "{wrong}");
        }
    }
}

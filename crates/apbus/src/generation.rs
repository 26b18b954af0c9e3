//! How new a card is.

use std::fmt;
use std::str::FromStr;

/// The generation of a Crypto Express card: 8 of `CEX8P`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u8);

impl Generation {
    /// The first one whose EP11 queues Secure Execution guests can use.
    pub const CEX8: Self = Self(8);
}

/// A text that is no [`Generation`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a generation of Crypto Express cards: expected one of CEX4 to CEX8")]
pub struct InvalidGeneration(String);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CEX{}", self.0)
    }
}

impl FromStr for Generation {
    type Err = InvalidGeneration;

    /// In any case, as the configuration file has it: `cex8`.
    fn from_str(text: &str) -> Result<Self, InvalidGeneration> {
        match text.to_ascii_lowercase().strip_prefix("cex").map(str::as_bytes) {
            Some([digit @ b'4'..=b'8']) => Ok(Self(digit - b'0')),
            _ => Err(InvalidGeneration(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_generations() {
        assert_eq!("cex4".parse(), Ok(Generation(4)));
        assert_eq!("CEX8".parse(), Ok(Generation::CEX8));
        for wrong in ["", "cex", "cex3", "cex9", "cex8p", "8", "cex88"] {
            assert!(wrong.parse::<Generation>().is_err(), "{wrong}");
        }
    }
}

//! A card: what its queues have in common.

use super::terms::Mode;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// `CEX` + generation + mode letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CardType {
    /// 4 to 8.
    pub generation: u8,
    /// What it can do.
    pub mode: Mode,
}

impl Default for CardType {
    fn default() -> Self {
        Self { generation: 8, mode: Mode::Ep11 }
    }
}

impl FromStr for CardType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("CEX").map(str::as_bytes);
        let (generation, letter) = match rest {
            Some([digit @ b'4'..=b'8', letter]) => (digit - b'0', *letter),
            _ => (0, 0),
        };
        let mode = match letter {
            b'A' => Mode::Accelerator,
            b'C' => Mode::Cca,
            b'P' => Mode::Ep11,
            _ => return Err(format!("'{text}' is no type of a card: CEX4A to CEX8A, CEX4C to CEX8C, CEX4P to CEX8P")),
        };
        Ok(Self { generation, mode })
    }
}

impl fmt::Display for CardType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.mode {
            Mode::Accelerator => 'A',
            Mode::Cca => 'C',
            Mode::Ep11 => 'P',
        };
        write!(f, "CEX{}{letter}", self.generation)
    }
}

impl From<CardType> for String {
    fn from(kind: CardType) -> Self {
        kind.to_string()
    }
}

impl TryFrom<String> for CardType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl CardType {
    /// The kernel's number for the hardware: 10 is CEX4.
    pub fn hardware(self) -> u8 {
        self.generation + 6
    }

    /// `ap_functions` of the card: bits for RSA, for the mode (3 CCA, 4 accelerator, 5 EP11) and for the function set,
    /// as such cards have them.
    pub fn functions(self) -> u32 {
        match self.mode {
            Mode::Accelerator => 0x6a80_0000,
            Mode::Cca => 0x9380_0000,
            Mode::Ep11 => 0x0680_0000,
        }
    }
}

/// A card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: CardType,
    /// Its serial number.
    pub serial: String,
    /// Set by whoever works with the guest.
    pub online: bool,
    /// Set by the machine.
    pub configured: bool,
    /// Set by the machine.
    pub check_stopped: bool,
    /// Whether requests to it never come back.
    pub hangs: bool,
    /// Requests that were sent to it.
    pub requests: u64,
}

impl Card {
    /// One that works.
    pub fn new(kind: CardType, serial: String) -> Self {
        Self { kind, serial, online: true, configured: true, check_stopped: false, hangs: false, requests: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_and_written() {
        for text in ["CEX4A", "CEX7C", "CEX8P"] {
            assert_eq!(text.parse::<CardType>().unwrap().to_string(), text);
        }
        assert_eq!("CEX8A".parse::<CardType>().unwrap().hardware(), 14);
        for wrong in ["", "CEX3A", "CEX9P", "CEX8", "CEX8X", "cex8p", "CEX8PP"] {
            assert!(wrong.parse::<CardType>().is_err(), "{wrong}");
        }
    }
}

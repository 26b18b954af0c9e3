//! Which card it is.

use std::fmt;
use std::str::FromStr;

/// The serial number of an EP11 card: 16 characters without white space, as in its sysfs attribute `serialnr`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SerialNumber(String);

/// A text that is no [`SerialNumber`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no serial number: expected 16 characters without white space, as 'cat /sys/devices/ap/card*/serialnr' prints them"
)]
pub struct InvalidSerialNumber(String);

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SerialNumber {
    type Err = InvalidSerialNumber;

    fn from_str(text: &str) -> Result<Self, InvalidSerialNumber> {
        if text.chars().count() == 16 && !text.contains(char::is_whitespace) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSerialNumber(text.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sixteen_characters() {
        assert_eq!("93AADFK719460083".parse::<SerialNumber>().unwrap().to_string(), "93AADFK719460083");
        for wrong in ["", "93AADFK71946008", "93AADFK7194600830", "93AADFK71946 083"] {
            assert!(wrong.parse::<SerialNumber>().is_err(), "{wrong}");
        }
    }
}

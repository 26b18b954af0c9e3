//! Values that people write as hexadecimal digits.

/// A text that is not the hexadecimal form of a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {digits} hexadecimal digits for {what}, with or without '0x', found {found}")]
pub struct InvalidHex {
    what: &'static str,
    digits: usize,
    found: String,
}

/// Exactly `N` bytes of hexadecimal digits in any case, behind one of `prefixes` or none.
pub(crate) fn parse<const N: usize>(what: &'static str, prefixes: &[&str], text: &str) -> Result<[u8; N], InvalidHex> {
    let digits = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    let error = |found: String| InvalidHex { what, digits: 2 * N, found };
    if let Some(other) = digits.chars().find(|digit| !digit.is_ascii_hexdigit()) {
        return Err(error(format!("{other:?}")));
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| error(digits.len().to_string()))?;
    Ok(bytes)
}

/// `Display` with `0x` in front, `LowerHex` without it (and with it as `{:#x}`), `Debug` as `Display`.
macro_rules! shown_as_hex {
    ($type:ident) => {
        /// Lower-case hexadecimal digits; `{:#x}` puts `0x` in front.
        impl std::fmt::LowerHex for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                if f.alternate() {
                    f.write_str("0x")?;
                }
                f.write_str(&hex::encode(self.as_bytes()))
            }
        }

        /// `0x` and lower-case hexadecimal digits.
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{self:#x}")
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{self:#x}")
            }
        }
    };
}

pub(crate) use shown_as_hex;

//! Texts that are written to attributes, read as the kernel's own functions do (Linux `lib/kstrtox.c`).

use nix::errno::Errno;

/// `kstrtobool`: what comes after the first letters does not count.
pub(crate) fn boolean(text: &[u8]) -> Result<bool, Errno> {
    match text {
        [b'1' | b'y' | b'Y' | b't' | b'T', ..] => Ok(true),
        [b'0' | b'n' | b'N' | b'f' | b'F', ..] => Ok(false),
        [b'o' | b'O', b'n' | b'N', ..] => Ok(true),
        [b'o' | b'O', b'f' | b'F', ..] => Ok(false),
        _ => Err(Errno::EINVAL),
    }
}

/// `kstrtouint` with base 0: `0x` is hexadecimal, `0` octal, one newline may follow.
pub(crate) fn number(text: &[u8]) -> Result<u32, Errno> {
    let text = std::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_prefix('+').unwrap_or(text);
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, base) = match hexadecimal {
        Some(digits) if digits.starts_with(|digit: char| digit.is_ascii_hexdigit()) => (digits, 16),
        _ if text.starts_with('0') => (text, 8),
        _ => (text, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(base)) {
        return Err(Errno::EINVAL);
    }
    // All digits are good ones: only the size can be wrong.
    u32::from_str_radix(digits, base).map_err(|_| Errno::ERANGE)
}

/// The `0` or `1` of the attribute `online`: other numbers are refused.
pub(crate) fn zero_or_one(text: &[u8]) -> Result<bool, Errno> {
    match text.trim_ascii() {
        b"0" => Ok(false),
        b"1" => Ok(true),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_told_by_their_first_letters() {
        let rows: [(&[&str], Result<bool, Errno>); 3] = [
            (&["1", "1\n", "y", "Y", "t", "true\n", "on", "ON", "oN!", "12"], Ok(true)),
            (&["0", "0\n", "n", "no", "f", "F", "of", "off\n", "OFF"], Ok(false)),
            (&["", "\n", "2", "o", "ox", " 1", "-1", "bind"], Err(Errno::EINVAL)),
        ];
        for (texts, expected) in rows {
            for text in texts {
                assert_eq!(boolean(text.as_bytes()), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn numbers_have_a_base_and_a_limit() {
        let rows = [
            ("0", Ok(0)),
            ("3\n", Ok(3)),
            ("+7", Ok(7)),
            ("0x1F", Ok(31)),
            ("017", Ok(15)),
            ("65535", Ok(65_535)),
            ("4294967295", Ok(u32::MAX)),
            ("4294967296", Err(Errno::ERANGE)),
            ("99999999999999999999999", Err(Errno::ERANGE)),
            ("", Err(Errno::EINVAL)),
            ("\n", Err(Errno::EINVAL)),
            ("1\n\n", Err(Errno::EINVAL)),
            (" 1", Err(Errno::EINVAL)),
            ("-1", Err(Errno::EINVAL)),
            ("++1", Err(Errno::EINVAL)),
            ("0x", Err(Errno::EINVAL)),
            ("08", Err(Errno::EINVAL)),
            ("1a", Err(Errno::EINVAL)),
            ("one", Err(Errno::EINVAL)),
        ];
        for (text, expected) in rows {
            assert_eq!(number(text.as_bytes()), expected, "{text:?}");
        }
    }
}

//! The texts of attributes. All are the kernel's (`drivers/s390/crypto/ap_card.c`, `ap_queue.c`, `zcrypt_cex4.c`),
//! without the newline at their end.

use crate::{Generation, MasterKey, Mode, State};

/// The number of a card in one or two hex digits.
pub fn card(digits: &str) -> Option<u8> {
    hex(digits).filter(|_| digits.len() <= 2)?.try_into().ok()
}

/// The number of a domain in one to four hex digits.
pub fn domain(digits: &str) -> Option<u16> {
    hex(digits).filter(|_| digits.len() <= 4)?.try_into().ok()
}

/// Hex digits alone: the standard library takes a sign, too.
fn hex(digits: &str) -> Option<u32> {
    let is_plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_plain { u32::from_str_radix(digits, 16).ok() } else { None }
}

/// `type` of a card: `CEX8P` is an EP11 card of generation 8. None for what is no such card.
pub fn card_type(text: &str) -> Option<(Mode, Generation)> {
    let [generation @ b'3'..=b'9', mode] = text.strip_prefix("CEX")?.as_bytes() else { return None };
    let mode = match mode {
        b'A' => Mode::Accelerator,
        b'C' => Mode::Cca,
        b'P' => Mode::Ep11,
        _ => return None,
    };
    Some((mode, Generation(generation - b'0')))
}

/// `ap_functions` of a card or queue: `0x` and up to eight hex digits. Zero is a queue that the host has taken away.
pub fn functions(text: &str) -> Option<u32> {
    hex(text.strip_prefix("0x")?)
}

/// The SE bind state of a queue: bits 16 and 17 of `ap_functions`, counted from the left (`BS` in the kernel's
/// `arch/s390/include/asm/ap.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindState {
    /// Ready for use: an accelerator that is bound, an EP11 queue that is associated.
    Usable,
    /// Bound, but not ready for use.
    Bound,
    /// Not bound.
    Unbound,
    /// Not for this guest.
    Illicit,
}

impl BindState {
    /// The state in the value of `ap_functions`.
    pub fn of(functions: u32) -> Self {
        match (functions & 0xc000) >> 14 {
            0 => Self::Usable,
            1 => Self::Bound,
            2 => Self::Unbound,
            _ => Self::Illicit,
        }
    }
}

/// `se_associate` of a bound EP11 queue: `unassociated`, `association pending`, or `associated` with the index of the
/// secret.
pub fn association(text: &str) -> Option<State> {
    match text {
        "unassociated" => Some(State::Bound),
        "association pending" => Some(State::Pending),
        _ => text.strip_prefix("associated ")?.parse().ok().map(State::Associated),
    }
}

/// The line `WK CUR: valid 0x...` of `mkvps` of a bound EP11 queue: two words for the register, one for its state, and
/// its pattern with 64 hex digits. `- -` is what a queue says that cannot be asked.
pub fn current_wrapping_key(mkvps: &str) -> MasterKey {
    let words = mkvps.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    for line in words {
        match line.as_slice() {
            ["WK", "CUR:", valid, pattern] if valid.eq_ignore_ascii_case("valid") => {
                return pattern.parse().map_or(MasterKey::Unknown, MasterKey::Valid);
            }
            ["WK", "CUR:", "-", "-"] => return MasterKey::Unknown,
            ["WK", "CUR:", ..] => return MasterKey::None,
            _ => {}
        }
    }
    MasterKey::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_numbers_of_cards_and_domains() {
        for (digits, number) in [("28", Some(0x28)), ("f", Some(15)), ("+f", None), ("028", None), ("", None)] {
            assert_eq!(card(digits), number, "{digits}");
        }
        for (digits, number) in [("14", Some(0x14)), ("FFFF", Some(0xffff)), ("+14", None), ("00014", None)] {
            assert_eq!(domain(digits), number, "{digits}");
        }
    }

    #[test]
    fn reads_card_types() {
        for (text, mode, generation) in [
            ("CEX8P", Mode::Ep11, 8),
            ("CEX4A", Mode::Accelerator, 4),
            ("CEX7C", Mode::Cca, 7),
            ("CEX9P", Mode::Ep11, 9),
        ] {
            assert_eq!(card_type(text), Some((mode, Generation(generation))), "{text}");
        }
        for wrong in ["", "CEX", "CEX8", "CEX2P", "CEX8Q", "CEX8P ", "cex8p", "CEX10P", "CEX8."] {
            assert_eq!(card_type(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn reads_states_of_association() {
        for (text, expected) in [
            ("unassociated", Some(State::Bound)),
            ("association pending", Some(State::Pending)),
            ("associated 7", Some(State::Associated(7))),
            ("associated 65536", None),
            ("associated -1", None),
            ("associated", None),
            ("-", None),
            ("", None),
        ] {
            assert_eq!(association(text), expected, "{text}");
        }
    }

    #[test]
    fn reads_functions() {
        let rows =
            [("0x06800000", Some(0x0680_0000)), ("0x0", Some(0)), ("0x", None), ("0x+1", None), ("0x123456789", None)];
        for (text, expected) in rows {
            assert_eq!(functions(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn takes_any_text(text in ".*") {
            let _ = (card_type(&text), functions(&text), association(&text), current_wrapping_key(&text));
        }
    }
}

//! The code of the line mode console.

/// The EBCDIC code of an ASCII character that a sentence of the loader may hold; other characters become a space.
///
/// Only characters are known that have the same code in the pages 37 (z/VM) and 500 (LPAR, KVM), as the loader does
/// not find out where it runs. Letters and digits are computed: a table would be as large as all other code here.
#[must_use]
pub fn from_ascii(character: u8) -> u8 {
    match character {
        b'0'..=b'9' => character - b'0' + 0xf0,
        b'.' => 0x4b,
        b'(' => 0x4d,
        b')' => 0x5d,
        b'-' => 0x60,
        b'/' => 0x61,
        b',' => 0x6b,
        b':' => 0x7a,
        b'A'..=b'Z' => letter(character - b'A') + 0x40,
        b'a'..=b'z' => letter(character - b'a'),
        _ => 0x40,
    }
}

/// The code of the small letter with this number, `a` being 0. The alphabet has gaps behind `i` and `r`.
fn letter(number: u8) -> u8 {
    0x81 + number + if number > 8 { 7 } else { 0 } + if number > 17 { 8 } else { 0 }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// Known answers, the same from `iconv -t CP037` and `iconv -t CP500`.
    #[test]
    fn known_answers() {
        let code = |text: &str| text.bytes().map(from_ascii).collect::<Vec<_>>();
        assert_eq!(code("abcdefghi"), [0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89]);
        assert_eq!(code("jklmnopqr"), [0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99]);
        assert_eq!(code("stuvwxyz"), [0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9]);
        assert_eq!(code("ABCDEFGHI"), [0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9]);
        assert_eq!(code("JKLMNOPQR"), [0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9]);
        assert_eq!(code("STUVWXYZ"), [0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9]);
        assert_eq!(code("0123456789"), [0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9]);
        assert_eq!(code(" .()-/,:"), [0x40, 0x4b, 0x4d, 0x5d, 0x60, 0x61, 0x6b, 0x7a]);
        assert_eq!(code("\n\u{7f}"), [0x40, 0x40]);
    }
}

//! A line of text, put together without `core::fmt` (which alone is larger than the loader).

/// One line of ASCII text, as long as both consoles take it. What does not fit is left out.
#[derive(Debug)]
pub struct Line {
    text: [u8; Line::ROOM],
    len: usize,
}

impl Line {
    /// The most bytes that a line holds.
    pub const ROOM: usize = 256;

    /// A line that begins with `text`.
    #[must_use]
    pub fn new(text: &str) -> Line {
        let mut line = Line { text: [0; Line::ROOM], len: 0 };
        line.push(text);
        line
    }

    /// Appends `text` to the line; what does not fit is cut off.
    pub fn push(&mut self, text: &str) {
        for &byte in text.as_bytes() {
            self.push_byte(byte);
        }
    }

    /// Adds `value` as `0x` and `digits` hexadecimal digits.
    pub fn push_hex(&mut self, value: u64, digits: u32) {
        self.push("0x");
        for digit in (0..digits).rev() {
            let nibble = (value >> (4 * digit)) as u8 & 0xf;
            self.push_byte(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
        }
    }

    fn push_byte(&mut self, byte: u8) {
        if let Some(free) = self.text.get_mut(self.len) {
            *free = byte;
            self.len += 1;
        }
    }

    /// The text, byte by byte.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + '_ {
        self.text.iter().copied().take(self.len)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{string::String, vec::Vec};

    fn text(line: &Line) -> String {
        String::from_utf8(line.bytes().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn numbers_have_as_many_digits_as_asked_for() {
        let mut line = Line::new("rc ");
        line.push_hex(0x10a, 4);
        line.push(", at ");
        line.push_hex(0xfedc_ba98_7654_3210, 16);
        assert_eq!(text(&line), "rc 0x010a, at 0xfedcba9876543210");
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let mut line = Line::new(&"x".repeat(Line::ROOM - 1));
        line.push("yz");
        line.push_hex(1, 4);
        assert_eq!(text(&line), "x".repeat(Line::ROOM - 1) + "y");
    }
}

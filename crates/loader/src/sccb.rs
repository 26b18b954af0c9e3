//! Requests to the service element (SCLP) that put a line of text on a console.
//!
//! A request is a service call control block (SCCB), a page: u16 length, u8 function code, 3 control bytes, u16
//! response code, then what the command wants. Layouts as in Linux (`drivers/s390/char/sclp*.h`), big-endian.

use crate::{ebcdic, line::Line};

/// A page for requests. The firmware wants it below 2 GiB and page-aligned.
pub type Sccb = [u8; 4096];

/// Command of the request from [`set_events`].
pub const WRITE_EVENT_MASK: u32 = 0x0078_0005;

/// Command of the requests from [`operating_system_message`] and [`ascii_console`].
pub const WRITE_EVENT_DATA: u32 = 0x0076_0005;

/// Offset of the response code: 0 until the firmware has answered.
pub const RESPONSE: usize = 6;

/// Event mask: commands of the operator. Asked for because firmware shows messages only of a system that takes commands.
const OPERATOR_COMMANDS: u32 = 0x8000_0000;
/// Event mask: messages of the operating system, the console in line mode.
const MESSAGES: u32 = 0x4000_0000;
/// Event mask: data for the ASCII console.
const ASCII: u32 = 0x0000_0040;

/// The request that lets us send text: u16 reserved, u16 size of a mask, masks of what we receive, what we send, and
/// (answered) what the firmware receives and sends.
pub fn set_events(sccb: &mut Sccb) {
    *sccb = [0; 4096];
    put(sccb, 0, 28_u16.to_be_bytes());
    put(sccb, 10, 4_u16.to_be_bytes());
    put(sccb, 12, OPERATOR_COMMANDS.to_be_bytes());
    put(sccb, 16, (MESSAGES | ASCII).to_be_bytes());
}

/// The request that sends `line` to the ASCII console: an event of type 0x1a with the text itself.
pub fn ascii_console(sccb: &mut Sccb, line: &Line) {
    *sccb = [0; 4096];
    let end = text(sccb, EVENT + 6, line.bytes());
    put(sccb, end, *b"\r\n");
    event(sccb, end + 2, 0x1a);
}

/// The request that sends `line` to the console in line mode, as a message of the operating system.
///
/// The event of type 2 holds a message data block (12 bytes: u16 length, u16 type 1, "MDB " in EBCDIC, u32 revision
/// 1), in it a general object (56 bytes: u16 length, u16 type 1, the rest may be 0) and a message text object (u16
/// length, u16 type 4, u16 kind of line, 4 bytes 0, the text).
pub fn operating_system_message(sccb: &mut Sccb, line: &Line) {
    const BLOCK: usize = EVENT + 6;
    const GENERAL: usize = BLOCK + 12;
    const TEXT: usize = GENERAL + 56;
    *sccb = [0; 4096];
    put(sccb, BLOCK + 2, 1_u16.to_be_bytes());
    put(sccb, BLOCK + 4, 0xd4c4_c240_u32.to_be_bytes());
    put(sccb, BLOCK + 8, 1_u32.to_be_bytes());
    put(sccb, GENERAL, 56_u16.to_be_bytes());
    put(sccb, GENERAL + 2, 1_u16.to_be_bytes());
    put(sccb, TEXT + 2, 4_u16.to_be_bytes());
    // The last line of the text.
    put(sccb, TEXT + 4, 0x1000_u16.to_be_bytes());
    let end = text(sccb, TEXT + 10, line.bytes().map(ebcdic::from_ascii));
    length(sccb, TEXT, end);
    length(sccb, BLOCK, end);
    event(sccb, end, 2);
}

/// Where the event of a [`WRITE_EVENT_DATA`] begins: u16 length, u8 type, u8 flags, 2 bytes 0.
const EVENT: usize = 8;

/// Puts the lengths of an event that ends at `end`, and its type.
fn event(sccb: &mut Sccb, end: usize, kind: u8) {
    length(sccb, 0, end);
    length(sccb, EVENT, end);
    put(sccb, EVENT + 2, [kind]);
}

/// Puts the length of the block from `start` to `end` at its start.
fn length(sccb: &mut Sccb, start: usize, end: usize) {
    put(sccb, start, ((end - start) as u16).to_be_bytes());
}

/// Puts `bytes` at `at` and gives the offset behind them.
fn text(sccb: &mut Sccb, at: usize, bytes: impl Iterator<Item = u8>) -> usize {
    let mut end = at;
    for (free, byte) in sccb.iter_mut().skip(at).zip(bytes) {
        *free = byte;
        end += 1;
    }
    end
}

/// Puts `bytes` at `at`. What would lie outside of the page is left out: no caller does that, and so the compiler
/// needs no panic.
#[inline(always)]
fn put<const N: usize>(sccb: &mut Sccb, at: usize, bytes: [u8; N]) {
    if let Some(place) = sccb.get_mut(at..at + N) {
        place.copy_from_slice(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_request_asks_for_both_consoles() {
        let mut sccb = [0xff; 4096];
        set_events(&mut sccb);
        let mut expected = [0; 4096];
        expected[..20].copy_from_slice(&[0, 28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0x80, 0, 0, 0, 0x40, 0, 0, 0x40]);
        assert_eq!(sccb, expected);
    }

    #[test]
    fn text_for_the_ascii_console() {
        let mut sccb = [0xff; 4096];
        ascii_console(&mut sccb, &Line::new("no."));
        assert_eq!(sccb[..19], *b"\x00\x13\x00\x00\x00\x00\x00\x00\x00\x0b\x1a\x00\x00\x00no.\r\n");
        assert!(sccb[19..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn text_for_the_line_mode_console() {
        let mut sccb = [0xff; 4096];
        operating_system_message(&mut sccb, &Line::new("no."));
        // Lengths of the request, its event, its block, its objects: each to the end of the text.
        assert_eq!(sccb[..2], [0, 95]);
        assert_eq!(sccb[8..14], [0, 87, 2, 0, 0, 0]);
        assert_eq!(sccb[14..26], [0, 81, 0, 1, 0xd4, 0xc4, 0xc2, 0x40, 0, 0, 0, 1]);
        assert_eq!(sccb[26..30], [0, 56, 0, 1]);
        assert_eq!(sccb[82..95], [0, 13, 0, 4, 0x10, 0, 0, 0, 0, 0, 0x95, 0x96, 0x4b]);
        assert!(sccb[95..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn the_longest_line_fits() {
        let mut sccb = [0; 4096];
        let line = Line::new(core::str::from_utf8(&[b'x'; Line::ROOM]).unwrap());
        operating_system_message(&mut sccb, &line);
        assert_eq!(sccb[..2], (92 + Line::ROOM as u16).to_be_bytes());
    }
}

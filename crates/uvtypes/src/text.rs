//! Text from outside, made fit for a terminal and for output of which each line counts.
//!
//! Names in certificates, addresses of CRLs, names of files and secrets, attributes of sysfs, answers of services: whoever
//! writes them may put characters into them that steer the terminal, start a line of their own, turn the direction of
//! writing, or cannot be seen. All of pvtools' output goes through these functions, and only through these.

use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

/// Characters of [`shown`], at most.
const SHOWN: usize = 200;

/// `text` with every character escaped as in Rust source that a reader would not see as itself: control characters (line
/// ends among them), separators of lines and paragraphs, marks of bidirectional text, and what has no width or no meaning.
///
/// A backslash stays, so that escaping twice is the same as escaping once. The result tells a reader what is there; it is
/// not meant to be turned back.
pub fn escaped(text: &str) -> Cow<'_, str> {
    escape(text, is_plain)
}

/// [`escaped`], but ends of lines and tabs stay: for output of more than one line that this program has put together.
///
/// What comes from outside must have been through [`escaped`] or [`shown`] before it was put into it: here, a line end in
/// it would stay.
pub fn escaped_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c == '\n' || c == '\t' || is_plain(c))
}

/// [`escaped`], and cut behind 200 characters with `…`: for messages, which shall stay readable whatever they quote.
pub fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", escaped(text.get(..end).unwrap_or(text))),
        None => escaped(text).into_owned(),
    }
}

/// A path in a message: [`escaped`], with U+FFFD for what is not UTF-8.
pub fn shown_path(path: &Path) -> String {
    escaped(&path.to_string_lossy()).into_owned()
}

/// JSON text with the same characters written as `\uXXXX`, which JSON reads as the same strings. `json` must be JSON
/// already: outside its strings it has none of these characters but line ends, which stay.
pub fn escaped_json(json: &str) -> Cow<'_, str> {
    let keep = |c: char| c == '\n' || is_plain(c);
    if json.chars().all(keep) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if keep(c) {
            escaped.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    }
    Cow::Owned(escaped)
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(&keep) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if keep(c) {
            escaped.push(c);
        } else {
            escaped.extend(c.escape_default());
        }
    }
    Cow::Owned(escaped)
}

/// Whether a reader sees `c` as itself.
///
/// Not plain are the control characters (category Cc), the separators of lines and paragraphs (Zl, Zp), interlinear
/// annotations, and all that a terminal shows as nothing: `Default_Ignorable_Code_Point` of the Unicode Character
/// Database 16.0, with it the marks of bidirectional text, fillers, and variation selectors. Joiners within words of
/// scripts that need them are escaped with the rest.
fn is_plain(c: char) -> bool {
    let hidden = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}'
        | '\u{115f}' | '\u{1160}'
        | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}');
    !c.is_control() && !hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_or_hides_is_escaped() {
        for (text, wanted) in [
            ("my key, größer", "my key, größer"),
            ("a\nb\r\x1b[31m\u{9b}\u{7f}\0", "a\\nb\\r\\u{1b}[31m\\u{9b}\\u{7f}\\u{0}"),
            ("\u{202a}\u{202e}x\u{2066}\u{2069}\u{61c}", "\\u{202a}\\u{202e}x\\u{2066}\\u{2069}\\u{61c}"),
            ("\u{200b}\u{200f}\u{feff}\u{2060}\u{ad}", "\\u{200b}\\u{200f}\\u{feff}\\u{2060}\\u{ad}"),
            ("\u{2028}\u{2029}\u{85}", "\\u{2028}\\u{2029}\\u{85}"),
            ("\u{e0041}\u{fff9}", "\\u{e0041}\\u{fff9}"),
            ("\u{34f}\u{115f}\u{1160}\u{3164}\u{ffa0}", "\\u{34f}\\u{115f}\\u{1160}\\u{3164}\\u{ffa0}"),
            ("\u{fe00}\u{fe0f}\u{e0100}\u{e01ef}\u{180b}", "\\u{fe00}\\u{fe0f}\\u{e0100}\\u{e01ef}\\u{180b}"),
            ("\u{200a}\u{2010}\u{2070}\\n", "\u{200a}\u{2010}\u{2070}\\n"),
        ] {
            assert_eq!(escaped(text), wanted);
            assert_eq!(escaped(wanted), wanted, "twice is the same");
        }
    }

    #[test]
    fn lines_of_our_own_stay() {
        assert_eq!(escaped_lines("a\tb\nc\x1b\r"), "a\tb\nc\\u{1b}\\r");
    }

    #[test]
    fn messages_stay_short() {
        assert_eq!(shown(&"ä".repeat(200)), "ä".repeat(200));
        assert_eq!(shown(&"ä".repeat(201)), format!("{}…", "ä".repeat(200)));
        assert_eq!(shown(&"\n".repeat(201)), format!("{}…", "\\n".repeat(200)));
    }

    #[test]
    fn json_stays_the_same_json() {
        assert_eq!(
            escaped_json("{\n\"a\": \"ä\u{9b}\u{202e}\u{e0041}\"\n}"),
            "{\n\"a\": \"ä\\u009b\\u202e\\udb40\\udc41\"\n}"
        );
    }

    #[test]
    fn paths_need_not_be_utf8() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"a\xff\x1b"));
        assert_eq!(shown_path(path), "a\u{fffd}\\u{1b}");
    }
}

//! YAML of what a guest's tools write and read: lists of secrets, what the ultravisor can do, the file that names a secret.
//!
//! A library that writes any value as YAML is a tenth of a guest's program, and all of this is a handful of keys.

use anyhow::{bail, ensure};
use saphyr_parser::{Event, Parser};
use std::borrow::Cow;

/// `text` as a value: itself, or between single quotes where YAML would see something else in it. For lines of printable
/// ASCII with a word in them, and for ids: no other number, and neither `null` nor `true`, is recognised.
pub(crate) fn scalar(text: &str) -> Cow<'_, str> {
    // A hexadecimal number, if it has no more than 128 bits.
    let number = text.strip_prefix("0x").is_some_and(|digits| u128::from_str_radix(digits, 16).is_ok());
    let indicator = text.starts_with(|first| "#,[]{}&*!|>'\"%@`".contains(first));
    let indicator = indicator || ["- ", "? ", ": ", " "].iter().any(|start| text.starts_with(start));
    let ends = text.is_empty() || text.ends_with([':', ' ']) || text.contains(": ") || text.contains(" #");
    if number || indicator || ends {
        Cow::Owned(format!("'{}'", text.replace('\'', "''")))
    } else {
        Cow::Borrowed(text)
    }
}

/// A mapping with its tag, and those of its entries whose key and value are texts.
#[derive(Default)]
pub(crate) struct Tagged {
    /// Without the exclamation mark; empty if there is none.
    pub(crate) tag: String,
    entries: Vec<(String, String)>,
}

impl Tagged {
    /// Reads the mapping that `text` has to be; anything else has neither tag nor entries. A second document, or a key that
    /// stands there twice, is an error: readers would not agree on what counts.
    pub(crate) fn read(text: &str) -> anyhow::Result<Self> {
        let mut read = Self::default();
        // Of the nodes in the mapping itself, keys and values by turns.
        let (mut nodes, mut depth, mut in_mapping) = (Vec::new(), 0_usize, false);
        let mut documents = 0;
        for event in Parser::new_from_str(text) {
            let event = event?.0;
            if depth == 1 && in_mapping {
                match &event {
                    Event::Scalar(text, ..) => nodes.push(Some(text.to_string())),
                    Event::MappingStart(..) | Event::SequenceStart(..) | Event::Alias(_) => nodes.push(None),
                    _ => {}
                }
            }
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    ensure!(documents == 1, "expected one document, found another behind it");
                }
                Event::MappingStart(_, tag) if depth == 0 => {
                    (nodes, depth, in_mapping) = (Vec::new(), 1, true);
                    read.tag = tag.map(|tag| tag.suffix.clone()).unwrap_or_default();
                }
                Event::SequenceStart(..) if depth == 0 => (nodes, depth, in_mapping) = (Vec::new(), 1, false),
                Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
                Event::MappingEnd | Event::SequenceEnd => depth -= 1,
                _ => {}
            }
        }
        let mut keys: Vec<_> = nodes.iter().step_by(2).flatten().collect();
        keys.sort_unstable();
        if let Some((key, _)) = keys.iter().zip(keys.iter().skip(1)).find(|(key, next)| key == next) {
            bail!("expected each key once, found '{key}' twice");
        }
        let mut nodes = nodes.into_iter();
        while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
            read.entries.extend(key.zip(value));
        }
        Ok(read)
    }

    /// The text of the entry `key`.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, text)| text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uvtypes::SecretId;

    /// serde_yaml writes as the Rust tools of s390-tools do.
    #[cfg(feature = "workstation")]
    #[test]
    fn scalars_are_those_of_serde_yaml() {
        let mut texts: Vec<String> = [
            "AP passthrough is supported",
            "No matching messages. But these bits are ON:",
            "- Bit 63 is ON",
            "-Bit",
            "? a",
            ": a",
            "a: b",
            "a:b",
            "a #b",
            "a#b",
            " a",
            "a ",
            "it's",
            "'it's",
            "",
            "PCKMO: use of (AES), [DEA]; \"HMAC\"",
        ]
        .map(str::to_owned)
        .to_vec();
        texts.extend(
            "#,[]{}&*!|>'\"%@`-?:".chars().flat_map(|c| [format!("{c}"), format!("{c}word"), format!("a{c}b")]),
        );
        // Numbers are those that 128 bits can hold.
        for zeros in 0..32 {
            let mut id = [0xff; 32];
            id[..zeros].fill(0);
            texts.push(SecretId(id).to_string());
        }
        texts.push(SecretId([0; 32]).to_string());
        // A lone sign is no word.
        for text in texts.iter().filter(|text| !["-", "?"].contains(&text.as_str())) {
            assert_eq!(format!("{}\n", scalar(text)), serde_yaml::to_string(text).unwrap(), "{text:?}");
        }
    }

    #[test]
    fn a_tagged_mapping_has_its_texts() {
        type Row<'a> = (&'a str, &'a str, &'a [(&'a str, Option<&'a str>)]);
        let rows: [Row<'_>; 9] = [
            ("!Retrievable\nid: 0x12\nname: 'a: b'\n", "Retrievable", &[("id", Some("0x12")), ("name", Some("a: b"))]),
            ("!A {id: [id, x], name: n}", "A", &[("id", None), ("name", Some("n"))]),
            ("!A\n? {id: 1}\n: id\nid: 2\n", "A", &[("id", Some("2"))]),
            ("!A\n? [id]\n: {id: 1}\nid: 2\n", "A", &[("id", Some("2"))]),
            ("!A\na: &x 1\nid: *x\nb: 2\n", "A", &[("id", None), ("b", Some("2"))]),
            ("!A\na: {id: 1}\nb: 2\n", "A", &[("id", None), ("b", Some("2"))]),
            ("id: 1", "", &[("id", Some("1"))]),
            ("!A [id, 1]", "", &[("id", None)]),
            ("", "", &[("id", None)]),
        ];
        for (text, tag, entries) in rows {
            let read = Tagged::read(text).unwrap();
            assert_eq!(read.tag, tag, "{text}");
            for (key, value) in entries {
                assert_eq!(read.text(key), *value, "{text}");
            }
        }
        assert!(Tagged::read("!A [").is_err());
        for (text, expected) in
            [("!A\nid: 1\nid: 2\n", "'id' twice"), ("!A {id: 1}\n---\n!A {id: 2}\n", "one document")]
        {
            let error = Tagged::read(text).err().unwrap().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}

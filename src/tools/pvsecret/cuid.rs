//! The file behind `--cuid`: 16 bytes, or YAML with the CUID in it.

use anyhow::{Context, bail};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use uvtypes::Cuid;

/// How deep in mappings a `cuid` key is looked for.
const MAX_DEPTH: usize = 8;

/// The CUID in `bytes`: all 16 of them, a YAML string, or the first `cuid` key of nested YAML mappings. The output
/// of `pvattest verify` is of the last kind.
pub(super) fn parse(bytes: &[u8]) -> anyhow::Result<Cuid> {
    if let Ok(raw) = <[u8; 16]>::try_from(bytes) {
        return Ok(Cuid::from(raw));
    }
    let none = "it is neither 16 bytes long nor YAML with a 'cuid' key";
    let Ok(node) = serde_yaml::from_slice(bytes) else { bail!(none) };
    let Some(text) = find(&node, MAX_DEPTH) else { bail!(none) };
    if !text.starts_with("0x") {
        bail!("its CUID {text:?} does not start with '0x'");
    }
    text.parse().context("its CUID is malformed")
}

/// The parts of a YAML document in which a CUID may be.
enum Node {
    Text(String),
    Mapping(Vec<(String, Node)>),
    Other,
}

/// A key of the mapping itself wins over those of its children.
fn find(node: &Node, depth: usize) -> Option<&str> {
    let entries = match node {
        Node::Text(text) => return Some(text),
        Node::Mapping(entries) if depth > 0 => entries,
        Node::Mapping(_) | Node::Other => return None,
    };
    match entries.iter().find(|(key, _)| key == "cuid") {
        Some((_, Node::Text(text))) => Some(text),
        Some(_) => None,
        None => {
            let children = entries.iter().filter(|(_, child)| matches!(child, Node::Mapping(_)));
            children.into_iter().find_map(|(_, child)| find(child, depth - 1))
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a CUID or a mapping with a 'cuid' key")
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Node::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            // As text even where YAML would see a number: a CUID need not be in quotes.
            let value = if key == "cuid" { Node::Text(map.next_value()?) } else { map.next_value()? };
            entries.push((key, value));
        }
        Ok(Node::Mapping(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0x00112233445566778899aabbccddeeff";

    #[test]
    fn finds_the_cuid_in_every_accepted_form() {
        let deep = format!("{}cuid: '{HEX}'", "a: {".repeat(7)) + &"}".repeat(7);
        let rows = [
            ("0123456789abcdef".to_owned(), "0x30313233343536373839616263646566"),
            (format!("cuid: '{HEX}'\n"), HEX),
            (format!("cuid: {HEX}\n"), HEX),
            (format!("'{HEX}'\n"), HEX),
            (format!("add: 0x12\ncuid: '{HEX}'\nuser_data: 0x34\nlist: [1, 2.5, null, true, -3]\n"), HEX),
            (format!("a: {{b: 1}}\nc: {{cuid: '{HEX}'}}\n"), HEX),
            (format!("a: {{cuid: '0xff'}}\ncuid: '{HEX}'\n"), HEX),
            (deep, HEX),
        ];
        for (text, expected) in rows {
            let cuid = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error:#}"));
            assert_eq!(cuid.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_all_others() {
        let too_deep = format!("{}cuid: '{HEX}'", "a: {".repeat(9)) + &"}".repeat(9);
        let rows = [
            ("", "neither 16 bytes"),
            ("0123456789abcde", "does not start with '0x'"),
            ("0123456789abcdefg", "does not start with '0x'"),
            ("[cuid]", "neither 16 bytes"),
            ("cuid: [1]", "neither 16 bytes"),
            ("other: '0x00'", "neither 16 bytes"),
            ("cuid: '0x0011'", "found 4"),
            ("cuid: '00112233445566778899aabbccddeeff'", "does not start with '0x'"),
            ("cuid: '0xx0112233445566778899aabbccddeeff'", "found 'x'"),
            ("{", "neither 16 bytes"),
            (&too_deep, "neither 16 bytes"),
        ];
        for (text, expected) in rows {
            let error = format!("{:#}", parse(text.as_bytes()).expect_err(text));
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}

//! From text to keys and values, each with its place.
//!
//! serde_yaml tells where in the text something stands only in errors. So all nodes (entries, keys, values) are
//! counted, and when the place of one is wanted, the text is read again with an error at the node of that number.

use super::problem::{Fault, Location, Problem};
use serde::Deserializer as _;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml::Deserializer;
use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;

/// The keys there are, in the order of the documents.
pub(super) const KEYS: [&str; 7] = ["name", "description", "mode", "mkvp", "serialnr", "mingen", "secretid"];

/// Entries may be written in brackets, as in JSON. How many opening ones there may be.
const MOST_BRACKETS: usize = 4096;

/// A place in the file: the number of an entry, key or value in the order in which they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node(usize);

/// A text and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) node: Node,
}

/// An entry as it is written.
#[derive(Debug)]
pub(super) struct RawEntry {
    pub(super) node: Node,
    /// Its values, by the position of their key in [`KEYS`].
    pub(super) values: [Option<Text>; KEYS.len()],
    /// Keys that are none of [`KEYS`].
    pub(super) unknown: Vec<Text>,
    /// Keys that were there before.
    pub(super) again: Vec<Text>,
}

/// Reads all entries of the only document in `text`.
pub(super) fn entries(text: &str) -> Result<Vec<RawEntry>, Problem> {
    if let Some((at, control)) = text.char_indices().find(|(_, c)| !is_printable(*c)) {
        let before = text.get(..at).unwrap_or_default();
        return Err(Problem::new(Fault::Character(control), Some(Location::after(before))));
    }
    // The time that libyaml takes grows with the square of the depth of brackets: minutes, for a file full of them.
    if let Some((at, _)) = text.match_indices(['[', '{']).nth(MOST_BRACKETS) {
        let before = text.get(..at).unwrap_or_default();
        return Err(Problem::new(Fault::Brackets, Some(Location::after(before))));
    }
    let mut documents = Deserializer::from_str(text);
    let Some(first) = documents.next() else { return Ok(Vec::new()) };
    let entries = Walk::new(None).list(first).map_err(|error| problem(&error))?;
    match documents.next() {
        None => Ok(entries),
        Some(second) => {
            // Either an error that the file has, or the one that is made at its first node.
            let Err(error) = second.deserialize_any(Stop);
            match error.to_string().contains(STOP) {
                true => Err(Problem::new(Fault::SecondDocument, location(&error))),
                false => Err(problem(&error)),
            }
        }
    }
}

/// Says where nodes are.
pub(super) struct Locator<'a> {
    text: &'a str,
}

impl<'a> Locator<'a> {
    /// For `text`, of which [`entries`] has made the nodes.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text }
    }

    /// How many places may be asked for. Each takes as long as reading the file, so of a large file, which nobody has
    /// written by hand, fewer than of a small one.
    pub(super) fn most(&self) -> usize {
        const ALL_TOGETHER: usize = 8 << 20;
        (ALL_TOGETHER / self.text.len().max(1)).min(100)
    }

    pub(super) fn location(&self, node: Node) -> Option<Location> {
        let first = Deserializer::from_str(self.text).next()?;
        location(&Walk::new(Some(node)).list(first).err()?)
    }
}

/// The characters that YAML allows (YAML 1.1, section 5.1), without the byte order mark inside a text.
fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}')
        || matches!(c, '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

fn location(error: &serde_yaml::Error) -> Option<Location> {
    error.location().map(|place| Location { line: place.line(), column: place.column() })
}

fn problem(error: &serde_yaml::Error) -> Problem {
    let text = error.to_string();
    // It ends with the place, which is said in our own way.
    let what = text.find(" at line ").and_then(|end| text.get(..end)).unwrap_or(&text);
    // `.[0].mode` is the way to the mode of the first entry.
    let what = what.strip_prefix('.').filter(|what| what.starts_with('[')).unwrap_or(what);
    Problem::new(Fault::Yaml(what.to_owned()), location(error))
}

const STOP: &str = "this is the node whose place is wanted";

/// A walk over all nodes, to their end or to one of them.
struct Walk {
    next: Cell<usize>,
    stop: Option<Node>,
}

impl Walk {
    fn new(stop: Option<Node>) -> Self {
        Self { next: Cell::new(0), stop }
    }

    /// Counts a node.
    fn node<E: serde::de::Error>(&self) -> Result<Node, E> {
        let node = Node(self.next.replace(self.next.get() + 1));
        match self.stop == Some(node) {
            true => Err(E::custom(STOP)),
            false => Ok(node),
        }
    }

    fn list(&self, document: Deserializer<'_>) -> Result<Vec<RawEntry>, serde_yaml::Error> {
        document.deserialize_seq(List(self))
    }
}

/// An error at whatever comes.
struct Stop;

impl Visitor<'_> for Stop {
    type Value = Infallible;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STOP)
    }
}

struct List<'a>(&'a Walk);

impl<'de> Visitor<'de> for List<'_> {
    type Value = Vec<RawEntry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries, each of which starts with '- '")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element_seed(Mapping(self.0))? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

struct Mapping<'a>(&'a Walk);

impl<'de> DeserializeSeed<'de> for Mapping<'_> {
    type Value = RawEntry;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<RawEntry, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Mapping<'_> {
    type Value = RawEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry, which is lines of the form 'key: value'")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawEntry, A::Error> {
        let node = self.0.node()?;
        let mut entry = RawEntry { node, values: Default::default(), unknown: Vec::new(), again: Vec::new() };
        while let Some(key) = map.next_key_seed(Word(self.0, "a key"))? {
            let Some(slot) = KEYS.iter().position(|known| *known == key.text).and_then(|at| entry.values.get_mut(at))
            else {
                map.next_value::<IgnoredAny>()?;
                entry.unknown.push(key);
                continue;
            };
            let value = map.next_value_seed(Word(self.0, "a text"))?;
            match slot {
                None => *slot = Some(value),
                Some(_) => entry.again.push(key),
            }
        }
        Ok(entry)
    }
}

struct Word<'a>(&'a Walk, &'static str);

impl<'de> DeserializeSeed<'de> for Word<'_> {
    type Value = Text;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Text, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Word<'_> {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text, E> {
        let node = self.0.node()?;
        Ok(Text { text: text.to_owned(), node })
    }
}

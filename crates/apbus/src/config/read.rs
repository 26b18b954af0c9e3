//! From text to keys and values, each with its place.

use super::problem::{Fault, Location, Problem};
use super::tree::{self, Node, Value};
use std::rc::Rc;

/// The keys there are, in the order of the documents.
pub(super) const KEYS: [&str; 7] = ["name", "description", "mode", "mkvp", "serialnr", "mingen", "secretid"];

/// How much text all entries together may have. Aliases let a small file have much.
const MAX_TEXT: usize = 2 * super::MAX_SIZE;

/// An entry as it is written.
#[derive(Debug)]
pub(super) struct RawEntry {
    pub(super) at: Location,
    /// Its values, by the position of their key in [`KEYS`].
    pub(super) values: [Option<Rc<Node>>; KEYS.len()],
    /// What is wrong with it whatever its values say: keys that there are not or that are there twice, values that are no
    /// texts.
    pub(super) faults: Vec<(Fault, Location)>,
}

/// Reads all entries of the only document in `text`.
pub(super) fn entries(text: &str) -> Result<Vec<RawEntry>, Problem> {
    if let Some((at, control)) = text.char_indices().find(|(_, c)| !is_printable(*c)) {
        let before = text.get(..at).unwrap_or_default();
        return Err(Problem::new(Fault::Character(control), Some(Location::after(before))));
    }
    let Some(document) = tree::read(text)? else { return Ok(Vec::new()) };
    let items = match &document.value {
        Value::Nothing => return Ok(Vec::new()),
        Value::List(items) => items,
        other => return Err(Problem::new(Fault::NotAList(other.kind()), Some(document.at))),
    };
    let mut left = MAX_TEXT;
    items.iter().map(|item| entry(item, &mut left)).collect()
}

/// Reads an entry, which may have as many bytes of text as are `left`.
fn entry(item: &Node, left: &mut usize) -> Result<RawEntry, Problem> {
    let mut entry = RawEntry { at: item.at, values: Default::default(), faults: Vec::new() };
    let pairs = match &item.value {
        Value::Nothing => return Ok(entry),
        Value::Mapping(pairs) => pairs,
        other => {
            entry.faults.push((Fault::NotAnEntry(other.kind()), item.at));
            return Ok(entry);
        }
    };
    for (key, value) in pairs {
        for node in [key, value] {
            let Value::Text(text) = &node.value else { continue };
            *left = left.checked_sub(text.len()).ok_or_else(|| Problem::new(Fault::Aliases, Some(node.at)))?;
        }
        let word = match &key.value {
            Value::Nothing => "",
            Value::Text(word) => word,
            other => {
                entry.faults.push((Fault::KeyIsNoText(other.kind()), key.at));
                continue;
            }
        };
        let Some((known, slot)) = KEYS.iter().zip(&mut entry.values).find(|(known, _)| **known == word) else {
            entry.faults.push((Fault::UnknownKey { key: word.to_owned(), meant: super::check::meant(word) }, key.at));
            continue;
        };
        if let Value::List(_) | Value::Mapping(_) = value.value {
            entry.faults.push((Fault::ValueIsNoText { key: known, found: value.value.kind() }, value.at));
        }
        match slot {
            None => *slot = Some(Rc::clone(value)),
            Some(_) => entry.faults.push((Fault::DuplicateKey(word.to_owned()), key.at)),
        }
    }
    Ok(entry)
}

/// The characters that YAML allows (YAML 1.1, section 5.1), without the byte order mark inside a text.
fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}')
        || matches!(c, '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

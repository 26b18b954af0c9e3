//! The list of secrets.

use crate::walker::Walker;
use uvtypes::{ReadError, SecretList};

/// A list has no magic: its length and its reserved fields must fit.
pub(crate) fn looks_like_one(bytes: &[u8]) -> bool {
    let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    let Ok(list) = SecretList::parse(bytes) else { return false };
    bytes.get(6..SecretList::HEADER_SIZE).is_some_and(is_zero)
        && bytes.get(list.as_bytes().len()..).is_some_and(is_zero)
}

pub(crate) fn walk(w: &mut Walker<'_>) -> Result<(), ReadError> {
    let values = w.fields(SecretList::HEADER)?;
    let next = values.number("next valid index");
    w.field_means("next valid index", if next == 0 { "the list is complete" } else { "the list goes on there" });
    for entry in 0..values.number("number of secrets in this list") {
        w.fields_of(&format!("secret {entry}: "), SecretList::ENTRY)?;
    }
    match w.left() {
        0 => Ok(()),
        left => w.reserved(left),
    }
}

//! The list of secrets: header 16 bytes, entries of 48 bytes.

use crate::request::secret_kind;
use crate::walker::Walker;
use uvtypes::{ReadError, Reader};

const HEADER: usize = 16;
const ENTRY: usize = 48;

/// A list has no magic: its length and its reserved fields must fit.
pub(crate) fn looks_like_one(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    let (Ok(count), Ok(total), Ok(_next)) = (reader.u16("count"), reader.u16("total"), reader.u16("next")) else {
        return false;
    };
    let entries = usize::from(count) * ENTRY;
    let rest = bytes.get(HEADER + entries..);
    count <= total
        && reader.bytes(10, "reserved").is_ok_and(|reserved| reserved.iter().all(|byte| *byte == 0))
        && rest.is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}

pub(crate) fn walk(w: &mut Walker<'_>) -> Result<(), ReadError> {
    let count = w.u16("number of secrets in this list")?;
    w.u16("number of secrets in the store")?;
    let next = w.u16("next valid index")?;
    w.means(if next == 0 { "the list is complete" } else { "the list goes on there" });
    w.reserved(10)?;
    for entry in 0..count {
        w.u16("index")?;
        w.named(format!("secret {entry}: index"));
        let kind = w.u16("kind")?;
        w.named(format!("secret {entry}: kind"));
        w.means(secret_kind(kind));
        w.u32("size")?;
        w.named(format!("secret {entry}: size"));
        w.reserved(8)?;
        let id = w.bytes(32, "id")?;
        w.named(format!("secret {entry}: id"));
        if let Some(name) = printable(id) {
            w.means(format!("'{name}'"));
        }
    }
    match w.left() {
        0 => Ok(()),
        left => w.reserved(left),
    }
}

/// The name that an id made with `--use-name` spells.
fn printable(id: &[u8]) -> Option<&str> {
    let end = id.iter().rposition(|byte| *byte != 0)? + 1;
    let name = std::str::from_utf8(id.get(..end)?).ok()?;
    name.chars().all(|c| c.is_ascii_graphic() || c == ' ').then_some(name)
}

//! The SE header, version 1.

use crate::frame::as_size;
use crate::walker::Walker;
use sehdr::{FIELDS, KEY_SLOTS};
use uvtypes::ReadError;

pub(crate) fn walk(w: &mut Walker<'_>) -> Result<(), ReadError> {
    walk_with_flags(w).map(drop)
}

/// Gives the plaintext control flags.
pub(crate) fn walk_with_flags(w: &mut Walker<'_>) -> Result<u64, ReadError> {
    let values = w.fields(FIELDS)?;
    w.key_slots(KEY_SLOTS, values.number("number of key slots"))?;
    let encrypted = as_size(values.number("size of the encrypted part"));
    w.encrypted(encrypted, "keys, PSW and secret control flags")?;
    w.bytes(16, "tag")?;
    w.means("identifies the image in requests");
    let size = as_size(values.number("size of the header"));
    if w.offset() != size {
        w.warn(format!("the header says it has {size} bytes, its parts have {}", w.offset()));
    }
    w.trailing("header")?;
    Ok(values.number("plaintext control flags"))
}

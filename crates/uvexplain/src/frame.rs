//! The frame that add-secret and attestation requests have in common.

use crate::walker::Walker;
use uvrequest::layouts::{FRAME, KEY_SLOTS};
use uvtypes::ReadError;

pub(crate) struct Frame {
    slots: u64,
    pub(crate) encrypted: usize,
    /// Bytes of the whole request.
    pub(crate) size: usize,
}

/// What stands between the magic and the part that depends on the request.
pub(crate) fn walk(w: &mut Walker<'_>) -> Result<Frame, ReadError> {
    let values = w.fields(FRAME)?;
    let size = as_size(values.number("size of the request"));
    if size != w.input().len() {
        w.warn(format!("the request says it has {size} bytes, there are {}", w.input().len()));
    }
    let slots = values.number("number of key slots");
    if slots == 0 {
        w.warn("a request has at least one key slot");
    }
    Ok(Frame { slots, encrypted: as_size(values.number("size of the encrypted area")), size })
}

/// The customer's key and the key slots.
pub(crate) fn walk_keys(w: &mut Walker<'_>, frame: &Frame) -> Result<(), ReadError> {
    w.coordinates()?;
    w.key_slots(KEY_SLOTS, frame.slots)
}

/// The encrypted area and the tag.
pub(crate) fn walk_end(w: &mut Walker<'_>, frame: &Frame, area: &'static str) -> Result<(), ReadError> {
    w.encrypted(frame.encrypted, area)?;
    w.bytes(16, "tag")?;
    w.trailing("request")
}

/// A size that a file states. One that no memory can hold is cut to what memory can, and found to be too large.
pub(crate) fn as_size(stated: u64) -> usize {
    usize::try_from(stated).unwrap_or(usize::MAX)
}

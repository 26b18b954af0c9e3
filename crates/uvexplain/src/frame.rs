//! The frame that add-secret and attestation requests have in common.

use crate::walker::Walker;
use uvtypes::ReadError;

pub(crate) struct Frame {
    pub(crate) slots: u8,
    pub(crate) encrypted: usize,
    /// Bytes of the whole request.
    pub(crate) size: usize,
}

/// What stands between the magic and the part that depends on the request.
pub(crate) fn walk(w: &mut Walker<'_>) -> Result<Frame, ReadError> {
    w.version()?;
    let size = w.u32("size of the request")? as usize;
    if size != w.input().len() {
        w.warn(format!("the request says it has {size} bytes, there are {}", w.input().len()));
    }
    w.bytes(12, "initialization vector")?;
    w.reserved(4)?;
    w.reserved(7)?;
    let slots = w.u8("number of key slots")?;
    if slots == 0 {
        w.warn("a request has at least one key slot");
    }
    w.reserved(4)?;
    let encrypted = w.u32("size of the encrypted area")? as usize;
    Ok(Frame { slots, encrypted, size })
}

/// The encrypted area and the tag.
pub(crate) fn walk_end(w: &mut Walker<'_>, frame: &Frame, area: &'static str) -> Result<(), ReadError> {
    w.encrypted(frame.encrypted, area)?;
    w.bytes(16, "tag")?;
    w.trailing("request")
}

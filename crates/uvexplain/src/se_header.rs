//! The SE header, version 1.

use crate::walker::Walker;
use uvtypes::ReadError;

const CONTROL_FLAGS: [(u32, &str); 6] = [
    (34, "dumping allowed"),
    (35, "image components are not encrypted"),
    (56, "PCKMO DEA/TDEA key functions allowed"),
    (57, "PCKMO AES key functions allowed"),
    (58, "PCKMO ECC key functions allowed"),
    (62, "temporary backup host key allowed"),
];

pub(crate) fn walk(w: &mut Walker<'_>) -> Result<(), ReadError> {
    w.magic(8)?;
    w.version()?;
    let size = w.u32("size of the header")?;
    w.bytes(12, "initialization vector")?;
    w.reserved(4)?;
    let slots = w.u64("number of key slots")?;
    let encrypted = w.u64("size of the encrypted part")?;
    w.u64("number of encrypted pages")?;
    w.flags("plaintext control flags", &CONTROL_FLAGS)?;
    w.coordinates()?;
    w.bytes(64, "page-list digest")?;
    w.bytes(64, "address-list digest")?;
    w.bytes(64, "tweak-list digest")?;
    w.key_slots(slots)?;
    w.encrypted(usize::try_from(encrypted).unwrap_or(usize::MAX), "keys, PSW and secret control flags")?;
    w.bytes(16, "tag")?;
    w.means("identifies the image in requests");
    if w.offset() != size as usize {
        w.warn(format!("the header says it has {size} bytes, its parts have {}", w.offset()));
    }
    w.trailing("header")
}

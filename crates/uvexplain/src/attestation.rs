//! The attestation request (ARCB) and the file that carries it and its response.

use crate::frame;
use crate::walker::Walker;
use uvtypes::ReadError;

const FLAGS: [(u32, &str); 5] = [
    (1, "nonce"),
    (2, "host-key hash of the image"),
    (3, "host-key hash of the request"),
    (4, "secret-store hash"),
    (5, "firmware state"),
];

/// The optional parts of the additional data by their flag: bit, size, name.
const ADDITIONAL: [(u32, usize, &str); 4] = [
    (2, 32, "host-key hash of the image"),
    (3, 32, "host-key hash of the request"),
    (4, 64, "secret-store hash"),
    (5, 320, "firmware state"),
];

pub(crate) fn walk_request(w: &mut Walker<'_>) -> Result<(), ReadError> {
    walk_flagged_request(w).map(drop)
}

fn walk_flagged_request(w: &mut Walker<'_>) -> Result<u64, ReadError> {
    w.magic(8)?;
    let frame = frame::walk(w)?;
    let flags = w.flags("flags", &FLAGS)?;
    let algorithm = w.u32("measurement algorithm")?;
    w.means(if algorithm == 1 { "HMAC-SHA-512" } else { "unknown" });
    w.reserved(4)?;
    w.coordinates()?;
    w.key_slots(frame.slots.into())?;
    frame::walk_end(w, &frame, "measurement key and nonce")?;
    Ok(flags)
}

pub(crate) fn walk_exchange(w: &mut Walker<'_>) -> Result<(), ReadError> {
    w.magic(8)?;
    w.version()?;
    let size = w.u32("size of the file")?;
    if size as usize > w.input().len() {
        w.warn(format!("the file says it has {size} bytes, there are {}", w.input().len()));
    }
    w.reserved(8)?;
    let mut entries = Vec::new();
    for (size_name, offset_name) in [
        ("request: size", "request: offset"),
        ("measurement: size", "measurement: offset"),
        ("additional data: size", "additional data: offset"),
        ("user data: size", "user data: offset"),
        ("CUID: size", "CUID: offset"),
    ] {
        let size = w.u32(size_name)?;
        let offset = w.u32(offset_name)?;
        w.means(match (size, offset) {
            (0, 0) => "absent",
            (_, 0) => "expected in the response",
            _ => "",
        });
        entries.push((size as usize, offset as usize));
    }
    let present = |index: usize| entries.get(index).copied().filter(|(_, offset)| *offset != 0);
    let mut flags = None;
    if let Some((size, offset)) = present(0) {
        let mut part = w.part(offset, size, "request")?;
        let result = walk_flagged_request(&mut part);
        w.adopt(part);
        flags = Some(result?);
    }
    for (index, name) in [(1, "measurement"), (3, "user data"), (4, "CUID")] {
        if let Some((size, offset)) = present(index) {
            let mut part = w.part(offset, size, name)?;
            part.bytes(size, name)?;
            w.adopt(part);
        }
    }
    if let Some((size, offset)) = present(2) {
        let mut part = w.part(offset, size, "additional data")?;
        let result = walk_additional(&mut part, flags.unwrap_or_default());
        w.adopt(part);
        result?;
    }
    Ok(())
}

fn walk_additional(w: &mut Walker<'_>, flags: u64) -> Result<(), ReadError> {
    for (bit, size, name) in ADDITIONAL {
        if flags >> (63 - bit) & 1 == 1 {
            w.bytes(size, name)?;
        }
    }
    if w.left() > 0 {
        w.bytes(w.left(), "unrecognized additional data")?;
    }
    Ok(())
}

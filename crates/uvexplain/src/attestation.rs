//! The attestation request (ARCB) and the file that carries it and its response.

use crate::frame;
use crate::walker::Walker;
use uvrequest::layouts::{ARCB, EXCHANGE, HMAC_SHA_512};
use uvtypes::ReadError;
use uvtypes::attestation::{AttestationFlags, PARTS};

/// The parts of an exchange file, in the order of their entries in its header.
const ENTRIES: [(&str, &str); 5] = [
    ("request: size", "request: offset"),
    ("measurement: size", "measurement: offset"),
    ("additional data: size", "additional data: offset"),
    ("user data: size", "user data: offset"),
    ("CUID: size", "CUID: offset"),
];

pub(crate) fn walk_request(w: &mut Walker<'_>) -> Result<(), ReadError> {
    walk_flagged_request(w).map(drop)
}

fn walk_flagged_request(w: &mut Walker<'_>) -> Result<AttestationFlags, ReadError> {
    w.bytes(8, "magic")?;
    let frame = frame::walk(w)?;
    let values = w.fields(ARCB)?;
    let known = values.number("measurement algorithm") == u64::from(HMAC_SHA_512);
    w.field_means("measurement algorithm", if known { "HMAC-SHA-512" } else { "unknown" });
    frame::walk_keys(w, &frame)?;
    frame::walk_end(w, &frame, "measurement key and nonce")?;
    Ok(AttestationFlags::from(values.number("flags")))
}

pub(crate) fn walk_exchange(w: &mut Walker<'_>) -> Result<(), ReadError> {
    let values = w.fields(EXCHANGE)?;
    let size = values.number("size of the file");
    if size > w.input().len() as u64 {
        w.warn(format!("the file says it has {size} bytes, there are {}", w.input().len()));
    }
    let mut entries = Vec::new();
    for (size_name, offset_name) in ENTRIES {
        let (size, offset) = (values.number(size_name), values.number(offset_name));
        let meaning = match (size, offset) {
            (0, 0) => "absent",
            (_, 0) => "expected in the response",
            _ => "",
        };
        w.field_means(offset_name, meaning);
        entries.push((frame::as_size(size), frame::as_size(offset)));
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

fn walk_additional(w: &mut Walker<'_>, flags: AttestationFlags) -> Result<(), ReadError> {
    for part in PARTS.iter().filter(|part| part.is_in(flags)) {
        w.bytes(part.size, part.flag.name)?;
    }
    if w.left() > 0 {
        w.bytes(w.left(), "unrecognized additional data")?;
    }
    Ok(())
}

//! The add-secret request (ASRCB).

use crate::frame;
use crate::walker::Walker;
use uvdevice::SecretKind;
use uvtypes::ReadError;

const FLAGS: [(u32, &str); 1] = [(0, "disable dump")];
const TAG_SIZE: usize = 16;

pub(crate) fn walk(w: &mut Walker<'_>) -> Result<(), ReadError> {
    w.magic(6)?;
    let user_data = w.u16("kind of user data")?;
    let (meaning, data_size) = match user_data {
        0 => ("none", 512),
        1 => ("not signed", 512),
        2 => ("signed with EC P-521", 256),
        3 => ("signed with RSA-2048", 256),
        4 => ("signed with RSA-3072", 128),
        _ => ("unknown", 512),
    };
    w.means(meaning);
    let frame = frame::walk(w)?;
    w.flags("flags", &FLAGS)?;
    w.bytes(64, "page-list digest")?;
    w.bytes(64, "address-list digest")?;
    w.bytes(64, "tweak-list digest")?;
    w.bytes(16, "SE header tag")?;
    w.means("the request is for the image with this header alone");
    let cuid = w.bytes(16, "CUID")?;
    w.means(if cuid == [0; 16] { "not bound to one boot of the guest" } else { "for this boot of the guest alone" });
    w.reserved(256)?;
    match user_data {
        0 => w.reserved(512)?,
        _ => drop(w.bytes(data_size, "user data")?),
    }
    match user_data {
        2 => {
            w.bytes(139, "signature (DER, ECDSA with SHA-512)")?;
            w.reserved(5)?;
            w.u16("size of the signature")?;
            w.reserved(110)?;
        }
        3 => drop(w.bytes(256, "signature (RSASSA-PSS with SHA-512)")?),
        4 => drop(w.bytes(384, "signature (RSASSA-PSS with SHA-512)")?),
        _ => {}
    }
    w.coordinates()?;
    w.key_slots(frame.slots.into())?;
    let begin = w.offset();
    w.reserved(2)?;
    let kind = w.u16("kind of secret")?;
    w.means(secret_kind(kind));
    w.u32("size of the secret")?;
    w.reserved(8)?;
    // Requests with a secret in them go on with its id.
    let header = frame.size.checked_sub(TAG_SIZE + begin).and_then(|rest| rest.checked_sub(frame.encrypted));
    if header.is_some_and(|header| header >= 48) {
        w.bytes(32, "secret id")?;
    }
    frame::walk_end(w, &frame, "secret and extension secret")
}

/// The name of a kind of secret, as lists show it.
pub(crate) fn secret_kind(kind: u16) -> String {
    match kind {
        0x01 => "meta: no secret".to_owned(),
        0x16 => "update of the CCK".to_owned(),
        listed => SecretKind(listed).to_string(),
    }
}

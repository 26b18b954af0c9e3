//! The add-secret request (ASRCB).

use crate::frame;
use crate::walker::Walker;
use uvrequest::layouts::{ASRCB, ASRCB_MAGIC, ASRCB_SECRET, USER_DATA};
use uvtypes::ReadError;
use uvtypes::layout::{Field, FieldKind, end};

const TAG_SIZE: usize = 16;
/// User data of a kind that is not known: its place is, its content is not.
const UNKNOWN_USER_DATA: &[Field] = &[Field::new(0, 512, "user data", FieldKind::Bytes)];

pub(crate) fn walk(w: &mut Walker<'_>) -> Result<(), ReadError> {
    let kind = w.fields(ASRCB_MAGIC)?.number("kind of user data");
    let user_data = USER_DATA.iter().find(|layout| u64::from(layout.kind) == kind);
    w.means(user_data.map_or("unknown", |layout| layout.meaning));
    let frame = frame::walk(w)?;
    let values = w.fields(ASRCB)?;
    w.field_means("SE header tag", "the request is for the image with this header alone");
    let bound = values.bytes("CUID").iter().any(|byte| *byte != 0);
    w.field_means(
        "CUID",
        if bound { "for this boot of the guest alone" } else { "not bound to one boot of the guest" },
    );
    w.fields(user_data.map_or(UNKNOWN_USER_DATA, |layout| layout.fields))?;
    frame::walk_keys(w, &frame)?;
    // Requests with a secret in them go on with its id.
    let header = frame.size.checked_sub(TAG_SIZE + w.offset()).and_then(|rest| rest.checked_sub(frame.encrypted));
    let with_id = header.is_some_and(|header| header >= end(ASRCB_SECRET));
    let (_id, without_id) = ASRCB_SECRET.split_last().unzip();
    w.fields(if with_id { ASRCB_SECRET } else { without_id.unwrap_or_default() })?;
    frame::walk_end(w, &frame, "secret and extension secret")
}

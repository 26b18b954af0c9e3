//! What a verified response says, for people and programs.

use serde::{Serialize, Serializer};
use std::fmt::Write;
use uvrequest::attest::Attested;

/// Keys and their order are those of s390-tools; JSON has the same.
#[derive(Serialize)]
pub(super) struct Report {
    cuid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    add: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    add_fields: Option<Fields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_data: Option<String>,
}

/// The parts of the additional data: key, title and value.
struct Fields(Vec<(&'static str, &'static str, String)>);

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, _, value)| (key, value)))
    }
}

impl From<&Attested<'_>> for Report {
    fn from(attested: &Attested<'_>) -> Self {
        let parts = attested.fields.parts().map(|(part, bytes)| (part.key, part.title, hex(bytes)));
        let rest = non_empty_hex(attested.fields.unrecognized()).map(|rest| ("unrecognized", "Unrecognized", rest));
        let fields = Fields(parts.chain(rest).collect());
        Self {
            cuid: attested.cuid.to_string(),
            add: non_empty_hex(attested.additional),
            add_fields: (!attested.additional.is_empty()).then_some(fields),
            user_data: non_empty_hex(attested.user_data),
        }
    }
}

impl Report {
    /// As people read it on stderr.
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("Config UID:\n{}\n", self.cuid);
        // Writing to a String cannot fail.
        if let Some(add) = &self.add {
            let _ = writeln!(text, "Additional-data:\n{add}");
        }
        if let Some(fields) = &self.add_fields {
            text.push_str("Additional-data content:\n");
            for (_, title, value) in &fields.0 {
                let _ = writeln!(text, "{title}\n{value}");
            }
            text.push('\n');
        }
        if let Some(user_data) = &self.user_data {
            let _ = writeln!(text, "user-data:\n{user_data}");
        }
        text
    }
}

fn non_empty_hex(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| hex(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

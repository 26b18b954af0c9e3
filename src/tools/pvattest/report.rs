//! What a verified response says, for people and programs.

use serde::Serialize;
use std::fmt::Write;
use uvrequest::attest::{AdditionalData, Attested};

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

#[derive(Serialize)]
struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    image_phkh: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attestation_phkh: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_store_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    firmware_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unrecognized: Option<String>,
}

impl From<&Attested<'_>> for Report {
    fn from(attested: &Attested<'_>) -> Self {
        let AdditionalData { image_host_key, attestation_host_key, secret_store_hash, firmware_state, unrecognized } =
            attested.fields;
        let fields = Fields {
            image_phkh: image_host_key.map(hex),
            attestation_phkh: attestation_host_key.map(hex),
            secret_store_hash: secret_store_hash.map(hex),
            firmware_state: firmware_state.map(hex),
            unrecognized: there(unrecognized),
        };
        Self {
            cuid: hex(attested.cuid),
            add: there(attested.additional),
            add_fields: (!attested.additional.is_empty()).then_some(fields),
            user_data: there(attested.user_data),
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
            let rows = [
                ("Image PHKH", &fields.image_phkh),
                ("Attestation PHKH", &fields.attestation_phkh),
                ("Secret store hash", &fields.secret_store_hash),
                ("Firmware state", &fields.firmware_state),
                ("Unrecognized", &fields.unrecognized),
            ];
            for (name, value) in rows {
                if let Some(value) = value {
                    let _ = writeln!(text, "{name}\n{value}");
                }
            }
            text.push('\n');
        }
        if let Some(user_data) = &self.user_data {
            let _ = writeln!(text, "user-data:\n{user_data}");
        }
        text
    }
}

fn there(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| hex(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

//! Decoded requests as YAML: what only the machine knows, for tests and for people who debug a request.

use super::{KeySlot, OpenAddSecret, OpenAttestation, Request};
use crate::Error;
use serde::Serialize;

#[derive(Serialize)]
struct AddSecretView {
    r#type: &'static str,
    version: String,
    size: u32,
    user_data_kind: u16,
    flags: String,
    pld: String,
    ald: String,
    tld: String,
    seht: String,
    cuid: String,
    reserved_zero: bool,
    user_data_area: String,
    host_key_hashes: Vec<String>,
    secret_kind: u16,
    secret_kind_name: &'static str,
    secret_len: u32,
    secret_header_len: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_id: Option<String>,
    secret: String,
    extension_secret: String,
    encrypted_len: usize,
    tag: String,
}

#[derive(Serialize)]
struct AttestationView {
    r#type: &'static str,
    version: String,
    size: u32,
    flags: String,
    mai: u32,
    host_key_hashes: Vec<String>,
    measurement_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    arpk: String,
    tag: String,
}

impl Request {
    /// Every field, **secrets included**.
    ///
    /// # Errors
    /// [`Error::Yaml`].
    pub fn to_yaml(&self) -> Result<String, Error> {
        Ok(match self {
            Self::AddSecret(request) => serde_yaml::to_string(&AddSecretView::from(&**request))?,
            Self::Attestation(request) => serde_yaml::to_string(&AttestationView::from(&**request))?,
        })
    }
}

impl From<&OpenAddSecret> for AddSecretView {
    fn from(open: &OpenAddSecret) -> Self {
        let OpenAddSecret { request, secret, extension_secret, .. } = open;
        Self {
            r#type: "add-secret",
            version: format!("{:#06x}", request.frame.version),
            size: request.frame.size,
            user_data_kind: request.user_data_kind,
            flags: format!("{:#018x}", request.flags),
            pld: hex::encode(request.page_list_digest),
            ald: hex::encode(request.address_list_digest),
            tld: hex::encode(request.tweak_list_digest),
            seht: hex::encode(request.header_tag),
            cuid: hex::encode(request.cuid),
            reserved_zero: request.reserved_zero,
            user_data_area: hex::encode(*request.user_data),
            host_key_hashes: hashes(&request.key_slots),
            secret_kind: request.secret_header.kind,
            secret_kind_name: crate::ultravisor::kind_name(request.secret_header.kind),
            secret_len: request.secret_header.length,
            secret_header_len: request.secret_header.size(),
            secret_id: request.secret_header.id.map(hex::encode),
            secret: hex::encode(secret.expose()),
            extension_secret: hex::encode(extension_secret.expose()),
            encrypted_len: request.frame.encrypted.len(),
            tag: hex::encode(request.frame.tag),
        }
    }
}

impl From<&OpenAttestation> for AttestationView {
    fn from(open: &OpenAttestation) -> Self {
        let request = &open.request;
        Self {
            r#type: "attestation",
            version: format!("{:#06x}", request.frame.version),
            size: request.frame.size,
            flags: format!("{:#018x}", request.flags),
            mai: request.algorithm,
            host_key_hashes: hashes(&request.key_slots),
            measurement_key: hex::encode(open.measurement_key.expose()),
            nonce: open.nonce.map(hex::encode),
            arpk: hex::encode(open.protection_key.expose()),
            tag: hex::encode(request.frame.tag),
        }
    }
}

fn hashes(slots: &[KeySlot]) -> Vec<String> {
    slots.iter().map(|slot| hex::encode(slot.host_key_hash)).collect()
}

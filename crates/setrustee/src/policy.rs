//! Policies in Rego that today's Trustee evaluates.

use crate::ReferenceValues;
use crate::encoding::base64url;
use crate::reference::{ATTESTATION_HOST_KEYS, IMAGE_HOST_KEYS, TAGS};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The trust claims that an attestation policy may set (draft-ietf-rats-ar4si). Any other name stops the server's worker
/// at each attestation.
pub const TRUST_CLAIMS: [&str; 8] = [
    "instance-identity",
    "configuration",
    "executables",
    "file-system",
    "hardware",
    "runtime-opaque",
    "storage-opaque",
    "sourced-data",
];

/// Place where a policy has its lists of accepted values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    /// The lists stand in the text of the policy.
    Literal,
    /// In the reference value service, where [`ReferenceValues::to_rvps`] puts them.
    Registered,
}

/// The attestation policy: `default_cpu` of the server.
///
/// A guest is affirmed if its header's tag is that of an image, and both the host key that opened the image and the one
/// that opened the request are those of machines. Everything else is a warning (executables 33, configuration 36) or a
/// contraindication (hardware 97).
pub fn attestation_policy(values: &ReferenceValues, lists: Lists) -> String {
    let mut text = String::from(
        "# Attestation policy for IBM Secure Execution, written by pvtools trustee policy.\n\
         # Upload it as 'default_cpu': the server evaluates no other policy for these guests.\n",
    );
    for image in values.images() {
        // A name must not end the comment.
        let name: String = image.name.escape_debug().collect();
        let _ = writeln!(text, "# image {name}: tag {}", hex::encode(image.tag));
    }
    text += "package policy\n\nimport rego.v1\n\n";
    text += "# Not recognised, until the rules below say otherwise.\n\
             default executables := 33\n\ndefault hardware := 97\n\ndefault configuration := 36\n\n";
    let host_keys = values.host_keys();
    for (name, registered, list) in [
        ("tags", TAGS, &values.tags()),
        ("image_host_keys", IMAGE_HOST_KEYS, &host_keys),
        ("attestation_host_keys", ATTESTATION_HOST_KEYS, &host_keys),
    ] {
        let value = match lists {
            Lists::Literal => set(list),
            Lists::Registered => format!("query_reference_value(\"{registered}\")"),
        };
        let _ = writeln!(text, "{name} := {value}\n");
    }
    text += "# The image is one of ours, opened by the key of one of our machines.\n\
             executables := 3 if {\n\tinput.se.tag in tags\n\tinput.se.image_phkh in image_host_keys\n}\n\n\
             # The machine that answered is one of ours.\n\
             hardware := 2 if {\n\tinput.se.attestation_phkh in attestation_host_keys\n}\n\n\
             # Nothing of the configuration is measured beyond the image.\n\
             configuration := 2 if {\n\tinput.se.tag in tags\n}\n\n\
             trust_claims := {\n\
             \t\"executables\": executables,\n\t\"hardware\": hardware,\n\t\"configuration\": configuration,\n";
    for claim in TRUST_CLAIMS {
        if !["executables", "hardware", "configuration"].contains(&claim) {
            let _ = writeln!(text, "\t\"{claim}\": 0,");
        }
    }
    text += "}\n";
    text
}

/// The resource policy that goes with it: resources are for Secure Execution guests alone, and only for those that every
/// appraisal affirms. The server's own default looks at no appraisal.
pub fn resource_policy() -> &'static str {
    "# Resource policy for IBM Secure Execution, written by pvtools trustee policy.\n\
     # The server's own default gives resources to every guest, whatever its attestation says.\n\
     package policy\n\nimport rego.v1\n\n\
     default allow := false\n\n\
     allow if {\n\
     \tdata.plugin == \"resource\"\n\
     \tinput.submods.cpu0[\"ear.veraison.annotated-evidence\"].se\n\
     \tnot is_sample\n\
     \tevery submod in input.submods {\n\
     \t\tsubmod[\"ear.status\"] == \"affirming\"\n\
     \t}\n\
     }\n\n\
     # Anybody can be a guest of the sample TEE.\n\
     is_sample if {\n\
     \tsome submod in input.submods\n\
     \tsubmod[\"ear.veraison.annotated-evidence\"].sample\n\
     }\n"
}

/// The body of `POST /kbs/v0/attestation-policy`: the only policy that the server evaluates for these guests.
pub fn attestation_policy_upload(policy: &str) -> Value {
    json!({ "type": "rego", "policy_id": "default_cpu", "policy": base64url(policy.as_bytes()) })
}

/// The body of `POST /kbs/v0/resource-policy`.
pub fn resource_policy_upload(policy: &str) -> Value {
    json!({ "policy": base64url(policy.as_bytes()) })
}

fn set(list: &BTreeSet<String>) -> String {
    if list.is_empty() {
        return "set()".to_owned();
    }
    let lines: String = list.iter().map(|item| format!("\t\"{item}\",\n")).collect();
    format!("{{\n{lines}}}")
}

//! Asks IBM's service whether a firmware state is one of a genuine, current firmware.

use crate::shared::http::{Client, Limits};
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uvtypes::text::shown;

/// A version of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// What the service answers; the parts that there are depend on its version.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    version: String,
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_hashes: Option<Vec<VerifiedHash>>,
}

#[derive(Deserialize, Serialize)]
struct VerifiedHash {
    hash: String,
    signature: String,
}

/// The answer is a few lines for each hash.
const LIMITS: Limits = Limits { time: Duration::from_secs(120), size: 1 << 20, redirects: 0 };

/// `None` when the firmware is valid, else why it is not.
///
/// # Errors
/// When the service cannot be asked, or does not answer as it should. A redirect is no answer: it would repeat the
/// question elsewhere without the firmware state in it.
pub(super) fn check(url: &str, version: Version, state: &[u8]) -> anyhow::Result<Option<String>> {
    let (path, number) = match version {
        Version::V1 => ("v1", "1.0"),
        Version::V2 => ("v2", "2.0"),
    };
    if !url.starts_with("https://") {
        bail!("Cannot check the firmware: '{url}' does not begin with 'https://', and only a known server is believed");
    }
    let url = format!("{}/hmrs/firmware/attestation/{path}/verify", url.trim_end_matches('/'));
    let question = serde_json::json!({ "version": number, "payload": openssl::base64::encode_block(state) });
    let client = Client::new("pvtools-pvattest", LIMITS);
    let answer = client
        .post_json(&url, &[("x-client-id", "X")], question.to_string().as_bytes())
        .context("Cannot check the firmware")?;
    if answer.status != 200 {
        bail!("Cannot check the firmware: {url} answered with HTTP status {}", answer.status);
    }
    let verdict: Verdict = serde_json::from_slice(&answer.body)
        .with_context(|| format!("Cannot check the firmware: unexpected answer from {url}"))?;
    if verdict.version != number {
        bail!("Cannot check the firmware: {url} answered in version {:?}, not {number}", verdict.version);
    }
    if verdict.valid {
        return Ok(None);
    }
    let mut text = "The firmware is not in a valid state".to_owned();
    match version {
        Version::V1 => {
            for (name, value) in [("Reason", &verdict.reason), ("ReferenceId", &verdict.reference_id)] {
                if let Some(value) = value {
                    text.push_str(&format!("\n{name}: {}", shown(value)));
                }
            }
        }
        Version::V2 => text.push_str(&format!("\n{:#}", serde_json::to_value(&verdict)?)),
    }
    Ok(Some(text))
}

//! Runtime data: what binds an evidence to the session in which it is given.

use crate::Error;
use openssl::sha::sha512;
use serde_json::Value;

/// The runtime data of a session: the challenge, and the guest's public key, to which resources are encrypted.
#[derive(Clone, Debug, PartialEq)]
pub struct RuntimeData {
    /// The challenge, exactly as the server wrote it.
    pub nonce: String,
    /// The guest's key, a JSON Web Key.
    pub tee_pubkey: Value,
    /// Evidence of other devices; empty for Secure Execution.
    pub additional_evidence: String,
}

impl RuntimeData {
    /// The `runtime-data` of `POST /kbs/v0/attest`: `nonce` and `tee-pubkey`.
    ///
    /// # Errors
    /// [`Error::Json`].
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        #[derive(serde::Deserialize)]
        struct Form {
            nonce: String,
            #[serde(rename = "tee-pubkey")]
            tee_pubkey: Value,
            #[serde(rename = "additional-evidence", default)]
            additional_evidence: String,
        }
        let form: Form = serde_json::from_slice(json).map_err(|source| Error::Json {
            what: "runtime data ('nonce' and 'tee-pubkey' of POST /kbs/v0/attest)",
            source,
        })?;
        Ok(Self { nonce: form.nonce, tee_pubkey: form.tee_pubkey, additional_evidence: form.additional_evidence })
    }

    /// SHA-512 over the canonical JSON (keys in order, no white space) of `additional-evidence`, `nonce`, `tee-pubkey`:
    /// the user data of the guest's attestation.
    pub fn digest(&self) -> [u8; 64] {
        let mut text = String::from("{\"additional-evidence\":");
        canonical(&Value::from(self.additional_evidence.as_str()), &mut text);
        text.push_str(",\"nonce\":");
        canonical(&Value::from(self.nonce.as_str()), &mut text);
        text.push_str(",\"tee-pubkey\":");
        canonical(&self.tee_pubkey, &mut text);
        text.push('}');
        sha512(text.as_bytes())
    }
}

/// Does not rely on the order in which the JSON library keeps keys, which other crates may change.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (number, (key, value)) in entries.into_iter().enumerate() {
                if number > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                canonical(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    text.push(',');
                }
                canonical(item, text);
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_over_sorted_keys_without_spaces() {
        let data = RuntimeData::parse(
            br#"{"tee-pubkey": {"kty": "RSA", "alg": "x", "n": [1, {"b": 2, "a": 1}]}, "nonce": "a\"b"}"#,
        );
        let text =
            r#"{"additional-evidence":"","nonce":"a\"b","tee-pubkey":{"alg":"x","kty":"RSA","n":[1,{"a":1,"b":2}]}}"#;
        assert_eq!(data.unwrap().digest(), sha512(text.as_bytes()));
    }
}

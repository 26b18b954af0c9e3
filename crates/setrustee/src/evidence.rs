//! The evidence: what a guest answers.

use crate::challenge::{BOOT_TAGS_SIZE, boot_tags, boot_tags_bytes};
use crate::encoding::{base64, from_base64};
use crate::{Challenge, Error, RuntimeData};
use sehdr::BootTags;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uvrequest::attest::{MEASUREMENT_SIZE, Response};

/// Bytes of the additional data: two host-key hashes.
pub(crate) const ADDITIONAL_SIZE: usize = 64;
/// Bytes of the user data: the digest of the runtime data.
pub(crate) const USER_DATA_SIZE: usize = 64;
const CUID_SIZE: usize = 16;

/// The evidence of a Secure Execution guest: a JSON object, every field base64.
///
/// | field | bytes | what |
/// |---|---|---|
/// | `measurement` | 64 | HMAC-SHA-512 of the ultravisor |
/// | `additional_data` | 64 | hash of the host key that opened the image, 32, then of the one that opened the request, 32 |
/// | `user_data` | 64 | digest of the runtime data |
/// | `cuid` | 16 | the boot of the guest |
/// | `encr_measurement_key` | size of the RSA key | returned from the challenge |
/// | `encr_request_nonce` | the same | returned from the challenge |
/// | `image_hdr_tags` | 208 | returned from the challenge: the guest measures none of it by itself |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What the ultravisor measured and the guest added.
    pub response: Response,
    /// The encrypted key of the measurement.
    pub encrypted_key: Vec<u8>,
    /// The encrypted nonce.
    pub encrypted_nonce: Vec<u8>,
    /// The image that the guest says it runs.
    pub boot_tags: BootTags,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    measurement: String,
    additional_data: String,
    user_data: String,
    cuid: String,
    encr_measurement_key: String,
    encr_request_nonce: String,
    image_hdr_tags: String,
}

/// The body of `POST /kbs/v0/attest`, as far as it matters here.
#[derive(Deserialize)]
struct Attest {
    #[serde(rename = "runtime-data")]
    runtime_data: Value,
    #[serde(rename = "tee-evidence")]
    tee_evidence: TeeEvidence,
}

#[derive(Deserialize)]
struct TeeEvidence {
    primary_evidence: Value,
    #[serde(default)]
    additional_evidence: String,
}

impl Evidence {
    /// The answer of a guest to `challenge`.
    pub fn new(challenge: &Challenge, response: Response) -> Self {
        Self {
            response,
            encrypted_key: challenge.encrypted_key.clone(),
            encrypted_nonce: challenge.encrypted_nonce.clone(),
            boot_tags: challenge.boot_tags.clone(),
        }
    }

    /// The JSON text, in the order of the fields above.
    pub fn to_json(&self) -> String {
        let form = Form {
            measurement: base64(&self.response.measurement),
            additional_data: base64(&self.response.additional),
            user_data: base64(&self.response.user_data),
            cuid: base64(&self.response.cuid),
            encr_measurement_key: base64(&self.encrypted_key),
            encr_request_nonce: base64(&self.encrypted_nonce),
            image_hdr_tags: base64(&boot_tags_bytes(&self.boot_tags)),
        };
        // Texts alone: that cannot fail.
        serde_json::to_string(&form).unwrap_or_default()
    }

    /// An evidence, or a whole body of `POST /kbs/v0/attest`, which then also gives the runtime data.
    ///
    /// # Errors
    /// [`Error::Json`], [`Error::Base64`], [`Error::FieldSize`].
    pub fn parse(json: &[u8]) -> Result<(Self, Option<RuntimeData>), Error> {
        let wrong = |source| Error::Json { what: "the evidence of a Secure Execution guest", source };
        let value: Value = serde_json::from_slice(json).map_err(wrong)?;
        if value.get("tee-evidence").is_none() {
            // From the text: a value keeps one of two fields with one name.
            return Ok((Self::from_form(serde_json::from_slice(json).map_err(wrong)?)?, None));
        }
        let attest: Attest = serde_json::from_value(value).map_err(wrong)?;
        let mut runtime_data = RuntimeData::parse(attest.runtime_data.to_string().as_bytes())?;
        runtime_data.additional_evidence = attest.tee_evidence.additional_evidence;
        // Some clients write the object, some its text.
        let form = match attest.tee_evidence.primary_evidence {
            Value::String(text) => serde_json::from_str(&text),
            other => serde_json::from_value(other),
        };
        Ok((Self::from_form(form.map_err(wrong)?)?, Some(runtime_data)))
    }

    fn from_form(form: Form) -> Result<Self, Error> {
        let bytes = |field, text: &str| from_base64(text).ok_or(Error::Base64(field));
        let sized = |field, text: &str, size: usize| {
            let bytes = bytes(field, text)?;
            let found = bytes.len();
            let wrong = Error::FieldSize { field, expected: size.to_string(), found };
            if found == size { Ok(bytes) } else { Err(wrong) }
        };
        let mut cuid = [0; CUID_SIZE];
        cuid.copy_from_slice(&sized("cuid", &form.cuid, CUID_SIZE)?);
        Ok(Self {
            response: Response {
                measurement: sized("measurement", &form.measurement, MEASUREMENT_SIZE)?,
                additional: sized("additional_data", &form.additional_data, ADDITIONAL_SIZE)?,
                user_data: sized("user_data", &form.user_data, USER_DATA_SIZE)?,
                cuid,
            },
            encrypted_key: bytes("encr_measurement_key", &form.encr_measurement_key)?,
            encrypted_nonce: bytes("encr_request_nonce", &form.encr_request_nonce)?,
            boot_tags: boot_tags(&sized("image_hdr_tags", &form.image_hdr_tags, BOOT_TAGS_SIZE)?)?,
        })
    }
}

//! The challenge: what the server sends to a guest that wants to attest.

use crate::encoding::{base64, from_base64};
use crate::{Error, PublicHalf};
use hostkey::{HostKeyHash, TrustedHostKey};
use sehdr::BootTags;
use serde::{Deserialize, Serialize};
use uvrequest::attest::{AdditionalData, AttestationFlags, AttestationRequest, MEASUREMENT_SIZE, MeasurementSecrets};
use uvtypes::Reader;

/// Bytes of the key of a measurement.
pub const MEASUREMENT_KEY_SIZE: usize = 64;
/// Bytes of the nonce.
pub const NONCE_SIZE: usize = 16;
/// Page-list, address-list and tweak-list digest of the header, 64 bytes each, and its tag, 16 bytes.
pub(crate) const BOOT_TAGS_SIZE: usize = 3 * 64 + 16;

/// What Trustee's verifier asks for: the hashes of the host keys that opened the image and the request.
pub(crate) fn flags() -> AttestationFlags {
    AttestationFlags::NONCE.with(AttestationFlags::IMAGE_HOST_KEY).with(AttestationFlags::ATTESTATION_HOST_KEY)
}

/// The challenge of Trustee's Secure Execution verifier: a JSON object that stands as text in the `nonce` of the answer to
/// `POST /kbs/v0/auth`.
///
/// | field | JSON | what |
/// |---|---|---|
/// | `request_blob` | base64 | attestation request, 320 bytes and 80 for each host key |
/// | `measurement_size` | number | 64 |
/// | `additional_size` | number | 64 |
/// | `encr_measurement_key` | base64 | the 64-byte key of the measurement, encrypted with RSA |
/// | `encr_request_nonce` | base64 | the 16-byte nonce, the same way |
/// | `image_hdr_tags` | base64 | digests and tag of the server's header, 208 bytes |
/// | `runtime_data_digest` | base64, absent from the server | filled in by the guest |
///
/// The server keeps nothing: the guest returns both ciphertexts, and the private key opens them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The attestation request.
    pub request: Vec<u8>,
    /// The encrypted key of the measurement.
    pub encrypted_key: Vec<u8>,
    /// The encrypted nonce.
    pub encrypted_nonce: Vec<u8>,
    /// The image that the server expects.
    pub boot_tags: BootTags,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    request_blob: String,
    measurement_size: usize,
    additional_size: usize,
    encr_measurement_key: String,
    encr_request_nonce: String,
    image_hdr_tags: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    runtime_data_digest: Option<String>,
}

impl Challenge {
    /// A challenge for the guests of the image with `boot_tags` on these machines, as Trustee makes it.
    ///
    /// # Errors
    /// [`Error::Request`], [`Error::OpenSsl`].
    pub fn new(boot_tags: BootTags, host_keys: &[TrustedHostKey], rsa: &PublicHalf) -> Result<Self, Error> {
        let (request, arpk) = AttestationRequest::new(flags()).seal(host_keys).map_err(Error::Request)?;
        let secrets = MeasurementSecrets::open(&request, &arpk).map_err(Error::Request)?;
        Ok(Self {
            encrypted_key: rsa.encrypt(secrets.key.expose())?,
            encrypted_nonce: rsa.encrypt(secrets.nonce.expose())?,
            request,
            boot_tags,
        })
    }

    /// The JSON text, in the order of the fields above.
    pub fn to_json(&self) -> String {
        let form = Form {
            request_blob: base64(&self.request),
            measurement_size: MEASUREMENT_SIZE,
            additional_size: AdditionalData::size(flags()),
            encr_measurement_key: base64(&self.encrypted_key),
            encr_request_nonce: base64(&self.encrypted_nonce),
            image_hdr_tags: base64(&boot_tags_bytes(&self.boot_tags)),
            runtime_data_digest: None,
        };
        // Texts and numbers alone: that cannot fail.
        serde_json::to_string(&form).unwrap_or_default()
    }

    /// A challenge of a server.
    ///
    /// # Errors
    /// [`Error::Json`], [`Error::Base64`], [`Error::FieldSize`], [`Error::FieldValue`], [`Error::Request`].
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        let form: Form = serde_json::from_slice(json)
            .map_err(|source| Error::Json { what: "a challenge of Trustee's Secure Execution verifier", source })?;
        for (field, found, expected) in [
            ("measurement_size", form.measurement_size, MEASUREMENT_SIZE),
            ("additional_size", form.additional_size, AdditionalData::size(flags())),
        ] {
            if found != expected {
                return Err(Error::FieldValue { field, expected, found });
            }
        }
        let bytes = |field, text: &str| from_base64(text).ok_or(Error::Base64(field));
        let challenge = Self {
            request: bytes("request_blob", &form.request_blob)?,
            encrypted_key: bytes("encr_measurement_key", &form.encr_measurement_key)?,
            encrypted_nonce: bytes("encr_request_nonce", &form.encr_request_nonce)?,
            boot_tags: boot_tags(&bytes("image_hdr_tags", &form.image_hdr_tags)?)?,
        };
        challenge.host_keys()?;
        Ok(challenge)
    }

    /// The machines that can answer.
    ///
    /// # Errors
    /// [`Error::Request`].
    pub fn host_keys(&self) -> Result<Vec<HostKeyHash>, Error> {
        uvrequest::attest::key_slots(&self.request).map_err(Error::Request)
    }
}

/// The tags as challenge and evidence have them.
pub(crate) fn boot_tags_bytes(tags: &BootTags) -> Vec<u8> {
    [&tags.page_list_digest[..], &tags.address_list_digest, &tags.tweak_list_digest, &tags.tag].concat()
}

pub(crate) fn boot_tags(bytes: &[u8]) -> Result<BootTags, Error> {
    let wrong =
        || Error::FieldSize { field: "image_hdr_tags", expected: BOOT_TAGS_SIZE.to_string(), found: bytes.len() };
    let mut reader = Reader::new(bytes);
    let tags = (|| {
        Ok::<_, uvtypes::ReadError>(BootTags {
            page_list_digest: reader.array("page-list digest")?,
            address_list_digest: reader.array("address-list digest")?,
            tweak_list_digest: reader.array("tweak-list digest")?,
            tag: reader.array("tag")?,
        })
    })()
    .map_err(|_| wrong())?;
    reader.finish("image_hdr_tags").map_err(|_| wrong())?;
    Ok(tags)
}

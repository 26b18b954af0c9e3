//! Is an evidence what a guest of ours would give? And if not, which part of it is not?

use crate::challenge::{MEASUREMENT_KEY_SIZE, NONCE_SIZE};
use crate::{Challenge, Error, Evidence, MeasurementKeyPair};

use openssl::memcmp;
use sehdr::BootTags;
use serde::Serialize;
use std::fmt;
use uvrequest::attest::Response;
use uvtypes::{Cuid, HostKeyHash, SecretBox};

/// What an evidence is compared with. What is not given is not compared.
#[derive(Clone, Debug, Default)]
pub struct Expectations<'a> {
    /// The images that a guest may run: at least one.
    pub images: Vec<BootTags>,
    /// The machines that a guest may run on.
    pub host_keys: Vec<HostKeyHash>,
    /// The challenge that the guest answers.
    pub challenge: Option<&'a Challenge>,
    /// The digest of the runtime data of the session.
    pub runtime_data: Option<[u8; 64]>,
    /// The boot of the guest.
    pub cuid: Option<Cuid>,
}

/// A part of an evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The measurement itself.
    Measurement,
    /// The hashes of the host keys.
    AdditionalData,
    /// The digest of the runtime data.
    UserData,
    /// The boot of the guest.
    Cuid,
    /// The encrypted key of the measurement.
    EncrMeasurementKey,
    /// The encrypted nonce.
    EncrRequestNonce,
    /// The image that the guest runs, by its boot tags.
    ImageHdrTags,
}

impl Part {
    /// All parts, in the order in which they are compared.
    pub const ALL: [Self; 7] = [
        Self::Measurement,
        Self::AdditionalData,
        Self::UserData,
        Self::Cuid,
        Self::EncrMeasurementKey,
        Self::EncrRequestNonce,
        Self::ImageHdrTags,
    ];

    /// The name of the field.
    pub fn field(self) -> &'static str {
        match self {
            Self::Measurement => "measurement",
            Self::AdditionalData => "additional_data",
            Self::UserData => "user_data",
            Self::Cuid => "cuid",
            Self::EncrMeasurementKey => "encr_measurement_key",
            Self::EncrRequestNonce => "encr_request_nonce",
            Self::ImageHdrTags => "image_hdr_tags",
        }
    }
}

/// A part that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Part of the evidence that differs.
    pub part: Part,
    /// Parts that may be the cause instead: nothing tells them apart.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub or: Vec<Part>,
    /// The difference, as a sentence.
    pub problem: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part.field(), self.problem)
    }
}

/// Claims of an evidence as the verifier gives them to a policy: lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Claims {
    /// The boot of the guest.
    pub cuid: String,
    /// A constant of the verifier.
    pub version: u32,
    /// The host key that opened the image.
    pub image_phkh: String,
    /// The host key that opened the request.
    pub attestation_phkh: String,
    /// The tag of the SE header.
    pub tag: String,
    /// The user data; the verifier calls it `report_data` once it is compared.
    pub report_data: String,
}

impl Claims {
    /// What an evidence claims, verified or not.
    pub fn of(evidence: &Evidence) -> Self {
        let Response { additional, user_data, cuid, .. } = &evidence.response;
        let (image, attestation) = additional.split_at(32.min(additional.len()));
        Self {
            cuid: format!("{cuid:x}"),
            version: 256,
            image_phkh: hex::encode(image),
            attestation_phkh: hex::encode(attestation),
            tag: hex::encode(evidence.boot_tags.tag),
            report_data: hex::encode(user_data),
        }
    }
}

/// Outcome of the verification of an evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Claims of the evidence, verified or not.
    pub claims: Claims,
    /// Differences from what is expected; none if the evidence is verified.
    pub differences: Vec<Difference>,
}

impl Verdict {
    /// Whether the guest is what it claims to be, and that is what is expected.
    pub fn is_verified(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Judges an evidence. Trustee's verifier makes a part of these checks: it compares the tags with nothing.
///
/// # Errors
/// [`Error::NoImages`]; [`Error::OpenSsl`] when the measurement cannot be computed.
pub fn verify(evidence: &Evidence, rsa: &MeasurementKeyPair, expected: &Expectations<'_>) -> Result<Verdict, Error> {
    let Some(first) = expected.images.first() else { return Err(Error::NoImages) };
    let mut judge = Judge { evidence, expected, differences: Vec::new() };
    // The same guest if everything were as expected: what else is wrong shows in its measurement.
    let mut should = evidence.response.clone();
    let image = if expected.images.contains(&evidence.boot_tags) { &evidence.boot_tags } else { first };
    judge.compare_tags(image);
    judge.compare_host_keys(&mut should);
    if let Some(digest) = expected.runtime_data.filter(|digest| evidence.response.user_data != digest) {
        judge.differs(Part::UserData, "it is not the digest of the runtime data: another session, or another key");
        should.user_data = digest.to_vec();
    }
    if let Some(cuid) = expected.cuid.filter(|cuid| evidence.response.cuid != *cuid) {
        judge.differs(Part::Cuid, "it is another boot of the guest, or another guest");
        should.cuid = cuid;
    }
    let key = judge.open(Part::EncrMeasurementKey, rsa, MEASUREMENT_KEY_SIZE);
    let nonce = judge.open(Part::EncrRequestNonce, rsa, NONCE_SIZE);
    if let (Some(key), Some(nonce)) = (key, nonce) {
        let nonce: Option<&[u8; NONCE_SIZE]> = nonce.expose().first_chunk();
        let fits = |response: &Response, tags: &BootTags| -> Result<bool, Error> {
            let calculated = uvrequest::attest::measurement(key.expose(), nonce, response, tags);
            let calculated = calculated.map_err(Error::Request)?;
            let given = &evidence.response.measurement;
            Ok(calculated.len() == given.len() && memcmp::eq(&calculated, given))
        };
        judge.judge_measurement(fits(&evidence.response, &evidence.boot_tags)?, fits(&should, image)?);
    }
    judge.differences.sort_by_key(|difference| difference.part);
    Ok(Verdict { claims: Claims::of(evidence), differences: judge.differences })
}

struct Judge<'a> {
    evidence: &'a Evidence,
    expected: &'a Expectations<'a>,
    differences: Vec<Difference>,
}

impl Judge<'_> {
    fn differs(&mut self, part: Part, problem: impl Into<String>) {
        self.differences.push(Difference { part, or: Vec::new(), problem: problem.into() });
    }

    fn compare_tags(&mut self, image: &BootTags) {
        let own = &self.evidence.boot_tags;
        let fields = [
            ("page-list digest", own.page_list_digest != image.page_list_digest),
            ("address-list digest", own.address_list_digest != image.address_list_digest),
            ("tweak-list digest", own.tweak_list_digest != image.tweak_list_digest),
            ("tag", own.tag != image.tag),
        ];
        let differing: Vec<_> = fields.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
        if !differing.is_empty() {
            let problem = format!("{} differ from the image: it is another image", differing.join(", "));
            self.differs(Part::ImageHdrTags, problem);
        }
    }

    /// A hash that should be another one is put right if there is but one that it can be.
    fn compare_host_keys(&mut self, should: &mut Response) {
        let allowed = &self.expected.host_keys;
        let asked = self.expected.challenge.and_then(|challenge| challenge.host_keys().ok()).unwrap_or_default();
        for (number, what) in ["opened the image", "opened the request"].into_iter().enumerate() {
            let Some(hash) = should.additional.get_mut(32 * number..32 * (number + 1)) else { continue };
            let among =
                |list: &[HostKeyHash]| list.is_empty() || list.iter().any(|host_key| host_key.as_bytes() == &*hash);
            let fault = match (among(allowed), number == 0 || among(&asked)) {
                (false, _) => "is not among those given",
                (true, false) => "is not among those that the challenge was made for",
                (true, true) => continue,
            };
            let problem = format!("the host key that {what} ({}) {fault}", hex::encode(&*hash));
            let known = if allowed.is_empty() { &asked } else { allowed };
            if let [only] = known.as_slice() {
                hash.copy_from_slice(only.as_bytes());
            }
            self.differs(Part::AdditionalData, problem);
        }
    }

    /// Opens a ciphertext: that of the challenge if there is one, for it is known to be good.
    fn open(&mut self, part: Part, rsa: &MeasurementKeyPair, size: usize) -> Option<SecretBox<Vec<u8>>> {
        let (own, asked) = if part == Part::EncrMeasurementKey {
            (&self.evidence.encrypted_key, self.expected.challenge.map(|challenge| &challenge.encrypted_key))
        } else {
            (&self.evidence.encrypted_nonce, self.expected.challenge.map(|challenge| &challenge.encrypted_nonce))
        };
        let differs = asked.is_some_and(|asked| asked != own);
        if differs {
            self.differs(part, "it is not the one of the challenge: it was changed, or answers another challenge");
        }
        let plain = rsa.decrypt(asked.unwrap_or(own)).filter(|plain| plain.expose().len() == size);
        if plain.is_none() && !differs {
            let problem =
                format!("the RSA key does not open it as {size} bytes: it was made with another pair, or was changed");
            self.differs(part, problem);
        }
        plain
    }

    /// `as_given` is whether the measurement fits what the evidence says, `as_expected` whether it fits what it should say.
    fn judge_measurement(&mut self, as_given: bool, as_expected: bool) {
        // One that fits what the evidence says is genuine; that it says the wrong things is already known.
        if as_given || as_expected {
            return;
        }
        let named = |part| self.differences.iter().any(|difference| difference.part == part);
        let unknown = |part: &Part| match part {
            Part::Measurement => false,
            Part::Cuid => self.expected.cuid.is_none(),
            Part::UserData => self.expected.runtime_data.is_none(),
            Part::AdditionalData => self.expected.host_keys.len() != 1,
            Part::EncrMeasurementKey | Part::EncrRequestNonce => self.expected.challenge.is_none(),
            Part::ImageHdrTags => false,
        };
        let or: Vec<_> = Part::ALL.into_iter().filter(|part| unknown(part) && !named(*part)).collect();
        let fields: Vec<_> = or.iter().map(|part| part.field()).collect();
        let problem = if fields.is_empty() {
            "it is not that of such a guest".to_owned()
        } else {
            format!("it is not that of such a guest: it was changed, or one of {}", fields.join(", "))
        };
        self.differences.push(Difference { part: Part::Measurement, or, problem });
    }
}

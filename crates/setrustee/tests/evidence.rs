//! Challenges answered by the simulator's firmware, and every way to change the answer.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use hostkey::{HostKeyDocument, HostKeyHash};
use pvsim::{InProcess, Machine};
use sehdr::{BootTags, SeHeader};
use serde_json::{Map, Value, json};
use setrustee::{
    Challenge, Difference, Error, Evidence, Expectations, MeasurementKeyPair, Part, RuntimeData, Verdict, verify,
};
use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;
use uvdevice::{AttestInput, Ultravisor, UvDevice};
use uvrequest::attest::Response;

/// One exchange between a server and a guest.
struct Session {
    rsa: MeasurementKeyPair,
    host_key: HostKeyHash,
    header: BootTags,
    challenge: Challenge,
    runtime_data: RuntimeData,
    evidence: Evidence,
}

static SESSION: LazyLock<Session> = LazyLock::new(Session::new);

impl Session {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::init(&folder.path().join("m"), None).unwrap();
        let read = |name: &str| fs::read(machine.folder().join(name)).unwrap();
        let document = HostKeyDocument::parse(&read("host.crt")).unwrap();
        let header = SeHeader::parse(&read("se.hdr")).unwrap().boot_tags().clone();
        // Smaller than Trustee's, for thousands of decryptions.
        let rsa = MeasurementKeyPair::of_bits(2048).unwrap();
        let host_key = document.hash();
        let made = Challenge::new(header.clone(), &[document.trust_unverified()], &rsa.public().unwrap()).unwrap();
        let challenge = Challenge::parse(made.to_json().as_bytes()).unwrap();
        assert_eq!(made, challenge);
        let runtime_data = json!({ "nonce": challenge.to_json(), "tee-pubkey": { "kty": "EC", "x": "1" } });
        let runtime_data = RuntimeData::parse(runtime_data.to_string().as_bytes()).unwrap();
        let evidence = answer(&machine, &challenge, &runtime_data);
        Self { rsa, host_key, header, challenge, runtime_data, evidence }
    }

    fn expected(&self) -> Expectations<'_> {
        Expectations {
            images: vec![self.header.clone()],
            host_keys: vec![self.host_key],
            challenge: Some(&self.challenge),
            runtime_data: Some(self.runtime_data.digest()),
            cuid: None,
        }
    }

    fn judge(&self, evidence: &Evidence) -> Verdict {
        verify(evidence, &self.rsa, &self.expected()).unwrap()
    }
}

fn answer(machine: &Machine, challenge: &Challenge, runtime_data: &RuntimeData) -> Evidence {
    let device = UvDevice::new(InProcess(machine.clone()));
    let digest = runtime_data.digest();
    let input =
        AttestInput { request: &challenge.request, user_data: &digest, measurement_size: 64, additional_size: 64 };
    let attested = device.attest(&input).unwrap();
    let response = Response {
        measurement: attested.measurement,
        additional: attested.additional,
        user_data: digest.to_vec(),
        cuid: attested.config_uid,
    };
    Evidence::new(challenge, response)
}

/// The parts that a verdict names, also as possible causes.
fn named(differences: &[Difference]) -> BTreeSet<Part> {
    differences.iter().flat_map(|difference| difference.or.iter().chain([&difference.part])).copied().collect()
}

#[test]
fn answer_of_the_guest_is_verified() {
    let session = &*SESSION;
    let (evidence, none) = Evidence::parse(session.evidence.to_json().as_bytes()).unwrap();
    assert_eq!((&evidence, none), (&session.evidence, None));
    let verdict = session.judge(&evidence);
    assert!(verdict.is_verified(), "{verdict:?}");
    assert_eq!(verdict.claims.tag, hex::encode(session.header.tag));
    assert_eq!(verdict.claims.image_phkh, session.host_key.to_string());
    assert_eq!(verdict.claims.attestation_phkh, session.host_key.to_string());
    // Also without anything to compare with but the image.
    let least = Expectations { images: vec![session.header.clone()], ..Expectations::default() };
    assert!(verify(&evidence, &session.rsa, &least).unwrap().is_verified());
    let nothing = Expectations::default();
    assert!(matches!(verify(&evidence, &session.rsa, &nothing), Err(Error::NoImages)));
}

#[test]
fn body_of_the_attest_call_is_taken_with_its_runtime_data() {
    let session = &*SESSION;
    let evidence: Value = serde_json::from_str(&session.evidence.to_json()).unwrap();
    for primary in [evidence.clone(), Value::from(evidence.to_string())] {
        let body = json!({
            "runtime-data": { "nonce": session.runtime_data.nonce, "tee-pubkey": session.runtime_data.tee_pubkey },
            "tee-evidence": { "primary_evidence": primary, "additional_evidence": "" },
        });
        let (parsed, runtime_data) = Evidence::parse(body.to_string().as_bytes()).unwrap();
        assert_eq!((&parsed, runtime_data.as_ref()), (&session.evidence, Some(&session.runtime_data)));
    }
}

/// The field as a changeable row of bytes.
fn field(evidence: &mut Evidence, part: Part) -> Vec<&mut [u8]> {
    let Evidence { response, encrypted_key, encrypted_nonce, boot_tags } = evidence;
    match part {
        Part::Measurement => vec![&mut response.measurement],
        Part::AdditionalData => vec![&mut response.additional],
        Part::UserData => vec![&mut response.user_data],
        Part::Cuid => vec![&mut response.cuid],
        Part::EncrMeasurementKey => vec![encrypted_key],
        Part::EncrRequestNonce => vec![encrypted_nonce],
        Part::ImageHdrTags => vec![
            &mut boot_tags.page_list_digest,
            &mut boot_tags.address_list_digest,
            &mut boot_tags.tweak_list_digest,
            &mut boot_tags.tag,
        ],
    }
}

#[test]
fn every_changed_byte_is_refused_with_its_field() {
    let session = &*SESSION;
    let mut changes = 0;
    for part in Part::ALL {
        let pieces = field(&mut session.evidence.clone(), part).len();
        for piece in 0..pieces {
            let size = field(&mut session.evidence.clone(), part)[piece].len();
            for at in 0..size {
                let mut changed = session.evidence.clone();
                field(&mut changed, part)[piece][at] ^= 1 << (at % 8);
                let verdict = session.judge(&changed);
                let parts: Vec<_> = verdict.differences.iter().map(|difference| difference.part).collect();
                // Measurement and CUID stand in one equation: nothing tells which of them was changed.
                let expected = if part == Part::Cuid { Part::Measurement } else { part };
                assert_eq!(parts, [expected], "{part:?}, byte {at}: {verdict:?}");
                assert!(named(&verdict.differences).contains(&part), "{part:?}, byte {at}: {verdict:?}");
                assert_eq!(named(&verdict.differences).len(), if expected == Part::Measurement { 2 } else { 1 });
                changes += 1;
            }
        }
    }
    assert_eq!(changes, 64 + 64 + 64 + 16 + 256 + 256 + 208);
}

#[test]
fn every_changed_byte_is_refused_also_by_those_who_know_the_image_alone() {
    let session = &*SESSION;
    let least = Expectations { images: vec![session.header.clone()], ..Expectations::default() };
    for part in Part::ALL {
        for at in (0..16).step_by(5) {
            let mut changed = session.evidence.clone();
            field(&mut changed, part)[0][at] ^= 0x40;
            let verdict = verify(&changed, &session.rsa, &least).unwrap();
            assert!(!verdict.is_verified(), "{part:?}, byte {at}");
            assert!(named(&verdict.differences).contains(&part), "{part:?}, byte {at}: {verdict:?}");
        }
    }
}

#[test]
fn every_changed_character_of_the_text_is_refused() {
    let session = &*SESSION;
    let text = session.evidence.to_json();
    let mut refused = [0; 2];
    for at in 0..text.len() {
        for flip in [0x01, 0x02, 0x20] {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= flip;
            match Evidence::parse(&changed) {
                Err(_) => refused[0] += 1,
                Ok((evidence, _)) => {
                    assert!(
                        !session.judge(&evidence).is_verified(),
                        "byte {at}: {}",
                        String::from_utf8_lossy(&changed)
                    );
                    refused[1] += 1;
                }
            }
        }
    }
    assert_eq!(refused[0] + refused[1], 3 * text.len());
    assert!(refused[1] > 1000, "{refused:?}");
}

#[test]
fn every_swap_of_two_fields_is_refused_with_one_of_them() {
    let session = &*SESSION;
    let good: Map<String, Value> = serde_json::from_str(&session.evidence.to_json()).unwrap();
    let mut swaps = 0;
    for (number, one) in Part::ALL.into_iter().enumerate() {
        for other in Part::ALL.into_iter().skip(number + 1) {
            let mut swapped = good.clone();
            swapped[one.field()] = good[other.field()].clone();
            swapped[other.field()] = good[one.field()].clone();
            match Evidence::parse(Value::from(swapped).to_string().as_bytes()) {
                Err(Error::FieldSize { field, .. }) => {
                    assert!([one.field(), other.field()].contains(&field), "{one:?}, {other:?}: {field}");
                }
                Err(error) => panic!("{one:?}, {other:?}: {error}"),
                Ok((evidence, _)) => {
                    let verdict = session.judge(&evidence);
                    let parts = named(&verdict.differences);
                    assert!(parts.contains(&one) && parts.contains(&other), "{one:?}, {other:?}: {verdict:?}");
                }
            }
            swaps += 1;
        }
    }
    assert_eq!(swaps, 21);
}

#[test]
fn guest_of_another_image_is_named_though_its_measurement_is_genuine() {
    let session = &*SESSION;
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::init(&folder.path().join("m"), None).unwrap();
    let read = |name: &str| fs::read(machine.folder().join(name)).unwrap();
    let document = HostKeyDocument::parse(&read("host.crt")).unwrap();
    let own = SeHeader::parse(&read("se.hdr")).unwrap().boot_tags().clone();
    let host_key = document.hash();
    let public = session.rsa.public().unwrap();
    let challenge = Challenge::new(session.header.clone(), &[document.trust_unverified()], &public).unwrap();
    let mut evidence = answer(&machine, &challenge, &session.runtime_data);
    evidence.boot_tags = own.clone();
    // Trustee's verifier would take this: it compares the tags with nothing.
    let expected = Expectations { images: vec![own], host_keys: vec![host_key], ..session.expected() };
    let expected = Expectations { challenge: Some(&challenge), ..expected };
    assert!(verify(&evidence, &session.rsa, &expected).unwrap().is_verified());
    let expected = Expectations { images: vec![session.header.clone()], ..expected };
    let verdict = verify(&evidence, &session.rsa, &expected).unwrap();
    let [difference] = verdict.differences.as_slice() else { panic!("{verdict:?}") };
    assert_eq!(difference.part, Part::ImageHdrTags);
    assert!(difference.problem.contains("another image"), "{difference}");
    // With the tags of the challenge, it is the measurement that does not fit.
    evidence.boot_tags = session.header.clone();
    let verdict = verify(&evidence, &session.rsa, &expected).unwrap();
    assert_eq!(verdict.differences.first().unwrap().part, Part::Measurement);
}

#[test]
fn other_session_other_pair_and_other_machine_are_named() {
    let session = &*SESSION;
    let other = RuntimeData { nonce: "another".into(), ..session.runtime_data.clone() };
    let expected = Expectations { runtime_data: Some(other.digest()), ..session.expected() };
    let parts = |expected: &Expectations<'_>, rsa: &MeasurementKeyPair| -> Vec<Part> {
        let verdict = verify(&session.evidence, rsa, expected).unwrap();
        verdict.differences.iter().map(|difference| difference.part).collect()
    };
    assert_eq!(parts(&expected, &session.rsa), [Part::UserData]);
    let expected = Expectations { host_keys: vec![HostKeyHash([7; 32])], ..session.expected() };
    assert_eq!(parts(&expected, &session.rsa), [Part::AdditionalData; 2]);
    let expected = Expectations { cuid: Some([7; 16]), ..session.expected() };
    assert_eq!(parts(&expected, &session.rsa), [Part::Cuid]);
    let pair = MeasurementKeyPair::of_bits(2048).unwrap();
    assert_eq!(parts(&session.expected(), &pair), [Part::EncrMeasurementKey, Part::EncrRequestNonce]);
}

#[test]
fn malformed_evidence_and_challenges_are_refused_by_field() {
    let good: Value = serde_json::from_str(&SESSION.evidence.to_json()).unwrap();
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        Evidence::parse(changed.to_string().as_bytes()).unwrap_err()
    };
    for part in Part::ALL {
        let name = part.field();
        assert!(matches!(with(name, json!("!")), Error::Base64(found) if found == name), "{name}");
        assert!(matches!(with(name, json!(1)), Error::Json { .. }), "{name}");
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(name);
        assert!(matches!(Evidence::parse(without.to_string().as_bytes()), Err(Error::Json { .. })), "{name}");
    }
    for (name, found) in [("measurement", 3), ("cuid", 3), ("image_hdr_tags", 3)] {
        assert!(
            matches!(with(name, json!("QUJD")), Error::FieldSize { field, found: size, .. } if field == name && size == found)
        );
    }
    let twice = SESSION.evidence.to_json().replacen('{', "{\"cuid\":\"\",", 1);
    assert!(matches!(Evidence::parse(twice.as_bytes()), Err(Error::Json { .. })));
    let challenge: Value = serde_json::from_str(&SESSION.challenge.to_json()).unwrap();
    for (name, value) in
        [("measurement_size", json!(48)), ("additional_size", json!(32)), ("image_hdr_tags", json!("QQ=="))]
    {
        let mut changed = challenge.clone();
        changed[name] = value;
        let error = Challenge::parse(changed.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains(name), "{name}: {error}");
    }
    assert!(matches!(Challenge::parse(b"{}"), Err(Error::Json { .. })));
}

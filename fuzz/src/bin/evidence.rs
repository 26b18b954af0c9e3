//! What guest and key broker exchange: challenge, runtime data, evidence.
#![no_main]

use libfuzzer_sys::fuzz_target;
use setrustee::{Challenge, Claims, Evidence, Expectations, MeasurementKeyPair, RuntimeData, verify};
use std::sync::LazyLock;

static RSA: LazyLock<MeasurementKeyPair> = LazyLock::new(|| MeasurementKeyPair::of_bits(2048).expect("a fresh pair"));

fn fuzz(bytes: &[u8]) {
    if let Ok(challenge) = Challenge::parse(bytes) {
        assert_eq!(Challenge::parse(challenge.to_json().as_bytes()).expect("what is written can be read"), challenge);
        assert!(!challenge.host_keys().expect("looked at when it was read").is_empty());
    }
    let runtime_data = RuntimeData::parse(bytes);
    if let Ok(data) = &runtime_data {
        assert_eq!(data.digest(), data.clone().digest());
    }
    let Ok((evidence, body)) = Evidence::parse(bytes) else { return };
    let (again, _) = Evidence::parse(evidence.to_json().as_bytes()).expect("what is written can be read");
    assert_eq!(again, evidence);
    let claims = Claims::of(&evidence);
    assert!(claims.tag.len() == 32 && claims.cuid.len() == 32);
    let expected = Expectations {
        images: vec![evidence.boot_tags.clone()],
        runtime_data: body.map(|data| data.digest()),
        ..Expectations::default()
    };
    // Nobody knows the pair, which lives as long as this process.
    let verdict = verify(&evidence, &RSA, &expected).expect("a verdict");
    assert!(!verdict.is_verified(), "{verdict:?}");
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));

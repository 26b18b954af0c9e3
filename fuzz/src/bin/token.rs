//! Tokens of administrators, and the PEM files of keys.
#![no_main]

use libfuzzer_sys::fuzz_target;
use setrustee::{AdminKey, MeasurementKeyPair, PublicHalf, Token};

fn fuzz(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(token) = Token::parse(text) {
            // It becomes a header of a request, which must not become two.
            assert!(token.expose().bytes().all(|byte| byte.is_ascii_graphic()), "{:?}", token.expose());
            assert_eq!(token.expose().matches('.').count(), 2);
            for now in [i64::MIN, 0, i64::MAX] {
                let _ = token.check_time(now);
            }
        }
    }
    let _ = AdminKey::from_pem(bytes);
    let public = PublicHalf::from_pem(bytes);
    if let (Ok(pair), Ok(public)) = (MeasurementKeyPair::from_pem(bytes), public) {
        let _ = pair.belongs_to(&public);
    }
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));

//! Policies, as the lint reads them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use setrustee::lint::{Kind, kind, lint};

fn fuzz(bytes: &[u8]) {
    let Ok(policy) = std::str::from_utf8(bytes) else { return };
    let _ = kind(policy);
    for kind in [Kind::Attestation, Kind::Resource] {
        for finding in lint(policy, kind) {
            let line = finding.to_string();
            assert!(!line.contains(char::is_control), "{line:?}");
            assert!(!finding.place.is_empty() && !finding.problem.is_empty());
        }
    }
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));

//! Additional data of an attestation, for every combination of flags.
#![no_main]

use libfuzzer_sys::fuzz_target;
use uvrequest::attest::AdditionalData;
use uvtypes::attestation::{AttestationFlags, PARTS};

fn fuzz(bytes: &[u8]) {
    let [choice, bytes @ ..] = bytes else { return };
    let chosen = PARTS.iter().enumerate().filter(|(bit, _)| choice >> bit & 1 == 1);
    let flags = chosen.fold(AttestationFlags::default(), |flags, (_, part)| flags.with(part.flag.into()));
    match AdditionalData::parse(bytes, flags) {
        Ok(data) => {
            assert_eq!(AdditionalData::size(flags) + data.unrecognized().len(), bytes.len());
            assert_eq!(data.parts().map(|(_, bytes)| bytes.len()).sum::<usize>(), AdditionalData::size(flags));
        }
        Err(_) => assert!(bytes.len() < AdditionalData::size(flags)),
    }
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));

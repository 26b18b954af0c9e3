//! Additional data of an attestation, for every combination of flags.

use uvrequest::attest::{AdditionalData, AttestationFlags};

pub(crate) fn fuzz(bytes: &[u8]) {
    let [choice, bytes @ ..] = bytes else { return };
    let all = [
        AttestationFlags::IMAGE_HOST_KEY,
        AttestationFlags::ATTESTATION_HOST_KEY,
        AttestationFlags::SECRET_STORE_HASH,
        AttestationFlags::FIRMWARE_STATE,
    ];
    let chosen = all.into_iter().enumerate().filter(|(bit, _)| choice >> bit & 1 == 1);
    let flags = chosen.fold(AttestationFlags::default(), |flags, (_, flag)| flags.with(flag));
    match AdditionalData::parse(bytes, flags) {
        Ok(data) => assert_eq!(AdditionalData::size(flags) + data.unrecognized.len(), bytes.len()),
        Err(_) => assert!(bytes.len() < AdditionalData::size(flags)),
    }
}

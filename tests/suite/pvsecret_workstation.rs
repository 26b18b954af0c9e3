//! pvsecret create and verify, without a guest.

use crate::recorded;
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::x509::X509;
use pvsim::HostKey;
use std::sync::LazyLock;

static HOST: LazyLock<HostKey> = LazyLock::new(|| HostKey::generate().unwrap());

/// A host-key document that nobody vouches for, in PEM.
pub(crate) fn host_key_document() -> Vec<u8> {
    let mut certificate = X509::builder().unwrap();
    certificate.set_pubkey(HOST.private_key()).unwrap();
    certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    certificate.sign(HOST.private_key(), MessageDigest::sha512()).unwrap();
    certificate.build().to_pem().unwrap()
}

#[test]
fn create_and_verify_behave_as_recorded() {
    let guest = ["add", "lock", "list", "retrieve", "retr"];
    recorded::compare("pvsecret", |argv| !argv.iter().any(|word| guest.contains(&word.as_str())));
}

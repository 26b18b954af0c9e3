//! The machine that all requests are for.

use hostkey::{HostKeyDocument, TrustedHostKey};
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private, Public};
use openssl::x509::X509;
use pvsim::HostKey;
use pvsim::image::{HeaderSecrets, header};
use std::sync::LazyLock;

/// A machine and the header of an image for it.
pub struct Machine {
    pub key: HostKey,
    pub trusted: TrustedHostKey,
    #[allow(dead_code, reason = "attestation requests are for no image")]
    pub header: Vec<u8>,
}

pub static MACHINE: LazyLock<Machine> = LazyLock::new(|| {
    let key = HostKey::generate().unwrap();
    let header = header(&[key.private_key().clone()], &HeaderSecrets::random().unwrap(), 0, 1).unwrap();
    Machine { trusted: trusted(&key), key, header }
});

pub fn trusted(host: &HostKey) -> TrustedHostKey {
    let mut certificate = X509::builder().unwrap();
    certificate.set_pubkey(host.private_key()).unwrap();
    certificate.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::from_unix(1).unwrap()).unwrap();
    certificate.sign(host.private_key(), MessageDigest::sha512()).unwrap();
    HostKeyDocument::from_certificate(certificate.build()).unwrap().trust_unverified()
}

pub fn public(key: &PKey<Private>) -> PKey<Public> {
    PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap()
}

//! The machine that all requests are for.

use hostkey::TrustedHostKey;
use openssl::pkey::{PKey, Private, Public};
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
    Machine { trusted: key.trusted().unwrap(), key, header }
});

pub fn public(key: &PKey<Private>) -> PKey<Public> {
    PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap()
}

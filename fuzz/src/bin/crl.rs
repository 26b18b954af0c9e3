//! CRLs of a real issuer's key and name with anything in them, judged by the verifier.
#![no_main]

use hostkey::{CertificateFile, Evidence, Roots, Sourced, Verifier};
use libfuzzer_sys::fuzz_target;
use openssl::x509::X509;
use pvsim::pki::{Keys, Pki, Plan};
use std::sync::LazyLock;

const NOW: i64 = 1_800_000_000;

static PKI: LazyLock<Pki> =
    LazyLock::new(|| Plan::new(&Keys::generate().expect("keys"), NOW).build().expect("certificates"));

fn source(item: &X509) -> Sourced<X509> {
    Sourced { origin: String::new(), item: item.clone() }
}

fn fuzz(bytes: &[u8]) {
    let Ok(file) = CertificateFile::parse(bytes) else { return };
    if file.crls.is_empty() {
        return;
    }
    let evidence = Evidence {
        certificates: vec![source(&PKI.signing_key.certificate), source(&PKI.intermediate.certificate)],
        crls: file.crls.into_iter().map(|item| Sourced { origin: String::new(), item }).collect(),
        roots: Roots::Given(vec![source(&PKI.root.certificate)]),
    };
    assert!(Verifier::new(&evidence, NOW).is_err(), "nobody else can sign CRLs of this chain");
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));

//! Files with certificates and CRLs, PEM or DER, and the host-key document in them.
#![no_main]

use hostkey::{CertificateFile, HostKeyDocument};
use libfuzzer_sys::fuzz_target;

fn fuzz(bytes: &[u8]) {
    let Ok(file) = CertificateFile::parse(bytes) else {
        HostKeyDocument::parse(bytes).expect_err("no certificate without its file");
        return;
    };
    let document = HostKeyDocument::parse(bytes);
    assert!(document.is_err() || !file.certificates.is_empty());
    for certificate in &file.certificates {
        let _ = hostkey::distribution_points(certificate);
        let _ = hostkey::is_signing_key(certificate);
        let _ = hostkey::show_name(certificate.subject_name());
    }
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));

//! A folder of the verifier with any file in any of its places.
#![no_main]

use libfuzzer_sys::fuzz_target;
use setrustee::verifier::{
    CERTIFICATES, CRLS, Entry, EntryKind, Folder, HEADER, HOST_KEY_DOCUMENTS, ROOT_CA, RSA_PRIVATE, RSA_PUBLIC, check,
};

/// From November 2026, when the seeds were valid.
const NOW: i64 = 1_795_000_000;

fn fuzz(bytes: &[u8]) {
    let [place, bytes @ ..] = bytes else { return };
    let hkd = format!("{HOST_KEY_DOCUMENTS}/a");
    let (certificate, crl) = (format!("{CERTIFICATES}/a"), format!("{CRLS}/a"));
    let places = [&hkd, &certificate, &crl, ROOT_CA, HEADER, RSA_PRIVATE, RSA_PUBLIC, "hkds/b\u{1b}\n"];
    let path = places[usize::from(*place) % places.len()];
    let entry = |path: &str, bytes: &[u8]| Entry {
        path: path.to_owned(),
        kind: EntryKind::File,
        mode: 0o600,
        size: bytes.len() as u64,
        bytes: bytes.to_vec().into(),
    };
    // An empty root, lest that of this machine be read for every input.
    let root = entry(ROOT_CA, b"");
    let mut entries = vec![entry(path, bytes)];
    if path != ROOT_CA {
        entries.push(root);
    }
    let text = std::str::from_utf8(bytes).ok().map(|text| ("environment", text));
    let report = check(&Folder { entries }, text, NOW, 7);
    assert!(report.has_errors(), "one file alone is no folder that guests can attest with");
    for finding in &report.findings {
        assert!(!finding.to_string().contains(char::is_control));
    }
}

fuzz_target!(|bytes: &[u8]| fuzz(bytes));

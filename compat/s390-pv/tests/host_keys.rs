//! The certificate matrix, judged by IBM's library too. The suite's test leaves each situation in the folder
//! `PVTOOLS_KEEP_MATRIX` with our verdict; `.ci/compat.sh` runs both.

use s390_pv::misc::read_certs;
use s390_pv::request::{CertVerifier, HkdVerifier};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the library judges otherwise: the situation, whether the library accepts it, and why we do not follow.
const DIFFERENCES: &[(&str, bool, &str)] = &[
    ("use-usage-crls-alone", true, "a signing key whose key usage does not allow what it does"),
    ("use-usage-certificates-alone", true, "the same: it signs no CRLs"),
    ("use-usage-encipherment", true, "the same: it signs nothing"),
    ("use-extended-server-critical", true, "a critical extended key usage that is another"),
    ("use-name-constraints-of-signer", true, "name constraints of the signing key that exclude the document"),
    ("use-document-extended-critical", true, "a critical extension that nobody here understands"),
    ("use-document-name-constraints", true, "the same, meant for CAs"),
    ("lax-critical-crl", true, "a CRL with a critical extension that nobody here understands is no evidence"),
    ("lax-critical-hkd", true, "nor is a host-key document with one"),
    ("lax-der-trailing", true, "bytes behind a document are not part of it"),
    ("lax-issuer-name", true, "the document names another issuer than the key that signed it"),
    ("lax-issuer-name-akid", true, "the same, with a fitting key identifier"),
    ("lax-p256-host", true, "no request can be encrypted for such a key"),
    ("lax-p384-host", true, "no request can be encrypted for such a key"),
    ("lax-rsa3072-host", true, "no request can be encrypted for such a key"),
    ("lax-partial-crl", true, "the CRL does not cover host keys"),
    ("lax-sha1-hkd", true, "SHA-1 signatures can be forged"),
    (
        "no-crl-first-name-wins",
        false,
        "an expired CRL under one of the issuer's two names does not hide the valid one under the other",
    ),
    ("ok-chain-crl-no-next", true, "a CRL that does not say until when it is valid is never out of date"),
    ("ok-garbage-among-certs", true, "a file without a certificate is a mistake of the user's"),
    ("own-chain-crl-sha1", true, "SHA-1 signatures can be forged"),
    ("own-crl-sha1", true, "SHA-1 signatures can be forged"),
    ("signer-twice", false, "naming one certificate twice is not ambiguous"),
];

struct Situation {
    folder: PathBuf,
    lines: Vec<(String, String)>,
}

impl Situation {
    fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("situation")).unwrap();
        let lines = text.lines().map(|line| {
            let (role, name) = line.split_once(' ').unwrap();
            (role.to_owned(), name.to_owned())
        });
        Self { lines: lines.collect(), folder: folder.to_owned() }
    }

    fn paths(&self, role: &str) -> Vec<PathBuf> {
        self.lines.iter().filter(|(found, _)| found == role).map(|(_, name)| self.folder.join(name)).collect()
    }

    fn accepted_by_us(&self) -> bool {
        self.lines.iter().any(|(role, verdict)| role == "verdict" && verdict == "accepted")
    }

    /// As `pvverify` of s390-tools uses the library.
    fn accepted_by_the_library(&self) -> Result<(), String> {
        let text = |error: &dyn std::fmt::Debug| format!("{error:?}");
        let verifier = CertVerifier::new(&self.paths("cert"), &self.paths("crl"), self.paths("root").first(), true)
            .map_err(|e| text(&e))?;
        for document in self.paths("hkd") {
            let bytes = fs::read(&document).map_err(|e| text(&e))?;
            let certificates = read_certs(&bytes).map_err(|e| text(&e))?;
            let first = certificates.first().ok_or("no certificate")?;
            verifier.verify(first).map_err(|e| text(&e))?;
        }
        Ok(())
    }
}

#[test]
fn every_verdict_is_that_of_the_library_or_a_known_difference() {
    let Some(folder) = std::env::var_os("PVTOOLS_KEEP_MATRIX") else {
        println!("skipped: PVTOOLS_KEEP_MATRIX is not set; .ci/compat.sh sets it");
        return;
    };
    let (mut compared, mut left_out, mut wrong) = (0, 0, Vec::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let id = path.file_name().unwrap().to_string_lossy().into_owned();
        let situation = Situation::read(&path);
        // Trust in the system's store is a matter of the environment.
        if !situation.paths("store").is_empty() {
            left_out += 1;
            continue;
        }
        compared += 1;
        let theirs = situation.accepted_by_the_library();
        let ours = situation.accepted_by_us();
        let known = DIFFERENCES.iter().find(|row| row.0 == id);
        let expected = known.map_or(ours, |row| row.1);
        if theirs.is_ok() != expected || known.is_some_and(|row| row.1 == ours) {
            wrong.push(format!("{id}: ours {ours}, theirs {theirs:?}, known difference: {}", known.is_some()));
        }
    }
    println!("{compared} situations compared, {left_out} left out, {} known differences", DIFFERENCES.len());
    for (id, _, reason) in DIFFERENCES {
        println!("{id}: {reason}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 100, "only {compared}");
}

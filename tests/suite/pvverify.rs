//! pvverify: verdicts for people and programs.

use crate::recorded;
use crate::support::Scratch;
use pvsim::HostKey;
use pvsim::pki::{CertificateSpec, CrlSpec, Keys, Plan, Reason};
use std::time::{SystemTime, UNIX_EPOCH};

#[test]
fn behaves_as_recorded() {
    recorded::compare("pvverify", |_| true);
}

/// `good.crt` and `revoked.crt`, and all that is needed to tell which is which.
fn two_documents() -> Scratch {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let mut plan = Plan::new(&Keys::quick(&HostKey::generate().unwrap()).unwrap(), now);
    plan.signing_key_crl = CrlSpec { revoked: vec![(99, Reason::Unspecified)], ..plan.signing_key_crl };
    let pki = plan.build().unwrap();
    let revoked = CertificateSpec { serial: 99, ..plan.host_key.clone() }.issue(Some(&pki.signing_key)).unwrap();
    let scratch = Scratch::new();
    scratch.write("good.crt", pki.host_key_document.to_pem().unwrap());
    scratch.write("revoked.crt", revoked.certificate.to_pem().unwrap());
    scratch.write("ibm.crt", pki.signing_key.certificate.to_pem().unwrap());
    scratch.write("inter.crt", pki.intermediate.certificate.to_pem().unwrap());
    scratch.write("root.crt", pki.root.certificate.to_pem().unwrap());
    let crls = pki.crls.iter().flat_map(|crl| crl.to_pem().unwrap()).collect::<Vec<_>>();
    scratch.write("all.crl", crls);
    scratch.write("text", "some text");
    scratch
}

fn verify(scratch: &Scratch, line: &str) -> crate::support::Run {
    let trust = "-C ibm.crt -C inter.crt --root-ca root.crt --offline";
    let words: Vec<_> = line.split(' ').chain(trust.split(' ')).collect();
    scratch.run("pvverify", &words)
}

#[test]
fn every_document_gets_its_verdict() {
    let scratch = two_documents();
    let run = verify(&scratch, "-k good.crt --crl all.crl").succeeds();
    assert_eq!(run.stderr, "Use host-key document at 'good.crt'\nHost-key documents verified.\n");
    let run = verify(&scratch, "-k revoked.crt,good.crt,text,missing --crl all.crl");
    assert_eq!(run.status, 1);
    let lines: Vec<_> = run.stderr.lines().collect();
    assert!(
        lines[0].starts_with("error: Host-key verification failed: 'revoked.crt': it is revoked: since "),
        "{run:?}"
    );
    assert_eq!(lines[1], "Use host-key document at 'good.crt'");
    assert_eq!(lines[2], "error: Cannot use 'text' as host-key document: it contains no certificate");
    assert!(lines[3].contains("'missing': No such file"), "{run:?}");
    assert_eq!(lines.len(), 4, "{run:?}");
}

#[test]
fn json_has_verdict_hash_and_reason() {
    let scratch = two_documents();
    let run = verify(&scratch, "-k good.crt -k revoked.crt --crl all.crl --format json");
    assert_eq!(run.status, 1);
    let json: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((&json[0]["file"], &json[0]["verdict"]), (&"good.crt".into(), &"verified".into()));
    assert_eq!(json[0]["host_key_hash"].as_str().unwrap().len(), 66);
    assert_eq!(json[1]["verdict"], "refused");
    assert!(json[1]["reason"].as_str().unwrap().starts_with("it is revoked: since "), "{json}");
    let run = verify(&scratch, "-k good.crt --format json");
    assert_eq!(run.status, 1);
    let json: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert!(json[0]["reason"].as_str().unwrap().contains("no CRL of 'CN=pvtools test intermediate CA' was given"));
}

#[test]
fn unverified_is_never_called_verified() {
    let scratch = two_documents();
    let run = scratch.run("pvverify", &["-k", "good.crt", "--no-verify"]).succeeds();
    assert!(!run.stderr.to_lowercase().contains(" verified"), "{run:?}");
    let run = scratch.run("pvverify", &["-k", "good.crt", "--no-verify", "--format", "json"]).succeeds();
    let json: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(json[0]["verdict"], "not-verified");
}

#[test]
fn explanation_draws_the_chain_and_names_what_failed() {
    let scratch = two_documents();
    let run = verify(&scratch, "-k revoked.crt --crl all.crl --explain");
    assert_eq!(run.status, 1);
    for part in [
        "host-key document in 'revoked.crt'\n  subject   CN=pvtools test host key\n",
        "  verdict   REFUSED: it is revoked: since ",
        "IBM Z signing key in 'ibm.crt'\n",
        "certificate authority in 'inter.crt'\n",
        "trusted root in 'root.crt'\n",
        "  CRL       'all.crl', ",
    ] {
        assert!(run.stdout().contains(part), "'{part}': {}", run.stdout());
    }
    let run = verify(&scratch, "-k good.crt --explain");
    assert_eq!(run.status, 1);
    assert!(run.stdout().contains("  CRL       none of this issuer was given\n"), "{run:?}");
    assert!(run.stdout().contains("\nFAILED: Host-key verification failed: whether "), "{run:?}");
}

#[test]
fn wrong_command_lines_end_with_2() {
    let scratch = Scratch::new();
    for words in [&[][..], &["-k", "x"], &["--nonsense"], &["-k", "x", "--no-verify", "-C", "y"]] {
        assert_eq!(scratch.run("pvverify", words).status, 2, "{words:?}");
    }
    assert!(scratch.run("pvverify", &["--version"]).succeeds().stdout().starts_with("pvverify "));
}

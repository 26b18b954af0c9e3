//! Requests that other programs made (`fixtures/reference`), decoded.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use pvsim::open::Request;
use pvsim::{Error, HostKey};
use std::fs;
use std::path::{Path, PathBuf};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fixtures/reference")
}

fn host_key(vectors: &Path, name: &str) -> HostKey {
    HostKey::from_pem(&fs::read(vectors.join(format!("keys/TEST-{name}.key"))).unwrap()).unwrap()
}

/// The last host key of the command that made a vector: `-k .../keys/hostN.crt`.
fn last_host(command: &str) -> &str {
    let (before, _) = command.rsplit_once(".crt").unwrap();
    let (_, name) = before.rsplit_once("keys/").unwrap();
    name
}

#[test]
fn decodes_every_vector_as_the_independent_model_does() {
    let vectors = vectors();
    let mut count = 0;
    for entry in fs::read_dir(vectors.join("requests")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let read = |file: &str| fs::read(folder.join(file)).unwrap();
        let command = String::from_utf8(read("command")).unwrap();
        let decoded = Request::open(&read("request.bin"), &host_key(&vectors, last_host(&command))).unwrap();
        let parse = |yaml: &str| serde_yaml::from_str::<serde_yaml::Value>(yaml).unwrap();
        let (ours, theirs) = (decoded.to_yaml().unwrap(), String::from_utf8(read("expected.yaml")).unwrap());
        assert_eq!(parse(&ours), parse(&theirs), "{name}");
        count += 1;
    }
    assert!(count >= 19, "only {count} vectors");
}

#[test]
fn finds_the_protection_key_of_attestation_requests() {
    let vectors = vectors();
    for name in ["plain", "phkh", "secrets", "all"] {
        let folder = vectors.join("attestation").join(name);
        let key = host_key(&vectors, "host2");
        let arpk = fs::read(folder.join("TEST-arp.key")).unwrap();
        for file in ["request.bin", "response.bin"] {
            match Request::open(&fs::read(folder.join(file)).unwrap(), &key).unwrap() {
                Request::Attestation(open) => {
                    assert!(open.protection_key.ct_eq(&arpk), "{name}/{file}");
                    assert!(open.nonce.is_some(), "{name}/{file}");
                }
                Request::AddSecret(_) => panic!("{name}/{file}"),
            }
        }
    }
}

#[test]
fn refuses_a_vector_for_another_host() {
    let vectors = vectors();
    let request = fs::read(vectors.join("requests/association/request.bin")).unwrap();
    let error = Request::open(&request, &host_key(&vectors, "host3")).unwrap_err();
    assert!(matches!(error, Error::WrongHost(_)), "{error}");
}

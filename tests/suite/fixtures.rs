//! Known answers: requests and responses that were made once must decode to what they decoded to then.

use crate::support::{Run, product};
use openssl::pkey::{PKey, Public};
use openssl::x509::X509;
use pvsim::HostKey;
use pvsim::open::{AddSecretRequest, Request};
use std::fs;
use std::path::{Path, PathBuf};
use uvrequest::attest::Exchange;
use uvrequest::secret::AddSecretRequestView;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn read(name: &str) -> Vec<u8> {
    fs::read(folder(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Name, request, and what it must decode to.
fn requests() -> Vec<(String, Vec<u8>, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder("requests")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "req") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            found.push((name, fs::read(&path).unwrap(), fs::read_to_string(path.with_extension("yaml")).unwrap()));
        }
    }
    assert!(found.len() >= 12, "{}", found.len());
    found
}

fn certificate_for(name: &str) -> Option<PKey<Public>> {
    let key = name.strip_prefix("signed-")?;
    Some(X509::from_pem(&read(&format!("requests/{key}.crt"))).unwrap().public_key().unwrap())
}

#[test]
fn requests_decode_to_what_they_did() {
    let host = HostKey::from_pem(&read("requests/TEST-host.key")).unwrap();
    for (name, request, expected) in requests() {
        assert_eq!(Request::open(&request, &host).unwrap().to_yaml().unwrap(), expected, "{name}");
        let view = AddSecretRequestView::parse(&request).unwrap();
        view.verify_user_data(certificate_for(&name).as_ref()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn no_cut_and_no_flipped_bit_of_a_request_goes_unseen() {
    let host = HostKey::from_pem(&read("requests/TEST-host.key")).unwrap();
    for (name, request, _) in requests() {
        let key = certificate_for(&name);
        for length in 0..request.len() {
            AddSecretRequestView::parse(&request[..length]).expect_err(&name);
            AddSecretRequest::parse(&request[..length]).expect_err(&name);
        }
        for bit in 0..8 * request.len() {
            let mut flipped = request.clone();
            flipped[bit / 8] ^= 0x80 >> (bit % 8);
            // No panic for any; the firmware, which is slow, for a sample: all bytes, one bit each.
            let _ = AddSecretRequestView::parse(&flipped)
                .map_err(uvrequest::Error::from)
                .and_then(|view| view.verify_user_data(key.as_ref()).map(drop));
            if bit % 8 == (bit / 8) % 8 && bit / 8 % 4 == name.len() % 4 {
                let opened = AddSecretRequest::parse(&flipped).and_then(|request| request.open(&host).map(drop));
                assert!(opened.is_err(), "{name}: bit {bit}");
            }
        }
    }
}

#[test]
fn responses_verify_to_what_they_did() {
    for name in ["none", "all"] {
        let path = |part: &str| folder(&format!("attestation/{name}.{part}"));
        let mut command = product("pvattest");
        command.args(["verify", "-q", "-o", "-", "--hdr"]).arg(folder("attestation/se.hdr"));
        command.arg("-i").arg(path("response")).arg("-a").arg(path("TEST-arpk"));
        let run = Run::of(&mut command, b"").succeeds();
        assert_eq!(run.stdout(), fs::read_to_string(path("expected.yaml")).unwrap(), "{name}");
        for part in ["request", "response"] {
            let bytes = fs::read(path(part)).unwrap();
            assert_eq!(Exchange::parse(&bytes).unwrap().to_bytes(), bytes, "{name}.{part}");
            for length in 0..bytes.len() {
                Exchange::parse(&bytes[..length]).expect_err(&format!("{name}.{part}: {length} bytes"));
            }
        }
    }
}

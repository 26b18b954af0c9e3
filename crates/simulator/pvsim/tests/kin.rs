//! Machines that have things in common with others.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use openssl::x509::X509;
use pvsim::{Kin, Machine};
use std::fs;
use std::path::Path;

fn certificate(folder: &Path, name: &str) -> X509 {
    X509::from_pem(&fs::read(folder.join(name)).unwrap()).unwrap()
}

#[test]
fn another_image_is_another_guest_of_the_same_machine() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
    let first = Machine::init(&one, None).unwrap();
    let second = Machine::init_among(&two, None, &Kin { machine: Some(one.clone()), ..Kin::default() }).unwrap();
    assert_eq!(first.platform().host_key.hash(), second.platform().host_key.hash());
    assert_ne!(first.platform().image.tag, second.platform().image.tag);
    for file in ["host.key", "host.crt", "root-ca.crt", "signing-key.crl"] {
        assert_eq!(fs::read(one.join(file)).unwrap(), fs::read(two.join(file)).unwrap(), "{file}");
    }
    Machine::open(&two).unwrap();
}

#[test]
fn authorities_vouch_for_several_machines() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
    Machine::init(&one, None).unwrap();
    Machine::init_among(&two, None, &Kin { authorities: Some(one.clone()), ..Kin::default() }).unwrap();
    let signing_key = certificate(&one, "signing-key.crt");
    for machine in [&one, &two] {
        let document = certificate(machine, "host.crt");
        assert!(document.verify(&signing_key.public_key().unwrap()).unwrap());
    }
    let serial = |folder| certificate(folder, "host.crt").serial_number().to_bn().unwrap();
    assert_ne!(serial(&one), serial(&two));
    assert_ne!(fs::read(one.join("host.key")).unwrap(), fs::read(two.join("host.key")).unwrap());
    assert_eq!(fs::read(one.join("root-ca.crl")).unwrap(), fs::read(two.join("root-ca.crl")).unwrap());
}

#[test]
fn certificates_say_where_crls_are_if_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
    let kin = Kin { crl_address: Some("http://127.0.0.1:9/crls/".into()), ..Kin::default() };
    Machine::init_among(&one, None, &kin).unwrap();
    Machine::init(&two, None).unwrap();
    let rows = [
        ("host.crt", "signing-key.crl"),
        ("signing-key.crt", "intermediate.crl"),
        ("intermediate.crt", "root-ca.crl"),
        ("root-ca.crt", "root-ca.crl"),
    ];
    for (file, crl) in rows {
        let points = certificate(&one, file).crl_distribution_points().unwrap();
        let names = points.iter().next().unwrap().distpoint().unwrap().fullname().unwrap();
        assert_eq!(
            names.iter().next().unwrap().uri(),
            Some(format!("http://127.0.0.1:9/crls/{crl}").as_str()),
            "{file}"
        );
        assert!(certificate(&two, file).crl_distribution_points().is_none(), "{file}");
    }
}

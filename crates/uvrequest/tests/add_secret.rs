//! Add-secret requests, built here and opened by the simulator's firmware, which shares no code with the
//! builder but the byte reader.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use hostkey::TrustedHostKey;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private, Public};
use openssl::rsa::Rsa;
use openssl::x509::X509;
use proptest::prelude::*;
use pvsim::HostKey;
use pvsim::open::{AddSecretRequest as Firmware, OpenAddSecret};
use sehdr::BootTags;
use std::sync::LazyLock;
use uvrequest::Error;
use uvrequest::secret::{
    AddSecretRequest, AddSecretRequestView, Cck, ExtensionSecret, GuestSecret, RetrievableSecret, SigningKey, UserData,
    VerifiedUserData,
};
use uvtypes::flags::add_secret::DISABLE_DUMP;
use uvtypes::{Cuid, RetrievableType, SecretId, SecretKind};

static HOST: LazyLock<(HostKey, TrustedHostKey)> = LazyLock::new(|| {
    let host = HostKey::generate().unwrap();
    let trusted = host.trusted().unwrap();
    (host, trusted)
});

fn tags() -> BootTags {
    BootTags { page_list_digest: [1; 64], address_list_digest: [2; 64], tweak_list_digest: [3; 64], tag: [4; 16] }
}

fn ec_key(curve: Nid) -> PKey<Private> {
    PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap()).unwrap()
}

fn pem(key: &PKey<Private>) -> Vec<u8> {
    key.private_key_to_pem_pkcs8().unwrap()
}

fn public(key: &PKey<Private>) -> PKey<Public> {
    PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap()
}

fn open(request: &[u8]) -> OpenAddSecret {
    Firmware::parse(request).unwrap().open(&HOST.0).unwrap()
}

fn seal(request: &AddSecretRequest) -> Vec<u8> {
    request.seal(std::slice::from_ref(&HOST.1)).unwrap()
}

/// Every kind of secret with its number and its stored form.
fn secrets() -> Vec<(GuestSecret, u16, Vec<u8>)> {
    let id = SecretId::of_name("name");
    let retrievable = |secret| GuestSecret::Retrievable { id, secret };
    let bytes = |size: usize| (0..size).map(|at| at as u8 ^ 0x5a).collect::<Vec<_>>();
    let mut secrets = vec![
        (GuestSecret::Meta, 1, vec![]),
        (GuestSecret::Association { id, secret: [7; 32].into() }, 2, vec![7; 32]),
        (GuestSecret::UpdateCck(Cck::try_from(&[9; 32][..]).unwrap()), 0x16, vec![9; 32]),
    ];
    for size in [0, 1, 13, 14, 15, 8190] {
        let mut stored = [&(size as u16).to_be_bytes()[..], &bytes(size)].concat();
        stored.resize(stored.len().next_multiple_of(16), 0);
        secrets.push((retrievable(RetrievableSecret::new(RetrievableType::Plain, &bytes(size)).unwrap()), 3, stored));
    }
    let keys: [(RetrievableType, usize, u16); 7] = [
        (RetrievableType::Aes, 16, 4),
        (RetrievableType::Aes, 24, 5),
        (RetrievableType::Aes, 32, 6),
        (RetrievableType::AesXts, 32, 7),
        (RetrievableType::AesXts, 64, 8),
        (RetrievableType::HmacSha, 64, 9),
        (RetrievableType::HmacSha, 128, 10),
    ];
    for (sort, size, kind) in keys {
        secrets.push((retrievable(RetrievableSecret::new(sort, &bytes(size)).unwrap()), kind, bytes(size)));
    }
    for (curve, kind, size) in [(Nid::X9_62_PRIME256V1, 17, 32), (Nid::SECP384R1, 18, 48), (Nid::SECP521R1, 19, 80)] {
        let key = ec_key(curve);
        let stored = key.ec_key().unwrap().private_key().to_vec_padded(size).unwrap();
        secrets.push((
            retrievable(RetrievableSecret::new(RetrievableType::Ec, &pem(&key)).unwrap()),
            kind,
            stored.clone(),
        ));
        let der = key.ec_key().unwrap().private_key_to_der().unwrap();
        secrets.push((retrievable(RetrievableSecret::new(RetrievableType::Ec, &der).unwrap()), kind, stored));
    }
    for (key, kind, size) in [(PKey::generate_ed25519().unwrap(), 20, 32), (PKey::generate_ed448().unwrap(), 21, 64)] {
        let raw = key.raw_private_key().unwrap();
        let stored = [&vec![0; size - raw.len()], &raw[..]].concat();
        secrets.push((retrievable(RetrievableSecret::new(RetrievableType::Ec, &pem(&key)).unwrap()), kind, stored));
    }
    secrets
}

/// Every kind of user data with its number, the data's size, and the key that checks it.
fn user_data() -> Vec<(UserData, u16, usize, Option<PKey<Public>>)> {
    let mut rows = vec![(UserData::None, 0, 0, None), (UserData::Unsigned(b"data".to_vec()), 1, 512, None)];
    let rsa = |bits| PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
    for (key, kind, size) in [(ec_key(Nid::SECP521R1), 2, 256), (rsa(2048), 3, 256), (rsa(3072), 4, 128)] {
        for data in [vec![], b"data".to_vec(), vec![0xdd; size]] {
            let signing = SigningKey::from_pem_or_der(&pem(&key)).unwrap();
            rows.push((UserData::Signed { data, key: signing }, kind, size, Some(public(&key))));
        }
    }
    rows
}

#[test]
fn firmware_reads_what_was_asked_for_every_kind() {
    let cck = Cck::try_from(&[0xcc; 32][..]).unwrap();
    // HKDF-SHA-512(IKM 32 x cc, salt 16 x 04, info "IBM Z Ultravisor Add-Secret"), computed with Python's
    // hmac module.
    let derived = hex::decode("a64c258304fd4be30d0657928e0417e006688a2de798729ccc1a20248b0df128").unwrap();
    let extensions = [
        (None, vec![0; 32]),
        (Some(ExtensionSecret::try_from(&[0xee; 32][..]).unwrap()), vec![0xee; 32]),
        (Some(ExtensionSecret::from_cck(&cck, &tags()).unwrap()), derived),
    ];
    let user_data = user_data();
    for (number, (secret, kind, stored)) in secrets().into_iter().enumerate() {
        assert_eq!(secret.kind().number(), kind);
        // Of the signed kinds, each secret meets one of: no data, some, as much as fits.
        let rows = user_data.iter().enumerate().filter(|(at, row)| row.1 < 2 || (at + number) % 3 == 0);
        for (data, data_kind, size, key) in rows.map(|(_, row)| row.clone()) {
            for (extension, extension_bytes) in &extensions {
                let mut request = AddSecretRequest::new(tags(), secret.clone())
                    .flags(DISABLE_DUMP.mask())
                    .bind_to(Cuid::from([5; 16]))
                    .user_data(data.clone())
                    .unwrap();
                if let Some(extension) = extension {
                    request = request.extension_secret(extension.clone());
                }
                let bytes = seal(&request);
                let opened = open(&bytes);
                let name = format!("kind {kind}, user data {data_kind}, extension {extension:?}");
                assert!(opened.secret.ct_eq(&stored), "{name}");
                assert!(opened.extension_secret.ct_eq(extension_bytes), "{name}");
                let fields = &opened.request;
                assert_eq!((fields.user_data_kind, fields.secret_header.kind), (data_kind, kind), "{name}");
                assert_eq!(fields.secret_header.length as usize, stored.len(), "{name}");
                assert_eq!((fields.flags, fields.cuid, fields.reserved_zero), (1 << 63, [5; 16], true), "{name}");
                assert_eq!((fields.page_list_digest, fields.tweak_list_digest), ([1; 64], [3; 64]), "{name}");
                assert_eq!((fields.address_list_digest, fields.header_tag), ([2; 64], [4; 16]), "{name}");
                let view = AddSecretRequestView::parse(&bytes).unwrap();
                let verified = view.verify_user_data(key.as_ref()).unwrap_or_else(|error| panic!("{name}: {error}"));
                match verified {
                    VerifiedUserData::None => assert_eq!(data_kind, 0),
                    VerifiedUserData::Unsigned(data) | VerifiedUserData::Signed(data) => assert_eq!(data.len(), size),
                }
            }
        }
    }
}

#[test]
fn sizes_are_those_of_the_format() {
    let hosts = vec![HOST.1.clone(); 255];
    let meta = AddSecretRequest::new(tags(), GuestSecret::Meta);
    assert_eq!(meta.seal(&hosts[..1]).unwrap().len(), 1352);
    assert_eq!(meta.seal(&hosts).unwrap().len(), 1352 + 254 * 80);
    for count in [0, 256] {
        let hosts = vec![HOST.1.clone(); count];
        assert!(matches!(meta.seal(&hosts), Err(Error::HostKeyCount(n)) if n == count));
    }
}

#[test]
fn each_host_opens_the_request_and_the_slots_keep_their_order() {
    let hosts: Vec<_> = (0..5).map(|_| HostKey::generate().unwrap()).collect();
    let trusted: Vec<_> = hosts.iter().map(|host| host.trusted().unwrap()).collect();
    let request = AddSecretRequest::new(tags(), GuestSecret::Meta).seal(&trusted).unwrap();
    for host in &hosts {
        Firmware::parse(&request).unwrap().open(host).unwrap();
    }
    Firmware::parse(&request).unwrap().open(&HOST.0).expect_err("another machine");
    let slots = Firmware::parse(&request).unwrap().key_slots;
    let hashes: Vec<_> = slots.iter().map(|slot| slot.host_key_hash).collect();
    assert_eq!(hashes, hosts.iter().map(HostKey::hash).collect::<Vec<_>>());
}

#[test]
fn no_two_requests_share_key_or_iv() {
    let request = AddSecretRequest::new(tags(), GuestSecret::Meta);
    let (one, two) = (seal(&request), seal(&request));
    assert_ne!(one[0x10..0x1c], two[0x10..0x1c]);
    assert_ne!(open(&one).protection_key.expose(), open(&two).protection_key.expose());
    assert_ne!(one[0x418..0x4b8], two[0x418..0x4b8]);
}

#[test]
fn secrets_of_a_wrong_size_are_refused() {
    let rows: [(RetrievableType, &[usize]); 4] = [
        (RetrievableType::Plain, &[8191, 65536]),
        (RetrievableType::Aes, &[0, 15, 17, 23, 25, 31, 33, 64]),
        (RetrievableType::AesXts, &[0, 16, 31, 33, 48, 63, 65]),
        (RetrievableType::HmacSha, &[0, 32, 63, 65, 127, 129]),
    ];
    for (sort, sizes) in rows {
        for size in sizes {
            let result = RetrievableSecret::new(sort, &vec![1; *size]);
            assert!(matches!(result, Err(Error::SecretSize { actual, .. }) if actual == *size), "{size}");
        }
    }
    for size in [0, 31, 33] {
        assert!(Cck::try_from(&vec![0; size][..]).is_err());
        assert!(ExtensionSecret::try_from(&vec![0; size][..]).is_err());
    }
}

#[test]
fn keys_that_do_not_fit_are_refused_by_name() {
    let rsa = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
    for (key, name) in [(ec_key(Nid::SECP256K1), "secp256k1"), (rsa.clone(), "RSA 1024")] {
        let error = RetrievableSecret::new(RetrievableType::Ec, &pem(&key)).unwrap_err();
        assert!(matches!(&error, Error::Curve { found } if found.contains(name)), "{error}");
    }
    for (key, name) in [(ec_key(Nid::SECP384R1), "secp384r1"), (rsa, "RSA 1024")] {
        let error = SigningKey::from_pem_or_der(&pem(&key)).unwrap_err();
        assert!(matches!(&error, Error::SigningKey { found } if found.contains(name)), "{error}");
    }
    let locked = ec_key(Nid::SECP521R1)
        .private_key_to_pem_pkcs8_passphrase(openssl::symm::Cipher::aes_256_cbc(), b"password")
        .unwrap();
    for bytes in [&b""[..], b"text", &locked, &[0x30, 0x80]] {
        assert!(matches!(SigningKey::from_pem_or_der(bytes), Err(Error::NotAPrivateKey)));
        assert!(matches!(RetrievableSecret::new(RetrievableType::Ec, bytes), Err(Error::NotAPrivateKey)));
    }
}

#[test]
fn user_data_must_fit_its_area() {
    for (data, _, size, _) in user_data().into_iter().skip(1).step_by(2) {
        let limit = if size == 512 { 512 } else { size };
        let too_much = match data {
            UserData::Signed { key, .. } => UserData::Signed { data: vec![0; limit + 1], key },
            _ => UserData::Unsigned(vec![0; limit + 1]),
        };
        let result = AddSecretRequest::new(tags(), GuestSecret::Meta).user_data(too_much);
        assert!(matches!(result, Err(Error::UserDataSize { limit: l, .. }) if l == limit));
    }
}

#[test]
fn certificate_and_signature_must_belong_together() {
    let rows = user_data();
    let keys: Vec<_> = rows.iter().filter_map(|row| row.3.clone()).collect();
    let other = [public(&ec_key(Nid::SECP521R1)), public(&ec_key(Nid::SECP256K1))];
    for (data, kind, ..) in rows {
        let request = seal(&AddSecretRequest::new(tags(), GuestSecret::Meta).user_data(data).unwrap());
        let view = AddSecretRequestView::parse(&request).unwrap();
        match kind {
            0 => assert!(view.verify_user_data(Some(&keys[0])).is_ok()),
            1 => assert!(matches!(view.verify_user_data(Some(&keys[0])), Err(Error::CertificateWithoutSignature))),
            _ => {
                assert!(matches!(view.verify_user_data(None), Err(Error::SignatureWithoutCertificate(_))));
                let result = view.verify_user_data(Some(&other[0]));
                let expected = if kind == 2 {
                    matches!(result, Err(Error::Signature))
                } else {
                    matches!(result, Err(Error::SignatureKind { .. }))
                };
                assert!(expected, "{result:?}");
                assert!(matches!(view.verify_user_data(Some(&other[1])), Err(Error::SignatureKind { .. })));
            }
        }
    }
}

/// The requests were made by s390-tools' pvsecret.
#[test]
fn user_data_that_the_reference_signed_is_verified() {
    let vectors = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/reference"));
    for (request, key) in [
        ("signed-ec521", "ec521"),
        ("signed-ec521-no-data", "ec521"),
        ("signed-rsa2048", "rsa2048"),
        ("signed-rsa3072", "rsa3072"),
    ] {
        let bytes = std::fs::read(vectors.join(format!("requests/{request}/request.bin"))).unwrap();
        let certificate = std::fs::read(vectors.join(format!("keys/{key}.crt"))).unwrap();
        let key = X509::from_pem(&certificate).unwrap().public_key().unwrap();
        let seen = AddSecretRequestView::parse(&bytes).unwrap().verify_user_data(Some(&key));
        assert!(matches!(seen, Ok(VerifiedUserData::Signed(_))), "{request}: {seen:?}");
    }
}

#[test]
fn every_prefix_is_refused_and_every_flipped_bit_is_found() {
    for (data, kind, _, key) in user_data().into_iter().filter(|row| row.1 != 0).step_by(3) {
        let secret = GuestSecret::Association { id: SecretId::of_name("x"), secret: [1; 32].into() };
        let request = seal(&AddSecretRequest::new(tags(), secret).user_data(data).unwrap());
        for length in 0..request.len() {
            AddSecretRequestView::parse(&request[..length]).expect_err(&format!("{length} bytes"));
            Firmware::parse(&request[..length]).expect_err(&format!("{length} bytes"));
        }
        // All but the tag is under the signature, and all of it under the tag.
        for at in (0..request.len()).step_by(11) {
            let mut flipped = request.clone();
            flipped[at] ^= 1 << (at % 8);
            let firmware = Firmware::parse(&flipped).and_then(|request| request.open(&HOST.0));
            assert!(firmware.is_err(), "kind {kind}, byte {at:#x}");
            let view = AddSecretRequestView::parse(&flipped);
            let verified = view.map_err(Error::from).and_then(|view| view.verify_user_data(key.as_ref()).map(drop));
            let unseen = key.is_none() || at >= request.len() - 16;
            assert!(verified.is_err() || unseen, "kind {kind}, byte {at:#x}");
        }
    }
}

#[test]
fn sizes_that_contradict_each_other_are_named_with_their_offsets() {
    let secret = GuestSecret::Association { id: SecretId::of_name("x"), secret: [1; 32].into() };
    let request = seal(&AddSecretRequest::new(tags(), secret));
    let with = |offset: usize, bytes: &[u8]| {
        let mut changed = request.clone();
        changed[offset..offset + bytes.len()].copy_from_slice(bytes);
        changed
    };
    let rows = [
        (with(0x0b, &[1]), "request version at offset 0x8: expected 0x100, found 0x101"),
        (with(0x0c, &[0, 0, 5, 0x87]), "size of the request at offset 0xc says 1415 bytes, but there are 1416"),
        (with(0x27, &[0]), "no key slot (offset 0x27)"),
        (with(0x2c, &[0xff; 4]), "at offset 0x2c says 4294967295 bytes, but 128 bytes follow the key slots"),
        (with(0x2c, &[0, 0, 0, 0x3f]), "at offset 0x2c says 63 bytes, but 128 bytes follow the key slots"),
        (with(0x2c, &[0, 0, 0, 0x44]), "says 68 bytes, but that leaves 44 for the secret's header, which has 16 or 48"),
        (with(0x06, &[0, 5]), "kind of user data 0x0005 at offset 0x6"),
    ];
    for (changed, expected) in rows {
        let error = AddSecretRequestView::parse(&changed).expect_err(expected).to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn view_gives_what_can_be_read_without_a_key() {
    let secret = GuestSecret::Association { id: SecretId::of_name("x"), secret: [1; 32].into() };
    let request = seal(&AddSecretRequest::new(tags(), secret).bind_to(Cuid::from([8; 16])));
    let view = AddSecretRequestView::parse(&request).unwrap();
    assert_eq!(view.secret_id(), Some(SecretId::of_name("x")));
    assert_eq!(view.cuid(), Some(Cuid::from([8; 16])));
    assert_eq!(view.tag(), request[request.len() - 16..]);
    let request = seal(&AddSecretRequest::new(tags(), GuestSecret::Meta));
    let view = AddSecretRequestView::parse(&request).unwrap();
    assert_eq!((view.secret_id(), view.cuid()), (None, None));
}

#[test]
fn lists_and_files_show_these_names() {
    assert_eq!(SecretKind(6).to_string(), "AES-256-KEY");
    assert_eq!(SecretKind(21).to_string(), "EC-ED448-PRIVATE-KEY");
}

#[test]
fn nothing_secret_is_in_debug_output() {
    let secret = RetrievableSecret::new(RetrievableType::Plain, b"hunter2").unwrap();
    let secret = GuestSecret::Retrievable { id: SecretId::of_name("x"), secret };
    let extension = ExtensionSecret::try_from(&[0x61; 32][..]).unwrap();
    let request = AddSecretRequest::new(tags(), secret).extension_secret(extension);
    let shown = format!("{request:?}");
    assert!(shown.contains("[redacted]"), "{shown}");
    assert!(!shown.contains("104, 117, 110") && !shown.contains("97, 97, 97"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_plaintext_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..600), flags in any::<u64>()) {
        let secret = RetrievableSecret::new(RetrievableType::Plain, &bytes).unwrap();
        let secret = GuestSecret::Retrievable { id: SecretId::of_name("x"), secret };
        let request = seal(&AddSecretRequest::new(tags(), secret).flags(flags));
        let opened = open(&request);
        let stored = opened.secret.expose();
        prop_assert_eq!(&stored[2..2 + bytes.len()], &bytes);
        prop_assert_eq!(usize::from(u16::from_be_bytes([stored[0], stored[1]])), bytes.len());
        prop_assert_eq!(opened.request.flags, flags);
    }

    #[test]
    fn no_input_makes_the_view_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..1600), kind in 0_u8..6) {
        bytes.splice(0..0, *b"asrcbM\0");
        bytes.insert(7, kind);
        if let Ok(view) = AddSecretRequestView::parse(&bytes) {
            let _ = view.verify_user_data(None);
        }
    }
}

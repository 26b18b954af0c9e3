//! Every kind of file, whole and damaged.

use super::*;
use proptest::prelude::*;

fn be(number: u64, size: usize) -> Vec<u8> {
    number.to_be_bytes()[8 - size..].to_vec()
}

/// The frame of a request around `middle`.
fn request(magic: &[u8], slots: u8, encrypted: usize, middle: &[u8]) -> Vec<u8> {
    let size = 0x30 + middle.len() + encrypted + 16;
    let parts = [magic, &be(0x100, 4), &be(size as u64, 4), &[9; 12], &[0; 11], &[slots], &[0; 4]].concat();
    [&parts, &be(encrypted as u64, 4)[..], middle, &vec![0xee; encrypted], &[0x77; 16]].concat()
}

fn add_secret_request() -> Vec<u8> {
    let middle = [
        &be(1 << 63, 8)[..],
        &[1; 64],
        &[2; 64],
        &[3; 64],
        &[4; 16],
        &[0; 16],
        &[0; 256],
        &[0; 512],
        &[5; 160],
        &[6; 80],
        &be(2, 4),
        &be(32, 4),
        &[0; 8],
        &[8; 32],
    ];
    request(b"asrcbM\0\0", 1, 64, &middle.concat())
}

fn attestation_request() -> Vec<u8> {
    let middle = [&be(0b0111_1100 << 56, 8)[..], &be(1, 4), &[0; 4], &[5; 160], &[6; 160]];
    request(&[0; 8], 2, 80, &middle.concat())
}

fn exchange() -> Vec<u8> {
    let arcb = attestation_request();
    let parts: [&[u8]; 5] = [&arcb, &[1; 64], &[2; 32 + 32 + 64 + 320 + 3], b"user", &[3; 16]];
    let size = 0x40 + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut bytes = [&b"pvattest"[..], &be(0x100, 4), &be(size as u64, 4), &[0; 8]].concat();
    let mut offset = 0x40;
    for part in parts {
        bytes.extend(be(part.len() as u64, 4));
        bytes.extend(be(offset, 4));
        offset += part.len() as u64;
    }
    bytes.extend(parts.concat());
    bytes
}

fn secret_list() -> Vec<u8> {
    let mut bytes = [be(2, 2), be(5, 2), be(2, 2), vec![0; 10]].concat();
    for (index, kind, id) in
        [(0, 2, [0xab; 32]), (1, 6, *b"my key\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")]
    {
        bytes.extend([be(index, 2), be(kind, 2), be(32, 4), vec![0; 8], id.to_vec()].concat());
    }
    bytes
}

fn report(bytes: &[u8]) -> Report {
    explain_bytes(bytes, &[]).unwrap()
}

fn value<'a>(report: &'a Report, name: &str) -> &'a Field {
    report.fields.iter().find(|field| field.name == name).unwrap_or_else(|| panic!("no field '{name}'"))
}

/// Fields follow each other without gap or overlap from 0 to the end.
fn covers_every_byte(report: &Report, size: usize) {
    let mut end = 0;
    for field in &report.fields {
        assert_eq!(field.offset, Some(end), "{}", field.name);
        end += field.size.unwrap();
    }
    assert_eq!(end, size);
}

#[test]
fn explains_every_byte_of_each_binary_format() {
    let rows = [
        (FileKind::AddSecretRequest, add_secret_request()),
        (FileKind::AttestationRequest, attestation_request()),
        (FileKind::AttestationExchange, exchange()),
        (FileKind::SecretList, secret_list()),
    ];
    for (kind, bytes) in rows {
        let report = report(&bytes);
        assert_eq!((report.kind, report.size), (kind, bytes.len() as u64));
        assert_eq!(report.warnings, Vec::<String>::new(), "{kind}");
        covers_every_byte(&report, bytes.len());
    }
}

#[test]
fn names_flags_kinds_and_known_host_keys() {
    let known = KnownHostKey { hash: uvtypes::HostKeyHash::sha256([6; 32]), name: "z16.crt".to_owned() };
    let report = explain_bytes(&add_secret_request(), &[known]).unwrap();
    assert_eq!(value(&report, "flags").meaning, "disable dump");
    assert_eq!(value(&report, "kind of secret").meaning, "Association");
    assert_eq!(value(&report, "key slot 0: host-key hash").meaning, "host key of 'z16.crt'");
    assert_eq!(value(&report, "secret id").value, Value::Bytes(vec![8; 32]));
    let report = explain_bytes(&secret_list(), &[]).unwrap();
    assert_eq!(value(&report, "secret 1: id").meaning, "'my key'");
    let report = explain_bytes(&exchange(), &[]).unwrap();
    assert_eq!(value(&report, "firmware state").size, Some(320));
    assert_eq!(value(&report, "unrecognized additional data").value, Value::Bytes(vec![2; 3]));
}

#[test]
fn encrypted_areas_are_never_shown() {
    for bytes in [add_secret_request(), exchange()] {
        let json = serde_json::to_string(&report(&bytes)).unwrap();
        assert!(!json.contains("eeeeeeee"), "{json}");
    }
}

#[test]
fn damage_is_reported_at_its_place_with_all_that_stands_before_it() {
    for whole in [add_secret_request(), attestation_request(), exchange()] {
        for length in 12..whole.len() {
            match explain_bytes(&whole[..length], &[]) {
                Err(Error::Broken { report, source: uvtypes::ReadError::Truncated { offset, needed, left, .. } }) => {
                    assert!(needed > left, "{length}");
                    assert!(report.fields.iter().all(|field| field.offset <= Some(length)), "{length} {offset}");
                }
                other => panic!("{length}: {other:?}"),
            }
        }
    }
}

#[test]
fn unusual_contents_are_warned_of() {
    type Change = fn(&mut Vec<u8>);
    let rows: [(&str, Change, &str); 4] = [
        ("version", |b| b[10] = 2, "version 0x200 is not known"),
        ("reserved", |b| b[0x1d] = 1, "the reserved field at 0x1c is not zero"),
        ("size", |b| b[0xf] ^= 1, "the request says it has"),
        ("trailing", |b| b.push(1), "1 bytes follow the end"),
    ];
    for (name, change, expected) in rows {
        let mut bytes = add_secret_request();
        change(&mut bytes);
        let warnings = report(&bytes).warnings;
        assert!(warnings.iter().any(|warning| warning.contains(expected)), "{name}: {warnings:?}");
    }
}

#[test]
fn identity_files_are_recognised() {
    let report = report(b"!Retrievable\nkind: 6 (AES-256-KEY)\nname: my key\nid: 0xe748\n");
    assert_eq!(report.kind, FileKind::SecretIdentity);
    assert_eq!(value(&report, "name").value, Value::Text("my key".to_owned()));
    assert_eq!(value(&report, "id").value, Value::Text("0xe748".to_owned()));
}

#[test]
fn other_files_are_unknown() {
    for bytes in [&b""[..], b"hello", &[0xff; 4096], b"-----BEGIN PRIVATE KEY-----\n", b"!Other\nname: x\n"] {
        assert!(matches!(explain_bytes(bytes, &[]), Err(Error::Unknown)), "{bytes:?}");
    }
}

#[test]
fn file_that_is_too_large_is_not_read() {
    let mut file = std::io::Cursor::new(vec![1; MAX_SIZE as usize + 1]);
    assert!(matches!(explain(&mut file, &[]), Err(Error::TooLarge { .. })));
}

proptest! {
    #[test]
    fn no_input_panics(kind in 0..5_usize, mut bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let magics: [&[u8]; 5] = [b"IBMSecEx", b"asrcbM", b"pvattest", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0], b""];
        bytes.splice(0..0, magics[kind].iter().copied());
        let _ = explain_bytes(&bytes, &[]);
    }

    #[test]
    fn no_changed_byte_panics(which in 0..4_usize, at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = [add_secret_request(), attestation_request(), exchange(), secret_list()][which].clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = explain_bytes(&bytes, &[]);
    }
}

//! Attestation requests, built here and answered by the simulator's ultravisor, which shares no code with the builder
//! but the byte reader.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use proptest::prelude::*;
use pvsim::{Guest, HostKey, Machine};
use sehdr::{BootTags, SeHeader};
use std::sync::LazyLock;
use uvrequest::attest::{AdditionalData, Arpk, AttestationRequest, Exchange, Response, Verdict, secret_store_hash};
use uvrequest::{Error, FormatError};
use uvtypes::Cuid;
use uvtypes::attestation::AttestationFlags;
use uvtypes::flags::{Flag, attestation as asked};

const ALL: [AttestationFlags; 4] = [
    AttestationFlags::IMAGE_HOST_KEY,
    AttestationFlags::ATTESTATION_HOST_KEY,
    AttestationFlags::SECRET_STORE_HASH,
    AttestationFlags::FIRMWARE_STATE,
];

struct Stage {
    machine: Machine,
    guest: Guest,
    boot_tags: BootTags,
    host_keys: Vec<hostkey::TrustedHostKey>,
    _folder: tempfile::TempDir,
}

/// A machine whose host key is the last of three.
static STAGE: LazyLock<Stage> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::init(&folder.path().join("machine"), None).unwrap();
    let header = std::fs::read(machine.folder().join("se.hdr")).unwrap();
    let boot_tags = SeHeader::parse(&header).unwrap().boot_tags().clone();
    let (one, two) = (HostKey::generate().unwrap(), HostKey::generate().unwrap());
    let host_keys =
        [&one, &two, &machine.platform().host_key].into_iter().map(|host| host.trusted().unwrap()).collect();
    let guest = machine.guest().unwrap();
    Stage { machine, guest, boot_tags, host_keys, _folder: folder }
});

/// A response of the simulated guest, as a file, and the key to check it with.
fn attest(flags: AttestationFlags, user_data: &[u8], hosts: usize) -> (Vec<u8>, Arpk) {
    let stage = &*STAGE;
    let request = AttestationRequest::new(flags);
    let (sealed, key) = request.seal(&stage.host_keys[3 - hosts..]).unwrap();
    let exchange = Exchange::new(sealed, request.flags());
    assert_eq!(Exchange::parse(&exchange.to_bytes()).unwrap(), exchange);
    let mut guest = stage.guest.clone();
    let uv = pvsim::ultravisor::Ultravisor { platform: stage.machine.platform(), guest: &mut guest };
    let (measurement_size, additional_size) = (exchange.measurement_size(), exchange.additional_size());
    let attested = uv.attest(exchange.request(), user_data, measurement_size, additional_size).unwrap();
    let response = Response {
        measurement: attested.measurement,
        additional: attested.additional,
        user_data: user_data.to_vec(),
        cuid: stage.guest.cuid.0.into(),
    };
    (exchange.with_response(response).to_bytes(), key)
}

/// Whether a response is verified. Neither a mismatch nor an error is.
fn verifies(file: &[u8], key: &Arpk, tags: &BootTags) -> bool {
    let verdict =
        |exchange: &Exchange| matches!(uvrequest::attest::verify(exchange, key, tags), Ok(Verdict::Verified(_)));
    Exchange::parse(file).is_ok_and(|exchange| verdict(&exchange))
}

#[test]
fn every_combination_of_additional_data_user_data_and_host_keys_verifies() {
    for number in 0..16_u32 {
        let chosen = (0..4).filter(|bit| number >> bit & 1 == 1).map(|bit: usize| ALL[bit]);
        let flags = chosen.fold(AttestationFlags::default(), |flags, flag| flags.with(flag));
        for size in [0, 1, 255, 256] {
            for hosts in [1, 3] {
                let row = format!("additional data {number:04b}, {size} bytes of user data, {hosts} host keys");
                let user_data = vec![0xa5; size];
                let (file, key) = attest(flags, &user_data, hosts);
                let exchange = Exchange::parse(&file).unwrap();
                let verdict = uvrequest::attest::verify(&exchange, &key, &STAGE.boot_tags);
                let attested = match verdict {
                    Ok(Verdict::Verified(attested)) => *attested.claims(),
                    other => panic!("{row}: {other:?}"),
                };
                assert_eq!(attested.user_data, user_data, "{row}");
                assert_eq!(*attested.cuid.as_bytes(), STAGE.guest.cuid.0, "{row}");
                let hash = STAGE.machine.platform().host_key.hash();
                let platform = STAGE.machine.platform();
                let store = secret_store_hash(&[], false);
                let expected: [(Flag, Option<&[u8]>); 4] = [
                    (asked::IMAGE_HOST_KEY, flags.contains(ALL[0]).then_some(&hash[..])),
                    (asked::ATTESTATION_HOST_KEY, flags.contains(ALL[1]).then_some(&hash[..])),
                    (asked::SECRET_STORE_HASH, flags.contains(ALL[2]).then_some(&store[..])),
                    (asked::FIRMWARE_STATE, flags.contains(ALL[3]).then_some(&platform.firmware_state[..])),
                ];
                for (flag, bytes) in expected {
                    assert_eq!(attested.fields.part(flag), bytes, "{row}");
                }
                assert_eq!(attested.fields.parts().count() as u32, number.count_ones(), "{row}");
                assert!(attested.fields.unrecognized().is_empty(), "{row}");
            }
        }
    }
}

#[test]
fn no_response_with_a_changed_bit_verifies() {
    let flags = ALL.into_iter().fold(AttestationFlags::default(), |flags, flag| flags.with(flag));
    for (flags, user_data) in [(AttestationFlags::default(), &b""[..]), (flags, b"user data"), (flags, b"")] {
        let (file, key) = attest(flags, user_data, 1);
        assert!(verifies(&file, &key, &STAGE.boot_tags));
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut changed = file.clone();
                changed[at] ^= 1 << bit;
                assert!(!verifies(&changed, &key, &STAGE.boot_tags), "bit {bit} of byte {at:#x} of {}", file.len());
            }
        }
    }
}

#[test]
fn no_response_that_is_cut_or_longer_verifies() {
    let (file, key) = attest(ALL[0].with(ALL[3]), b"user data", 1);
    for size in 0..file.len() {
        assert!(!verifies(&file[..size], &key, &STAGE.boot_tags), "{size} of {} bytes", file.len());
        // Also when the file says so itself.
        let mut lying = file[..size].to_vec();
        if let Some(field) = lying.get_mut(0xc..0x10) {
            field.copy_from_slice(&(size as u32).to_be_bytes());
        }
        assert!(!verifies(&lying, &key, &STAGE.boot_tags), "{size} of {} bytes, and says so", file.len());
    }
    assert!(!verifies(&[file, vec![0]].concat(), &key, &STAGE.boot_tags));
}

#[test]
fn sizes_and_offsets_that_lie_are_refused() {
    let (file, _) = attest(ALL[0], b"user data", 1);
    let length = file.len() as u32;
    let (request_size, request_at) = (400_u32, 0x40_u32);
    let rows: [(&str, usize, u32); 12] = [
        ("request inside the header", 0x1c, 0x3c),
        ("request behind the end", 0x1c, length),
        ("request at the end of the numbers", 0x1c, u32::MAX),
        ("request beyond its limit", 0x18, u32::MAX),
        ("measurement over the request", 0x24, request_at + 1),
        ("measurement beyond its limit", 0x20, 0x8001),
        ("additional data over the request", 0x2c, request_at + request_size - 1),
        ("additional data of size zero with an offset", 0x28, 0),
        ("user data beyond its limit", 0x30, 257),
        ("CUID too short", 0x38, 15),
        ("CUID too long", 0x38, 17),
        ("CUID only expected", 0x3c, 0),
    ];
    assert!(Exchange::parse(&file).unwrap().response().is_ok());
    for (row, at, value) in rows {
        let mut changed = file.clone();
        changed[at..at + 4].copy_from_slice(&value.to_be_bytes());
        assert!(Exchange::parse(&changed).is_err(), "{row}");
    }
}

#[test]
fn another_key_another_image_and_another_answer_are_told_apart() {
    let (file, key) = attest(ALL[0], b"", 1);
    let (_, other_key) = attest(ALL[0], b"", 1);
    let exchange = Exchange::parse(&file).unwrap();
    let verdict =
        |exchange: &Exchange, key: &Arpk, tags: &BootTags| match uvrequest::attest::verify(exchange, key, tags) {
            Ok(Verdict::Verified(_)) => "verified",
            Ok(Verdict::Mismatch { .. }) => "mismatch",
            Err(Error::WrongArpk) => "wrong key",
            Err(error) => panic!("{error}"),
        };
    assert_eq!(verdict(&exchange, &key, &STAGE.boot_tags), "verified");
    assert_eq!(verdict(&exchange, &other_key, &STAGE.boot_tags), "wrong key");
    for field in 0..4 {
        let mut tags = STAGE.boot_tags.clone();
        match field {
            0 => tags.page_list_digest[63] ^= 1,
            1 => tags.address_list_digest[0] ^= 1,
            2 => tags.tweak_list_digest[7] ^= 1,
            _ => tags.tag[15] ^= 1,
        }
        assert_eq!(verdict(&exchange, &key, &tags), "mismatch", "field {field}");
    }
    let genuine = exchange.response().unwrap().clone();
    let short = genuine.measurement[..63].to_vec();
    let rows = [
        ("additional data", Response { additional: vec![7; 32], ..genuine.clone() }),
        ("user data", Response { user_data: vec![0], ..genuine.clone() }),
        ("CUID", Response { cuid: Cuid::default(), ..genuine.clone() }),
        ("measurement cut", Response { measurement: short, ..genuine.clone() }),
        ("measurement empty", Response { measurement: vec![], ..genuine }),
    ];
    for (row, response) in rows {
        let changed = exchange.clone().with_response(response);
        assert_eq!(verdict(&changed, &key, &STAGE.boot_tags), "mismatch", "{row}");
    }
}

#[test]
fn additional_data_that_is_too_short_is_refused_and_more_is_kept_apart() {
    let flags = ALL[0].with(ALL[2]);
    let bytes = [7; 97];
    for size in 0..96 {
        assert!(
            matches!(AdditionalData::parse(&bytes[..size], flags), Err(FormatError::AdditionalDataMissing(_))),
            "{size}"
        );
    }
    let parsed = AdditionalData::parse(&bytes, flags).unwrap();
    assert_eq!((parsed.part(asked::IMAGE_HOST_KEY), parsed.unrecognized()), (Some(&bytes[..32]), &bytes[96..]));
    assert_eq!(AdditionalData::parse(&[], AttestationFlags::default()).unwrap(), AdditionalData::default());
}

#[test]
fn secret_store_hash_depends_on_order_and_lock() {
    let hashes = [
        secret_store_hash(&[], false),
        secret_store_hash(&[], true),
        secret_store_hash(&[[1; 16], [2; 16]], true),
        secret_store_hash(&[[2; 16], [1; 16]], true),
    ];
    for (number, hash) in hashes.iter().enumerate() {
        assert!(!hashes[..number].contains(hash), "{number}");
    }
}

static SOUND: LazyLock<Vec<u8>> = LazyLock::new(|| attest(ALL[1], b"user data", 1).0);

proptest! {
    #[test]
    fn no_file_makes_a_parser_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..600), like_a_file: bool) {
        if like_a_file {
            let size = (bytes.len() as u32).to_be_bytes();
            let start = [&b"pvattest\0\0\x01\0"[..], &size].concat();
            bytes.iter_mut().zip(start).for_each(|(to, from)| *to = from);
        }
        if let Ok(exchange) = Exchange::parse(&bytes) {
            let _ = exchange.response();
        }
        let _ = AdditionalData::parse(&bytes, ALL[0].with(ALL[3]));
        // A file whose request is sound, and all else is not.
        let mut file = SOUND.clone();
        let from = file.len().min(0x20);
        file.iter_mut().skip(from).take(0x20).zip(&bytes).for_each(|(to, from)| *to = *from);
        let _ = Exchange::parse(&file);
    }

    #[test]
    fn what_is_written_is_read_again(
        measurement in prop::collection::vec(any::<u8>(), 1..100),
        additional in prop::collection::vec(any::<u8>(), 0..500),
        user_data in prop::collection::vec(any::<u8>(), 0..=256),
        cuid: [u8; 16],
    ) {
        let response = Response { measurement, additional, user_data, cuid: cuid.into() };
        let exchange = Exchange::parse(&SOUND).unwrap().with_response(response.clone());
        let parsed = Exchange::parse(&exchange.to_bytes()).unwrap();
        prop_assert_eq!(parsed.response().unwrap(), &response);
        prop_assert_eq!(parsed.request(), exchange.request());
    }
}

use super::*;
use crate::seal::{AttestDraft, Draft};
use crate::{BootImage, Platform, Settings, image};
use proptest::prelude::*;
use std::sync::LazyLock;

fn platform() -> Platform {
    let host_key = HostKey::generate().unwrap();
    let secrets = image::HeaderSecrets::random().unwrap();
    let header = image::header(&[host_key.private_key().clone()], &secrets, 0, 1).unwrap();
    let image = BootImage::open(&header, &host_key).unwrap();
    Platform { host_key, image, settings: Settings::default(), firmware_state: [0; 320] }
}

fn add_secret(platform: &Platform, bytes: &[u8]) -> OpenAddSecret {
    match Request::open(bytes, &platform.host_key).unwrap() {
        Request::AddSecret(open) => *open,
        Request::Attestation(_) => panic!("an attestation request"),
    }
}

#[test]
fn reads_every_field_of_what_was_sealed() {
    let platform = platform();
    let others = [HostKey::generate().unwrap(), HostKey::generate().unwrap()];
    for (kind, id, secret) in [(1, None, vec![]), (2, Some([3; 32]), vec![4; 32]), (3, Some([5; 32]), vec![6; 8192])] {
        let mut draft = Draft::new(&platform, kind, id, &secret);
        draft.flags = 0x8000_0000_0000_0001;
        draft.cuid = [9; 16];
        draft.extension_secret = [8; 32];
        for hosts in [vec![&platform.host_key], vec![&others[0], &platform.host_key, &others[1]]] {
            let bytes = draft.seal(&hosts).unwrap();
            let open = add_secret(&platform, &bytes);
            let request = &open.request;
            let digests = [request.page_list_digest, request.address_list_digest, request.tweak_list_digest].concat();
            assert_eq!((request.flags, request.cuid), (draft.flags, draft.cuid));
            assert_eq!((digests.as_slice(), request.header_tag), (&draft.digests[..], draft.header_tag));
            assert_eq!((request.secret_header.kind, request.secret_header.id), (kind, id));
            assert!(open.secret.ct_eq(&secret) && open.extension_secret.ct_eq(&[8; 32]));
            assert_eq!((request.frame.size as usize, request.key_slots.len()), (bytes.len(), hosts.len()));
            assert_eq!(request.frame.tag, bytes[bytes.len() - 16..]);
        }
    }
}

#[test]
fn refuses_every_cut_and_every_changed_byte() {
    let platform = platform();
    let add = Draft::new(&platform, 2, Some([1; 32]), &[2; 32]).seal(&[&platform.host_key]).unwrap();
    let attest = AttestDraft::new([1; 64], [2; 16]).seal(&[&platform.host_key]).unwrap();
    for whole in [add, attest] {
        for length in 0..whole.len() {
            assert!(Request::open(&whole[..length], &platform.host_key).is_err(), "{length} bytes");
        }
        // Everything is authenticated. Each step costs an ECDH, which emulators take their time for.
        for at in (0..whole.len()).step_by(if std::env::var_os("PVTOOLS_TEST_SCALE").is_some() { 1 } else { 5 }) {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(Request::open(&changed, &platform.host_key).is_err(), "byte {at:#x}");
        }
        assert!(Request::open(&[&whole[..], &[0]].concat(), &platform.host_key).is_err(), "one byte more");
    }
}

#[test]
fn says_what_is_wrong_in_words_and_numbers() {
    let platform = platform();
    let good = Draft::new(&platform, 2, Some([1; 32]), &[2; 32]).seal(&[&platform.host_key]).unwrap();
    let rows: [(&str, &[u8], &str); 4] = [
        ("garbage", b"garbage!garbage!", "is neither an add-secret request"),
        ("too short", &good[..20], "the request is cut"),
        ("one byte missing", &good[..good.len() - 1], "has 1416 bytes, but it has 1415"),
        ("an exchange file", b"pvattest", "the request is cut"),
    ];
    for (name, bytes, words) in rows {
        let error = Request::open(bytes, &platform.host_key).expect_err(name).to_string();
        assert!(error.contains(words), "{name}: {error}");
    }
    let stranger = HostKey::generate().unwrap();
    let error = Request::open(&good, &stranger).unwrap_err().to_string();
    assert!(error.contains(&hex::encode(stranger.hash())), "{error}");
}

static HOST_KEY: LazyLock<HostKey> = LazyLock::new(|| HostKey::generate().unwrap());

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_input_panics(which in 0..3_usize, mut bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let magics: [&[u8]; 3] = [b"asrcbM\0\0\0\0\x01\0", b"\0\0\0\0\0\0\0\0\0\0\x01\0", b"pvattest"];
        for (to, from) in bytes.iter_mut().zip(magics[which]) {
            *to = *from;
        }
        // Half of the time with a size that fits, to get further.
        if which < 2 && bytes.len() >= 16 && bytes[15] % 2 == 0 {
            let size = (bytes.len() as u32).to_be_bytes();
            bytes[12..16].copy_from_slice(&size);
        }
        prop_assert!(Request::open(&bytes, &HOST_KEY).is_err());
    }
}

//! The files that the recorded command lines name, made of our own keys by the simulator's libraries.
//!
//! Made once for each run of the tests, so no certificate ever expires. Only the RSA keys are kept, in
//! `fixtures/recorded`: making them takes long.

use crate::support::{Scratch, fixture};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Padding;
use openssl::sha::{sha256, sha512};
use openssl::sign::Signer;
use openssl::x509::X509;
use pvsim::image::{self, HeaderSecrets};
use pvsim::open::AttestationRequest;
use pvsim::pki::{Authority, CertificateSpec, CrlSpec, Keys, Plan, Reason, common_name};
use pvsim::seal::{AttestDraft, Draft, UserData};
use pvsim::{BootImage, HostKey, Platform, Settings};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// Files by their names.
#[derive(Default)]
pub(crate) struct Inputs(BTreeMap<String, Vec<u8>>);

static OURS: LazyLock<Inputs> = LazyLock::new(make);
static THEIRS: LazyLock<Inputs> = LazyLock::new(recorded);

impl Inputs {
    /// Of our own making.
    pub(crate) fn ours() -> &'static Self {
        &OURS
    }

    /// Those that the reference was run with (`fixtures/recorded/inputs`). Its boot images are kept without their zeros.
    pub(crate) fn of_the_recording() -> &'static Self {
        &THEIRS
    }

    pub(crate) fn find(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn add(&mut self, name: &str, content: impl AsRef<[u8]>) {
        let before = self.0.insert(name.to_owned(), content.as_ref().to_vec());
        assert!(before.is_none(), "{name} is made twice");
    }
}

/// The keys that more than one file is about.
struct Actors {
    now: i64,
    /// Of `hkd.crt`.
    host: HostKey,
    /// Of `hkd2.crt`.
    second_host: HostKey,
    /// Of `sign_ec.crt`, `sign_rsa2048.crt`, `sign_rsa3072.crt`.
    signers: [(&'static str, PKey<Private>); 3],
    platform: Platform,
    header: Vec<u8>,
}

fn recorded() -> Inputs {
    #[derive(Deserialize)]
    struct Image {
        size: usize,
        /// By offset, in hexadecimal.
        bytes: BTreeMap<usize, String>,
    }
    let entries = fs::read_dir(fixture("recorded/inputs")).unwrap().map(|entry| entry.unwrap());
    let files = entries.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()));
    let mut inputs = Inputs(files.collect());
    let images = inputs.0.remove("images.yaml").unwrap();
    for (name, image) in serde_yaml::from_slice::<BTreeMap<String, Image>>(&images).unwrap() {
        let mut content = vec![0; image.size];
        for (at, part) in image.bytes {
            let part = hex::decode(part).unwrap();
            content[at..][..part.len()].copy_from_slice(&part);
        }
        inputs.add(&name, content);
    }
    inputs
}

fn make() -> Inputs {
    let mut inputs = Inputs::default();
    let actors = Actors::new();
    plain_files(&mut inputs);
    keys(&mut inputs, &actors);
    certificates(&mut inputs, &actors);
    images(&mut inputs, &actors);
    add_secret_requests(&mut inputs, &actors);
    attestation(&mut inputs, &actors);
    inputs
}

impl Actors {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let (host, second_host) = (HostKey::generate().unwrap(), HostKey::generate().unwrap());
        let header = image::header(&[host.private_key().clone()], &HeaderSecrets::random().unwrap(), 0, 0).unwrap();
        let image = BootImage::open(&header, &host).unwrap();
        let settings = Settings::default();
        Self {
            now: i64::try_from(now).unwrap(),
            platform: Platform { host_key: host.clone(), image, settings, firmware_state: [b'f'; 320] },
            host,
            second_host,
            signers: [("ec", ec(Nid::SECP521R1)), ("rsa2048", rsa("rsa2048")), ("rsa3072", rsa("rsa3072"))],
            header,
        }
    }

    fn self_signed(&self, name: &str, key: &PKey<Private>) -> Vec<u8> {
        let spec = CertificateSpec::authority(common_name(name), key.clone(), 1, self.now);
        spec.issue(None).unwrap().certificate.to_pem().unwrap()
    }
}

fn ec(curve: Nid) -> PKey<Private> {
    PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap()).unwrap()
}

fn kept(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/recorded").join(format!("TEST-{name}.key"));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rsa(name: &str) -> PKey<Private> {
    PKey::private_key_from_pem(&kept(name)).unwrap()
}

fn plain_files(inputs: &mut Inputs) {
    inputs.add("empty", b"");
    inputs.add("garbage", b"neither a key nor a request: a sentence.\n");
    inputs.add("zeros", [0; 4096]);
    inputs.add("ud", b"fifteen letters");
    for size in [128, 129, 256, 512] {
        inputs.add(&format!("ud{size}"), vec![b'd'; size]);
    }
    // No byte is zero, for the sizes up to that of a key.
    for size in [16, 31, 32, 33, 64, 65, 8190, 8191] {
        inputs.add(&format!("s{size}"), (1..=size).map(|at| at as u8).collect::<Vec<_>>());
    }
    inputs.add("policy.yaml", b"rules: []\n");
    inputs.add("apcfg.yaml", b"- name: entry\n  mode: Accel\n  mingen: CEX4\n");
    inputs.add("apcfg_bad.yaml", b"- name: entry\n  mode: wrong\n");

    let cuid = hex::encode(CUID);
    inputs.add("cuid.bin", CUID);
    inputs.add("cuid.yaml", format!("cuid: '0x{cuid}'\nadd: 0x00\n"));
    inputs.add("cuid_list.yaml", format!("- cuid: '0x{cuid}'\n"));
    inputs.add("cuid_nested.yaml", format!("guest:\n  boot:\n    cuid: '0x{cuid}'\n"));
    inputs.add("cuid_noprefix.yaml", format!("cuid: '{cuid}'\n"));
    inputs.add("cuid_plain.yaml", format!("cuid: 0x{cuid}\n"));
    inputs.add("cuid_short.yaml", "cuid: '0x0011'\n");
    let id = hex::encode(sha256(b"NAME1"));
    inputs.add("assoc.yaml", format!("!Association\nname: NAME1\nid: 0x{id}\n"));
    inputs.add("retr.yaml", format!("!Retrievable\nkind: 6 (AES-256-KEY)\nname: NAME1\nid: 0x{id}\n"));
}

/// The guest of the attestations.
const CUID: [u8; 16] = [0x10, 0x21, 0x32, 0x43, 0x54, 0x65, 0x76, 0x87, 0x98, 0xa9, 0xba, 0xcb, 0xdc, 0xed, 0xfe, 0x0f];

fn keys(inputs: &mut Inputs, actors: &Actors) {
    let sec1 = |key: &PKey<Private>| key.ec_key().unwrap().private_key_to_pem().unwrap();
    inputs.add("hkd.key", sec1(actors.host.private_key()));
    let sign_ec = &actors.signers[0].1;
    inputs.add("sign_ec.key", sec1(sign_ec));
    inputs.add("sign_ec.der", sign_ec.ec_key().unwrap().private_key_to_der().unwrap());
    for bits in ["rsa2048", "rsa3072", "rsa4096"] {
        inputs.add(&format!("sign_{bits}.key"), kept(bits));
    }
    inputs.add("ec384.key", sec1(&ec(Nid::SECP384R1)));
    inputs.add("ed25519.key", PKey::generate_ed25519().unwrap().private_key_to_pem_pkcs8().unwrap());
    let p256 = ec(Nid::X9_62_PRIME256V1);
    inputs.add("ec256.key", sec1(&p256));
    inputs.add("ec256.crt", actors.self_signed("TEST P-256", &p256));
}

/// Host keys that only `--no-verify` takes, and a chain of trust as IBM's with what goes wrong in it.
fn certificates(inputs: &mut Inputs, actors: &Actors) {
    let document = actors.self_signed("TEST host key", actors.host.private_key());
    let second = actors.self_signed("TEST second host key", actors.second_host.private_key());
    inputs.add("hkd.der", X509::from_pem(&document).unwrap().to_der().unwrap());
    inputs.add("two.crt", [&*document, &second].concat());
    inputs.add("hkd.crt", document);
    inputs.add("hkd2.crt", second);
    for (name, key) in &actors.signers {
        inputs.add(&format!("sign_{name}.crt"), actors.self_signed("TEST user signing key", key));
    }

    let verified = HostKey::generate().unwrap();
    let mut plan = Plan::new(&Keys::quick(&verified).unwrap(), actors.now);
    let mut revoked = plan.host_key.clone();
    revoked.key = HostKey::generate().unwrap().private_key().clone();
    revoked.serial += 100;
    plan.signing_key_crl.revoked = vec![(revoked.serial, Reason::Unspecified)];
    let pki = plan.build().unwrap();
    let revoked = revoked.issue(Some(&pki.signing_key)).unwrap().certificate;
    let second_signing_key = CertificateSpec { key: ec(Nid::SECP384R1), serial: 103, ..plan.signing_key.clone() };
    let second_signing_key = second_signing_key.issue(Some(&pki.intermediate)).unwrap().certificate;
    let revoking = vec![(plan.signing_key.serial, Reason::Unspecified)];
    let revoking = CrlSpec { revoked: revoking, ..plan.intermediate_crl.clone() };

    let pem = |authority: &Authority| authority.certificate.to_pem().unwrap();
    inputs.add("root.crt", pem(&pki.root));
    inputs.add("inter.crt", pem(&pki.intermediate));
    inputs.add("ibm.crt", pem(&pki.signing_key));
    inputs.add("ibm2.crt", second_signing_key.to_pem().unwrap());
    inputs.add("host.crt", pki.host_key_document.to_pem().unwrap());
    inputs.add("host_rev.crt", revoked.to_pem().unwrap());
    for (name, crl) in ["root.crl", "inter.crl", "ibm.crl"].into_iter().zip(&pki.crls) {
        inputs.add(name, crl.to_pem().unwrap());
    }
    inputs.add("inter_rev.crl", revoking.sign(&pki.intermediate).unwrap().to_pem().unwrap());
}

/// A header, and images that have it on a page: the reference searches pages 0x14 to 0x17.
fn images(inputs: &mut Inputs, actors: &Actors) {
    let header = &actors.header;
    let at_pages = |pages: &[usize]| {
        let mut image = vec![0; pages[pages.len() - 1] * 0x1000];
        image.extend([0; 3 * 0x1000]);
        for page in pages {
            image[page * 0x1000..][..header.len()].copy_from_slice(header);
        }
        image
    };
    inputs.add("se.hdr", header);
    inputs.add("img", at_pages(&[0x14]));
    inputs.add("img12", at_pages(&[0x12]));
    inputs.add("img17", at_pages(&[0x17]));
    inputs.add("img18", at_pages(&[0x18]));
    inputs.add("img_two", at_pages(&[0x14, 0x15]));
    inputs.add("img_version", changed(&at_pages(&[0x14]), 0x1400a, 0x02));
}

fn add_secret_requests(inputs: &mut Inputs, actors: &Actors) {
    let meta = |user_data| {
        let draft = Draft { user_data, ..Draft::new(&actors.platform, 1, None, &[]) };
        draft.seal(&[&actors.host]).unwrap()
    };
    let data = inputs.find("ud").unwrap().to_vec();
    let unsigned = meta(UserData::Unsigned(data.clone()));
    inputs.add("asr_meta", meta(UserData::None));
    inputs.add("asr_trunc", &unsigned[..1000]);
    inputs.add("asr_tiny", &unsigned[..5]);
    inputs.add("asr_long", [&*unsigned, &[0; 8]].concat());
    inputs.add("asr_version2", changed(&unsigned, 0xa, 0x02));
    inputs.add("asr_ud", unsigned);
    // The reference refused its RSA-signed inputs, whose signatures were PKCS #1 v1.5: it wants PSS.
    for (name, key) in &actors.signers {
        let signed = meta(UserData::Signed { data: data.clone(), key: key.clone(), padding: Padding::PKCS1 });
        if *name == "ec" {
            inputs.add("asr_tampered", changed(&signed, 0x218, b'F'));
        }
        inputs.add(&format!("asr_{name}"), signed);
    }
}

/// A request, what the guest could have answered, and what it could not.
fn attestation(inputs: &mut Inputs, actors: &Actors) {
    let protection_key = *b"a protection key for tests alone";
    inputs.add("arpk.key", protection_key);
    let measurement_key = [0x6d; 64];
    let draft = AttestDraft { protection_key: Some(protection_key), ..AttestDraft::new(measurement_key, NONCE) };
    let all = [
        AttestationRequest::FLAG_NONCE,
        AttestationRequest::FLAG_IMAGE_HOST_KEY,
        AttestationRequest::FLAG_ATTESTATION_HOST_KEY,
        AttestationRequest::FLAG_SECRET_STORE,
        AttestationRequest::FLAG_FIRMWARE_STATE,
    ];
    let asking_for_all = AttestDraft { flags: all.into_iter().fold(0, |all, flag| all | flag), ..draft.clone() };
    let [plain, asking] = [draft, asking_for_all].map(|draft| draft.seal(&[&actors.host]).unwrap());

    let tag = |name| inputs.find(name).unwrap().last_chunk::<16>().unwrap();
    let store = sha512(&[&tag("asr_meta")[..], tag("asr_ud"), &[1]].concat());
    let [image_key, request_key] = [&actors.host, &actors.second_host].map(HostKey::hash);
    let additional = [&image_key[..], &request_key, &store, &actors.platform.firmware_state].concat();
    let data = inputs.find("ud").unwrap().to_vec();
    let respond = |request: &[u8], additional: &[u8], data: &[u8]| {
        let measurement = measure(&measurement_key, &actors.platform.image, data, additional);
        exchange([request, &measurement, additional, data, &CUID])
    };

    let plain_response = respond(&plain, &[], &[]);
    inputs.add("attreq", request_file(&plain, 0));
    inputs.add("resp_user", respond(&plain, &[], &data));
    inputs.add("resp_full", respond(&asking, &additional, &data));
    inputs.add("resp_extra", respond(&asking, &[&*additional, b"extra"].concat(), &[]));
    inputs.add("resp_short", respond(&asking, &additional[..40], &[]));
    inputs.add("resp_noadd", respond(&asking, &[], &[]));
    inputs.add("resp_arcbcut", respond(&plain[..100], &[], &[]));
    inputs.add("resp_version", changed(&plain_response, 0xa, 0x02));
    inputs.add("resp_bad", changed(&plain_response, 0x1d0, !plain_response[0x1d0]));
    inputs.add("resp_trunc", &plain_response[..200]);
    inputs.add("resp_tiny", &plain_response[..20]);
    inputs.add("resp", plain_response);
}

const NONCE: [u8; 16] = [0x6e; 16];

fn measure(key: &[u8], image: &BootImage, data: &[u8], additional: &[u8]) -> Vec<u8> {
    let sizes = [&(data.len() as u16).to_be_bytes()[..], &[0; 2], &(additional.len() as u32).to_be_bytes()].concat();
    let message = [&image.digests[..], &image.tag, &CUID, &sizes, data, &NONCE, additional].concat();
    let key = PKey::hmac(key).unwrap();
    Signer::new(MessageDigest::sha512(), &key).unwrap().sign_oneshot_to_vec(&message).unwrap()
}

/// An exchange file with these parts: request, measurement, additional data, user data, CUID.
fn exchange(parts: [&[u8]; 5]) -> Vec<u8> {
    let mut offset = 0x40;
    let entries = parts.map(|part| {
        let at = if part.is_empty() { 0 } else { offset };
        offset += part.len();
        (part.len(), at)
    });
    exchange_file(entries, &parts.concat())
}

/// An exchange file with a request alone, which says how long the measurement and the additional data will be.
pub(crate) fn request_file(request: &[u8], additional: usize) -> Vec<u8> {
    exchange_file([(request.len(), 0x40), (64, 0), (additional, 0), (0, 0), (0, 0)], request)
}

fn exchange_file(entries: [(usize, usize); 5], parts: &[u8]) -> Vec<u8> {
    let number = |value: usize| u32::try_from(value).unwrap().to_be_bytes();
    let mut file = [&b"pvattest"[..], &[0, 0, 1, 0], &number(0x40 + parts.len()), &[0; 8]].concat();
    for (size, offset) in entries {
        file.extend([number(size), number(offset)].concat());
    }
    file.extend(parts);
    file
}

fn changed(bytes: &[u8], at: usize, to: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    assert_ne!(bytes[at], to);
    bytes[at] = to;
    bytes
}

/// The signature is the simulator's own work, as is all of the request: the product takes it when it is sound.
#[test]
fn signed_user_data_verifies_with_pss_alone() {
    let actors = Actors::new();
    let scratch = Scratch::new();
    for (name, key) in &actors.signers {
        scratch.write("crt", actors.self_signed("TEST user signing key", key));
        for (padding, status) in [(Padding::PKCS1_PSS, 0), (Padding::PKCS1, if *name == "ec" { 0 } else { 1 })] {
            let user_data = UserData::Signed { data: b"signed".to_vec(), key: key.clone(), padding };
            let draft = Draft { user_data, ..Draft::new(&actors.platform, 1, None, &[]) };
            scratch.write("rq", draft.seal(&[&actors.host]).unwrap());
            let run = scratch.run("pvsecret", &["verify", "rq", "--user-cert", "crt", "-o", "-"]);
            assert_eq!(run.status, status, "{name} {padding:?}: {run:?}");
            assert_eq!(run.stdout.starts_with(b"signed\0"), status == 0, "{name} {padding:?}");
            pvsim::open::Request::open(&scratch.read("rq"), &actors.host).unwrap();
        }
    }
}

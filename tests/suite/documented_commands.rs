//! The workstation's command lines as IBM's documents print them, but for the names in angle brackets. Host keys are
//! verified: roots and CRLs are those of the machine, for the documents name neither.

use crate::support::{Run, Scratch, clean};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use pvsim::HostKey;
use pvsim::image::HeaderSecrets;
use pvsim::open::{AddSecretRequest, OpenAddSecret};
use pvsim::pki::Pki;
use std::fs;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

static HOST: LazyLock<HostKey> = LazyLock::new(|| HostKey::generate().unwrap());

const CCK: [u8; 32] = [0xcc; 32];
const EXTENSION_SECRET: [u8; 32] = [0xee; 32];
const CUID: &str = "00112233445566778899aabbccddeeff";

/// What a request is to hold besides.
type Holds = fn(&OpenAddSecret) -> bool;

/// `SE` stands for the beginning that "Introducing IBM Secure Execution for Linux" prints once.
const SE: &str = "pvsecret create -k z16.crt --hdr se.hdr -o addSecretReq --crt DigiCertCA.crt --crt ibm-sign.crt";

const COMMANDS: &[(&str, &[&str], Holds)] = &[
    (
        "pvsecret create -k z16.crt --hdr se.hdr -o addSecretReq -C DigiCertCA.crt -C ibm-sign.crt association \
         \"myConfidentialSecret\"",
        &["addSecretReq", "myConfidentialSecret.yaml"],
        |request| request.extension_secret.ct_eq(&[0; 32]) && request.request.cuid == [0; 16],
    ),
    (
        "pvsecret create -k z16.crt --hdr se.hdr -o my_addsecreq --crt DigiCertCA.crt --crt ibm-sign.crt association \
         \"my secret\" --output-secret my_random_secret",
        &["my_addsecreq", "my_random_secret", "my_secret.yaml"],
        |request| request.request.secret_header.kind == 2,
    ),
    (
        "pvsecret create -k z16.crt --se-hdr se.hdr -o my_addsecreq --crt DigiCertCA.crt --crt ibm-sign.crt association \
         \"my secret\" --output-secret my_random_secret",
        &["my_addsecreq", "my_random_secret", "my_secret.yaml"],
        |request| request.request.secret_header.kind == 2,
    ),
    (
        "pvsecret create --output secret1.bin --hdr se.hdr --host-key-document z16.crt --no-verify association \
         \"SECRET1\"",
        &["SECRET1.yaml", "secret1.bin"],
        |request| request.request.secret_header.kind == 2,
    ),
    (
        "SE --extension-secret myExtSecret association \"myConfidentialSecret\"",
        &["addSecretReq", "myConfidentialSecret.yaml"],
        |request| request.extension_secret.ct_eq(&EXTENSION_SECRET),
    ),
    ("SE --cck cck association \"myConfidentialSecret\"", &["addSecretReq", "myConfidentialSecret.yaml"], |request| {
        !request.extension_secret.ct_eq(&[0; 32]) && !request.extension_secret.ct_eq(&CCK)
    }),
    (
        "SE --cuid cuid.yaml association \"myConfidentialSecret\"",
        &["addSecretReq", "myConfidentialSecret.yaml"],
        |request| u128::from_be_bytes(request.request.cuid) == u128::from_str_radix(CUID, 16).unwrap(),
    ),
    (
        "SE --cuid-hex 00112233445566778899aabbccddeeff association \"myConfidentialSecret\"",
        &["addSecretReq", "myConfidentialSecret.yaml"],
        |request| u128::from_be_bytes(request.request.cuid) == u128::from_str_radix(CUID, 16).unwrap(),
    ),
    (
        "SE --user-sign-key myPrivateKey.pem association \"myConfidentialSecret\"",
        &["addSecretReq", "myConfidentialSecret.yaml"],
        |request| request.request.user_data_kind == 2 && request.request.user_data[..256] == [0; 256],
    ),
    (
        "SE --user-sign-key myPrivateKey.pem --user-data user_data association \"myConfidentialSecret\"",
        &["addSecretReq", "myConfidentialSecret.yaml"],
        |request| request.request.user_data_kind == 2 && request.request.user_data.starts_with(b"my data\0"),
    ),
    ("SE --flags disable-dump meta", &["addSecretReq"], |request| {
        request.request.flags == 1 << 63 && request.request.secret_header.kind == 1
    }),
    (
        "SE --flags disable-dump association \"myConfidentialSecret\"",
        &["addSecretReq", "myConfidentialSecret.yaml"],
        |request| request.request.flags == 1 << 63 && request.request.secret_header.kind == 2,
    ),
];

/// A workstation whose files have the names of the documents.
fn workstation() -> Scratch {
    let scratch = Scratch::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let pki = Pki::new(&HOST, now.try_into().unwrap()).unwrap();
    scratch.write("z16.crt", pki.host_key_document.to_pem().unwrap());
    scratch.write("DigiCertCA.crt", pki.intermediate.certificate.to_pem().unwrap());
    scratch.write("ibm-sign.crt", pki.signing_key.certificate.to_pem().unwrap());
    let mut store = pki.root.certificate.to_pem().unwrap();
    store.extend(pki.crls.iter().flat_map(|crl| crl.to_pem().unwrap()));
    scratch.write("system-store.pem", store);
    let secrets = HeaderSecrets::random().unwrap();
    let header = pvsim::image::header(&[HOST.private_key().clone()], &secrets, 0, 1).unwrap();
    scratch.write("se.hdr", header);
    scratch.write("myExtSecret", EXTENSION_SECRET);
    scratch.write("cck", CCK);
    scratch.write("cuid.yaml", format!("cuid: '0x{CUID}'\n"));
    scratch.write("user_data", "my data");
    let key = EcKey::generate(&EcGroup::from_curve_name(Nid::SECP521R1).unwrap()).unwrap();
    let key = PKey::from_ec_key(key).unwrap();
    scratch.write("myPrivateKey.pem", key.private_key_to_pem_pkcs8().unwrap());
    scratch.write("myCert.pem", crate::pvsecret_workstation::certificate(&key));
    scratch
}

/// Has the shell run `line`, as its reader does.
fn run(scratch: &Scratch, line: &str) -> Run {
    scratch.link_tool("pvsecret".as_ref());
    let mut shell = Command::new("sh");
    clean(&mut shell);
    shell.args(["-c", &format!("PATH=\"$PWD/.bin:$PATH\"\n{line}")]).current_dir(scratch.path());
    shell.env("SSL_CERT_FILE", scratch.join("system-store.pem"));
    Run::of(&mut shell, b"")
}

#[test]
fn create_makes_what_the_documents_say() {
    let scratch = workstation();
    scratch.link_tool("pvsecret".as_ref());
    let before = scratch.names();
    for (line, files, holds) in COMMANDS {
        let line = line.replace("SE ", &format!("{SE} "));
        let said = run(&scratch, &line).succeeds();
        let unverified = said.stderr.contains("Host-key document verification is disabled.");
        assert_eq!(unverified, line.contains("--no-verify"), "{line}: {said:#?}");
        let new: Vec<_> = scratch.names().into_iter().filter(|name| !before.contains(name)).collect();
        assert_eq!(new, *files, "{line}");
        let request = files.iter().find(|file| file.to_lowercase().contains("req") || file.ends_with(".bin")).unwrap();
        let request = AddSecretRequest::parse(&scratch.read(request)).unwrap().open(&HOST).unwrap();
        assert!(holds(&request), "{line}: {:?}", request.request);
        if files.contains(&"my_random_secret") {
            assert!(request.secret.ct_eq(&scratch.read("my_random_secret")), "{line}");
            assert_eq!(scratch.mode("my_random_secret"), 0o600, "{line}");
        }
        for file in files.iter().filter(|file| file.ends_with(".yaml")) {
            assert_eq!(scratch.read(file), identity(&line).into_bytes(), "{line}");
        }
        new.iter().for_each(|name| fs::remove_file(scratch.join(name)).unwrap());
    }
}

/// The identity file of the name in quotes.
fn identity(line: &str) -> String {
    let name = line.split('"').nth(1).unwrap();
    let id = openssl::sha::sha256(name.as_bytes()).map(|byte| format!("{byte:02x}")).concat();
    format!("!Association\nname: {name}\nid: 0x{id}\n")
}

#[test]
fn verify_gives_the_user_data_of_a_good_signature_alone() {
    let scratch = workstation();
    run(&scratch, &format!("{SE} --user-sign-key myPrivateKey.pem --user-data user_data association N")).succeeds();
    let line = "pvsecret verify --user-cert myCert.pem -o user_data_out addSecretReq";
    run(&scratch, line).succeeds();
    assert_eq!(scratch.read("user_data_out"), [&b"my data"[..], &[0; 249]].concat());
    let mut request = scratch.read("addSecretReq");
    request[0x218] ^= 1;
    scratch.write("addSecretReq", request);
    scratch.write("user_data_out", "old");
    run(&scratch, line).refuses(1, &["'addSecretReq'", "does not fit"]);
    assert_eq!(scratch.read("user_data_out"), b"old");
}

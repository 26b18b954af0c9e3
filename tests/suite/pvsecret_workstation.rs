//! pvsecret create and verify, without a guest.

use crate::faults::{Victim, fail_every_call};
use crate::recorded;
use crate::support::{Run, Scratch, fixture, left_out};
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;
use pvsim::HostKey;
use pvsim::image::HeaderSecrets;
use pvsim::open::{AddSecretRequest, OpenAddSecret};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

static HOST: LazyLock<HostKey> = LazyLock::new(|| HostKey::generate().unwrap());
static HEADER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    pvsim::image::header(&[HOST.private_key().clone()], &HeaderSecrets::random().unwrap(), 0, 1).unwrap()
});

/// A self-signed certificate in PEM.
pub(crate) fn certificate(key: &PKey<Private>) -> Vec<u8> {
    let mut certificate = X509::builder().unwrap();
    certificate.set_pubkey(key).unwrap();
    certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    certificate.sign(key, MessageDigest::sha512()).unwrap();
    certificate.build().to_pem().unwrap()
}

/// A host-key document that nobody vouches for, in PEM.
pub(crate) fn host_key_document() -> Vec<u8> {
    certificate(HOST.private_key())
}

/// A folder with `host.crt` and `se.hdr`.
pub(crate) fn workstation() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("host.crt", host_key_document());
    scratch.write("se.hdr", &*HEADER);
    scratch
}

/// `pvsecret create ...` with a good host key and header, and `line` behind.
fn create(scratch: &Scratch, line: &str) -> Run {
    let start = "create -k host.crt --no-verify --hdr se.hdr -o request";
    scratch.run("pvsecret", &start.split(' ').chain(line.split(' ')).collect::<Vec<_>>())
}

fn open(request: &[u8]) -> OpenAddSecret {
    AddSecretRequest::parse(request).unwrap().open(&HOST).unwrap()
}

/// The association secret in a request.
pub(crate) fn association_secret(request: &[u8]) -> Vec<u8> {
    open(request).secret.expose().clone()
}

#[test]
fn all_but_guest_commands_behave_as_recorded() {
    recorded::compare("pvsecret", |argv| !recorded::is_for_guests(argv));
}

#[test]
fn documented_commands_make_what_is_documented() {
    let scratch = workstation();
    scratch.write("ext", [1; 32]);
    scratch.write("cck", [2; 32]);
    scratch.write("cuid.yaml", "cuid: '0x00112233445566778899aabbccddeeff'\n");
    scratch.write("user_data", "data");
    let key = PKey::from_ec_key(
        openssl::ec::EcKey::generate(&openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::SECP521R1).unwrap())
            .unwrap(),
    )
    .unwrap();
    scratch.write("key.pem", key.private_key_to_pem_pkcs8().unwrap());
    scratch.write("key.crt", certificate(&key));

    let run = create(&scratch, "association SECRET1").succeeds();
    assert_eq!(
        run.stderr,
        "Host-key document verification is disabled. The secret may not be protected.\n\
         Successfully generated the request\nSuccessfully wrote secret info to 'SECRET1.yaml'\n"
    );
    assert_eq!(
        String::from_utf8(scratch.read("SECRET1.yaml")).unwrap(),
        "!Association\nname: SECRET1\nid: 0x03153249db7ce46b0330ffb1a760b59710531af08ec4d7f8424a6870fae49360\n"
    );

    let words = ["create", "-k", "host.crt", "--no-verify", "--se-hdr", "se.hdr", "-o", "request", "association"];
    let words = words.iter().chain(&["my secret", "--output-secret", "my_random_secret"]).collect::<Vec<_>>();
    scratch.run("pvsecret", &words).succeeds();
    assert_eq!(scratch.mode("my_random_secret"), 0o600);
    assert!(open(&scratch.read("request")).secret.ct_eq(&scratch.read("my_random_secret")));
    assert!(scratch.join("my_secret.yaml").exists());

    create(&scratch, "--extension-secret ext association x").succeeds();
    assert!(open(&scratch.read("request")).extension_secret.ct_eq(&[1; 32]));
    create(&scratch, "--cck cck association x").succeeds();
    assert!(!open(&scratch.read("request")).extension_secret.ct_eq(&[0; 32]));
    let cuid = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128.to_be_bytes();
    for option in ["--cuid cuid.yaml", "--cuid-hex 00112233445566778899AABBCCDDEEFF"] {
        create(&scratch, &format!("{option} association x")).succeeds();
        assert_eq!(open(&scratch.read("request")).request.cuid, cuid, "{option}");
    }
    create(&scratch, "--flags disable-dump meta").succeeds();
    assert_eq!(open(&scratch.read("request")).request.flags, 1 << 63);
    create(&scratch, "--user-sign-key key.pem --user-data user_data association x").succeeds();
    let run = scratch.run("pvsecret", &["verify", "--user-cert", "key.crt", "-o", "out", "request"]).succeeds();
    assert_eq!(run.stderr, "Successfully verified the request.\n");
    assert_eq!(scratch.read("out"), [&b"data"[..], &[0; 252]].concat());
}

#[test]
fn identity_files_are_those_of_the_reference() {
    let reference = fixture("reference");
    let mut compared = 0;
    for entry in fs::read_dir(reference.join("requests")).unwrap() {
        let folder = entry.unwrap().path();
        let command = fs::read_to_string(folder.join("command")).unwrap();
        let scratch = Scratch::new();
        let line = command.trim().replace("../..", reference.to_str().unwrap());
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(line.replacen("pvsecret", &format!("'{}' pvsecret", env!("CARGO_BIN_EXE_pvtools")), 1));
        Run::of(shell.current_dir(scratch.path()), b"").succeeds();
        let expected = fs::read(folder.join("request.bin")).unwrap();
        assert_eq!(scratch.read("request.bin").len(), expected.len(), "{command}");
        for file in fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()) {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            if name.ends_with(".yaml") && name != "expected.yaml" {
                assert_eq!(scratch.read(&name), fs::read(file).unwrap(), "{command}");
                compared += 1;
            }
        }
    }
    assert!(compared > 10);
}

/// The model, in Python, shares no code with us and opens what we make.
#[test]
fn independent_model_reads_what_was_asked() {
    let has_cryptography = Command::new("python3").args(["-c", "import cryptography"]).status();
    if !has_cryptography.is_ok_and(|status| status.success()) {
        left_out("there is no python3 with the module cryptography");
        return;
    }
    let scratch = workstation();
    scratch.write("host.key", HOST.to_pem().unwrap().expose());
    let key = |name: &str| fixture("reference/keys").join(name).to_str().unwrap().to_owned();
    let kinds = [
        ("meta".to_owned(), 1),
        (format!("association N --input-secret {}", key("assoc.bin")), 2),
        (format!("update-cck --secret {}", key("newcck.bin")), 22),
        (format!("retr N --type plain --secret {}", key("plain13.bin")), 3),
        (format!("retr N --type aes --secret {}", key("aes128.bin")), 4),
        (format!("retr N --type aes --secret {}", key("aes192.bin")), 5),
        (format!("retr N --type aes --secret {}", key("aes256.bin")), 6),
        (format!("retr N --type aes-xts --secret {}", key("xts256.bin")), 7),
        (format!("retr N --type aes-xts --secret {}", key("xts512.bin")), 8),
        (format!("retr N --type hmac-sha --secret {}", key("hmac512.bin")), 9),
        (format!("retr N --type hmac-sha --secret {}", key("hmac1024.bin")), 10),
        (format!("retr N --type ec --secret {}", key("TEST-secret-p256.pem")), 17),
        (format!("retr N --type ec --secret {}", key("TEST-secret-p384.pem")), 18),
        (format!("retr N --type ec --secret {}", key("TEST-secret-p521.pem")), 19),
        (format!("retr N --type ec --secret {}", key("TEST-secret-ed25519.pem")), 20),
        (format!("retr N --type ec --secret {}", key("TEST-secret-ed448.pem")), 21),
    ];
    let user_data = [
        (String::new(), 0),
        (format!("--user-data {} ", key("ud512.bin")), 1),
        (format!("--user-data {} --user-sign-key {} ", key("ud256.bin"), key("TEST-ec521.key")), 2),
        (format!("--user-data {} --user-sign-key {} ", key("ud256.bin"), key("TEST-rsa2048.key")), 3),
        (format!("--user-data {} --user-sign-key {} ", key("ud128.bin"), key("TEST-rsa3072.key")), 4),
    ];
    let extensions =
        [String::new(), format!("--extension-secret {} ", key("ext.bin")), format!("--cck {} ", key("cck.bin"))];
    // One process of the model for all: starting Python 240 times would take longer than all the rest.
    let mut expected = Vec::new();
    for (kind, number_of_kind) in &kinds {
        for (data, data_kind) in &user_data {
            for (number, extension) in extensions.iter().enumerate() {
                let file = format!("r{}", expected.len());
                create(&scratch, &format!("{extension}{data}{kind}")).succeeds();
                fs::rename(scratch.join("request"), scratch.join(&file)).unwrap();
                expected.push((file, *number_of_kind, *data_kind, number));
            }
        }
    }
    let mut python = Command::new("python3");
    python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/model/open_requests.py")).arg("host.key");
    python.args(expected.iter().map(|row| &row.0)).current_dir(scratch.path()).env("PYTHONDONTWRITEBYTECODE", "1");
    let run = Run::of(&mut python, b"").succeeds();
    let lines: Vec<Vec<&str>> = run.stdout().lines().map(|line| line.split(' ').collect()).collect();
    assert_eq!(lines.len(), expected.len());
    for (line, (file, kind, data_kind, extension)) in lines.iter().zip(&expected) {
        let row = format!("{file} {kind} {data_kind} {extension}: {line:?}");
        let [found_kind, found_data, secret, found_extension, reserved] = line[..] else { panic!("{row}") };
        let asked = (&*kind.to_string(), &*data_kind.to_string(), "True");
        assert_eq!((found_kind, found_data, reserved), asked, "{row}");
        assert_eq!(secret, hex(open(&scratch.read(file)).secret.expose()), "{row}");
        let extension_is = match extension {
            0 => found_extension == "00".repeat(32),
            1 => found_extension == hex(&fs::read(key("ext.bin")).unwrap()),
            _ => found_extension != "00".repeat(32) && found_extension == lines[2][3],
        };
        assert!(extension_is, "{row}");
    }
    println!("{} requests opened by the independent model", expected.len());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn secret_outputs_are_private_whatever_the_umask() {
    for umask in ["000", "022", "077"] {
        let scratch = workstation();
        let line = format!(
            "umask {umask}; '{}' pvsecret create -k host.crt --no-verify --hdr se.hdr -o request association N --output-secret s",
            env!("CARGO_BIN_EXE_pvtools")
        );
        Run::of(Command::new("sh").args(["-c", &line]).current_dir(scratch.path()), b"").succeeds();
        assert_eq!(scratch.mode("s"), 0o600, "umask {umask}");
        let open_mode = 0o666 & !u32::from_str_radix(umask, 8).unwrap();
        assert_eq!((scratch.mode("request"), scratch.mode("N.yaml")), (open_mode, open_mode), "umask {umask}");
    }
}

#[test]
fn nothing_secret_is_said_however_much_is_said() {
    let scratch = workstation();
    let secret: Vec<u8> = (0x61..0x81).collect();
    for name in ["secret", "ext", "cck"] {
        scratch.write(name, &secret);
    }
    let shown = [hex(&secret), String::from_utf8_lossy(&secret).into_owned(), openssl::base64::encode_block(&secret)];
    for line in [
        "-vvvv --extension-secret ext association N --input-secret secret",
        "-vvvv --cck cck retrievable N --type plain --secret secret",
        "-vvvv update-cck --secret secret",
        "-vvvv retrievable N --type hmac-sha --secret secret",
    ] {
        let run = create(&scratch, line);
        let said = run.stderr.clone() + run.stdout();
        assert!(shown.iter().all(|text| !said.contains(text)), "{line}: {run:#?}");
        assert!(said.contains("DEBUG: ") || run.status == 1, "{line}: {run:#?}");
    }
}

#[test]
fn toc_gets_one_line_for_each_request_that_was_written() {
    let scratch = workstation();
    let run = scratch.run(
        "pvsecret",
        &[
            "create",
            "-k",
            "host.crt",
            "--no-verify",
            "--hdr",
            "se.hdr",
            "-o",
            "no/where",
            "--toc-policy",
            "toc",
            "meta",
        ],
    );
    assert_eq!(run.status, 1);
    assert!(!scratch.join("toc").exists());
    let mut expected = String::new();
    for _ in 0..2 {
        create(&scratch, "--toc-policy toc meta").succeeds();
        let request = scratch.read("request");
        expected += &format!("{}\n", hex(&request[request.len() - 16..]));
    }
    assert_eq!(String::from_utf8(scratch.read("toc")).unwrap(), expected);
}

#[test]
fn policy_is_the_hash_and_the_path() {
    let scratch = workstation();
    scratch.write("policy.yaml", "allow: all\n");
    let run = create(&scratch, "--policy policy.yaml meta").succeeds();
    let hash = openssl::sha::sha256(b"allow: all\n");
    assert_eq!(run.stdout(), format!("{}\n", hex(&hash)));
    let request = open(&scratch.read("request")).request;
    assert_eq!(request.user_data[..32], hash);
    assert_eq!(request.user_data[32..44], *b"policy.yaml\0");
    assert_eq!(request.user_data_kind, 1);
}

#[test]
fn create_survives_every_fault() {
    fail_every_call(&Victim {
        name: "pvsecret create association",
        prepare: &|scratch| {
            scratch.write("host.crt", host_key_document());
            scratch.write("se.hdr", &*HEADER);
            scratch.write("request", "old");
        },
        command: &|scratch| {
            let mut command = scratch.command("pvsecret");
            command.args(["create", "-q", "-k", "host.crt", "--no-verify", "--hdr", "se.hdr", "-o", "request"]);
            command.args(["association", "N", "--output-secret", "s"]);
            command
        },
        outputs: &["request", "N.yaml", "s"],
        failures: &[1],
        in_guest: false,
        one_in: 1,
    });
}

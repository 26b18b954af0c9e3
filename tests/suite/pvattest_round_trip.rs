//! pvattest from the request to the policies, in a simulated guest, and the firmware check against a server of our own.

use crate::guest::Stage;
use crate::hostile_text::is_fit;
use crate::support::{Run, Scratch, product};
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use pvsim::HostKey;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

/// Runs words in the guest of `stage`; `@NAME` is a file. What needs no guest runs as a program of its own, whose exit
/// code can be told from others.
fn run(stage: &Stage, words: &str) -> Run {
    let words: Vec<String> = words.split_whitespace().map(ToOwned::to_owned).collect();
    let (tool, args) = words.split_first().unwrap();
    if ["perform", "add", "lock"].contains(&args[0].as_str()) {
        return stage.run(&words, None);
    }
    let args = args.iter().map(|word| match word.strip_prefix('@') {
        Some(file) => stage.scratch.join(file).into_os_string(),
        None => word.into(),
    });
    Run::of(stage.scratch.command(tool).args(args), b"")
}

/// A machine with its host-key document and SE header at hand.
fn stage() -> Stage {
    let stage = Stage::with_inventory("{}");
    for file in ["host.crt", "se.hdr"] {
        std::fs::copy(stage.machine.folder().join(file), stage.scratch.join(file)).unwrap();
    }
    stage
}

/// Asks for all additional data and lets the guest answer, as `@request`, `@arpk`, `@response`.
fn attest(stage: &Stage, user_data: &str) {
    run(
        stage,
        "pvattest create -k @host.crt --no-verify -o @request -a @arpk \
         --add-data phkh-img,phkh-att,secret-store-hash,firmware-state",
    )
    .succeeds();
    stage.scratch.write("user-data", user_data);
    run(stage, "pvattest perform -i @request @response -u @user-data").succeeds();
}

/// A host-key document of another machine.
fn other_host_key_document() -> Vec<u8> {
    let key = HostKey::generate().unwrap();
    let mut certificate = X509::builder().unwrap();
    certificate.set_pubkey(key.private_key()).unwrap();
    certificate.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::days_from_now(365).unwrap()).unwrap();
    certificate.sign(key.private_key(), MessageDigest::sha512()).unwrap();
    certificate.build().to_pem().unwrap()
}

#[test]
fn a_secret_for_one_boot_of_an_attested_guest() {
    let stage = stage();
    attest(&stage, "hello");
    assert_eq!(stage.scratch.mode("arpk"), 0o600);
    run(&stage, "pvattest verify -i @response --hdr @se.hdr -a @arpk -o @cuid.yaml -u @said").succeeds();
    assert_eq!(stage.scratch.read("said"), b"hello");
    run(
        &stage,
        "pvsecret create -k @host.crt --no-verify --hdr @se.hdr --cuid @cuid.yaml -o @add association --stdout name",
    )
    .succeeds();
    run(&stage, "pvsecret add @add").succeeds();
    stage.machine.reboot().unwrap();
    let refused = run(&stage, "pvsecret add @add");
    assert_eq!(refused.status, 1, "{refused:?}");
    // The answer of the boot before is genuine, and says which boot that was.
    run(&stage, "pvattest verify -i @response --hdr @se.hdr -a @arpk -o @again.yaml").succeeds();
    assert_eq!(stage.scratch.read("again.yaml"), stage.scratch.read("cuid.yaml"));
}

#[test]
fn both_formats_of_the_result_have_the_same_keys() {
    let stage = stage();
    attest(&stage, "hello");
    let verify = "pvattest verify -i @response --hdr @se.hdr -a @arpk -o - --format";
    let json = run(&stage, &format!("{verify} json")).succeeds();
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    let yaml = run(&stage, &format!("{verify} yaml")).succeeds();
    let yaml: Value = serde_yaml::from_slice(&yaml.stdout).unwrap();
    assert_eq!(json, yaml);
    assert_eq!(json["cuid"], format!("0x{}", stage.machine.guest().unwrap().cuid));
    assert_eq!(json["user_data"], "0x68656c6c6f");
    let host_key = format!("0x{}", hex::encode(stage.machine.platform().host_key.hash()));
    assert_eq!(json["add_fields"]["image_phkh"], host_key);
    assert_eq!(json["add_fields"]["attestation_phkh"], host_key);
}

#[test]
fn another_image_another_key_or_a_changed_response_is_not_verified() {
    let stage = stage();
    attest(&stage, "hello");
    run(&stage, "pvattest create -k @host.crt --no-verify -o @request2 -a @arpk2").succeeds();
    let other = self::stage();
    stage.scratch.write("other.hdr", other.scratch.read("se.hdr"));
    let mut changed = stage.scratch.read("response");
    *changed.last_mut().unwrap() ^= 1;
    stage.scratch.write("changed", changed);
    stage.scratch.write("cut", &stage.scratch.read("response")[..300]);
    let rows = [
        ("-i @response --hdr @se.hdr -a @arpk", 0),
        ("-i @response --hdr @other.hdr -a @arpk", 2),
        ("-i @changed --hdr @se.hdr -a @arpk", 2),
        ("-i @response --hdr @se.hdr -a @arpk2", 1),
        ("-i @cut --hdr @se.hdr -a @arpk", 1),
        ("-i @request --hdr @se.hdr -a @arpk", 1),
        ("-i @response --hdr @response -a @arpk", 1),
        ("-i @response --hdr @se.hdr -a @se.hdr", 1),
    ];
    for (words, status) in rows {
        let run = run(&stage, &format!("pvattest verify {words} -o @out"));
        assert_eq!(run.status, status, "{words}: {run:?}");
        assert_eq!(run.stderr.contains("Attestation measurement verified"), status == 0, "{words}: {run:?}");
        if status == 2 {
            for line in [
                "Attestation measurement verification failed. \
                 Calculated and received attestation measurement are not equal.",
                "ERROR: Attestation measurement verification failed:",
                "Calculated and received attestation measurement are not the same.",
            ] {
                assert!(run.stderr.lines().any(|other| other == line), "{words}: {run:?}");
            }
        }
        assert_eq!(stage.scratch.join("out").exists(), status == 0, "{words}");
        let _ = std::fs::remove_file(stage.scratch.join("out"));
    }
}

#[test]
fn every_policy_is_met_or_not_as_it_should_be() {
    let stage = stage();
    for name in ["first", "second"] {
        stage.make_association(name, name);
        run(&stage, &format!("pvsecret add @{name}")).succeeds();
    }
    run(&stage, "pvsecret lock").succeeds();
    attest(&stage, "hello");
    stage.scratch.write("bye", "bye");
    stage.scratch.write("other.crt", other_host_key_document());
    let (first, second) = (stage.scratch.join("first"), stage.scratch.join("second"));
    let (first, second) = (first.display(), second.display());
    let rows = [
        (String::new(), 0),
        ("-u @user-data".into(), 0),
        ("-u @bye".into(), 2),
        ("-k @host.crt".into(), 0),
        ("-k @host.crt -k @other.crt --host-key-check att-key-hash,boot-key-hash".into(), 0),
        ("-k @other.crt".into(), 2),
        ("-k @host.crt -k @host.crt".into(), 2),
        (format!("--secret {first},{second} --secret-store-locked true"), 0),
        (format!("--secret {second},{first} --secret-store-locked true"), 2),
        (format!("--secret {first},{second} --secret-store-locked false"), 2),
        (format!("--secret {first} --secret-store-locked true"), 2),
        ("--secret-store-locked true".into(), 2),
        ("--hdr @se.hdr --arpk @arpk -u @user-data".into(), 0),
        ("-k @bye".into(), 1),
        ("-u @missing".into(), 1),
        ("--secret @bye --secret-store-locked true".into(), 1),
        ("--firmware --firmware-verify-url http://127.0.0.1:1".into(), 1),
    ];
    for (words, status) in rows {
        let run = run(&stage, &format!("pvattest check @response --format json {words}"));
        assert_eq!(run.status, status, "{words}: {run:?}");
        if status == 1 {
            assert!(run.stdout.is_empty(), "{words}: {run:?}");
            continue;
        }
        let found: Value = serde_json::from_slice(&run.stdout).unwrap();
        assert_eq!(found["successful"], status == 0, "{words}: {found}");
        assert_eq!(found["issues"].as_array().is_none_or(Vec::is_empty), status == 0, "{words}: {found}");
    }
    // With the key, a response that nobody vouches for is not let through.
    let mut changed = stage.scratch.read("response");
    *changed.last_mut().unwrap() ^= 1;
    stage.scratch.write("changed", changed);
    assert_eq!(run(&stage, "pvattest check @changed --hdr @se.hdr --arpk @arpk").status, 2);
}

/// Without the additional data that a policy needs, it is not met, or does not apply.
#[test]
fn a_response_without_additional_data_meets_no_policy_about_it() {
    let stage = stage();
    run(&stage, "pvattest create -k @host.crt --no-verify -o @request -a @arpk").succeeds();
    run(&stage, "pvattest perform @request @response").succeeds();
    stage.scratch.write("empty", "");
    for (words, status) in [
        ("-k @host.crt", 0),
        ("-k @host.crt --host-key-check att-key-hash", 2),
        ("-k @host.crt --host-key-check boot-key-hash", 2),
        ("--secret-store-locked false", 2),
        ("--firmware --firmware-verify-url https://127.0.0.1:1", 2),
    ] {
        let run = run(&stage, &format!("pvattest check @response @out.yaml {words}"));
        assert_eq!(run.status, status, "{words}: {run:?}");
    }
}

#[test]
fn a_failure_leaves_neither_key_nor_request_nor_response() {
    let stage = stage();
    let before = stage.scratch.names();
    stage.scratch.write("long", [0; 257]);
    for (words, status) in [
        ("create -k @host.crt --no-verify -o @nodir/x -a @arpk", 1),
        ("create -k @host.crt --no-verify -o @request -a @nodir/x", 1),
        ("create -k @host.crt --no-verify -o @same -a @same", 1),
        ("create -k @host.crt --no-verify -o @host.crt -a @arpk", 1),
        ("create -k @se.hdr --no-verify -o @request -a @arpk", 1),
        ("perform @se.hdr @response", 1),
        ("perform @missing @response", 1),
    ] {
        let run = run(&stage, &format!("pvattest {words}"));
        assert_eq!(run.status, status, "{words}: {run:?}");
        let mut expected = [before.clone(), vec!["long".into()]].concat();
        expected.sort();
        assert_eq!(stage.scratch.names(), expected, "{words}");
    }
    run(&stage, "pvattest create -k @host.crt --no-verify --output-file @request -a @arpk").succeeds();
    for words in ["perform @request @response -u @long", "perform @request @request", "perform @request @nodir/x"] {
        let run = run(&stage, &format!("pvattest {words}"));
        assert_eq!(run.status, 1, "{words}: {run:?}");
        assert!(!stage.scratch.join("response").exists(), "{words}");
    }
}

/// An HTTPS server for one question, and its certificate.
struct Server {
    url: String,
    certificate: X509,
    asked: JoinHandle<String>,
}

impl Server {
    /// Answers with `answer` as it is.
    fn with(answer: String) -> Self {
        let (key, certificate) = certificate();
        let mut acceptor = SslAcceptor::mozilla_intermediate(SslMethod::tls_server()).unwrap();
        acceptor.set_private_key(&key).unwrap();
        acceptor.set_certificate(&certificate).unwrap();
        let acceptor = acceptor.build();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://127.0.0.1:{}/base", listener.local_addr().unwrap().port());
        let asked = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            // A client that does not trust the certificate hangs up.
            let Ok(mut stream) = acceptor.accept(stream) else { return String::new() };
            let question = read_question(&mut stream);
            stream.write_all(answer.as_bytes()).unwrap();
            let _ = stream.shutdown();
            question
        });
        Self { url, certificate, asked }
    }

    fn answering(status: &str, body: &str) -> Self {
        Self::with(format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nLocation: /elsewhere\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ))
    }
}

fn read_question(stream: &mut impl Read) -> String {
    let mut question = Vec::new();
    let mut byte = [0];
    while !question.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        question.push(byte[0]);
    }
    let head = String::from_utf8(question).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap()];
    stream.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

/// A certificate for 127.0.0.1 that is its own CA.
fn certificate() -> (PKey<Private>, X509) {
    let key =
        PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, "pvtools test server").unwrap();
    let name = name.build();
    let mut certificate = X509::builder().unwrap();
    certificate.set_version(2).unwrap();
    certificate.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
    certificate.set_subject_name(&name).unwrap();
    certificate.set_issuer_name(&name).unwrap();
    certificate.set_pubkey(&key).unwrap();
    certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
    certificate.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    let context = certificate.x509v3_context(None, None);
    let names = SubjectAlternativeName::new().ip("127.0.0.1").build(&context).unwrap();
    certificate.append_extension(names).unwrap();
    certificate.sign(&key, MessageDigest::sha256()).unwrap();
    (key, certificate.build())
}

fn check_firmware(scratch: &Scratch, server: &Server, trusts: bool, version: &str) -> Run {
    let roots = scratch.write("roots.pem", server.certificate.to_pem().unwrap());
    let mut command = product("pvattest");
    command.current_dir(scratch.path());
    if trusts {
        command.env("SSL_CERT_FILE", roots);
    }
    command.args(["check", "response", "--format", "json", "--firmware", "--fw-ver", version]);
    Run::of(command.args(["--firmware-verify-url", &server.url]), b"")
}

#[test]
fn the_firmware_is_judged_by_the_server_alone() {
    /// In JSON.
    const HOSTILE: &str = r"\u001b[31m\nFAKE \u202e";
    let stage = stage();
    attest(&stage, "hello");
    let one = r#"{"version":"1.0","valid":VALID,"referenceId":"R-1","reason":"too old"}"#;
    let two = r#"{"version":"2.0","valid":VALID,"reason":"some","verifiedHashes":[{"hash":"aa","signature":"bb"}]}"#;
    let rows = [
        ("1", "200 OK", one.replace("VALID", "true"), true, 0, ""),
        ("1", "200 OK", one.replace("VALID", "false"), true, 2, "R-1"),
        ("1", "200 OK", one.replace("VALID", "false").replace("old", HOSTILE), true, 2, "too \\u{1b}[31m\\nFAKE"),
        ("2", "200 OK", two.replace("VALID", "true"), true, 0, ""),
        ("2", "200 OK", two.replace("VALID", "false").replace("some", HOSTILE), true, 2, "\\u001b[31m\\nFAKE"),
        ("2", "200 OK", two.replace("VALID", "false"), true, 2, "some"),
        ("1", "200 OK", two.replace("VALID", "true"), true, 1, "2.0"),
        ("1", "200 OK", "<html>".to_owned(), true, 1, "unexpected answer"),
        ("1", "200 OK", "{}".to_owned(), true, 1, "unexpected answer"),
        ("1", "302 Found", one.replace("VALID", "true"), true, 1, "302"),
        ("1", "500 Oops", one.replace("VALID", "true"), true, 1, "500"),
        ("1", "200 OK", one.replace("VALID", "true"), false, 1, "certificate"),
    ];
    for (version, status_line, body, trusts, status, text) in rows {
        let row = format!("version {version}, {status_line}, {body}, trusted: {trusts}");
        let server = Server::answering(status_line, &body);
        let run = check_firmware(&stage.scratch, &server, trusts, version);
        assert_eq!(run.status, status, "{row}: {run:?}");
        assert!(run.stderr.contains(text), "{row}: {run:?}");
        is_fit(&row, &run);
        let question = server.asked.join().unwrap();
        if !trusts {
            assert_eq!(question, "", "{row}: the question went to a stranger");
            continue;
        }
        assert!(
            question.starts_with(&format!("POST /base/hmrs/firmware/attestation/v{version}/verify ")),
            "{question}"
        );
        let (head, body) = question.split_once("\r\n\r\n").unwrap();
        let head = head.to_lowercase();
        assert!(head.contains("\r\ncontent-type: application/json") && head.contains("\r\nx-client-id: x"), "{head}");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["version"], format!("{version}.0"));
        let state = openssl::base64::decode_block(body["payload"].as_str().unwrap()).unwrap();
        // The decoder counts the padding as zeros.
        assert_eq!(state[..320], stage.machine.platform().firmware_state);
    }
}

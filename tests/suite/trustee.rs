//! `pvtools trustee`: the verifier's folder and every way to break it, policies, evidence, renewal.

use crate::crl_download::KEYS;
use crate::support::{Run, Scratch};
use pvsim::pki::{DAY, Plan, Reason};
use pvsim::{InProcess, Kin, Machine};
use serde_json::{Value, json};
use setrustee::{Challenge, Evidence, RuntimeData};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use uvdevice::{AttestInput, Ultravisor, UvDevice};
use uvrequest::attest::Response;

/// Two machines under one authority, one of them with two images.
pub(crate) struct World {
    pub(crate) scratch: Scratch,
}

pub(crate) const TRUST: &str = "-C one/signing-key.crt -C one/intermediate.crt --crl one/signing-key.crl --crl one/intermediate.crl \
                     --crl one/root-ca.crl --root-ca one/root-ca.crt --offline";

impl World {
    pub(crate) fn new() -> Self {
        let scratch = Scratch::new();
        Machine::init(&scratch.join("one"), None).unwrap();
        let kin = Kin { machine: Some(scratch.join("one")), ..Kin::default() };
        Machine::init_among(&scratch.join("new"), None, &kin).unwrap();
        let kin = Kin { authorities: Some(scratch.join("one")), ..Kin::default() };
        Machine::init_among(&scratch.join("two"), None, &kin).unwrap();
        Self { scratch }
    }

    /// Runs `pvtools trustee` with these words.
    pub(crate) fn run(&self, words: &str) -> Run {
        let args: Vec<_> = ["trustee"].into_iter().chain(words.split_whitespace()).collect();
        self.scratch.run("pvtools", &args)
    }

    /// A folder of the verifier for both machines and the first image, called `v`.
    pub(crate) fn folder(self) -> Self {
        self.run(&format!("verifier v --image one/se.img -k one/host.crt -k two/host.crt {TRUST}")).succeeds();
        self
    }

    pub(crate) fn tag(&self, machine: &str) -> String {
        let header = sehdr::SeHeader::parse(&self.scratch.read(&format!("{machine}/se.hdr"))).unwrap();
        hex::encode(header.boot_tags().tag)
    }

    /// Findings of a check of `v`, with its exit code.
    fn check(&self) -> (i32, Vec<String>, Value) {
        let run = self.run("verifier v --check --format json");
        let report: Value = serde_json::from_str(run.stdout()).unwrap_or_else(|error| panic!("{error}: {run:#?}"));
        let line = |finding: &Value| {
            let part = |name: &str| finding[name].as_str().unwrap().to_owned();
            format!("{}: {}: {}; {}", part("severity"), part("place"), part("problem"), part("advice"))
        };
        (run.status, report["findings"].as_array().unwrap().iter().map(line).collect(), report)
    }
}

#[test]
fn verifiers_folder_is_complete_and_for_nobody_else() {
    let world = World::new().folder();
    let scratch = &world.scratch;
    let (status, findings, report) = world.check();
    // The first image is for the first machine alone.
    assert_eq!((status, findings.len()), (3, 1), "{findings:?}");
    assert!(findings[0].contains("no key slot for this machine"), "{findings:?}");
    assert_eq!(report["tag"], json!(world.tag("one")));
    assert_eq!(report["slots"][0]["file"], json!("hkds/001-host.pem"));
    // Two documents, two certificates, root, three CRLs.
    assert_eq!(report["expiries"].as_array().unwrap().len(), 8);
    assert_eq!(scratch.read("v/hdr/hdr.bin"), scratch.read("one/se.hdr"));
    for (file, mode) in
        [("v/rsa/encrypt_key.pem", 0o600), ("v/rsa/encrypt_key.pub", 0o600), ("v/rsa", 0o700), ("v", 0o700)]
    {
        assert_eq!(scratch.mode(file), mode, "{file}");
    }
    let environment = String::from_utf8(scratch.read("v/verifier.env")).unwrap();
    assert!(environment.contains("\nDEFAULT_SE_HOST_KEY_DOCUMENTS_ROOT=/run/confidential-containers/ibmse/hkds\n"));
    // Again, for another image: the pair stays, nothing of the old folder is left, the folder itself is the same.
    let (pair, inode) = (scratch.read("v/rsa/encrypt_key.pem"), inode(&scratch.join("v")));
    let group = nix::unistd::getgid();
    world.run(&format!("verifier v --group {group} --image new/se.img -k one/host.crt {TRUST}")).succeeds();
    assert_eq!((scratch.read("v/rsa/encrypt_key.pem"), crate::trustee::inode(&scratch.join("v"))), (pair, inode));
    assert_eq!(scratch.read("v/hdr/hdr.bin"), scratch.read("new/se.hdr"));
    assert_eq!(fs::read_dir(scratch.join("v/hkds")).unwrap().count(), 1);
    assert_eq!((scratch.mode("v/rsa/encrypt_key.pub"), scratch.mode("v/rsa")), (0o640, 0o750));
    let mut names: Vec<_> = fs::read_dir(scratch.join("v")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["certs", "crls", "hdr", "hkds", "root_ca.crt", "rsa", "verifier.env"]);
    let (status, findings, _) = world.check();
    assert_eq!((status, findings), (0, vec![]));
}

fn inode(path: &Path) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap())
}

#[test]
fn nothing_is_written_when_something_is_wrong() {
    let world = World::new();
    let good = format!("--image one/se.img -k one/host.crt {TRUST}");
    let rows = [
        (good.replace("--crl one/root-ca.crl", ""), "no CRL of 'CN=pvtools test root CA' was given"),
        (good.replace("--crl one/signing-key.crl", ""), "whether it is revoked is not known"),
        (good.replace("--root-ca one/root-ca.crt", ""), "is not trusted"),
        (good.replace("-C one/signing-key.crt", ""), "none of the certificates is an IBM Z signing key"),
        (good.replace("one/se.img", "one/host.crt"), "does not contain an SE header"),
        (format!("{good} --image new/se.img"), "2 images were given; one verifier serves the guests of one image"),
        ("--image one/se.img -k one/host.crt --no-verify".to_owned(), "'--no-verify' makes no sense here"),
        (format!("{good} --group no-such-group"), "There is no group 'no-such-group'"),
        (good.replace("-k one/host.crt", &"-k one/host.crt ".repeat(256)), "256 host-key documents were given"),
    ];
    for (words, part) in rows {
        world.run(&format!("verifier w {words}")).refuses(1, &[part]);
        assert_eq!(world.scratch.names(), ["new", "one", "two"], "{words}");
    }
    world.run(&format!("verifier one/se.img {good}")).refuses(1, &["a file is there"]);
    assert_eq!(world.run("verifier w --image one/se.img").status, 2);
}

#[test]
fn check_finds_what_the_server_says_to_its_log_alone() {
    type Break = fn(&World);
    fn copy(world: &World, from: &str, to: &str) {
        fs::copy(world.scratch.join(from), world.scratch.join(to)).unwrap();
    }
    fn remove(world: &World, path: &str) {
        fs::remove_file(world.scratch.join(path)).unwrap();
    }
    let rows: [(&str, Break, &str, i32); 22] = [
        (
            "stray text in hkds",
            |w| drop(w.scratch.write("v/hkds/README", "hello")),
            "hkds/README: it contains no certificate: it stops all",
            2,
        ),
        (
            "stray text in crls",
            |w| drop(w.scratch.write("v/crls/README", "hello")),
            "crls/README: there is no CRL in it: it stops all",
            2,
        ),
        (
            "stray text in certs",
            |w| drop(w.scratch.write("v/certs/README", "hello")),
            "certs/README: there is no certificate in it: the verifier ignores",
            3,
        ),
        ("stray file in rsa", |w| drop(w.scratch.write("v/rsa/old.pem", "hello")), "rsa/old.pem: a stray file", 3),
        ("folder in hkds", |w| fs::create_dir(w.scratch.join("v/hkds/more")).unwrap(), "hkds/more: it is a folder", 3),
        (
            "dangling link",
            |w| symlink("/nowhere", w.scratch.join("v/hkds/link")).unwrap(),
            "hkds/link: it is no file, or a link to nothing",
            2,
        ),
        (
            "whole image",
            |w| copy(w, "one/se.img", "v/hdr/hdr.bin"),
            "a whole image, of which other tools print wrong values",
            3,
        ),
        ("no header", |w| remove(w, "v/hdr/hdr.bin"), "hdr/hdr.bin: it is missing", 2),
        (
            "no header in it",
            |w| drop(w.scratch.write("v/hdr/hdr.bin", "x")),
            "hdr/hdr.bin: does not contain an SE header",
            2,
        ),
        (
            "RSA halves",
            |w| {
                let key = openssl::rsa::Rsa::generate(4096).unwrap();
                drop(w.scratch.write("v/rsa/encrypt_key.pub", key.public_key_to_pem().unwrap()));
            },
            "belong to two different pairs",
            2,
        ),
        (
            "small RSA key",
            |w| {
                let key = openssl::rsa::Rsa::generate(2048).unwrap();
                w.scratch.write("v/rsa/encrypt_key.pem", key.private_key_to_pem().unwrap());
                drop(w.scratch.write("v/rsa/encrypt_key.pub", key.public_key_to_pem().unwrap()));
            },
            "an RSA key of 2048 bits",
            3,
        ),
        ("no RSA key", |w| remove(w, "v/rsa/encrypt_key.pem"), "rsa/encrypt_key.pem: it is missing", 2),
        ("not an RSA key", |w| copy(w, "one/host.key", "v/rsa/encrypt_key.pem"), "not an RSA key", 2),
        (
            "public key for all",
            |w| fs::set_permissions(w.scratch.join("v/rsa/encrypt_key.pub"), Permissions::from_mode(0o644)).unwrap(),
            "can forge evidence",
            2,
        ),
        (
            "no CRL of the root",
            |w| {
                drop(
                    (1..=3)
                        .map(|n| format!("v/crls/00{n}.pem"))
                        .filter(|p| w.scratch.read(p) == w.scratch.read("one/root-ca.crl"))
                        .map(|p| remove(w, &p))
                        .collect::<Vec<_>>(),
                )
            },
            "three current CRLs",
            2,
        ),
        (
            "two signing keys",
            |w| copy(w, "one/signing-key.crt", "v/certs/copy.pem"),
            "there are 2 IBM Z signing keys",
            2,
        ),
        (
            "no signing key",
            |w| {
                drop(
                    (1..=2)
                        .map(|n| format!("v/certs/00{n}.pem"))
                        .filter(|p| w.scratch.read(p) == w.scratch.read("one/signing-key.crt"))
                        .map(|p| remove(w, &p))
                        .collect::<Vec<_>>(),
                )
            },
            "none of the certificates is an IBM Z signing key",
            2,
        ),
        ("no root", |w| remove(w, "v/root_ca.crt"), "the roots of the verifier's system are trusted instead", 2),
        (
            "document of another authority",
            |w| {
                Machine::init(&w.scratch.join("other"), None).unwrap();
                copy(w, "other/host.crt", "v/hkds/other.crt");
            },
            "it stops all attestation",
            2,
        ),
        (
            "no document",
            |w| {
                remove(w, "v/hkds/001-host.pem");
                remove(w, "v/hkds/002-host.pem");
            },
            "hkds: there is no host-key document",
            2,
        ),
        (
            "other machine's document alone",
            |w| remove(w, "v/hkds/001-host.pem"),
            "a key slot for none of the host-key documents",
            2,
        ),
        (
            "wrong variable",
            |w| drop(w.scratch.write("v/verifier.env", "SE_HOST_KEY_DOCUMENTS_ROOT=/x\n")),
            "its name is DEFAULT_SE_HOST_KEY_DOCUMENTS_ROOT",
            2,
        ),
    ];
    let world = World::new().folder();
    let count = rows.len();
    for (name, change, part, status) in rows {
        let copy = |from: &str, to: &str| {
            let _ = fs::remove_dir_all(world.scratch.join(to));
            let done =
                std::process::Command::new("cp").args(["-a", from, to]).current_dir(world.scratch.path()).status();
            assert!(done.unwrap().success());
        };
        copy("v", "good");
        change(&world);
        let (found, findings, _) = world.check();
        assert_eq!(found, status, "{name}: {findings:#?}");
        assert!(findings.iter().any(|finding| finding.contains(part)), "{name}: {findings:#?}");
        copy("good", "v");
    }
    assert_eq!(count, 22);
    // What ends soon is said as long before as is asked for.
    let run = world.run("verifier v --check --warn-days 366");
    assert_eq!(run.status, 3, "{run:#?}");
    assert!(
        run.stdout().contains("ends in") && run.stdout().ends_with("guests can attest; see the warnings\n"),
        "{run:#?}"
    );
    world.run("verifier nowhere --check").refuses(1, &["it is no folder"]);
}

/// One bad document stops the guests of all machines.
#[test]
fn documents_that_do_not_hold_are_refused_and_found() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap();
    type Change = fn(&mut Plan, i64);
    let rows: [(&str, Change, Option<&str>); 6] = [
        ("good", |_, _| {}, None),
        ("expired", |plan, now| plan.host_key.not_after = now - DAY, Some("expired")),
        ("not yet valid", |plan, now| plan.host_key.not_before = now + DAY, Some("it is not valid before")),
        (
            "revoked",
            |plan, _| plan.signing_key_crl.revoked = vec![(plan.host_key.serial, Reason::Unspecified)],
            Some("revoked"),
        ),
        ("CRL over", |plan, now| plan.signing_key_crl.next_update = Some(now - DAY), Some("CRL")),
        ("signing key expired", |plan, now| plan.signing_key.not_after = now - DAY, Some("expired")),
    ];
    for (name, change, part) in rows {
        let scratch = Scratch::new();
        let mut plan = Plan::new(&KEYS, now);
        change(&mut plan, now);
        let pki = plan.build().unwrap();
        let secrets = pvsim::image::HeaderSecrets::random().unwrap();
        scratch.write("se.hdr", pvsim::image::header(std::slice::from_ref(&KEYS.host_key), &secrets, 0, 1).unwrap());
        let pem = |certificate: &openssl::x509::X509Ref| certificate.to_pem().unwrap();
        scratch.write("host.crt", pem(&pki.host_key_document));
        scratch.write("chain.crt", [pem(&pki.signing_key.certificate), pem(&pki.intermediate.certificate)].concat());
        scratch.write("root.crt", pem(&pki.root.certificate));
        scratch.write("all.crl", pki.crls.iter().flat_map(|crl| crl.to_pem().unwrap()).collect::<Vec<_>>());
        let words = "verifier v --image se.hdr -k host.crt -C chain.crt --root-ca root.crt --crl all.crl --offline";
        let world = World { scratch };
        let made = world.run(words);
        match part {
            None => drop(made.succeeds()),
            Some(part) => {
                made.refuses(1, &[part]);
                assert!(!world.scratch.join("v").exists(), "{name}");
            }
        }
        // The same in a folder that was made while all was well.
        for (folder, file) in [("hkds", "host.crt"), ("certs", "chain.crt"), ("crls", "all.crl")] {
            let folder = world.scratch.join("w").join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::copy(world.scratch.join(file), folder.join(file)).unwrap();
        }
        fs::create_dir_all(world.scratch.join("w/hdr")).unwrap();
        fs::copy(world.scratch.join("se.hdr"), world.scratch.join("w/hdr/hdr.bin")).unwrap();
        fs::copy(world.scratch.join("root.crt"), world.scratch.join("w/root_ca.crt")).unwrap();
        let found = world.run("verifier w --check");
        let lines: Vec<_> = found.stdout().lines().filter(|line| line.starts_with("error: ")).collect();
        // Both halves of the RSA pair are missing, which is not the point here.
        let lines: Vec<_> = lines.into_iter().filter(|line| !line.contains("rsa/")).collect();
        match part {
            None => assert!(lines.is_empty(), "{name}: {found:#?}"),
            Some(part) => assert!(lines.iter().any(|line| line.contains(part)), "{name}: {found:#?}"),
        }
    }
}

#[test]
fn a_challenge_is_for_255_machines_at_most() {
    let world = World::new().folder();
    let document = world.scratch.read("one/host.crt");
    for number in 3..=255 {
        world.scratch.write(&format!("v/hkds/{number}.pem"), &document);
    }
    let (_, findings, _) = world.check();
    assert!(!findings.iter().any(|finding| finding.contains("at most")), "{findings:#?}");
    world.scratch.write("v/hkds/256.pem", &document);
    let (status, findings, _) = world.check();
    let part = "hkds: there are 256 files; a challenge is for 255 machines at most";
    assert!(status == 2 && findings.iter().any(|finding| finding.contains(part)), "{findings:#?}");
}

#[test]
fn pods_group_has_to_be_able_to_read_all() {
    let world = World::new().folder();
    let group = nix::unistd::getgid();
    let check = |group: nix::unistd::Gid| world.run(&format!("verifier v --check --group {group}"));
    let run = check(group);
    let part = format!("error: v: the group {group} cannot read it: its group is {group}, its mode 0700");
    assert!(run.status == 2 && run.stdout().contains(&part), "{run:#?}");
    // The folder, its five folders, and the files in them.
    assert_eq!(run.stdout().matches("cannot read it").count(), 1 + 5 + 2 + 2 + 3 + 2 + 1 + 1, "{run:#?}");
    world.run(&format!("verifier v --group {group} --image one/se.img -k one/host.crt {TRUST}")).succeeds();
    check(group).succeeds();
    assert_eq!((world.scratch.mode("v"), world.scratch.mode("v/hdr/hdr.bin")), (0o750, 0o640));
    let run = check(nix::unistd::Gid::from_raw(group.as_raw() + 1));
    assert!(run.status == 2 && run.stdout().contains("cannot read it"), "{run:#?}");
    fs::set_permissions(world.scratch.join("v/hkds"), Permissions::from_mode(0o740)).unwrap();
    let run = check(group);
    assert!(run.status == 2 && run.stdout().matches("cannot read it").count() == 1, "{run:#?}");
    world.run("verifier v --check --group no-such-group").refuses(1, &["There is no group"]);
}

#[test]
fn policies_are_written_and_linted() {
    let world = World::new();
    let images = "--image one/se.img --image new/se.hdr -k one/host.crt";
    let text = world.run(&format!("policy {images}")).succeeds();
    for machine in ["one", "new"] {
        assert!(text.stdout().contains(&world.tag(machine)), "{text:?}");
    }
    let json = world.run(&format!("policy {images} --show json")).succeeds();
    let json: Value = serde_json::from_str(json.stdout()).unwrap();
    assert_eq!(json["images"][1]["tag"], json!(world.tag("new")));
    let rvps = world.run(&format!("policy {images} --show rvps")).succeeds();
    assert_eq!(serde_json::from_str::<Value>(rvps.stdout()).unwrap()["type"], json!("sample"));
    for show in ["attestation", "attestation --registered", "resource"] {
        world.run(&format!("policy {images} --show {show} -o p.rego")).succeeds();
        let lint = world.run("policy --lint p.rego").succeeds();
        assert_eq!(lint.stdout(), "", "{show}");
    }
    let bad = "package policy\nimport rego.v1\ndefault allow = false\nallow if {\n\tinput[\"se.tag\"] == \"x\"\n\tinput[\"se.user_data\"] == \"y\"\n}\n";
    world.scratch.write("old.rego", bad);
    let run = world.run("policy --lint old.rego --kind attestation");
    assert_eq!((run.status, run.stdout().lines().count()), (2, 7), "{run:#?}");
    let json = world.run("policy --lint old.rego --kind attestation --format json");
    assert_eq!(serde_json::from_str::<Value>(json.stdout()).unwrap().as_array().unwrap().len(), 7);
    let stranger = world.run("policy --image one/se.img -k two/host.crt").succeeds();
    assert!(stranger.stderr.contains("no image has a key slot for 'two/host.crt'"), "{stranger:?}");
    assert_eq!(world.run("policy").status, 2);
    world.run("policy --image one/host.crt").refuses(1, &["does not contain an SE header"]);
    world.run("policy --lint nowhere").refuses(1, &["Cannot read policy at 'nowhere'"]);
}

#[test]
fn challenge_made_here_is_answered_in_the_simulator_and_verified_here() {
    let world = World::new().folder();
    let scratch = &world.scratch;
    world
        .run(&format!(
            "challenge --image one/se.img -k one/host.crt {TRUST} --rsa-public v/rsa/encrypt_key.pub -o c.json"
        ))
        .succeeds();
    let text = scratch.read("c.json");
    let challenge = Challenge::parse(&text).unwrap();
    let nonce = String::from_utf8(text).unwrap();
    let runtime_data = json!({ "nonce": nonce, "tee-pubkey": { "kty": "EC" } });
    let digest = RuntimeData::parse(runtime_data.to_string().as_bytes()).unwrap().digest();
    let attest = |machine: &str| {
        let device = UvDevice::new(InProcess(Machine::open(&scratch.join(machine)).unwrap()));
        let input =
            AttestInput { request: &challenge.request, user_data: &digest, measurement_size: 64, additional_size: 64 };
        let attested = device.attest(&input).unwrap();
        let response = Response {
            measurement: attested.measurement,
            additional: attested.additional,
            user_data: digest.to_vec(),
            cuid: attested.cuid,
        };
        Evidence::new(&challenge, response).to_json()
    };
    scratch.write("evidence.json", attest("one"));
    scratch.write("new.json", attest("new"));
    scratch.write("runtime.json", runtime_data.to_string());
    let verify = "--rsa-key v/rsa/encrypt_key.pem --image one/se.img -k one/host.crt";
    let with = format!("evidence verify -i evidence.json {verify} --challenge c.json --runtime-data runtime.json");
    let run = world.run(&with).succeeds();
    assert_eq!(run.stderr, "Evidence verified\n");
    assert!(run.stdout().contains(&world.tag("one")), "{run:?}");
    // A whole body has runtime data and challenge in it.
    let evidence: Value = serde_json::from_slice(&scratch.read("evidence.json")).unwrap();
    let body = json!({ "runtime-data": runtime_data, "tee-evidence": { "primary_evidence": evidence, "additional_evidence": "" } });
    scratch.write("body.json", body.to_string());
    assert_eq!(world.run(&format!("evidence verify -i body.json {verify}")).succeeds().stderr, "Evidence verified\n");
    let run = world.run(&format!("evidence verify -i evidence.json {verify}")).succeeds();
    assert_eq!(run.stderr.lines().filter(|line| line.starts_with("Not compared with")).count(), 2, "{run:?}");
    let shown = world.run("evidence show -i body.json").succeeds();
    assert!(shown.stdout().contains(&world.tag("one")), "{shown:?}");
    // The guest of another image on the same machine, another machine, another session.
    for (words, part) in [
        (with.replace("evidence.json", "new.json"), "✘ measurement: "),
        (with.replace("one/se.img", "new/se.img"), "✘ image_hdr_tags: "),
        (with.replace("-k one/host.crt", "-k two/host.crt"), "✘ additional_data: "),
        (with.replace("runtime.json", "evidence.json"), "not runtime data"),
        (with.replace("c.json", "evidence.json"), "not a challenge"),
        (with.replace("v/rsa/encrypt_key.pem", "one/host.key"), "not an RSA key"),
        (with.replace("-i evidence.json", "-i c.json"), "not the evidence"),
    ] {
        let run = world.run(&words);
        assert_eq!(run.status, if part.starts_with('✘') { 2 } else { 1 }, "{words}: {run:#?}");
        assert!(run.stderr.contains(part), "{words}: {run:#?}");
    }
    let run = world.run(&format!("{with} --format json"));
    assert_eq!(serde_json::from_str::<Value>(run.stdout()).unwrap()["differences"], json!([]));
}

#[test]
fn renewal_shows_its_plan_then_does_it() {
    let world = World::new().folder();
    let scratch = &world.scratch;
    scratch.write("secret.bin", [7; 32]);
    scratch.write("secrets.yaml", format!("- name: domain-1\n  secret: secret.bin\n  mkvp: '{}'\n", "ab".repeat(32)));
    let words = format!("renew v --image new/se.img --secrets secrets.yaml -o out -k one/host.crt {TRUST}");
    let plan = world.run(&format!("{words} --dry-run")).succeeds();
    for part in [&world.tag("one"), &world.tag("new"), "'domain-1'", "v/hdr/hdr.bin"] {
        assert!(plan.stdout().contains(part), "{part}: {plan:?}");
    }
    assert!(!scratch.join("out").exists());
    assert_eq!(scratch.read("v/hdr/hdr.bin"), scratch.read("one/se.hdr"));
    assert_eq!(world.run(&words).succeeds().stdout(), plan.stdout());
    assert_eq!(scratch.read("v/hdr/hdr.bin"), scratch.read("new/se.hdr"));
    let policy = || String::from_utf8(scratch.read("out/attestation-policy.rego")).unwrap();
    assert!(policy().contains(&world.tag("one")) && policy().contains(&world.tag("new")));
    // The new image's guest takes the request that was made.
    let request = scratch.read(&format!("out/vfio_ap/{}/secret", "ab".repeat(16)));
    let device = |machine: &str| UvDevice::new(InProcess(Machine::open(&scratch.join(machine)).unwrap()));
    device("one").add_secret(&request).unwrap_err();
    device("new").add_secret(&request).unwrap();
    let id = String::from_utf8(scratch.read(&format!("out/vfio_ap/{}/secret_id", "ab".repeat(16)))).unwrap();
    assert_eq!(id, hex::encode(openssl::sha::sha256(b"domain-1")));
    let again = world.run(&words).succeeds();
    assert!(again.stderr.contains("Nothing to do"), "{again:?}");
    world.run(&format!("renew v --retire -o out -k one/host.crt {TRUST}")).succeeds();
    assert!(!policy().contains(&world.tag("one")) && policy().contains(&world.tag("new")));
    // Whatever is wrong, the header stays.
    scratch.write("short.bin", [7; 31]);
    scratch.write("short.yaml", "[{name: a, secret: short.bin, mkvp: 'abababababababababababababababab'}]");
    scratch.write("bad.yaml", "[{nam: a}]");
    let back = words.replace("new/se.img", "one/se.img");
    for (words, part) in [
        (back.replace("secrets.yaml", "short.yaml"), "has 31 bytes; an association secret has 32"),
        (back.replace("secrets.yaml", "bad.yaml"), "Cannot use 'bad.yaml' as list of secrets"),
        (back.replace("-k one/host.crt", "-k two/host.crt"), "no machine could start it"),
    ] {
        let run = world.run(&words);
        assert!(run.status == 1 && run.stderr.contains(part), "{words}: {run:#?}");
        assert_eq!(scratch.read("v/hdr/hdr.bin"), scratch.read("new/se.hdr"), "{words}");
    }
}

#[test]
fn keys_and_tokens_are_for_their_owner() {
    let world = World::new();
    let scratch = &world.scratch;
    let run = world.run("key admin.key --public admin.pem --token token --audience kbs --config").succeeds();
    assert!(
        run.stdout().contains("{ issuer = \"pvtools\", audience = \"kbs\", public_key_uri = \"admin.pem\" }"),
        "{run:?}"
    );
    assert!(run.stdout().contains("\"^/kbs/v0/resource/.+$\""), "{run:?}");
    assert_eq!((scratch.mode("admin.key"), scratch.mode("token")), (0o600, 0o600));
    let key = scratch.read("admin.key");
    world.run("key admin.key --token token2").succeeds();
    assert_eq!(scratch.read("admin.key"), key);
    world
        .run("key admin.key --token t --lifetime 315360000")
        .refuses(1, &["expected a lifetime of 1 to 86400 seconds"]);
    world.run("key one/host.key --token t").refuses(1, &["not an Ed25519 private key"]);
    world.run("key admin.key --token admin.key").refuses(1, &["would overwrite the private key"]);
    world.run("key admin.key --token t --public t").refuses(1, &["would both be written"]);
    assert!(!scratch.join("t").exists());
}

#[test]
fn crls_of_the_offline_mode_are_downloaded_from_where_certificates_say() {
    use std::io::{BufRead, BufReader, Write};
    let scratch = Scratch::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let crl_address = Some(format!("http://{}", listener.local_addr().unwrap()));
    Machine::init_among(&scratch.join("one"), None, &Kin { crl_address, ..Kin::default() }).unwrap();
    let folder = scratch.join("one");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut lines = Vec::new();
            while lines.last().is_none_or(|line: &String| line.len() > 2) {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    break;
                }
                lines.push(line);
            }
            let path = lines.first().and_then(|line| line.split(' ').nth(1)).unwrap_or("/").trim_start_matches('/');
            let body = fs::read(folder.join(path)).unwrap_or_default();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            // A client that goes away is none of the server's problems.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    let world = World { scratch };
    let words = "verifier v --image one/se.img -k one/host.crt -C one/signing-key.crt -C one/intermediate.crt --root-ca one/root-ca.crt";
    world.run(words).succeeds();
    let mut crls: Vec<_> = (1..=3).map(|number| world.scratch.read(&format!("v/crls/00{number}.pem"))).collect();
    crls.sort();
    let mut expected =
        ["one/root-ca.crl", "one/intermediate.crl", "one/signing-key.crl"].map(|path| world.scratch.read(path));
    expected.sort();
    assert_eq!(crls, expected);
    assert_eq!(world.check().0, 0);
}

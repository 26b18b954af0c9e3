//! Text from outside in every place that output has for it: nothing that steers a terminal, hides, turns the direction of
//! writing or starts a line of its own gets through, on stdout or stderr, as text, YAML or JSON.

use crate::ap_guest::ApGuest;
use crate::crl_download::KEYS;
use crate::doctor::{on_machine, put};
use crate::pvsecret_workstation::workstation;
use crate::support::{Run, Scratch};
use crate::trustee::World;
use pvsim::Fault;
use pvsim::pki::{CertificateSpec, Plan, common_name};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// Sets a title, clears the screen, colours, turns the direction, hides, and starts lines of its own.
const HOSTILE: &str =
    "x\u{1b}]0;PWN\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{200b}\u{2028}\u{feff}\r\nAll is well, says nobody.\n";

/// Nothing of that is in what a command printed.
#[track_caller]
pub(crate) fn is_fit(what: &str, run: &Run) {
    for (stream, bytes) in [("stdout", run.stdout.as_slice()), ("stderr", run.stderr.as_bytes())] {
        let text = String::from_utf8_lossy(bytes);
        let steers = |c: char| {
            c.is_control() && c != '\n' && c != '\t' || ['\u{202e}', '\u{200b}', '\u{2028}', '\u{feff}'].contains(&c)
        };
        assert!(!text.contains(steers), "{what}, {stream}: {text:?}");
        assert!(!text.lines().any(|line| line == "All is well, says nobody."), "{what}, {stream}: {text}");
    }
}

/// A hostile name that a file can have.
fn file_name() -> String {
    HOSTILE.replace('/', "")
}

#[test]
fn names_of_files() {
    let scratch = Scratch::new();
    let name = file_name();
    let (name, other) = (name.as_str(), "other");
    let mut rows: Vec<(&str, Vec<&str>)> = vec![
        ("pvsecret", vec!["create", "-k", name, "--no-verify", "--hdr", name, "-o", name, "meta"]),
        ("pvsecret", vec!["create", "-k", name, "-C", name, "--hdr", name, "-o", name, "association", name]),
        ("pvsecret", vec!["add", name]),
        ("pvsecret", vec!["list", name]),
        ("pvsecret", vec!["verify", name]),
        ("pvsecret", vec!["retrieve", name]),
        ("pvattest", vec!["create", "-k", name, "--no-verify", "-o", name, "-a", name]),
        ("pvattest", vec!["perform", "-i", name, "-o", name]),
        ("pvattest", vec!["verify", "-i", name, "--hdr", name, "--arpk", name]),
        ("pvattest", vec!["check", name, "-", "-k", name]),
        ("pvverify", vec!["-k", name, "-C", name]),
        ("pvverify", vec!["-k", name, "-C", name, "--explain"]),
        ("pvverify", vec!["-k", name, "-C", name, "--format", "json"]),
        ("pvverify", vec!["-k", name, "--no-verify"]),
        ("pvextract-hdr", vec![name, "-o", other]),
        ("pvextract-hdr", vec![name, "-o", name]),
        ("pvapconfig", vec!["-c", name, "--check"]),
        ("pvapconfig", vec!["-c", name, "-n"]),
        ("pvtools", vec!["inspect", name]),
        ("pvtools", vec!["inspect", "--format", "json", name]),
        ("pvtools", vec!["trust-bundle", "-k", name, "-C", name, "-o", name]),
        ("pvinfo", vec!["--format", name]),
        ("pvebc", vec!["-t", name]),
        ("pvebc", vec!["-t", name, "--dry-run", "--format", "json", "--user-cert", name]),
        ("pvimg", vec!["info", name]),
        ("pvimg", vec!["info", "--format", "json", name, "--hdr-key", name]),
        ("pvimg", vec!["info", "--components", name]),
        ("pvimg", vec!["test", name, "-k", name]),
        ("pvimg", vec!["verify", name]),
        ("pvtools", vec!["doctor", name]),
        ("pvtools", vec!["doctor", "--json", name]),
        ("pvtools", vec!["trustee", name]),
        ("pvtools", vec!["trustee", "verifier", name, "--check"]),
        ("pvtools", vec!["trustee", "verifier", ".", "--check", "--environment", name]),
        ("pvtools", vec!["trustee", "verifier", ".", "--check", "--format", "json", "--group", name]),
        ("pvtools", vec!["trustee", "verifier", name, "--image", name, "-k", name, "-C", name]),
        ("pvtools", vec!["trustee", "policy", "--image", name]),
        ("pvtools", vec!["trustee", "policy", "--lint", name]),
        ("pvtools", vec!["trustee", "policy", "--lint", name, "--kind", "attestation", "--format", "json"]),
        ("pvtools", vec!["trustee", "policy", "--image", name, "--url", name, "--token-file", name]),
        ("pvtools", vec!["trustee", "resources", "-r", name, "-i", name, "-m", name, "--folder", name]),
        ("pvtools", vec!["trustee", "resources", "-r", name, "-i", name, "--check"]),
        ("pvtools", vec!["trustee", "key", name, "--token", name]),
        ("pvtools", vec!["trustee", "key", "k", "--config", "--public", name, "--issuer", name, "--role", name]),
        ("pvtools", vec!["trustee", "key", "k", "--config", "--token", other, "--audience", name]),
        ("pvtools", vec!["trustee", "challenge", "-k", name, "--no-verify", "--image", name, "--rsa-public", name]),
        ("pvtools", vec!["trustee", "evidence", "show", "-i", name]),
        ("pvtools", vec!["trustee", "evidence", "verify", "-i", name, "--rsa-key", name, "--image", name]),
        ("pvtools", vec!["trustee", "renew", name, "--image", name, "-k", name, "--no-verify", "-o", name]),
        ("lszcrypt", vec![name]),
        ("chzcrypt", vec!["--se-bind", name]),
    ];
    rows.extend(
        [
            "pvsecret",
            "pvattest",
            "pvverify",
            "pvextract-hdr",
            "pvapconfig",
            "pvinfo",
            "lszcrypt",
            "chzcrypt",
            "pvebc",
            "pvimg",
            "pvtools",
        ]
        .map(|tool| (tool, vec![name])),
    );
    for content in [None, Some("text"), Some("!Association\nname: [\n"), Some("- {mode: \"\u{1b}[31m\u{202e}\"}\n")] {
        if let Some(content) = content {
            fs::write(scratch.join(name), content).unwrap();
        }
        for (tool, args) in &rows {
            is_fit(&format!("{tool} {args:?} {content:?}"), &scratch.run(tool, args));
        }
    }
}

/// Files with such names in what a command says that has done its work.
#[test]
fn names_of_files_that_were_used_and_made() {
    let scratch = workstation();
    let name = file_name();
    let name = name.as_str();
    scratch.write("img", pvsim::image::image(&scratch.read("se.hdr"), 2, false).unwrap());
    for from in ["host.crt", "img"] {
        fs::copy(scratch.join(from), scratch.join(name)).unwrap();
        for (tool, args) in [
            (
                "pvsecret",
                &["create", "-v", "-k", "host.crt", "--no-verify", "--hdr", "se.hdr", "-o", "NAME", "meta"][..],
            ),
            (
                "pvsecret",
                &["create", "-k", "host.crt", "--no-verify", "--hdr", "se.hdr", "-o", "r", "association", "NAME"],
            ),
            ("pvattest", &["create", "-v", "-k", "host.crt", "--no-verify", "-o", "NAME", "-a", "arpk"]),
            ("pvattest", &["create", "-v", "-k", "host.crt", "--no-verify", "-o", "r", "-a", "NAME"]),
            ("pvextract-hdr", &["-o", "NAME", "img"]),
            ("pvextract-hdr", &["-o", "h", "NAME"]),
            ("pvverify", &["-k", "NAME", "--no-verify"]),
            ("pvimg", &["test", "img", "-k", "NAME"]),
            ("pvimg", &["verify", "NAME"]),
            ("pvimg", &["info", "NAME"]),
        ] {
            fs::copy(scratch.join(from), scratch.join(name)).unwrap();
            let args: Vec<_> = args.iter().map(|word| if *word == "NAME" { name } else { word }).collect();
            is_fit(&format!("{tool} {args:?} {from}"), &scratch.run(tool, &args));
        }
    }
    // A document that is followed by another certificate, which is worth a warning.
    scratch.write(name, scratch.read("host.crt").repeat(2));
    for (tool, args) in [("pvimg", ["test", "img", "-k", name]), ("pvverify", ["--no-verify", "-v", "-k", name])] {
        is_fit(&format!("{tool} {args:?}"), &scratch.run(tool, &args));
    }
}

#[test]
fn certificates_and_crls() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap();
    let mut plan = Plan::new(&KEYS, now);
    let address = || vec![vec![format!("http://127.0.0.1:1/{HOSTILE}"), HOSTILE.to_owned()]];
    plan.host_key.subject = common_name(HOSTILE);
    plan.host_key.distribution_points = address();
    plan.intermediate.distribution_points = address();
    plan.intermediate.subject = common_name(HOSTILE);
    plan.intermediate_crl.issuer = common_name(HOSTILE);
    plan.root.subject = common_name(HOSTILE);
    plan.root_crl.issuer = common_name(HOSTILE);
    let pki = plan.build().unwrap();
    let scratch = Scratch::new();
    let name = file_name();
    scratch.write("host.crt", pki.host_key_document.to_pem().unwrap());
    let mut evil = CertificateSpec { issuer: Some(common_name(HOSTILE)), ..plan.host_key.clone() };
    scratch.write("issuer.crt", evil.issue(Some(&pki.signing_key)).unwrap().certificate.to_pem().unwrap());
    evil.issuer = None;
    scratch.write("forged.crt", evil.issue(None).unwrap().certificate.to_pem().unwrap());
    scratch.write("ibm.crt", pki.signing_key.certificate.to_pem().unwrap());
    scratch.write("inter.crt", pki.intermediate.certificate.to_pem().unwrap());
    scratch.write("root.crt", pki.root.certificate.to_pem().unwrap());
    let crls: Vec<Vec<u8>> = pki.crls.iter().map(|crl| crl.to_pem().unwrap()).collect();
    scratch.write("all.crl", crls.concat());
    scratch.write("chain.crl", crls[..2].concat());
    scratch.write("root.crl", &crls[0]);
    scratch.write(&name, [pki.host_key_document.to_pem().unwrap(), crls[1].clone()].concat());
    scratch.write("se.hdr", {
        let secrets = pvsim::image::HeaderSecrets::random().unwrap();
        pvsim::image::header(std::slice::from_ref(&KEYS.host_key), &secrets, 0, 1).unwrap()
    });
    for document in ["host.crt", "issuer.crt", "forged.crt", name.as_str()] {
        let json = scratch.run("pvtools", &["inspect", "--format", "json", document]).succeeds();
        is_fit("inspect --json", &json);
        let text = scratch.run("pvtools", &["inspect", document]).succeeds();
        is_fit("inspect", &text);
        // The JSON means what is in the certificate.
        assert!(serde_json::from_slice::<serde_json::Value>(&json.stdout).unwrap().to_string().contains("\u{202e}"));
        for crl in ["all.crl", "chain.crl", "root.crl", name.as_str()] {
            let trust = ["-k", document, "-C", "ibm.crt,inter.crt", "--root-ca", "root.crt", "--crl", crl];
            let with = |words: &[&'static str]| {
                words.iter().copied().map(str::to_owned).chain(trust.map(str::to_owned)).collect::<Vec<_>>()
            };
            for (tool, words) in [
                ("pvverify", &[][..]),
                ("pvverify", &["--explain"]),
                ("pvverify", &["--offline"]),
                ("pvverify", &["--explain", "--offline"]),
                ("pvverify", &["--format", "json"]),
            ] {
                let run = scratch.run(tool, &with(words));
                is_fit(&format!("{tool} {words:?} {document:?} {crl}"), &run);
            }
            let mut create = with(&["create", "-vvv"]);
            create.extend(["--hdr", "se.hdr", "-o", "request", "meta"].map(str::to_owned));
            is_fit("pvsecret create", &scratch.run("pvsecret", &create));
            let mut create = with(&["create", "-vvv"]);
            create.extend(["-o", "request", "-a", "arpk"].map(str::to_owned));
            is_fit("pvattest create", &scratch.run("pvattest", &create));
            let mut folder = with(&["trustee", "verifier", "folder", "--offline"]);
            folder.extend(["--image", "se.hdr"].map(str::to_owned));
            is_fit("trustee verifier", &scratch.run("pvtools", &folder));
            is_fit("doctor", &scratch.run("pvtools", &["doctor", document, crl, "root.crt", "inter.crt"]));
            let mut bundle = with(&["trust-bundle", "-v"]);
            bundle.extend(["-o", "bundle"].map(str::to_owned));
            is_fit("trust-bundle", &scratch.run("pvtools", &bundle));
        }
    }
}

/// A folder of the verifier with such names and such content, everything that the key broker's side reads, and what
/// the folders of a machine may hold.
#[test]
fn trustee_and_doctor() {
    let world = World::new().folder();
    let scratch = &world.scratch;
    let name = file_name();
    let quoted = serde_json::to_string(HOSTILE).unwrap();
    let text = |args: &[&str]| is_fit(&format!("{args:?}"), &scratch.run("pvtools", args));
    for folder in ["v", "v/hkds", "v/certs", "v/crls", "v/rsa", "v/hdr"] {
        scratch.write(&format!("{folder}/{name}"), HOSTILE);
    }
    fs::copy(scratch.join("one/host.crt"), scratch.join(&format!("v/hkds/{name}.crt"))).unwrap();
    scratch.write(
        "v/verifier.env",
        format!("{HOSTILE}={HOSTILE}\nSE_X{HOSTILE}=1\nSE_SKIP_CERTS_VERIFICATION={HOSTILE}\n"),
    );
    text(&["trustee", "verifier", "v", "--check"]);
    text(&["trustee", "verifier", "v", "--check", "--warn-days", "400", "--group", "1"]);
    let json = scratch.run("pvtools", &["trustee", "verifier", "v", "--check", "--format", "json"]);
    is_fit("verifier --check --format json", &json);
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(report.to_string().contains('\u{202e}'), "the JSON means the names that are there");
    // Texts that are parsed.
    fs::copy(scratch.join("one/se.img"), scratch.join(&name)).unwrap();
    for show in ["text", "json", "rvps", "attestation", "resource"] {
        text(&["trustee", "policy", "--image", &name, "-k", "one/host.crt", "--show", show]);
    }
    let policies = [
        format!("package {HOSTILE}\nimport rego.v1\n"),
        format!(
            "package policy\ndefault {HOSTILE} := 3\ntrust_claims[{quoted}] := 200\nallow if input[{quoted}] == 1\n"
        ),
        format!("package policy\ntrust_claims := {{{quoted}: 300}}\nx if input.se[{quoted}] == data[{quoted}]\n"),
    ];
    for policy in &policies {
        scratch.write("p.rego", policy);
        for kind in ["attestation", "resource"] {
            text(&["trustee", "policy", "--lint", "p.rego", "--kind", kind]);
            text(&["trustee", "policy", "--lint", "p.rego", "--kind", kind, "--format", "json"]);
        }
    }
    let evidences = [
        format!("{{{quoted}: {quoted}}}"),
        format!("{{\"measurement\": {quoted}}}"),
        format!(
            "{{\"tee-evidence\": {{\"primary_evidence\": {quoted}}}, \"runtime-data\": {{\"nonce\": {quoted}, \"tee-pubkey\": {quoted}}}}}"
        ),
    ];
    for evidence in &evidences {
        scratch.write("e.json", evidence);
        text(&["trustee", "evidence", "show", "-i", "e.json"]);
        text(&[
            "trustee",
            "evidence",
            "verify",
            "-i",
            "e.json",
            "--rsa-key",
            "v/rsa/encrypt_key.pem",
            "--image",
            "one/se.img",
        ]);
    }
    let id = "ab".repeat(32);
    for identity in [
        format!("!Association\nname: {quoted}\nid: 0x{id}\n"),
        format!("!{quoted}\nid: {quoted}\n"),
        HOSTILE.to_owned(),
    ] {
        scratch.write("i.yaml", &identity);
        scratch.write("s.yaml", format!("- {{name: {quoted}, secret: {quoted}, mkvp: {quoted}}}\n"));
        text(&["trustee", "resources", "--check", "-r", "i.yaml", "-i", "i.yaml"]);
        text(&["trustee", "resources", "-r", "i.yaml", "-i", "i.yaml", "-m", "i.yaml", "--folder", "f"]);
        text(&[
            "trustee",
            "renew",
            "v",
            "--image",
            "new/se.img",
            "--secrets",
            "s.yaml",
            "-o",
            "o",
            "-k",
            "one/host.crt",
            "--no-verify",
        ]);
    }
    // Machines: names and texts in sysfs.
    for side in ["guest", "host"] {
        let scratch = Scratch::new();
        put(&scratch, &[(&format!("sys/firmware/uv/prot_virt_{side}"), "1\n"), ("dev/uv", "")]);
        for file in [
            "sys/firmware/uv/query/facilities",
            "sys/firmware/uv/query/feature_indications",
            "sys/firmware/uv/query/max_cpus",
            "sys/bus/ap/features",
            "proc/cmdline",
        ] {
            put(&scratch, &[(file, HOSTILE)]);
        }
        put(
            &scratch,
            &[(&format!("sys/bus/ap/devices/0.{name}"), ""), (&format!("sys/bus/ap/drivers/vfio_ap/0.{name}"), "")],
        );
        for args in [
            &["doctor"][..],
            &["doctor", "--json"],
            &["pvinfo"],
            &["pvinfo", "--format", "json"],
            &["pvinfo", "--facilities"],
            &["lszcrypt"],
            &["lszcrypt", "-b"],
            &["lszcrypt", "-b", "--format", "json"],
        ] {
            let args: Vec<_> = args.iter().map(|word| (*word).to_owned()).collect();
            let (code, stdout) = on_machine(&scratch, SystemTime::now, &args);
            if args.iter().any(|word| word.ends_with("json")) && !stdout.is_empty() {
                serde_json::from_str::<serde_json::Value>(&stdout)
                    .unwrap_or_else(|_| panic!("{side}: {args:?}: {stdout}"));
            }
            is_fit(&format!("{side}: {args:?}"), &Run { status: 0, stdout: stdout.into_bytes(), stderr: code });
        }
    }
}

#[test]
fn yaml_files() {
    let scratch = Scratch::new();
    let quoted = serde_json::to_string(HOSTILE).unwrap();
    let id = "0".repeat(64);
    let files = [
        format!("!Association\nname: {quoted}\nid: '0x{id}'\n"),
        format!("!Retrievable\nkind: {quoted}\nname: {quoted}\nid: {quoted}\n"),
        format!("- {{mode: {quoted}}}\n"),
        format!("- {{mode: ep11, name: {quoted}, mkvp: {quoted}}}\n"),
        format!("- {{mode: ep11, {quoted}: 1, serialnr: {quoted}, secretid: {quoted}, description: {quoted}}}\n"),
        format!("- {{mode: accel, name: {quoted}, mingen: {quoted}}}\n"),
        format!("{quoted}: {quoted}\n"),
        format!("- *{HOSTILE}\n"),
    ];
    for file in &files {
        scratch.write("file.yaml", file);
        for (tool, args) in [
            ("pvtools", &["inspect", "file.yaml"][..]),
            ("pvtools", &["inspect", "--format", "json", "file.yaml"]),
            ("pvapconfig", &["--check", "-c", "file.yaml"]),
            ("pvapconfig", &["--check", "-c", "file.yaml", "--format", "json"]),
            ("pvapconfig", &["-n", "-v", "-c", "file.yaml"]),
            ("pvsecret", &["retrieve", "-i", "file.yaml", "-o", "-"]),
        ] {
            is_fit(&format!("{tool} {args:?} {file}"), &scratch.run(tool, args));
        }
    }
}

#[test]
fn attributes_of_sysfs() {
    const INVENTORY: &str = "\
master_keys: {A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3b773619640a1a75a9161cec00000001}
cards: {'0f': {type: CEX8A}}
queues:
  '0f.0014': {}
  '28.0014': {mk: A, state: bound}
secrets: [s1]
";
    let config = "- {mode: ep11, name: s1, mkvp: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n- {mode: accel}\n";
    let attributes = [
        "read_type",
        "read_online",
        "read_ap_functions",
        "read_se_bind",
        "read_se_associate",
        "read_mkvps",
        "read_serialnr",
    ];
    for attribute in attributes {
        for (tool, args) in [
            ("pvapconfig", &["-c", "config.yaml", "-v"][..]),
            ("pvapconfig", &["-c", "config.yaml", "--status"]),
            ("pvapconfig", &["-c", "config.yaml", "-n", "--format", "json"]),
            ("lszcrypt", &["-V"]),
            ("lszcrypt", &["--format", "json"]),
            ("chzcrypt", &["--se-associate", "0", "28.0014"]),
            ("chzcrypt", &["--se-bind", "0f.0014"]),
        ] {
            let guest = ApGuest::new(INVENTORY, config);
            let act = format!("text:{}", HOSTILE.trim_end());
            let fault = Fault { op: attribute.into(), command: None, queue: None, act, skip: 0, count: 1000 };
            guest.machine.order(fault).unwrap();
            is_fit(&format!("{tool} {args:?}, {attribute}"), &guest.run(tool, args));
        }
    }
}

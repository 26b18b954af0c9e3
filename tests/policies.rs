//! Policies, evaluated by the engine that Trustee uses, and linted. Not a test of `setrustee`, whose tests are built for
//! s390x too, and the engine is large.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use regorus::{Engine, Value};
use serde_json::json;
use setrustee::lint::{Kind, kind, lint};
use setrustee::{
    ImageReference, Lists, MachineReference, ReferenceValues, Severity, TRUST_CLAIMS, attestation_policy,
    resource_policy,
};
use uvtypes::HostKeyHash;

fn values() -> ReferenceValues {
    let image = |name: &str, tag, hosts: &[u8]| ImageReference {
        name: name.into(),
        tag: [tag; 16],
        host_keys: hosts.iter().map(|host| HostKeyHash::sha256([*host; 32])).collect(),
    };
    let machine = |name: &str, host| MachineReference { name: name.into(), host_key: HostKeyHash::sha256([host; 32]) };
    let images = vec![image("old.img", 0xa1, &[1, 2]), image("new\n.img", 0xa2, &[1, 2, 3])];
    ReferenceValues::new(images, vec![machine("one.crt", 1), machine("two.crt", 2)]).unwrap()
}

fn claims(tag: u8, image: u8, attestation: u8) -> serde_json::Value {
    json!({
        "se": {
            "cuid": "00".repeat(16), "version": 256, "tag": hex::encode([tag; 16]),
            "image_phkh": hex::encode([image; 32]), "attestation_phkh": hex::encode([attestation; 32]),
        },
        "report_data": "00".repeat(64),
    })
}

fn value(json: &serde_json::Value) -> Value {
    Value::from_json_str(&json.to_string()).unwrap()
}

/// The trust claims, as the server's engine computes them; reference values from `registered`.
fn evaluate(policy: &str, input: &serde_json::Value, registered: &serde_json::Value) -> serde_json::Value {
    let mut engine = Engine::new();
    let registered = value(registered);
    let lookup = move |names: Vec<Value>| Ok(registered[&names[0]].clone());
    engine.add_extension("query_reference_value".into(), 1, Box::new(lookup)).unwrap();
    engine.add_policy("policy.rego".into(), policy.into()).unwrap();
    engine.set_input(value(input));
    let claims = engine.eval_rule("data.policy.trust_claims".into()).unwrap();
    serde_json::from_str(&claims.to_json_str().unwrap()).unwrap()
}

/// The status that the server makes of claims (draft-ietf-rats-ar4si).
fn status(claims: &serde_json::Value) -> &'static str {
    let claims = claims.as_object().unwrap();
    assert!(claims.keys().all(|name| TRUST_CLAIMS.contains(&name.as_str())), "{claims:?}");
    assert_eq!(claims.len(), TRUST_CLAIMS.len());
    match claims.values().map(|value| value.as_i64().unwrap()).max().unwrap() {
        0..=1 => "none",
        2..=31 => "affirming",
        32..=95 => "warning",
        _ => "contraindicated",
    }
}

#[test]
fn attestation_policy_affirms_the_images_on_the_machines_and_nothing_else() {
    let values = values();
    let registered = values.to_json()["reference_values"].clone();
    for lists in [Lists::Literal, Lists::Registered] {
        let policy = attestation_policy(&values, lists);
        let status_of = |input: &serde_json::Value| status(&evaluate(&policy, input, &registered));
        let mut affirmed = 0;
        for tag in [0xa1, 0xa2, 0xa3] {
            for image in 1..=3 {
                for attestation in 1..=3 {
                    let good = tag != 0xa3 && image != 3 && attestation != 3;
                    affirmed += usize::from(good);
                    let status = status_of(&claims(tag, image, attestation));
                    assert_eq!(status == "affirming", good, "{tag:x} {image} {attestation}: {status}");
                    // An unknown machine is the worst.
                    assert_eq!(
                        status == "contraindicated",
                        attestation == 3,
                        "{tag:x} {image} {attestation}: {status}"
                    );
                }
            }
        }
        assert_eq!(affirmed, 8);
        for other in [json!({}), json!({ "sample": { "svn": "1" } }), json!({ "snp": {} }), json!({ "se": {} })] {
            assert_eq!(status_of(&other), "contraindicated", "{other}");
        }
        assert_eq!(lint(&policy, Kind::Attestation), [], "{policy}");
        assert_eq!(kind(&policy), Kind::Attestation);
    }
    // Reference values that were never registered affirm nobody.
    let policy = attestation_policy(&values, Lists::Registered);
    assert_eq!(status(&evaluate(&policy, &claims(0xa1, 1, 1), &json!({}))), "contraindicated");
}

#[test]
fn without_machines_those_of_the_images_count() {
    let values = ReferenceValues::new(values().images().to_vec(), vec![]).unwrap();
    let policy = attestation_policy(&values, Lists::Literal);
    assert_eq!(status(&evaluate(&policy, &claims(0xa1, 3, 3), &json!({}))), "affirming");
    assert_eq!(values.strangers(), [""; 0]);
}

#[test]
fn strangers_are_named() {
    let image = |tag, host| ImageReference {
        name: format!("{tag}.img"),
        tag: [tag; 16],
        host_keys: vec![HostKeyHash::sha256([host; 32])],
    };
    let machine = |host| MachineReference { name: format!("{host}.crt"), host_key: HostKeyHash::sha256([host; 32]) };
    let values = ReferenceValues::new(vec![image(1, 1), image(2, 2)], vec![machine(1), machine(3)]).unwrap();
    let expected = ["no image has a key slot for '3.crt'", "'2.img' has a key slot for none of the host keys"];
    assert_eq!(values.strangers(), expected);
}

#[test]
fn rvps_message_holds_the_lists() {
    let message = values().to_rvps();
    assert_eq!((&message["version"], &message["type"]), (&json!("0.1.0"), &json!("sample")));
    let payload = openssl::base64::decode_block(message["payload"].as_str().unwrap()).unwrap();
    let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    let hosts = json!([hex::encode([1; 32]), hex::encode([2; 32])]);
    let expected = json!({
        "se_tag": [hex::encode([0xa1; 16]), hex::encode([0xa2; 16])],
        "se_image_phkh": hosts, "se_attestation_phkh": hosts,
    });
    assert_eq!(payload, expected);
}

#[test]
fn resource_policy_is_for_affirmed_guests_alone() {
    let allows = |submods: serde_json::Value, plugin: &str| {
        let mut engine = Engine::new();
        engine.add_policy("policy.rego".into(), resource_policy().into()).unwrap();
        engine.add_data(value(&json!({ "plugin": plugin, "resource-path": ["vfio_ap", "ab", "secret"] }))).unwrap();
        engine.set_input(value(&json!({ "submods": submods })));
        engine.eval_rule("data.policy.allow".into()).unwrap() == Value::from(true)
    };
    let submod = |status: &str, tee: &str| json!({ "ear.status": status, "ear.veraison.annotated-evidence": { tee: { "tag": "00" } } });
    assert!(allows(json!({ "cpu0": submod("affirming", "se") }), "resource"));
    for status in ["none", "warning", "contraindicated"] {
        assert!(!allows(json!({ "cpu0": submod(status, "se") }), "resource"), "{status}");
        assert!(!allows(json!({ "cpu0": submod("affirming", "se"), "gpu0": submod(status, "nvidia") }), "resource"));
    }
    for tee in ["sample", "snp"] {
        assert!(!allows(json!({ "cpu0": submod("affirming", tee) }), "resource"), "{tee}");
    }
    assert!(!allows(json!({ "cpu0": submod("affirming", "se"), "gpu0": submod("affirming", "sample") }), "resource"));
    assert!(!allows(json!({}), "resource"));
    assert!(!allows(json!({ "cpu0": submod("affirming", "se") }), "another"));
    assert_eq!(lint(resource_policy(), Kind::Resource), []);
    assert_eq!(kind(resource_policy()), Kind::Resource);
}

/// Policies of 1 MiB, which is what is read of one: a sign for ever, one rule for ever, and each named by each claim.
#[test]
fn lint_comes_to_an_end() {
    let many = |what: &dyn Fn(usize) -> String| (0..60_000).map(what).collect::<String>();
    let claims = |claims: &str| format!("package policy\ntrust_claims := {{{claims}}}\n");
    let policies = [
        claims(&format!("\"hardware\": {}1", "-".repeat(1 << 20))),
        claims(&many(&|number| format!("\"{number}\":x,"))) + "x := 3\n",
        claims(&many(&|_| "\"hardware\":x,".to_owned())) + &many(&|_| "x := 300\n".to_owned()),
        claims(&many(&|number| format!("\"hardware\":x{number},"))) + &many(&|number| format!("x{number} := 300\n")),
    ];
    for (number, policy) in policies.iter().enumerate() {
        let began = std::time::Instant::now();
        lint(policy, Kind::Attestation);
        lint(policy, Kind::Resource);
        let took = began.elapsed();
        assert!(took < std::time::Duration::from_secs(20), "policy {number}: {took:?}");
    }
}

#[test]
fn lint_finds_what_a_server_swallows() {
    let good = attestation_policy(&values(), Lists::Literal);
    let change = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replace(from, to)
    };
    let rows: Vec<(String, Severity, &str)> = vec![
        (
            change("package policy", "package other"),
            Severity::Error,
            "expected 'package policy', found 'package other'",
        ),
        (change("package policy", ""), Severity::Error, "expected 'package policy', found none"),
        (change("trust_claims :=", "result :="), Severity::Error, "trust_claims: it is not defined"),
        (format!("{good}\ndefault allow := false\n"), Severity::Error, "'allow' has no effect"),
        (change("input.se.tag", "input[\"se.tag\"]"), Severity::Error, "write 'input.se.tag'"),
        (
            format!("{good}\nx if {{ input[\"se.user_data\"] == \"1\" }}\n"),
            Severity::Error,
            "the claims stand below 'se'",
        ),
        (format!("{good}\nx if input.se.user_data == \"1\"\n"), Severity::Error, "input.report_data"),
        (format!("{good}\nx if input[\"se\"][\"user_data\"]\n"), Severity::Error, "input.report_data"),
        (format!("{good}\nx if input.se.report_data\n"), Severity::Error, "one level up"),
        (format!("{good}\nx if input.se.image_hash\n"), Severity::Error, "'input.se.image_hash' does not exist"),
        (format!("{good}\nx if input.se.version == 256\n"), Severity::Warning, "constant of the verifier"),
        (format!("{good}\nx if input.se.cuid == \"1\"\n"), Severity::Warning, "differs at each start"),
        (format!("{good}\nx if input.init_data\n"), Severity::Error, "no init data"),
        (format!("{good}\nx if input.init_data_claims.y\n"), Severity::Error, "no init data"),
        (format!("{good}\nx if input.sample\n"), Severity::Warning, "anybody can be"),
        (change("\"file-system\"", "\"file_system\""), Severity::Error, "'file_system' is no trust claim"),
        (change("\"hardware\": hardware", "\"hardware\": 259"), Severity::Error, "takes as 3 (affirming)"),
        (
            change("executables := 3", "executables := 259"),
            Severity::Error,
            "259, which the server takes as 3 (affirming)",
        ),
        (change("executables := 3", "executables := 200"), Severity::Error, "takes as -56 (warning)"),
        (change("executables := 3", "executables := 128"), Severity::Error, "takes as -128"),
        (change("executables := 3", "executables := -128"), Severity::Error, "-128"),
        (change("executables := 3", "executables := 2.5"), Severity::Error, "no whole number"),
        (change("default hardware := 97", "default hardware := 2"), Severity::Error, "affirming) without any test"),
        (change("\"hardware\": hardware", "\"hardware\": 2"), Severity::Error, "affirming) without any test"),
        (change("input.se.tag", "input.se.cuid"), Severity::Error, "input.se.tag: no rule tests it"),
        (
            change("\tinput.se.image_phkh in image_host_keys\n", ""),
            Severity::Warning,
            "input.se.image_phkh: no rule tests",
        ),
        (
            change("input.se.attestation_phkh in", "input.se.image_phkh in"),
            Severity::Warning,
            "attestation_phkh: no rule",
        ),
        (change("a1a1a1a1a1a1a1a1", "A1A1A1A1A1A1A1A1"), Severity::Error, "never equals a claim"),
        (change("\t\"a1a1", "\t\"0xa1a1"), Severity::Error, "never equals a claim"),
    ];
    let count = rows.len();
    for (policy, severity, part) in rows {
        let findings = lint(&policy, Kind::Attestation);
        let found = findings.iter().find(|finding| finding.to_string().contains(part));
        let found = found.unwrap_or_else(|| panic!("'{part}' is not in {findings:#?}\n{policy}"));
        assert_eq!(found.severity, severity, "{found}");
    }
    assert_eq!(count, 29);
}

#[test]
fn lint_knows_comments_and_texts_from_rules() {
    let good = attestation_policy(&values(), Lists::Literal);
    let policy =
        format!("# allow, input[\"se.tag\"] and input.sample are gone\n{good}\nnote := `input.sample allow`\n");
    assert_eq!(lint(&policy, Kind::Attestation), []);
}

#[test]
fn lint_finds_resource_policies_that_protect_nothing() {
    let good = resource_policy();
    let rows = [
        (good.replace("default allow := false", "default allow := true"), "true without any test"),
        ("package policy\nallow = true\n".to_owned(), "true without any test"),
        (good.replace("\"affirming\"", "\"warning\""), "no rule demands"),
        (good.replace("[\"ear.status\"]", ".status"), "no rule demands"),
        (good.replace("allow", "permit"), "nobody gets a resource"),
        (good.replace("package policy", "package resource"), "expected 'package policy'"),
        (format!("{good}\nx if input.se.tag == \"1\"\n"), "the input of a resource policy is the token"),
        (format!("{good}\nx if input[\"se.tag\"] == \"1\"\n"), "the input of a resource policy is the token"),
    ];
    for (policy, part) in rows {
        let findings = lint(&policy, Kind::Resource);
        assert!(findings.iter().any(|finding| finding.to_string().contains(part)), "'{part}' is not in {findings:#?}");
    }
    // The form of the server's own default.
    let default = "package policy\nimport rego.v1\ndefault allow = false\nallow if {\n\tdata.plugin == \"resource\"\n\tnot sample\n}\n\
                   sample if input.submods.cpu0[\"ear.veraison.annotated-evidence\"].sample\n";
    assert_eq!(kind(default), Kind::Resource);
    assert_eq!(lint(default, Kind::Resource).len(), 1);
}

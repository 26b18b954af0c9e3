//! pvinfo on a workstation and in a simulated guest.

use crate::ap_guest::ApGuest;
use crate::recorded;
use crate::support::{Run, product};
use std::path::Path;

#[test]
fn behaves_as_recorded() {
    recorded::compare("pvinfo", |_| true);
}

#[test]
fn tells_the_same_in_every_form() {
    let guest = ApGuest::new("{}", "");
    let human = guest.run("pvinfo", &[]).succeeds();
    assert!(
        human.stdout().starts_with("Secure Execution Guest\n\nFacilities: Installed Ultravisor Calls\n"),
        "{human:#?}"
    );
    let yaml: serde_json::Value =
        serde_yaml::from_slice(&guest.run("pvinfo", &["--format", "yaml"]).succeeds().stdout).unwrap();
    let json: serde_json::Value =
        serde_json::from_slice(&guest.run("pvinfo", &["--format", "json"]).succeeds().stdout).unwrap();
    assert_eq!(yaml, json);
    assert_eq!(json["se_status"], "Guest");
    for list in json.as_object().unwrap().values().filter_map(|value| value.as_array()) {
        for line in list {
            assert!(human.stdout().contains(&format!("\n{}\n", line.as_str().unwrap())), "{line}");
        }
    }
    let facilities = guest.run("pvinfo", &["--facilities"]).succeeds();
    assert!(!facilities.stdout().contains("Limits") && facilities.stdout().contains("List Secrets"), "{facilities:#?}");
    let only_limits = guest.run("pvinfo", &["--limits", "--format", "json"]).succeeds();
    let only_limits: serde_json::Value = serde_json::from_slice(&only_limits.stdout).unwrap();
    assert_eq!((&only_limits["se_status"], &only_limits["limits"]), (&serde_json::Value::Null, &json["limits"]));
}

#[test]
fn tells_the_flags_in_every_form_wherever_the_option_stands() {
    let guest = ApGuest::new("{}", "");
    let value = |args: &[&str]| -> serde_json::Value {
        serde_yaml::from_slice(&guest.run("pvinfo", args).succeeds().stdout)
            .unwrap_or_else(|error| panic!("{args:?}: {error}"))
    };
    let all = value(&["--format", "json"]);
    for (option, keys) in [
        ("--header", &["supported_plaintext_control_flags", "supported_se_header_versions"][..]),
        ("--attestation", &["supported_plaintext_attestation_flags", "supported_attestation_request_versions"]),
        (
            "--secret",
            &[
                "supported_secret_types",
                "supported_add_secret_request_versions",
                "supported_plaintext_add_secret_flags",
            ],
        ),
    ] {
        for format in ["json", "yaml"] {
            let found = value(&["--format", format, "supported-flags", option]);
            assert_eq!(found, value(&["supported-flags", option, "--format", format]), "{option} {format}");
            let mut wanted: serde_json::Map<_, _> =
                keys.iter().map(|key| ((*key).to_owned(), all[key].clone())).collect();
            wanted.insert("se_status".to_owned(), serde_json::Value::Null);
            wanted.retain(|key, value| key == "se_status" || !value.is_null());
            assert!(wanted.len() > 1, "{all:#}");
            assert_eq!(found, serde_json::Value::Object(wanted), "{option} {format}");
        }
    }
    assert_eq!(value(&["supported-flags", "--format", "json"]).as_object().unwrap().len(), 8, "{all:#}");
    let json = guest.run("pvinfo", &["supported-flags", "--format", "json"]);
    assert!(json.stdout().starts_with('{'), "{json:#?}");
    let human = guest.run("pvinfo", &["--format", "human", "supported-flags"]).succeeds();
    assert_eq!(human.stdout(), guest.run("pvinfo", &["supported-flags"]).stdout());
}

#[test]
fn tells_in_json_that_there_is_no_ultravisor() {
    if Path::new("/sys/firmware/uv").exists() {
        crate::support::left_out("there is an ultravisor here");
        return;
    }
    let wanted = "{\n  \"se_status\": \"Unsecure\"\n}\n";
    for args in [&["--format", "json"][..], &["--se-status", "--format=json"]] {
        assert_eq!(Run::of(product("pvinfo").args(args), b"").succeeds().stdout(), wanted, "{args:?}");
    }
    let yaml = Run::of(product("pvinfo").args(["--format", "yaml"]), b"").succeeds();
    assert_eq!(yaml.stdout(), "Secure Execution is not enabled\n");
    for args in [&["--format", "json", "--limits"][..], &["supported-flags", "--format", "json"]] {
        let run = Run::of(product("pvinfo").args(args), b"");
        assert_eq!((run.status, run.stdout()), (1, ""), "{args:?}");
    }
}

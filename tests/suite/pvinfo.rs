//! pvinfo on a workstation and in a simulated guest.

use crate::ap_guest::ApGuest;
use crate::recorded;

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

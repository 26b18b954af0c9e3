//! The command line of the simulator.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use pvsim::seal::{AttestDraft, Draft};
use pvsim::{InProcess, Machine};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use uvdevice::{Ultravisor, UvDevice};

fn pvsim(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pvsim")).args(args).current_dir(folder).output().unwrap()
}

#[track_caller]
fn succeeds(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refuses(output: &Output, words: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
    assert!(stderr.starts_with("error: ") && stderr.lines().count() == 1 && stderr.contains(words), "{stderr}");
}

fn json(folder: &Path) -> Value {
    serde_json::from_str(&succeeds(pvsim(folder, &["show", "m", "--format", "json"]))).unwrap()
}

#[test]
fn a_machine_is_made_shown_and_started_again() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    std::fs::write(folder.join("inventory"), "guest: {max_association: 3}\nsecrets: [one]\n").unwrap();
    succeeds(pvsim(folder, &["init", "m", "--inventory", "inventory"]));
    let shown = json(folder);
    assert_eq!((&shown["settings"]["max_association"], &shown["guest"]["boot"]), (&3.into(), &1.into()));
    assert_eq!(shown["guest"]["secrets"][0]["id"], hex::encode(openssl::sha::sha256(b"one")));
    let text = succeeds(pvsim(folder, &["show", "m"]));
    assert!(text.contains("0 Association, id 0x"), "{text}");
    assert!(text.contains(shown["guest"]["secrets"][0]["secret"].as_str().unwrap()), "{text}");

    succeeds(pvsim(folder, &["reboot", "m"]));
    let after = json(folder);
    assert_eq!((&after["guest"]["boot"], &after["guest"]["secrets"]), (&2.into(), &Value::Array(vec![])));
    assert_ne!(after["guest"]["cuid"], shown["guest"]["cuid"]);
}

#[test]
fn a_machine_starts_another_image_if_its_firmware_takes_it() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    succeeds(pvsim(folder, &["init", "m"]));
    succeeds(pvsim(folder, &["init", "other"]));
    std::fs::write(folder.join("guest"), "guest: {dump_allowed: false, cck_update: true}\n").unwrap();
    succeeds(pvsim(folder, &["init", "again", "--machine", "m", "--inventory", "guest"]));
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let mut changed = read("again/se.img");
    changed[0x15123] ^= 1;
    std::fs::write(folder.join("changed"), changed).unwrap();
    let files = ["guest.json", "se.img", "se.hdr", "cck.bin"];
    let before = files.map(|name| read(&format!("m/{name}")));
    for (image, reason) in [("other/se.img", "rc 0x0108, rrc 0x0005"), ("changed", "rc 0x0102, rrc 0x001b")] {
        let output = pvsim(folder, &["reboot", "m", "--image", image]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(reason), "{said}");
        assert!(files.map(|name| read(&format!("m/{name}"))) == before, "a refused image changed something");
    }
    succeeds(pvsim(folder, &["reboot", "m", "--image", "again/se.img"]));
    for name in &files[1..] {
        assert!(read(&format!("m/{name}")) == read(&format!("again/{name}")), "{name}");
    }
    assert_eq!(json(folder)["guest"]["boot"], 2);
    assert_eq!(json(folder)["guest"]["dump_allowed"], false);
}

#[test]
fn a_fault_is_ordered_and_taken_back() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    succeeds(pvsim(folder, &["init", "m"]));
    succeeds(pvsim(folder, &["fault", "m", "rc:0x0101", "--command", "lock-secrets"]));
    succeeds(pvsim(folder, &["fault", "m", "EIO", "--skip", "5", "--count", "2"]));
    let uv = UvDevice::new(InProcess(Machine::open(&folder.join("m")).unwrap()));
    let error = uv.lock_secrets().unwrap_err().to_string();
    assert_eq!(error, "Ultravisor: 'not allowed to modify the secret store' (0x0101,0x0000)");
    assert_eq!(json(folder)["faults"].as_array().unwrap().len(), 1);
    succeeds(pvsim(folder, &["fault", "m", "--clear"]));
    assert_eq!(json(folder)["faults"].as_array().unwrap().len(), 0);
    refuses(&pvsim(folder, &["fault", "m", "NOTHING"]), "neither an errno nor rc:0xNNNN nor delay:MS");
    refuses(&pvsim(folder, &["fault", "m", "EIO", "--command", "add"]), "'add' is no command; these are: info, attest");
}

#[test]
fn requests_are_decoded_for_people() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let machine = Machine::init(&folder.join("m"), None).unwrap();
    let platform = machine.platform();
    let hosts = [&platform.host_key];
    let add = Draft::new(platform, 2, Some([0x11; 32]), &[0x22; 32]).seal(&hosts).unwrap();
    let attest = AttestDraft::new([0x33; 64], [0x44; 16]).seal(&hosts).unwrap();
    for (name, request, words) in [("add", &add, "22".repeat(32)), ("attest", &attest, "33".repeat(64))] {
        std::fs::write(folder.join(name), request).unwrap();
        let yaml = succeeds(pvsim(folder, &["decode", name, "m/host.key"]));
        assert!(yaml.contains(&words), "{yaml}");
    }
    refuses(&pvsim(folder, &["decode", "add", "m/se.hdr"]), "'m/se.hdr': is not an EC P-521 private key");
    refuses(&pvsim(folder, &["decode", "m/se.hdr", "m/host.key"]), "'m/se.hdr': is neither an add-secret request");
    refuses(&pvsim(folder, &["decode", "nofile", "m/host.key"]), "cannot read 'nofile': No such file");
}

#[test]
fn wrong_folders_and_inventories_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    refuses(&pvsim(folder, &["show", "m"]), "'m' holds no machine; 'pvsim init' makes one");
    std::fs::write(folder.join("wrong"), "guest: {max_assoc: 3}\n").unwrap();
    refuses(&pvsim(folder, &["init", "m", "--inventory", "wrong"]), "unknown field `max_assoc`");
    assert!(!folder.join("m").exists());
    refuses(&pvsim(folder, &["init", "."]), "'.' is not empty");
}

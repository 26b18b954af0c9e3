//! pvtools inspect on every kind of file.

use crate::support::{Scratch, fixture};
use std::fs;

#[test]
fn explains_an_image_and_draws_its_bytes() {
    let scratch = crate::pvextract_hdr::with_image();
    let run = scratch.run("pvtools", &["inspect", "img"]).succeeds();
    assert!(run.stdout().starts_with("img: Secure Execution boot image, "), "{run:?}");
    assert!(run.stdout().contains("0x014000     8  magic"), "{run:?}");
    let run = scratch.run("pvtools", &["inspect", "--hexdump", "img"]).succeeds();
    assert!(
        run.stdout().contains("    00014000  49 42 4d 53 65 63 45 78                          |IBMSecEx|"),
        "{run:?}"
    );
    assert!(!run.stdout().contains('\x1b'), "colours without a terminal");
}

#[test]
fn json_lists_each_file_with_its_fields() {
    let scratch = crate::pvextract_hdr::with_image();
    scratch.write("name.yaml", "!Association\nname: db\nid: 0x00ff\n");
    let run = scratch.run("pvtools", &["inspect", "--format", "json", "img", "name.yaml"]).succeeds();
    let json: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((&json[0]["file"], &json[0]["report"]["kind"]), (&"img".into(), &"se-image".into()));
    assert_eq!(json[0]["report"]["fields"][0]["offset"], 0x14000);
    assert_eq!(json[1]["report"]["fields"][1]["value"], "db");
}

#[test]
fn what_cannot_be_explained_is_named_and_the_rest_goes_on() {
    let scratch = crate::pvextract_hdr::with_image();
    scratch.write("noise", b"some text\n");
    scratch.write("cut", b"pvattest\0\0\x01\0\0\0");
    let run = scratch.run("pvtools", &["inspect", "noise", "cut", "img"]);
    assert_eq!(run.status, 1);
    assert!(run.stdout().contains("img: Secure Execution boot image"), "{run:?}");
    let lines: Vec<_> = run.stderr.lines().collect();
    assert!(lines[0].starts_with("error: Cannot explain 'noise': it is none of: SE image"), "{run:?}");
    assert_eq!(
        lines[1],
        "error: 'cut' is a damaged attestation exchange file: truncated at offset 0xc: 'size of the file' needs 4 bytes, 2 are left"
    );
    scratch.run("pvtools", &["inspect", "missing"]).refuses(1, &["'missing'", "No such file"]);
    assert_eq!(scratch.run("pvtools", &["inspect"]).status, 2);
}

#[test]
fn explains_every_request_of_the_reference_without_a_warning() {
    let vectors = fixture("reference");
    let scratch = Scratch::new();
    let key = vectors.join("keys/host1.crt");
    for folder in ["requests", "attestation"] {
        for entry in fs::read_dir(vectors.join(folder)).unwrap() {
            let file = entry.unwrap().path().join("request.bin");
            let args = ["inspect", "-k", key.to_str().unwrap(), file.to_str().unwrap()];
            let run = scratch.run("pvtools", &args).succeeds();
            assert!(!run.stdout().contains("warning"), "{run:?}");
            assert!(run.stdout().contains("host key of '"), "{run:?}");
        }
    }
}

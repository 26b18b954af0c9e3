//! pvtools inspect on every kind of file.

use crate::support::{Scratch, fixture};
use pvsim::Machine;
use serde_json::Value;
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
    let json: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((&json[0]["file"], &json[0]["report"]["kind"]), (&"img".into(), &"se-image".into()));
    assert_eq!(json[0]["report"]["fields"][0]["offset"], 0x14000);
    assert_eq!(json[1]["report"]["fields"][1]["value"], "db");
}

/// A whole image, as `pvimg create` makes it: every byte that is not a gap belongs to a field.
#[test]
fn explains_all_parts_of_a_whole_image() {
    let scratch = Scratch::new();
    Machine::init(&scratch.join("machine"), None).unwrap();
    let image = scratch.read("machine/se.img");
    scratch.write("img", &image);
    let run = scratch.run("pvtools", &["inspect", "--format", "json", "img"]).succeeds();
    let json: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(json[0]["report"]["warnings"], serde_json::json!([]));
    let fields = json[0]["report"]["fields"].as_array().unwrap();
    let mut covered = vec![false; image.len()];
    for field in fields {
        let [offset, size] = ["offset", "size"].map(|name| field[name].as_u64().unwrap() as usize);
        for byte in &mut covered[offset..offset + size] {
            assert!(!*byte, "{field} lies on another");
            *byte = true;
        }
    }
    let outside = covered.iter().zip(&image).filter(|(covered, byte)| !**covered && **byte != 0).count();
    assert_eq!(outside, 0, "bytes that belong to no field");
    let named = |name: &str| fields.iter().find(|field| field["name"] == name).unwrap_or_else(|| panic!("no '{name}'"));
    let rows = [
        ("short PSW", "0x8000180011000", "64-bit mode, starts at 0x11000"),
        ("place of the SE header", "0x14000", ""),
        ("stage3a", "(program)", "boot loader, that of pvtools"),
        ("component 0: address", "0x15000", ""),
    ];
    for (name, value, meaning) in rows {
        assert_eq!((named(name)["value"].as_str(), named(name)["meaning"].as_str()), (Some(value), Some(meaning)));
    }
    assert_eq!(named("number of components")["value"], 3);
    for (number, kind) in [(0, "kernel"), (1, "command line"), (2, "stage3b")] {
        let component = named(&format!("component {number}"));
        assert!(component["value"].is_null(), "{component}");
        assert_eq!(component["meaning"], format!("{kind}, by its tweak prefix"));
    }
    let run = scratch.run("pvtools", &["inspect", "--hexdump", "img"]).succeeds();
    assert!(run.stdout().contains("more bytes)") && run.stdout().len() < 100_000, "{} bytes", run.stdout().len());
}

#[test]
fn explains_a_damaged_image_as_far_as_it_goes() {
    let scratch = Scratch::new();
    Machine::init(&scratch.join("machine"), None).unwrap();
    let image = scratch.read("machine/se.img");
    let ipib = image.len() - 8 - 128 - 3 * 24;
    type Change = fn(&mut Vec<u8>, usize);
    let rows: [(Change, i32, &str); 7] = [
        (|image, _| image[4] ^= 1, 0, "expected the short PSW 0x0008000180011000, found"),
        (|image, _| image[0xc013] = 2, 0, "expected version 1 of the image metadata, found 2"),
        (|image, _| image[0xc014..0xc01c].fill(0xff), 1, "'size of the IPIB' needs 4 bytes, 0 are left"),
        (|image, ipib| image[ipib + 0x74..ipib + 0x78].fill(0xff), 1, "'tweak prefix' needs 8 bytes, 0 are left"),
        (|image, ipib| image[ipib + 0x98] = 0xff, 0, "component 0 lies beyond the end of the file"),
        (|image, ipib| image[ipib + 0x88 + 24 + 14] = 0x50, 0, "does not lie behind the one before it"),
        (|image, _| image.push(0), 0, "1 bytes follow the end of the IPIB"),
    ];
    for (change, status, said) in rows {
        let mut bad = image.clone();
        change(&mut bad, ipib);
        scratch.write("bad", bad);
        let run = scratch.run("pvtools", &["inspect", "bad"]);
        assert_eq!(run.status, status, "{said}: {run:#?}");
        assert!(run.stdout().contains(said) || run.stderr.contains(said), "{said}: {run:#?}");
        assert!(run.stdout().contains("tweak-list digest"), "{said}: {run:#?}");
    }
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

//! `docs/confidential-containers.md`: each of its commands, as it stands.

use crate::support::{Run, Scratch, clean};
use pvsim::{Kin, Machine};
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn walk_runs_as_printed() {
    let scratch = Scratch::new();
    Machine::init(&scratch.join("m"), None).unwrap();
    let kin = Kin { machine: Some(scratch.join("m")), ..Kin::default() };
    Machine::init_among(&scratch.join("n"), None, &kin).unwrap();
    let names = [
        "signing-key.crt",
        "intermediate.crt",
        "root-ca.crt",
        "signing-key.crl",
        "intermediate.crl",
        "root-ca.crl",
        "se.img",
    ];
    for name in names {
        fs::copy(scratch.join("m").join(name), scratch.join(name)).unwrap();
    }
    fs::copy(scratch.join("m/host.crt"), scratch.join("z16.crt")).unwrap();
    fs::copy(scratch.join("n/se.img"), scratch.join("new.img")).unwrap();
    scratch.write("mkvps", format!("WK CUR: valid 0x{}\nWK NEW: empty -\n", "ab".repeat(32)));
    for tool in ["pvtools", "pvsecret"] {
        scratch.link_tool(tool.as_ref());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/confidential-containers.md");
    let text = fs::read_to_string(path).unwrap();
    let mut ran = 0;
    for block in text.split("```sh\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            let mut shell = Command::new("sh");
            clean(&mut shell);
            shell.args(["-e", "-c", line]).current_dir(scratch.path());
            shell.env("PATH", format!("{}:/usr/bin:/bin", scratch.join(".bin").display()));
            let run = Run::of(&mut shell, b"");
            assert_eq!(run.status, 0, "{line}: {run:#?}");
            ran += 1;
        }
    }
    assert_eq!(ran, 16);
    // What it made is what guests need.
    assert_eq!(scratch.read("ibmse/hdr/hdr.bin"), scratch.read("n/se.hdr"));
    let pair = |folder: &str, tag: &str| scratch.read(&format!("{folder}vfio_ap/{}/{tag}", "ab".repeat(16)));
    assert_eq!(pair("renewed/", "secret_id"), hex::encode(openssl::sha::sha256(b"domain-1")).into_bytes());
    assert_ne!(pair("renewed/", "secret"), scratch.read("domain-1.req"));
}

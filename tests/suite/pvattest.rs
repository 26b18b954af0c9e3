//! pvattest, from the request to the verdict.

use crate::recorded;
use crate::support::{Run, Scratch, shared};
use std::fs;

#[test]
fn behaves_as_recorded() {
    recorded::compare("pvattest", |_| true);
}

/// What the reference made, answered by an independent model of the ultravisor.
#[test]
fn shared_responses_verify_or_fail_as_expected() {
    let Some(vectors) = shared("vectors") else { return };
    let mut responses = 0;
    for entry in fs::read_dir(vectors.join("attestation")).unwrap() {
        let folder = entry.unwrap().path();
        let expected = fs::read_to_string(folder.join("expected")).unwrap();
        for line in expected.lines().filter(|line| line.contains(": exit ")) {
            let (file, status) = line.split_once(": exit ").unwrap();
            let scratch = Scratch::new();
            let mut command = scratch.command("pvattest");
            command.args(["verify", "-o", "out.yaml", "-i"]).arg(folder.join(file));
            command.arg("--hdr").arg(vectors.join("se.hdr")).arg("-a").arg(folder.join("arp.key"));
            let run = Run::of(&mut command, b"");
            assert_eq!(run.status.to_string(), status.trim(), "{}: {run:#?}", folder.display());
            if run.status == 0 {
                let yaml = fs::read(folder.join("expected-verify.yaml")).unwrap();
                assert_eq!(scratch.read("out.yaml"), yaml, "{}", folder.display());
            } else {
                assert!(run.stderr.contains("ERROR: Attestation measurement verification failed:\n"), "{run:#?}");
                assert!(!scratch.join("out.yaml").exists());
            }
            responses += 1;
        }
    }
    assert!(responses >= 8, "{responses}");
}

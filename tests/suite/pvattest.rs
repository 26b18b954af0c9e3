//! pvattest, from the request to the verdict.

use crate::guest::server;
use crate::pvsecret_workstation::certificate;
use crate::recorded;
use crate::support::{Run, Scratch, fixture, program_for};
use pvsim::{HostKey, Machine};
use std::fs;
use std::os::unix::process::CommandExt;

#[test]
fn behaves_as_recorded() {
    recorded::compare("pvattest", |_| true);
}

/// What the reference made, answered by an independent model of the ultravisor.
#[test]
fn responses_verify_or_fail_as_expected() {
    let vectors = fixture("reference");
    let mut responses = 0;
    for entry in fs::read_dir(vectors.join("attestation")).unwrap() {
        let folder = entry.unwrap().path();
        let expected = fs::read_to_string(folder.join("expected")).unwrap();
        for line in expected.lines().filter(|line| line.contains(": exit ")) {
            let (file, status) = line.split_once(": exit ").unwrap();
            let scratch = Scratch::new();
            let mut command = scratch.command("pvattest");
            command.args(["verify", "-o", "out.yaml", "-i"]).arg(folder.join(file));
            command.arg("--hdr").arg(vectors.join("se.hdr")).arg("-a").arg(folder.join("TEST-arp.key"));
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

/// Every combination of what can be asked for, said and encrypted for, through the real binary in the guest.
#[test]
fn every_combination_goes_round_in_the_guest() {
    let scratch = Scratch::new();
    let machine = Machine::init(&scratch.join("machine"), None).unwrap();
    let server = server(&machine);
    for number in 0..2 {
        scratch.write(&format!("other{number}.crt"), certificate(HostKey::generate().unwrap().private_key()));
    }
    for size in [1, 255, 256] {
        scratch.write(&format!("u{size}"), vec![0xd0; size]);
    }
    let flags = ["phkh-img", "phkh-att", "secret-store-hash", "firmware-state"];
    let fields = ["image_phkh", "attestation_phkh", "secret_store_hash", "firmware_state"];
    let mut rounds = 0;
    for choice in 0..16_usize {
        let chosen: Vec<_> = (0..4).filter(|bit| choice >> bit & 1 == 1).collect();
        for hosts in ["machine/host.crt", "other0.crt,machine/host.crt,other1.crt"] {
            let mut create = scratch.command("pvattest");
            create.args(["create", "-q", "--no-verify", "-o", "request", "-a", "arpk", "-k", hosts]);
            for bit in &chosen {
                create.args(["--add-data", flags[*bit]]);
            }
            Run::of(&mut create, b"").succeeds();
            for size in [0, 1, 255, 256] {
                let name = format!("{chosen:?}, {hosts}, {size} bytes");
                let mut perform = server.command(program_for("pvattest", Some("perform".as_ref())));
                perform.arg0("pvattest").current_dir(scratch.path()).args(["perform", "-q", "request", "response"]);
                if size > 0 {
                    perform.args(["-u", &format!("u{size}")]);
                }
                Run::of(&mut perform, b"").succeeds();
                let verify = ["verify", "-q", "-i", "response", "--hdr", "machine/se.hdr", "-a", "arpk", "-o", "-"];
                let run = scratch.run("pvattest", &verify).succeeds();
                for (bit, field) in fields.iter().enumerate() {
                    let there = run.stdout().contains(&format!("  {field}: "));
                    assert_eq!(there, chosen.contains(&bit), "{name}: {field}: {run:#?}");
                }
                let user_data = run.stdout().lines().find_map(|line| line.strip_prefix("user_data: "));
                let digits = user_data.map_or(0, |text| text.trim_matches('\'').len() - 2);
                assert_eq!(digits, 2 * size, "{name}: {run:#?}");
                rounds += 1;
            }
        }
    }
    println!("{rounds} round trips");
}

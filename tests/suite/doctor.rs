//! `pvtools doctor` on machines of all sorts, which are folders here.

use crate::support::Scratch;
use pvsim::Machine;
use pvtools::System;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Exit code in words, and by check: status, what was found, next step.
type Findings = BTreeMap<String, [String; 3]>;

fn doctor(scratch: &Scratch, now: fn() -> SystemTime, files: &[&str]) -> (String, Findings) {
    let files = files.iter().map(|file| scratch.join(file).display().to_string());
    let args: Vec<_> = ["doctor".to_owned(), "--json".to_owned()].into_iter().chain(files).collect();
    let (code, output) = on_machine(scratch, now, &args);
    let findings: Vec<Value> = serde_json::from_str(&output).unwrap();
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let entry = |finding: &Value| (text(finding, "check"), ["status", "found", "next"].map(|name| text(finding, name)));
    (code, findings.iter().map(entry).collect())
}

/// Runs `pvtools` on the machine whose files are in `root`: exit code in words, and standard output.
pub(crate) fn on_machine(scratch: &Scratch, now: fn() -> SystemTime, args: &[String]) -> (String, String) {
    let output = Output::default();
    let mut system = System::new(Box::new(io::empty()), Box::new(output.clone()), Box::new(io::sink()));
    system.root = scratch.join("root");
    system.cache = Some(scratch.join("cache"));
    system.now = now;
    let args: Vec<_> = ["pvtools"].map(Into::into).into_iter().chain(args.iter().map(Into::into)).collect();
    let code = format!("{:?}", pvtools::run(&args, &mut system));
    let bytes = output.0.lock().unwrap().clone();
    (code, String::from_utf8(bytes).unwrap())
}

pub(crate) fn put(scratch: &Scratch, files: &[(&str, &str)]) {
    for (path, content) in files {
        let path = scratch.join("root").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// Name, files, role, what is missing.
type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, &'a [&'a str]);

#[test]
fn machine_is_known_for_what_it_is() {
    let certificates = ("etc/ssl/certs/root.pem", "x");
    let guest = ("sys/firmware/uv/prot_virt_guest", "1\n");
    let facilities = ("sys/firmware/uv/query/facilities", "8000000000000000\n");
    let rows: [Row<'_>; 9] = [
        (
            "guest with queues",
            &[certificates, guest, facilities, ("dev/uv", ""), ("sys/bus/ap/features", "APSC APSB\n")],
            "guest",
            &[],
        ),
        ("workstation", &[certificates], "a workstation", &[]),
        ("nothing at all", &[("x", "")], "a workstation", &["root certificates"]),
        ("neither", &[certificates, ("sys/firmware/uv/prot_virt_host", "0")], "neither host nor guest", &["role"]),
        ("guest", &[certificates, guest, facilities, ("dev/uv", "")], "guest", &[]),
        ("guest without module", &[certificates, guest, facilities], "guest", &["uvdevice"]),
        ("guest of an old kernel", &[certificates, guest, ("dev/uv", "")], "guest", &["facilities"]),
        (
            "guest without binding",
            &[certificates, guest, facilities, ("dev/uv", ""), ("sys/bus/ap/features", "APSC APXA\n")],
            "guest",
            &["AP bus"],
        ),
        (
            "host",
            &[certificates, ("sys/firmware/uv/prot_virt_host", "1"), facilities, ("sys/bus/ap/features", "APSC\n")],
            "a host",
            &["vfio_ap", "vfio queues"],
        ),
    ];
    for (name, files, role, missing) in rows {
        let scratch = Scratch::new();
        put(&scratch, files);
        let (code, findings) = doctor(&scratch, SystemTime::now, &[]);
        assert!(findings["role"][1].contains(role), "{name}: {findings:#?}");
        let found: Vec<_> =
            findings.iter().filter(|(_, finding)| finding[0] == "missing").map(|(check, _)| check.as_str()).collect();
        let mut missing = missing.to_vec();
        missing.sort_unstable();
        assert_eq!(found, missing, "{name}: {findings:#?}");
        assert!(
            findings.values().all(|[status, _, next]| (status == "missing") != next.is_empty()),
            "{name}: {findings:#?}"
        );
        assert!(code.contains(if missing.is_empty() { "(0)" } else { "(3)" }), "{name}: {code}");
    }
}

/// Names of bits, as 'pvinfo' has them; what cannot be read is said to be missing.
#[test]
fn ultravisor_is_told_in_words() {
    let sides = [("guest", "sys/firmware/uv/prot_virt_guest"), ("host", "sys/firmware/uv/prot_virt_host")];
    for (side, file) in sides {
        let scratch = Scratch::new();
        put(&scratch, &[(file, "1\n"), ("dev/uv", "")]);
        let path = |name: &str| format!("sys/firmware/uv/query/{name}");
        for (name, text, check, expected) in [
            (
                "facilities",
                "c000000000\n0\n",
                "facilities",
                ["good", "Initiate Configuration Dump, Dump Configuration Storage State"],
            ),
            ("facilities", "8000000400000000\n0\n", "facilities", ["good", "Query Ultravisor Information, Add Secret"]),
            ("facilities", "x\n", "facilities", ["missing", "hex digits"]),
            ("facilities", "0\n", "facilities", ["missing", "is not there"]),
            ("feature_indications", "0\n", "features", ["good", "none"]),
            ("feature_indications", "4800000000000000\n", "features", ["good", "AP passthrough is supported"]),
        ] {
            put(&scratch, &[(&path(name), text)]);
            let (_, findings) = doctor(&scratch, SystemTime::now, &[]);
            let [status, found, _] = &findings[check];
            assert!(status == expected[0] && found.contains(expected[1]), "{side} {name} {text}: {findings:#?}");
        }
    }
}

#[test]
fn ends_of_documents_are_said_in_time() {
    let scratch = Scratch::new();
    Machine::init(&scratch.join("m"), None).unwrap();
    put(&scratch, &[("etc/ssl/certs/root.pem", "x")]);
    let files = ["m/host.crt", "m/signing-key.crl"];
    let (code, good) = doctor(&scratch, SystemTime::now, &files[..1]);
    assert!(code.contains("(0)"), "{good:#?}");
    let year = || SystemTime::now() + Duration::from_secs(360 * 24 * 60 * 60);
    let (_, soon) = doctor(&scratch, year, &files[..1]);
    let over = || SystemTime::now() + Duration::from_secs(366 * 24 * 60 * 60);
    let (code, expired) = doctor(&scratch, over, &files);
    let document = scratch.join("m/host.crt").display().to_string();
    assert!(soon[&document][1].contains("ends in"), "{soon:#?}");
    assert!(expired[&document][1].contains("expired on") && code.contains("(3)"), "{expired:#?}");
    assert_eq!(expired.values().filter(|finding| finding[1].contains("expired on")).count(), 2);
    scratch.write("text", "hello");
    let (_, findings) = doctor(&scratch, SystemTime::now, &["text"]);
    assert!(findings.values().any(|finding| finding[1].contains("no certificate and no CRL")), "{findings:#?}");
    let run = scratch.run("pvtools", &["doctor", "nowhere"]);
    run.refuses(1, &["Cannot read document at 'nowhere'"]);
}

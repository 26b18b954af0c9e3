//! pvebc: a set of requests from a folder that a hostile host can change.

use crate::support::{Run, Scratch, clean};
use nix::sys::stat::Mode;
use pvsim::{Fault, GuestServer, Machine, ap};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A guest, and a set for it: `toc.asr`, `toc.pol`, and `a.asr`, `b.asr`, `c.asr`; `b.asr` refers to `rules.pol`.
struct Boot {
    scratch: Scratch,
    machine: Machine,
}

impl Boot {
    fn new() -> Self {
        let scratch = Scratch::new();
        let machine = Machine::init(&scratch.join("machine"), None).unwrap();
        let boot = Self { scratch, machine };
        fs::create_dir(boot.folder()).unwrap();
        fs::write(boot.folder().join("rules.pol"), "rules").unwrap();
        boot.create("a.asr", &["--toc-policy", "toc.pol", "association", "a"]);
        boot.create("b.asr", &["--toc-policy", "toc.pol", "--policy", "rules.pol", "association", "b"]);
        boot.create("c.asr", &["--toc-policy", "toc.pol", "association", "c"]);
        boot.create("toc.asr", &["--policy", "toc.pol", "meta"]);
        boot
    }

    fn folder(&self) -> PathBuf {
        self.scratch.join("set")
    }

    fn create(&self, output: &str, options: &[&str]) {
        let machine = self.machine.folder();
        let mut command = self.scratch.command("pvsecret");
        command.arg("create").arg("-k").arg(machine.join("host.crt")).arg("--no-verify");
        command.arg("--hdr").arg(machine.join("se.hdr")).args(["-o", output]).args(options);
        Run::of(command.current_dir(self.folder()), b"").succeeds();
    }

    fn run(&self, options: &[&str]) -> Run {
        let on_error = |error: &pvsim::Error| panic!("the simulator itself failed: {error}");
        let guest = GuestServer::start(self.machine.clone(), ap::parts(&self.machine, on_error), on_error).unwrap();
        let mut command = guest.command(self.scratch.link_tool("pvebc".as_ref()));
        clean(&mut command);
        Run::of(command.args(options).current_dir(self.folder()), b"")
    }

    /// Ids of the secrets in the store, by name.
    fn stored(&self) -> Vec<String> {
        let shown: Value = serde_json::from_str(&self.machine.show().unwrap().to_json().unwrap()).unwrap();
        let names = ["a", "b", "c"].map(|name| (name, hex::encode(openssl::sha::sha256(name.as_bytes()))));
        let secrets = shown["guest"]["secrets"].as_array().unwrap();
        let name_of = |id: &str| names.iter().find(|(_, known)| known == id).map_or("?", |(name, _)| *name).to_owned();
        secrets.iter().map(|secret| name_of(secret["id"].as_str().unwrap())).collect()
    }
}

#[test]
fn a_set_is_added_in_its_order_and_again_is_nothing_to_do() {
    let boot = Boot::new();
    let run = boot.run(&["--toc", "toc.asr"]).succeeds();
    for part in
        ["Add-Secret-Request: \"toc.asr\"\n", "Mac tags in \"toc.pol\":\n", " -> b.asr\n", "Reference: \"rules.pol\"\n"]
    {
        assert!(run.stdout().contains(part), "{run:#?}");
    }
    assert!(run.stdout().ends_with("4 of 4 requests added, 0 were in the store, 0 are left\n"), "{run:#?}");
    assert_eq!(boot.stored(), ["a", "b", "c"]);

    let run = boot.run(&["-t", "./toc.asr", "--lock", "--format", "json"]).succeeds();
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    let states: Vec<_> = report["requests"].as_array().unwrap().iter().map(|request| &request["state"]).collect();
    assert_eq!(states, ["added", "present", "present", "present"]);
    assert_eq!((&report["complete"], &report["locked"]), (&true.into(), &true.into()));
    assert_eq!(boot.stored(), ["a", "b", "c"]);
}

#[test]
fn a_dry_run_and_a_workstation_check_the_set_and_add_nothing() {
    let boot = Boot::new();
    let run = boot.run(&["--toc", "toc.asr", "--dry-run"]).succeeds();
    assert!(run.stdout().ends_with("[dry run: nothing is added]\n"), "{run:#?}");
    let mut here = boot.scratch.command("pvebc");
    let run = Run::of(here.args(["-t", "set/toc.asr"]), b"").succeeds();
    assert!(run.stdout().ends_with("[not a Secure Execution guest: nothing is added]\n"), "{run:#?}");
    assert_eq!(boot.stored(), Vec::<String>::new());
    boot.run(&["--format", "json"]).refuses_usage();
}

impl Run {
    fn refuses_usage(&self) {
        assert_eq!((self.status, self.stdout.as_slice()), (2, [].as_slice()), "{self:#?}");
    }
}

/// A row: what the host does, and what the one line of the error says.
type Row = (&'static str, fn(&Path), &'static [&'static str]);

#[test]
fn a_hostile_host_gets_nothing_added() {
    let rows: &[Row] = &[
        ("request removed", |f| fs::remove_file(f.join("b.asr")).unwrap(), &["No request has the tag", "line 2"]),
        ("request's secret changed", |f| flip(&f.join("b.asr"), 0x400, 0x80), &[]),
        ("request's tag changed", |f| flip_last(&f.join("b.asr")), &["No request has the tag", "line 2"]),
        ("request cut", |f| cut(&f.join("b.asr"), 700), &["No request has the tag"]),
        (
            "requests swapped",
            |f| {
                fs::rename(f.join("a.asr"), f.join("x")).unwrap();
                fs::rename(f.join("c.asr"), f.join("a.asr")).unwrap();
                fs::rename(f.join("x"), f.join("c.asr")).unwrap();
            },
            &[],
        ),
        (
            "table line removed",
            |f| edit(&f.join("toc.pol"), |text| text.lines().skip(1).map(|l| format!("{l}\n")).collect()),
            &["toc.pol' was changed: expected SHA-256"],
        ),
        (
            "table lines swapped",
            |f| edit(&f.join("toc.pol"), |text| text.lines().rev().map(|l| format!("{l}\n")).collect()),
            &["toc.pol' was changed"],
        ),
        ("table removed", |f| fs::remove_file(f.join("toc.pol")).unwrap(), &["Cannot read the policy", "toc.pol"]),
        (
            "table is a link",
            |f| {
                fs::rename(f.join("toc.pol"), f.join("real")).unwrap();
                symlink("real", f.join("toc.pol")).unwrap();
            },
            &["toc.pol"],
        ),
        (
            "table is huge",
            |f| fs::File::options().write(true).open(f.join("toc.pol")).unwrap().set_len(100 << 20).unwrap(),
            &["toc.pol", "larger than"],
        ),
        ("policy changed", |f| edit(&f.join("rules.pol"), |_| "other".into()), &["b.asr", "rules.pol' was changed"]),
        ("policy is a FIFO", |f| replace_by_fifo(&f.join("rules.pol")), &["rules.pol", "expected a regular file"]),
        (
            "request is a link",
            |f| {
                fs::rename(f.join("b.asr"), f.join("real")).unwrap();
                symlink("real", f.join("b.asr")).unwrap();
            },
            &["No request has the tag", "b.asr' could not be read"],
        ),
        (
            "request is a FIFO",
            |f| replace_by_fifo(&f.join("b.asr")),
            &["b.asr' could not be read: expected a regular file"],
        ),
        (
            "request is a folder",
            |f| {
                fs::remove_file(f.join("b.asr")).unwrap();
                fs::create_dir(f.join("b.asr")).unwrap();
            },
            &["b.asr' could not be read: expected a regular file"],
        ),
        ("root is a FIFO", |f| replace_by_fifo(&f.join("toc.asr")), &["toc.asr", "expected a regular file"]),
        (
            "root is another request of the set",
            |f| assert!(fs::copy(f.join("a.asr"), f.join("toc.asr")).is_ok()),
            &["does not refer to a table of contents"],
        ),
        (
            "a forged twin",
            |f| {
                let mut bytes = fs::read(f.join("a.asr")).unwrap();
                bytes[0x420] ^= 1;
                fs::write(f.join("0.asr"), bytes).unwrap();
            },
            &["have the same tag and differ"],
        ),
    ];
    let mut refused = 0;
    for (what, act, parts) in rows {
        let boot = Boot::new();
        act(&boot.folder());
        let run = boot.run(&["--toc", "toc.asr"]);
        match *what {
            // Names are the host's own; tags tell which is which.
            "requests swapped" => {
                run.succeeds();
                assert_eq!(boot.stored(), ["a", "b", "c"], "{what}");
            }
            // What stands between header and tag, only the ultravisor can judge.
            "request's secret changed" => {
                run.refuses(1, &["Cannot add 'b.asr', request 3 of 4", "run again to go on from there"]);
                assert_eq!(boot.stored(), ["a"], "{what}");
            }
            _ => {
                run.refuses(1, parts);
                assert_eq!(boot.stored(), Vec::<String>::new(), "{what}");
                refused += 1;
            }
        }
    }
    println!("{refused} of {} hostile folders refused before anything was added", rows.len());
}

#[test]
fn files_that_do_not_belong_to_the_set_do_no_harm() {
    let boot = Boot::new();
    let folder = boot.folder();
    for number in 0..10_000 {
        fs::write(folder.join(format!("n{number}.asr")), number.to_string()).unwrap();
    }
    fs::File::create(folder.join("huge.asr")).unwrap().set_len(100 << 20).unwrap();
    fs::write(folder.join("\u{1b}[31m.asr"), "red").unwrap();
    replace_by_fifo(&folder.join("pipe.asr"));
    fs::copy(folder.join("a.asr"), folder.join("same.asr")).unwrap();
    let run = boot.run(&["--toc", "toc.asr"]).succeeds();
    assert_eq!(boot.stored(), ["a", "b", "c"]);
    assert_eq!(run.stderr, "'pipe.asr' is not used: expected a regular file\n");
    assert!(!run.stdout().contains('\u{1b}'));
}

#[test]
fn a_run_that_failed_half_way_is_run_again() {
    let boot = Boot::new();
    let fault = Fault {
        op: "uv".into(),
        command: Some("add-secret".into()),
        queue: None,
        act: "rc:0x010b".into(),
        skip: 2,
        count: 1,
    };
    boot.machine.order(fault).unwrap();
    let run = boot.run(&["--toc", "toc.asr"]).refuses(1, &["Cannot add 'b.asr', request 3 of 4", "0x010b"]);
    assert!(run.stdout().ends_with("2 of 4 requests added, 0 were in the store, 2 are left\n"), "{run:#?}");
    assert_eq!(boot.stored(), ["a"]);
    let run = boot.run(&["--toc", "toc.asr"]).succeeds();
    assert!(run.stdout().ends_with("3 of 4 requests added, 1 were in the store, 0 are left\n"), "{run:#?}");
    assert_eq!(boot.stored(), ["a", "b", "c"]);
}

/// Who knows the host key can make a set; only the owner can sign one.
#[test]
fn a_signature_of_the_root_can_be_demanded() {
    let boot = Boot::new();
    let (key, certificate) = pvsim_signer(&boot.scratch);
    let options = ["--toc", "toc.asr", "--user-cert", certificate.to_str().unwrap()];
    boot.run(&options).refuses(1, &["toc.asr"]);
    assert_eq!(boot.stored(), Vec::<String>::new());

    let mut reference = openssl::sha::sha256(&fs::read(boot.folder().join("toc.pol")).unwrap()).to_vec();
    reference.extend(b"toc.pol");
    fs::write(boot.folder().join("reference"), reference).unwrap();
    fs::remove_file(boot.folder().join("toc.asr")).unwrap();
    boot.create("toc.asr", &["--user-data", "reference", "--user-sign-key", key.to_str().unwrap(), "meta"]);
    boot.run(&options).succeeds();
    assert_eq!(boot.stored(), ["a", "b", "c"]);

    let (_, other) = pvsim_signer(&Scratch::new());
    assert!(!other.exists());
    let scratch = Scratch::new();
    let (_, other) = pvsim_signer(&scratch);
    boot.run(&["--toc", "toc.asr", "--user-cert", other.to_str().unwrap()]).refuses(1, &["toc.asr"]);
}

/// A fresh P-521 key and a certificate of it.
fn pvsim_signer(scratch: &Scratch) -> (PathBuf, PathBuf) {
    let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::SECP521R1).unwrap();
    let key = openssl::pkey::PKey::from_ec_key(openssl::ec::EcKey::generate(&group).unwrap()).unwrap();
    let mut builder = openssl::x509::X509::builder().unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&openssl::asn1::Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&openssl::asn1::Asn1Time::days_from_now(1).unwrap()).unwrap();
    builder.sign(&key, openssl::hash::MessageDigest::sha512()).unwrap();
    let certificate = builder.build().to_pem().unwrap();
    (scratch.write("signer.key", key.private_key_to_pem_pkcs8().unwrap()), scratch.write("signer.crt", certificate))
}

fn flip(path: &Path, at: usize, bit: u8) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= bit;
    fs::write(path, bytes).unwrap();
}

fn flip_last(path: &Path) {
    flip(path, fs::metadata(path).unwrap().len() as usize - 1, 1);
}

fn cut(path: &Path, length: usize) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..length]).unwrap();
}

fn edit(path: &Path, change: impl Fn(&str) -> String) {
    fs::write(path, change(&fs::read_to_string(path).unwrap())).unwrap();
}

fn replace_by_fifo(path: &Path) {
    let _ = fs::remove_file(path);
    nix::unistd::mkfifo(path, Mode::from_bits_truncate(0o666)).unwrap();
}

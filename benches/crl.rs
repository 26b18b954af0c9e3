//! `pvverify` with a CRL of 100,000 entries, whole process, against `openssl crl -in FILE -noout`, which parses the same
//! file and judges nothing.
//!
//! `cargo bench --bench crl` prints the ratio; nothing is asserted.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark that cannot go on says where")]

use pvsim::HostKey;
use pvsim::pki::{Keys, Plan, Reason};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const ENTRIES: u32 = 100_000;
const ROUNDS: usize = 30;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    println!("{:>8} {:>12} {:>12} {:>6}", "format", "openssl crl", "pvverify", "ratio");
    for (format, extension) in [("PEM", "pem"), ("DER", "der")] {
        let file = format!("ibm.{extension}");
        let mut floor = Command::new("openssl");
        floor.args(["crl", "-inform", format, "-in", &file, "-noout"]);
        let mut ours = Command::new(env!("CARGO_BIN_EXE_pvtools"));
        ours.args(["pvverify", "-k", "host.crt", "-C", "ibm.crt,inter.crt", "--root-ca", "root.crt", "--offline"]);
        ours.args(["--crl", "chain.crl", "--crl", &file]);
        let [floor, ours] = race(folder.path(), [floor, ours]);
        println!("{format:>8} {floor:>12.2?} {ours:>12.2?} {:>6.2}", ours.as_secs_f64() / floor.as_secs_f64());
    }
}

fn prepare(folder: &Path) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap();
    let mut plan = Plan::new(&Keys::quick(&HostKey::generate().unwrap()).unwrap(), now);
    plan.signing_key_crl.revoked = (1000..1000 + ENTRIES).map(|serial| (serial, Reason::Unspecified)).collect();
    let pki = plan.build().unwrap();
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(folder.join(name), bytes).unwrap();
    write("host.crt", pki.host_key_document.to_pem().unwrap());
    write("ibm.crt", pki.signing_key.certificate.to_pem().unwrap());
    write("inter.crt", pki.intermediate.certificate.to_pem().unwrap());
    write("root.crt", pki.root.certificate.to_pem().unwrap());
    let [root, intermediate, signing_key] = &pki.crls;
    write("chain.crl", [root.to_pem().unwrap(), intermediate.to_pem().unwrap()].concat());
    write("ibm.pem", signing_key.to_pem().unwrap());
    write("ibm.der", signing_key.to_der().unwrap());
}

/// Runs both by turns and gives the fastest run of each: what other programs do only makes runs slower.
fn race(folder: &Path, mut commands: [Command; 2]) -> [Duration; 2] {
    let mut best = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        for (command, best) in commands.iter_mut().zip(&mut best) {
            let start = Instant::now();
            let status = command.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            assert!(status.success());
            *best = start.elapsed().min(*best);
        }
    }
    best
}

//! `pvsecret create ... meta`, whole process, against two floors: bare programs that link OpenSSL, make one P-521 key
//! and do one ECDH for each host key, one after another. The usual one lets OpenSSL check each host key by a second
//! multiplication on the curve, which it does unless told not to; the bare one, as ours, does not.
//!
//! The floors write nothing. `pvsecret` writes its request and syncs it and its folder, so it runs twice: with a file, and,
//! as `to pipe`, with the request on standard output.
//!
//! `cargo bench --bench create` prints the ratios; nothing is asserted.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark that cannot go on says where")]

use openssl::asn1::Asn1Time;
use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn main() {
    let words: Vec<_> = std::env::args().collect();
    if let [_, floor, count, peer] = words.as_slice() {
        if ["usual", "bare"].contains(&floor.as_str()) {
            return self::floor(count.parse().unwrap(), peer, floor == "usual");
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "{:>9} {:>10} {:>10} {:>10} {:>10} {:>15} {:>9} {:>17}",
        "host keys", "usual", "bare", "pvsecret", "to pipe", "of usual", "of bare", "to pipe, of bare"
    );
    for (count, rounds) in [(1, 200), (16, 60), (255, 15)] {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path(), count);
        let floor = |kind: &str| {
            let mut floor = Command::new(std::env::current_exe().unwrap());
            floor.args([kind, &count.to_string(), "peer.pem"]);
            floor
        };
        let ours = |output: &str| {
            let mut ours = Command::new(env!("CARGO_BIN_EXE_pvtools"));
            ours.args(["pvsecret", "create", "--no-verify", "--hdr", "se.hdr", "-o", output]);
            ours.args((0..count).flat_map(|number| ["-k".to_owned(), format!("{number}.crt")])).arg("meta");
            ours
        };
        let commands = [floor("usual"), floor("bare"), ours("request"), ours("-")];
        let [usual, bare, ours, pipe] = race(folder.path(), commands, rounds);
        let aim = if count == 1 { 1.2 } else { 1.2 / cores.min(count) as f64 };
        let of = |time: Duration, floor: Duration| time.as_secs_f64() / floor.as_secs_f64();
        let [of_usual, of_bare, pipe_of_bare] = [of(ours, usual), of(ours, bare), of(pipe, bare)];
        println!(
            "{count:>9} {usual:>10.2?} {bare:>10.2?} {ours:>10.2?} {pipe:>10.2?} {of_usual:>9.2} {aim:>5.2} {of_bare:>9.2} {pipe_of_bare:>17.2}"
        );
    }
    println!("{cores} cores");
}

fn p521() -> EcKey<Private> {
    EcKey::generate(&EcGroup::from_curve_name(Nid::SECP521R1).unwrap()).unwrap()
}

fn floor(count: usize, peer: &str, checks: bool) {
    let peer = PKey::public_key_from_pem(&std::fs::read(peer).unwrap()).unwrap();
    let own = PKey::from_ec_key(p521()).unwrap();
    for _ in 0..count {
        let mut deriver = Deriver::new(&own).unwrap();
        deriver.set_peer_ex(&peer, checks).unwrap();
        deriver.derive_to_vec().unwrap();
    }
}

fn prepare(folder: &Path, count: usize) {
    let keys: Vec<_> = (0..count).map(|_| PKey::from_ec_key(p521()).unwrap()).collect();
    for (number, key) in keys.iter().enumerate() {
        let mut certificate = X509::builder().unwrap();
        certificate.set_pubkey(key).unwrap();
        certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        certificate.sign(key, MessageDigest::sha512()).unwrap();
        std::fs::write(folder.join(format!("{number}.crt")), certificate.build().to_pem().unwrap()).unwrap();
    }
    std::fs::write(folder.join("peer.pem"), keys[0].public_key_to_pem().unwrap()).unwrap();
    let secrets = pvsim::image::HeaderSecrets::random().unwrap();
    std::fs::write(folder.join("se.hdr"), pvsim::image::header(&keys[..1], &secrets, 0, 1).unwrap()).unwrap();
}

/// Runs all by turns and gives the fastest run of each: what other programs do only makes runs slower.
fn race<const N: usize>(folder: &Path, mut commands: [Command; N], rounds: usize) -> [Duration; N] {
    let mut best = [Duration::MAX; N];
    for _ in 0..rounds {
        for (command, best) in commands.iter_mut().zip(&mut best) {
            let start = Instant::now();
            let status = command.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            assert!(status.success());
            *best = start.elapsed().min(*best);
        }
    }
    best
}

//! `pvimg create` with a ramdisk of 512 MiB, whole process, against the floor: `openssl dgst -sha512` of that ramdisk, for the
//! digest of the page list is one SHA-512 that cannot be divided. On a file system in memory where there is one
//! (`/dev/shm`): what a disk costs is the disk's. Prints time, ratio and the largest memory.
//!
//! `cargo bench --bench image [-- MIB [FOLDER]]`; nothing is asserted.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark that cannot go on says where")]

use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::x509::X509;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn main() {
    let words: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let mib: usize = words.first().map_or(512, |word| word.parse().unwrap());
    let folder = words.get(1).map_or("/dev/shm", String::as_str);
    let folder = if Path::new(folder).is_dir() { folder } else { "." };
    let folder = tempfile::tempdir_in(folder).unwrap();
    prepare(folder.path(), mib);
    let floor = || {
        let mut floor = Command::new("openssl");
        floor.args(["dgst", "-sha512", "ramdisk"]);
        floor
    };
    let ours = || {
        let mut ours = Command::new(env!("CARGO_BIN_EXE_pvtools"));
        ours.args(["pvimg", "create", "--no-verify", "-k", "host.crt", "-i", "kernel", "-r", "ramdisk", "-o", "image"]);
        ours.args(["--overwrite", "-q"]);
        ours
    };
    let (mut best_floor, mut best_ours) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        best_floor = best_floor.min(time(folder.path(), floor()));
        best_ours = best_ours.min(time(folder.path(), ours()));
    }
    let ratio = best_ours.as_secs_f64() / best_floor.as_secs_f64();
    println!("{mib} MiB: floor {best_floor:.2?}, pvimg create {best_ours:.2?}, {ratio:.2} times the floor (aim 1.20)");
    println!("largest memory of pvimg create: {} KiB (aim 65536)", memory(folder.path(), ours()));
}

fn prepare(folder: &Path, mib: usize) {
    let key = PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(Nid::SECP521R1).unwrap()).unwrap()).unwrap();
    let mut certificate = X509::builder().unwrap();
    certificate.set_pubkey(&key).unwrap();
    certificate.sign(&key, MessageDigest::sha512()).unwrap();
    std::fs::write(folder.join("host.crt"), certificate.build().to_pem().unwrap()).unwrap();
    let mut kernel = vec![0x55; 8 << 20];
    kernel[0x10008..0x1000e].copy_from_slice(b"S390EP");
    std::fs::write(folder.join("kernel"), kernel).unwrap();
    let mut ramdisk = std::fs::File::create(folder.join("ramdisk")).unwrap();
    let block: Vec<u8> = (0..1_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for _ in 0..mib {
        ramdisk.write_all(&block).unwrap();
    }
}

fn time(folder: &Path, mut command: Command) -> Duration {
    let start = Instant::now();
    let status = command.current_dir(folder).stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
    start.elapsed()
}

/// The largest resident set while it runs, in KiB, as the kernel counts it.
fn memory(folder: &Path, mut command: Command) -> u64 {
    let mut child = command.current_dir(folder).stdout(Stdio::null()).spawn().unwrap();
    let path = format!("/proc/{}/status", child.id());
    let mut largest = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(&path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let size = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        largest = largest.max(size.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    }
    largest
}

//! `pvimg create` with a ramdisk of 512 MiB, whole process, against the floor: `openssl dgst -sha512` of that ramdisk, for the
//! digest of the page list is one SHA-512 that cannot be divided. On a file system in memory where there is one
//! (`/dev/shm`): what a disk costs is the disk's. Both run in turn, and the least of each counts: time that passed, and time
//! of the processors (user and system), which says what it costs when other work leaves one core. Prints the largest
//! memory, too.
//!
//! `cargo bench --bench image [-- MIB [FOLDER [PAIRS]]]`; nothing is asserted.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark that cannot go on says where")]

use nix::sys::resource::{UsageWho, getrusage};
use openssl::asn1::Asn1Time;
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
        ours.arg("-q");
        // What it takes to remove an old image is not what it takes to make a new one.
        let _ = std::fs::remove_file(folder.path().join("image"));
        ours
    };
    let pairs: usize = words.get(2).map_or(10, |word| word.parse().unwrap());
    let (mut best_floor, mut best_ours) = (Cost::MAX, Cost::MAX);
    for _ in 0..pairs {
        best_floor = best_floor.least(cost(folder.path(), floor()));
        best_ours = best_ours.least(cost(folder.path(), ours()));
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("{mib} MiB, the least of {pairs} pairs; load {}", load.trim_end());
    for (what, floor, ours, aim) in [
        ("time", best_floor.wall, best_ours.wall, " (aim 1.20)"),
        ("processors", best_floor.processors, best_ours.processors, ""),
    ] {
        let ratio = ours.as_secs_f64() / floor.as_secs_f64();
        println!("{what}: floor {floor:.2?}, pvimg create {ours:.2?}, {ratio:.2} times the floor{aim}");
    }
    println!("largest memory of pvimg create: {} KiB (aim 65536)", memory(folder.path(), ours()));
}

/// What a process took.
struct Cost {
    wall: Duration,
    /// User and system time of all its threads.
    processors: Duration,
}

impl Cost {
    const MAX: Self = Self { wall: Duration::MAX, processors: Duration::MAX };

    fn least(self, other: Self) -> Self {
        Self { wall: self.wall.min(other.wall), processors: self.processors.min(other.processors) }
    }
}

fn prepare(folder: &Path, mib: usize) {
    let key = PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(Nid::SECP521R1).unwrap()).unwrap()).unwrap();
    let mut certificate = X509::builder().unwrap();
    certificate.set_pubkey(&key).unwrap();
    certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
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

fn cost(folder: &Path, mut command: Command) -> Cost {
    let (before, start) = (processors(), Instant::now());
    let status = command.current_dir(folder).stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
    Cost { wall: start.elapsed(), processors: processors() - before }
}

/// User and system time of all children that have ended.
fn processors() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    [usage.user_time(), usage.system_time()].into_iter().fold(Duration::ZERO, |sum, time| {
        sum + Duration::new(time.tv_sec().unsigned_abs(), 1000 * u32::try_from(time.tv_usec()).unwrap())
    })
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

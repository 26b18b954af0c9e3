//! A real kernel booted on the simulated machine, and the same kernel and ramdisk by the emulator alone, in turns: seconds of
//! CPU time (others may have work for the machine, too), and memory beside the guest's.
//!
//! `cargo bench --bench machine`, with the variables of `.ci/machine.sh`. `PVTOOLS_BOOTS` says how many of each (default
//! 30). Each boot has to end as it should; no time is asserted.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark that cannot go on says where")]

#[path = "../tests/suite/machine/booted.rs"]
mod booted;

use booted::{COMMAND_LINE, Kernel, PATIENCE_MS, modules};
use pvsim::Machine;
use pvsim_machine::Job;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Of times in /proc: 100 a second on all Linux machines that matter here.
const TICKS: f64 = 100.0;

fn main() {
    if std::env::var_os("PVTOOLS_KERNEL").is_none() {
        return println!("PVTOOLS_KERNEL is not set: nothing is booted");
    }
    let kernel = Kernel::with(modules());
    let boots = std::env::var("PVTOOLS_BOOTS").map_or(30, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::init(&folder.path().join("machine"), None).unwrap();
    let ramdisk = folder.path().join("ramdisk");
    fs::write(&ramdisk, &kernel.ramdisk).unwrap();
    println!("boot   plain: CPU s, s   on the machine: CPU s, s   ratio of CPU   MiB beside the guest's");
    let (mut ratios, mut most) = (Vec::new(), 0);
    for number in 1..=boots {
        let plain = measured(|| plain(&ramdisk));
        let ours = measured(|| {
            kernel.boot(&machine, |mut agent, _| {
                let command = vec!["/bin/pvsecret".into(), "list".into()];
                let done = agent.run(&Job { command, limit_ms: PATIENCE_MS, ..Job::default() }).unwrap();
                assert_eq!(done.status, Some(0), "{}", String::from_utf8_lossy(&done.stderr));
                (agent, ())
            });
        });
        let ratio = ours.cpu / plain.cpu;
        println!(
            "{number:>4}   {:>12.1} {:>4.1}   {:>21.1} {:>4.1}   {ratio:>12.2}   {:>22}",
            plain.cpu, plain.time, ours.cpu, ours.time, ours.memory
        );
        ratios.push(ratio);
        most = most.max(ours.memory);
    }
    ratios.sort_by(f64::total_cmp);
    println!("{boots} boots without a failure; median of the ratios {:.2}, at most {most} MiB", ratios[boots / 2]);
}

/// The emulator alone. The guest finds nothing to do, and switches off.
fn plain(ramdisk: &std::path::Path) {
    let mut command = Command::new("qemu-system-s390x");
    command.args([
        "-machine",
        "s390-ccw-virtio",
        "-cpu",
        "max",
        "-smp",
        "1",
        "-accel",
        "tcg,tb-size=128",
        "-m",
        "1024",
    ]);
    command.args(["-nographic", "-serial", "stdio", "-monitor", "none", "-nodefaults", "-no-reboot"]);
    command.args(["-device", "virtio-rng-ccw", "-append", COMMAND_LINE]);
    command.arg("-kernel").arg(std::env::var_os("PVTOOLS_KERNEL").unwrap()).arg("-initrd").arg(ramdisk);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("pvsim: exit status"), "{said}");
}

struct Measured {
    cpu: f64,
    time: f64,
    /// Anonymous memory of this process and its children together, in MiB.
    memory: u64,
}

fn measured(work: impl FnOnce()) -> Measured {
    let (began, before, over) = (Instant::now(), cpu(), AtomicBool::new(false));
    let memory = thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut most = 0;
            while !over.load(Ordering::SeqCst) {
                most = most.max(memory());
                thread::sleep(Duration::from_millis(50));
            }
            most
        });
        work();
        over.store(true, Ordering::SeqCst);
        watching.join().unwrap()
    });
    Measured { cpu: cpu() - before, time: began.elapsed().as_secs_f64(), memory }
}

/// CPU time of this process and of its children that have ended.
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1.split(' ').skip(11).take(4);
    fields.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS
}

fn memory() -> u64 {
    let children = fs::read_dir("/proc/self/task").unwrap().flatten().map(|task| task.path().join("children"));
    let children = children.filter_map(|file| fs::read_to_string(file).ok()).collect::<Vec<_>>().join(" ");
    let processes = children.split_whitespace().chain(["self"]);
    let kib = |process: &str| {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok())
    };
    processes.filter_map(kib).sum::<u64>() / 1024
}

//! packaging/guest/early.sh in a real kernel: the script of a guest's initial ramdisk, with busybox as its shell.
//!
//! Beside what booted.rs needs, `PVTOOLS_KERNEL_GUEST` names the s390x program of a guest, and `PVTOOLS_KERNEL_BUSYBOX` a static
//! busybox for s390x.

use crate::booted::{Kernel, PATIENCE_MS, modules, named};
use crate::support::{Run, Scratch};
use pvsim::Machine;
use pvsim_machine::{Agent, Done, Job, Ramdisk};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const INVENTORY: &str = "{cards: {'28': {}}, queues: {'28.0014': {mk: A}},
    master_keys: {A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3b773619640a1a75a9161cec00000001}}";
const CONFIG: &str = "- {mode: EP11, name: s, mkvp: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n";
const EARLY: &str = "/usr/lib/pvtools/early";
const DISK: &str = "/disk";

#[test]
#[ignore = "boots a kernel: .ci/machine.sh names one"]
fn in_a_booted_kernel_the_early_script_adds_secrets_and_configures_queues() {
    let scratch = Scratch::new();
    let machine = Machine::init(&scratch.join("machine"), Some(INVENTORY)).unwrap();
    let kernel = Kernel::of(ramdisk(), "pvtools.secrets=/dev/loop0:/sics/toc.asr");
    kernel.boot(&machine, |mut agent, _| {
        assert!(!agent.has("/dev/uv").unwrap(), "the script shall load the module");
        make_set(&scratch);
        // On a disk that the host has changed: nothing is added, the queue is left alone, and the boot can go on.
        let whole = fs::read(scratch.join("disk/sics/s.asr")).unwrap();
        fs::write(scratch.join("disk/sics/s.asr"), &whole[..700]).unwrap();
        insert(&mut agent, &disk(&scratch));
        let done = run(&mut agent, &["/bin/sh", EARLY]);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status, Some(1), "{said}");
        assert!(said.contains("pvtools: the secrets of this boot were not all added\n"), "{said}");
        assert!(said.contains("pvtools: the queues are not as they should be\n"), "{said}");
        assert!(agent.has("/dev/uv").unwrap(), "{said}");
        assert_eq!(stored(&machine), 0, "{said}");

        // On a disk without a file system.
        insert(&mut agent, &vec![0; 1 << 20]);
        let done = run(&mut agent, &["/bin/sh", EARLY]);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(said.contains("'/dev/loop0' with the secrets of this boot cannot be mounted\n"), "{said}");

        fs::write(scratch.join("disk/sics/s.asr"), &whole).unwrap();
        insert(&mut agent, &disk(&scratch));
        // Again: the table's own request leaves nothing in the store, and the queue is as it should be.
        for expected in [
            "2 of 2 requests added, 0 were in the store, 0 are left",
            "1 of 2 requests added, 1 were in the store, 0 are left",
        ] {
            let done = run(&mut agent, &["/bin/sh", EARLY]);
            let (told, said) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
            println!("{told}{said}");
            assert_eq!(done.status, Some(0), "{told}{said}");
            assert!(told.contains(expected), "expected '{expected}': {told}{said}");
            assert_eq!(stored(&machine), 1);
            let queues = machine.show_bus().unwrap().queues;
            let states: Vec<_> = queues.values().map(|queue| queue.settled.to_string()).collect();
            assert_eq!(states, ["associated 0"], "{told}{said}");
            assert!(!agent.has("/run/pvtools-secrets").unwrap(), "the folder is not left behind");
        }
        (agent, ())
    });
}

/// Busybox, the script, what it runs and reads; uvdevice where modprobe finds it, and the modules of a disk loaded.
fn ramdisk() -> Ramdisk {
    let busybox = PathBuf::from(named("PVTOOLS_KERNEL_BUSYBOX"));
    let applets = ["sh", "cat", "mkdir", "rmdir", "sleep", "modprobe", "mount", "umount", "losetup"];
    let mut programs: Vec<_> = applets.map(|name| (Path::new("/bin").join(name), busybox.clone())).to_vec();
    programs.push(("/usr/bin/pvtools-guest".into(), named("PVTOOLS_KERNEL_GUEST").into()));

    let mut modules = modules();
    let tree = modules[0].ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "kernel")).unwrap();
    let (tree, release) = (tree.parent().unwrap().to_owned(), tree.parent().unwrap().file_name().unwrap().to_owned());
    let device = modules.iter().position(|module| module.to_string_lossy().contains("/uvdevice.ko"));
    let device = modules.remove(device.expect("uvdevice is a module of this kernel"));
    let name = device.strip_prefix(&tree).unwrap();
    let installed = Path::new("/lib/modules").join(release);
    modules.extend(
        ["loop", "crc32c_generic", "crc16", "mbcache", "jbd2", "ext4"].into_iter().filter_map(|name| find(&tree, name)),
    );

    let script = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/guest/early.sh")).unwrap();
    let files = vec![
        (installed.join(name), fs::read(&device).unwrap()),
        (installed.join("modules.dep"), format!("{}:\n", name.display()).into_bytes()),
        (EARLY.into(), script.replace("@PROGRAM@", "/usr/bin/pvtools-guest").into_bytes()),
        ("/etc/pvapconfig.yaml".into(), CONFIG.into()),
    ];
    Ramdisk { programs, files, modules, ..Ramdisk::default() }
}

/// The file of a module; none if the kernel has it built in.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(folder).unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            return find(&path, name);
        }
        path.file_name()?.to_str()?.strip_prefix(name)?.starts_with(".ko").then_some(path)
    })
}

/// A table's request and a request for the secret `s`, in the folder of the disk.
fn make_set(scratch: &Scratch) {
    let folder = scratch.join("disk/sics");
    fs::create_dir_all(&folder).unwrap();
    for (output, options) in
        [("s.asr", &["--toc-policy", "toc.pol", "association", "s"][..]), ("toc.asr", &["--policy", "toc.pol", "meta"])]
    {
        let machine = scratch.join("machine");
        let mut command = scratch.command("pvsecret");
        command.arg("create").arg("-k").arg(machine.join("host.crt")).arg("--no-verify");
        command.arg("--hdr").arg(machine.join("se.img")).args(["-o", output]).args(options);
        Run::of(command.current_dir(&folder), b"").succeeds();
    }
}

/// A file system with the set.
fn disk(scratch: &Scratch) -> Vec<u8> {
    let image = scratch.join("disk.ext2");
    let _ = fs::remove_file(&image);
    let mut make = Command::new("mke2fs");
    make.args(["-q", "-t", "ext2", "-d"]).arg(scratch.join("disk")).arg(&image).arg("1m");
    make.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
    Run::of(&mut make, b"").succeeds();
    fs::read(image).unwrap()
}

/// Makes `image` the guest's disk.
fn insert(agent: &mut Agent, image: &[u8]) {
    if agent.has(DISK).unwrap() {
        assert_eq!(run(agent, &["/bin/losetup", "-d", "/dev/loop0"]).status, Some(0));
        agent.remove(DISK).unwrap();
    }
    agent.put(DISK, image).unwrap();
    let done = run(agent, &["/bin/losetup", "/dev/loop0", DISK]);
    assert_eq!(done.status, Some(0), "{}", String::from_utf8_lossy(&done.stderr));
}

fn run(agent: &mut Agent, words: &[&str]) -> Done {
    let command = words.iter().map(|word| (*word).to_owned()).collect();
    agent.run(&Job { command, limit_ms: PATIENCE_MS, ..Job::default() }).unwrap()
}

/// How many secrets the store has.
fn stored(machine: &Machine) -> usize {
    let shown: Value = serde_json::from_str(&machine.show().unwrap().to_json().unwrap()).unwrap();
    shown["guest"]["secrets"].as_array().unwrap().len()
}

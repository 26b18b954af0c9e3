//! pvsecret add, list, lock, retrieve beyond the scenarios of `tests/guest.yaml`: every return code, many at once, the
//! recorded command lines, and what the binary must not hold.

use crate::guest::{Stage, server};
use crate::recorded;
use crate::support::{Run, Scratch, clean, program_for};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use pvsim::{Fault, Machine};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Stdio};
use std::thread;
use uvdevice::abi::Command;
use uvdevice::{REASONS, ReturnCode};

#[test]
fn guest_commands_take_the_recorded_command_lines() {
    recorded::compare("pvsecret", recorded::is_for_guests);
}

/// Also those codes that the simulator has no reason to answer by itself: they are ordered.
#[test]
fn every_return_code_of_every_command_gives_its_message() {
    let stage = Stage::with_inventory("secrets: [s]");
    stage.make_association("rq", "other");
    let commands: [(Command, &[&str], &str); 4] = [
        (Command::AddSecret, &["pvsecret", "add", "@rq"], ""),
        (Command::LockSecrets, &["pvsecret", "lock"], ""),
        (Command::ListSecrets, &["pvsecret", "list"], ""),
        (
            Command::RetrieveSecret,
            &["pvsecret", "retrieve", "--inform", "idx", "0", "@out"],
            "Could not retrieve the secret from the UV secret store: ",
        ),
    ];
    let mut rows = 0;
    for (command, args, context) in commands {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let documented = REASONS.iter().filter(|row| row.command.is_none_or(|of| of == command)).map(|row| row.rc);
        // And one that nobody documented.
        for rc in documented.chain([0x7777]) {
            let act = format!("rc:{rc:#06x},0x00ab");
            let command_name = Some(command.name().to_owned());
            let fault = Fault { op: "uv".into(), command: command_name, queue: None, act, skip: 0, count: 1 };
            stage.machine.order(fault).unwrap();
            let before = stage.machine.guest().unwrap();
            let run = stage.run(&args, None);
            let text = ReturnCode { rc, rrc: 0 }.reason(command);
            let expected = format!("error: {context}Ultravisor: '{text}' ({rc:#06x},0x00ab)\n");
            assert_eq!((run.status, run.stderr.as_str()), (1, expected.as_str()), "{} {rc:#06x}", command.name());
            assert_eq!(stage.machine.guest().unwrap(), before, "{} {rc:#06x}", command.name());
            rows += 1;
        }
    }
    assert!(!stage.scratch.join("out").exists());
    assert_eq!(stage.machine.faults().unwrap(), []);
    println!("{rows} return codes");
}

#[test]
fn a_store_that_an_old_kernel_cannot_show_whole_is_said_to_be_cut() {
    let secrets: Vec<_> = (0..100).map(|number| format!("s{number}")).collect();
    let inventory = |kernel| format!("guest: {{kernel: {kernel}}}\nsecrets: [{}]", secrets.join(","));
    let words = |line: &str| line.split(' ').map(ToString::to_string).collect::<Vec<_>>();
    let cut = "The secret list contains more data but the uvdevice cannot show all.\n";

    let old = Stage::with_inventory(&inventory("one-page-list-with-retrieve"));
    let run = old.run(&words("pvsecret list"), None).succeeds();
    assert_eq!(run.stderr, cut);
    assert!(run.stdout().starts_with("Total number of secrets: 100\n\n0 Association:\n"));
    assert_eq!(run.stdout().matches("Association:").count(), 85);
    let run = old.run(&words("pvsecret list --format json"), None).succeeds();
    assert!(run.stdout().contains("\"complete\": false"));
    let run = old.run(&words("pvsecret retrieve --inform idx 90"), None);
    let stderr = &run.stderr;
    assert!(stderr.contains("has no secret with the index 90 among those that the uvdevice can show"), "{stderr}");
    old.make_association("rq", "s90");
    let run = old.run(&words("pvsecret add @rq"), None);
    assert!(run.stderr.starts_with("The secret list contains more data"), "{run:#?}");

    let new = Stage::with_inventory(&inventory("current"));
    let run = new.run(&words("pvsecret list"), None).succeeds();
    assert_eq!((run.stderr.as_str(), run.stdout().matches("Association:").count()), ("", 100));
}

/// Whoever makes a request that the guest adds chooses its ID, and could put it in front of another secret's.
#[test]
fn a_name_that_is_the_id_of_one_secret_and_hashes_to_that_of_another_is_refused() {
    let stage = Stage::with_inventory("{}");
    let run = |line: &str| stage.run(&line.split(' ').map(ToString::to_string).collect::<Vec<_>>(), None);
    let secrets = [("spelled", "--use-name ", [1_u8; 32]), ("hashed", "", [2; 32])];
    for (request, option, secret) in secrets {
        stage.scratch.write("given", secret);
        run(&format!(
            "pvsecret create -k @machine/host.crt --hdr @machine/se.hdr --no-verify -o @{request} \
             {option}retrievable victim --type aes --secret @given"
        ))
        .succeeds();
        fs::remove_file(stage.scratch.join("victim.yaml")).unwrap();
        run(&format!("pvsecret add @{request}")).succeeds();
    }
    let refused = run("pvsecret retrieve --inform name victim -o @out");
    assert_eq!((refused.status, stage.scratch.join("out").exists()), (1, false), "{refused:#?}");
    let expected = "The name is the ID of the secret at index 0, and its hash that of the secret at index 1: say which";
    assert!(refused.stderr.contains(expected), "{refused:#?}");
    run("pvsecret retrieve --inform idx 1 -o @out").succeeds();
}

/// `pvsecret create` against the simulator's own idea of each kind: its length, and what comes back.
#[test]
fn every_retrievable_kind_goes_from_the_workstation_into_the_guest_and_back() {
    let pem = |curve| {
        let group = EcGroup::from_curve_name(curve).unwrap();
        let key = EcKey::generate(&group).unwrap();
        let scalar = key.private_key().to_vec();
        (PKey::from_ec_key(key).unwrap().private_key_to_pem_pkcs8().unwrap(), scalar)
    };
    let raw =
        |key: PKey<openssl::pkey::Private>| (key.private_key_to_pem_pkcs8().unwrap(), key.raw_private_key().unwrap());
    let bytes = |length: usize| {
        let mut bytes = vec![0; length];
        openssl::rand::rand_bytes(&mut bytes).unwrap();
        (bytes.clone(), bytes)
    };
    // Type, name in lists, stored length; what is given, and what must be stored behind leading zeros.
    let rows = [
        ("aes", "AES-128-KEY", 16, bytes(16)),
        ("aes", "AES-192-KEY", 24, bytes(24)),
        ("aes", "AES-256-KEY", 32, bytes(32)),
        ("aes-xts", "AES-XTS-128-KEY", 32, bytes(32)),
        ("aes-xts", "AES-XTS-256-KEY", 64, bytes(64)),
        ("hmac-sha", "HMAC-SHA-256-KEY", 64, bytes(64)),
        ("hmac-sha", "HMAC-SHA-512-KEY", 128, bytes(128)),
        ("ec", "EC-SECP256R1-PRIVATE-KEY", 32, pem(Nid::X9_62_PRIME256V1)),
        ("ec", "EC-SECP384R1-PRIVATE-KEY", 48, pem(Nid::SECP384R1)),
        ("ec", "EC-SECP521R1-PRIVATE-KEY", 80, pem(Nid::SECP521R1)),
        ("ec", "EC-ED25519-PRIVATE-KEY", 32, raw(PKey::generate_ed25519().unwrap())),
        ("ec", "EC-ED448-PRIVATE-KEY", 64, raw(PKey::generate_ed448().unwrap())),
    ];
    let stage = Stage::with_inventory("{}");
    let run = |line: &str| stage.run(&line.split(' ').map(ToString::to_string).collect::<Vec<_>>(), None).succeeds();
    for (index, (kind, name, length, (given, secret))) in rows.into_iter().enumerate() {
        stage.scratch.write("given", given);
        run(&format!(
            "pvsecret create -k @machine/host.crt --hdr @machine/se.hdr --no-verify -o @rq-{name} \
             retrievable {name} --type {kind} --secret @given"
        ));
        let mut expected = stage.state();
        stage.expect_taken(&mut expected, &stage.scratch.read(&format!("rq-{name}")));
        run(&format!("pvsecret add @rq-{name}"));
        assert_eq!(stage.state(), expected, "{name}");
        let stored = &stage.machine.guest().unwrap().secrets[index].secret;
        let (zeros, end) = stored.split_at(length - secret.len());
        assert_eq!((stored.len(), end, zeros.iter().any(|zero| *zero != 0)), (length, &secret[..], false), "{name}");
        assert!(run("pvsecret list").stdout().contains(&format!("{index} {name}:\n")));
        let pem = run(&format!("pvsecret retrieve @{name}.yaml"));
        assert!(pem.stdout().contains(&format!("\nkind: {name}\n\n")), "{pem:#?}");
        let protected = run(&format!("pvsecret retrieve @{name}.yaml --outform bin")).stdout;
        assert_eq!(protected.len(), length + 32, "{name}");
        assert!(!holds(&protected, &secret), "{name}: the key came back as it is");
    }
}

const ADDERS: usize = 8;
/// Tells a process of this very test what to do: a machine, and the requests to add one after another.
const ADDER: &str = "PVTOOLS_TEST_ADDER";

/// Not a test by itself: [`adders`] starts it as a process of its own, which runs the product as `pvsim run` does.
#[test]
fn adder() {
    let Ok(order) = std::env::var(ADDER) else { return };
    let mut words = order.split(':').map(Path::new);
    let machine = Machine::open(words.next().unwrap()).unwrap();
    let server = server(&machine);
    for request in words {
        let mut command = server.command(program_for("pvsecret", Some("add".as_ref())));
        clean(&mut command);
        Run::of(command.args(["pvsecret", "add"]).arg(request), b"").succeeds();
        // The parent reads it as the word that this one is in.
        println!("added {}", request.display());
    }
}

/// Starts the adders for `requests`, all at once, each with a process group of its own.
fn adders(machine: &Path, requests: &[Vec<PathBuf>]) -> Vec<Child> {
    let start = |requests: &Vec<PathBuf>| {
        let order: Vec<_> = std::iter::once(machine).chain(requests.iter().map(PathBuf::as_path)).collect();
        let order = order.iter().map(|path| path.to_str().unwrap()).collect::<Vec<_>>().join(":");
        process::Command::new(std::env::current_exe().unwrap())
            .args(["pvsecret_guest::adder", "--exact", "--nocapture"])
            .env(ADDER, order)
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap()
    };
    requests.iter().map(start).collect()
}

/// Kills a process and all that it started.
fn kill(child: &Child) {
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap());
    killpg(group, Signal::SIGKILL).unwrap();
}

/// A request for each adder and round, each with another id.
fn requests(stage: &Stage, rounds: usize) -> Vec<Vec<PathBuf>> {
    let request = |adder, round| {
        let file = format!("rq-{adder}-{round}");
        stage.make_association(&file, &file);
        stage.scratch.join(&file)
    };
    (0..ADDERS).map(|adder| (0..rounds).map(|round| request(adder, round)).collect()).collect()
}

/// The names of the secrets in the store, by their ids. Indices count from 0, and no id is there twice.
fn stored_names(stage: &Stage, requests: &[Vec<PathBuf>]) -> BTreeSet<String> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let names: BTreeMap<_, _> =
        requests.iter().flatten().map(name).map(|name| (openssl::sha::sha256(name.as_bytes()), name)).collect();
    let secrets = stage.machine.guest().unwrap().secrets;
    for (position, secret) in secrets.iter().enumerate() {
        assert_eq!(usize::from(secret.index), position);
    }
    let stored: BTreeSet<_> = secrets.iter().map(|secret| names[&secret.id.0].clone()).collect();
    assert_eq!(stored.len(), secrets.len(), "a secret is there twice");
    stored
}

/// What an adder said it added.
fn said(output: &process::Output) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().filter_map(|line| line.rsplit_once("added "));
    lines.map(|(_, path)| Path::new(path).file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn secrets_added_at_once_are_neither_lost_nor_doubled() {
    let rounds = 4 * scale();
    let stage = Stage::with_inventory(&format!("guest: {{max_association: {0}, max_secrets: {0}}}", ADDERS * rounds));
    let requests = requests(&stage, rounds);
    for adder in adders(stage.machine.folder(), &requests) {
        let output = adder.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(said(&output).len(), rounds);
    }
    assert_eq!(stored_names(&stage, &requests).len(), ADDERS * rounds);
    println!("{ADDERS} processes added {} secrets", ADDERS * rounds);
}

#[test]
fn a_process_that_is_killed_loses_nothing_that_it_was_told_is_there() {
    let rounds = 4 * scale();
    let mut random = [0; 2];
    openssl::rand::rand_bytes(&mut random).unwrap();
    let stage = Stage::with_inventory(&format!("guest: {{max_association: {0}, max_secrets: {0}}}", ADDERS * rounds));
    let requests = requests(&stage, rounds);
    let mut adders = adders(stage.machine.folder(), &requests);
    // When the store holds a random number of secrets, somebody dies.
    let (victim, at) = (usize::from(random[0]) % ADDERS, usize::from(random[1]) % (ADDERS * rounds / 2));
    while stage.machine.guest().unwrap().secrets.len() < at && adders[victim].try_wait().unwrap().is_none() {
        thread::yield_now();
    }
    kill(&adders[victim]);
    let mut told = BTreeSet::new();
    for (number, adder) in adders.into_iter().enumerate() {
        let output = adder.wait_with_output().unwrap();
        assert!(output.status.success() || number == victim);
        told.extend(said(&output));
    }
    let stored = stored_names(&stage, &requests);
    let lost: Vec<_> = told.difference(&stored).collect();
    let untold: Vec<_> = stored.difference(&told).collect();
    assert!(lost.is_empty(), "killed {victim} at {at}: lost {lost:?}");
    // The one that was killed may have had no time to say so.
    assert!(untold.len() <= 1, "killed {victim} at {at}: {untold:?}");
    assert!(stored.len() >= (ADDERS - 1) * rounds, "killed {victim} at {at}: only {}", stored.len());
    println!("killed adder {victim} at {at} secrets; {} are there", stored.len());
}

/// How much longer than usual the long tests may take.
fn scale() -> usize {
    std::env::var("PVTOOLS_TEST_SCALE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1)
}

#[test]
fn the_binary_holds_no_trace_of_the_simulator() {
    let binary = fs::read(env!("CARGO_BIN_EXE_pvtools")).unwrap();
    // It must hold what it needs, or the search itself is wrong.
    assert!(holds(&binary, b"/dev/uv"));
    for trace in ["pvsim", "PVSIM", "PVTOOLS_", "LD_PRELOAD", "simulat"] {
        assert!(!holds(&binary, trace.as_bytes()), "'{trace}' is in the binary");
    }
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn commands_without_a_guest_say_so_and_write_nothing() {
    if fs::exists("/dev/uv").unwrap() {
        crate::support::left_out("this machine has /dev/uv");
        return;
    }
    let expected = "error: /dev/uv: no such device: not a Secure Execution guest";
    for args in [&["list", "out"][..], &["lock"], &["retrieve", "--inform", "idx", "0", "out"]] {
        let scratch = Scratch::new();
        scratch.run("pvsecret", args).refuses(1, &[expected]);
        assert_eq!(scratch.names(), [""; 0], "{args:?}");
    }
}

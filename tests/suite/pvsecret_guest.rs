//! pvsecret add, list, lock, retrieve beyond the scenarios of `tests/guest.yaml`: every return code, many at once, the
//! recorded command lines, and what the binary must not hold.

use crate::guest::{Stage, run_in_process};
use crate::recorded;
use crate::support::Scratch;
use pvsim::{Fault, Machine};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::thread;
use uvdevice::abi::Command;
use uvdevice::{REASONS, ReturnCode};

#[test]
fn guest_commands_take_the_recorded_command_lines() {
    recorded::compare("pvsecret", |argv| {
        argv.first().is_some_and(|command| ["add", "list", "lock", "retrieve", "retr"].contains(&command.as_str()))
    });
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

/// Threads here, each with the machine opened by itself; processes under `pvsim run` go the same way.
#[test]
fn secrets_added_at_once_are_neither_lost_nor_doubled() {
    const ADDERS: usize = 8;
    let rounds = 3 * scale();
    let stage = Stage::with_inventory(&format!("guest: {{max_association: {}}}", ADDERS * rounds));
    for adder in 0..ADDERS {
        for round in 0..rounds {
            stage.make_association(&format!("rq-{adder}-{round}"), &format!("{adder}-{round}"));
        }
    }
    let folder = stage.scratch.path();
    thread::scope(|scope| {
        for adder in 0..ADDERS {
            scope.spawn(move || {
                let machine = Machine::open(&folder.join("machine")).unwrap();
                for round in 0..rounds {
                    let request = folder.join(format!("rq-{adder}-{round}")).into_os_string();
                    let args: [OsString; 3] = ["pvsecret".into(), "add".into(), request];
                    run_in_process(&machine, &args, Vec::new()).succeeds();
                }
            });
        }
    });
    let secrets = stage.machine.guest().unwrap().secrets;
    assert!(secrets.iter().enumerate().all(|(position, secret)| usize::from(secret.index) == position));
    let ids: BTreeSet<_> = secrets.iter().map(|secret| secret.id.0).collect();
    assert_eq!((secrets.len(), ids.len()), (ADDERS * rounds, ADDERS * rounds));
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
        println!("skipped: this machine has /dev/uv");
        return;
    }
    let expected = "error: /dev/uv: no such device: not a Secure Execution guest";
    for args in [&["list", "out"][..], &["lock"], &["retrieve", "--inform", "idx", "0", "out"]] {
        let scratch = Scratch::new();
        scratch.run("pvsecret", args).refuses(1, &[expected]);
        assert_eq!(scratch.names(), [""; 0], "{args:?}");
    }
}

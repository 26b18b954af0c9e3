//! pvapconfig when things go wrong: every read and write failing once, queues that vanish, a kill at every write.
//!
//! Whatever happens in the first run: no panic, a documented exit code, no queue left half-way. And the second run,
//! without trouble, ends as if there had been no first one.

use crate::ap_guest::{ApGuest, Template};
use crate::faults::shim;
use crate::support::{Run, Scratch};
use std::ffi::OsString;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

/// Something of everything: a queue to unbind and associate anew, one to bind, a spare one on another card, an
/// accelerator. Without waits, since the waits are not what this is about.
const INVENTORY: &str = "\
master_keys: {A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3b773619640a1a75a9161cec00000001,
              B: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb3b773619640a1a75a9161cec00000002}
bus: {rescan_ms: 200}
cards: {'0f': {type: CEX8A}}
queues:
  '0f.0014': {reset_ms: 1, sm_ms: 1}
  '28.0014': {mk: A, state: associated 2, reset_ms: 1, sm_ms: 1, assoc_ms: 3}
  '28.0015': {mk: B, reset_ms: 1, sm_ms: 1, assoc_ms: 3}
  '29.0015': {mk: B, reset_ms: 1, sm_ms: 1, assoc_ms: 3}
secrets: [s1, s2, other]
";
const CONFIG: &str = "\
- {mode: ep11, name: s1, mkvp: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}
- {mode: ep11, name: s2, mkvp: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb}
- {mode: accel}
";
const DONE: [(&str, &str); 4] =
    [("0f.0014", "bound"), ("28.0014", "associated 0"), ("28.0015", "associated 1"), ("29.0015", "unbound")];

/// The attributes that pvapconfig reads, and what it writes.
const OPERATIONS: [&str; 9] = [
    "bind",
    "unbind",
    "assoc",
    "read_type",
    "read_online",
    "read_ap_functions",
    "read_se_associate",
    "read_mkvps",
    "read_serialnr",
];
const ERRNOS: [&str; 6] = ["EIO", "EBUSY", "EINVAL", "ENODEV", "ENOENT", "EACCES"];

/// Runs every job, on as many threads as there are processors.
fn each<J: Send>(jobs: Vec<J>, work: impl Fn(J) + Sync) {
    let jobs = Mutex::new(jobs.into_iter());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let next = jobs.lock().unwrap().next();
                    let Some(job) = next else { return };
                    work(job);
                }
            });
        }
    });
}

/// What must hold after any run with trouble, and after the next one.
fn check(place: &str, guest: &ApGuest, run: &Run, converges_to: &[(&str, &str)]) {
    assert!(!run.stderr.contains("panicked") && [0, 1].contains(&run.status), "{place}: {run:#?}");
    if run.status == 1 {
        assert!(run.stderr.contains("error: "), "{place}: {run:#?}");
    }
    for (queue, state) in guest.states() {
        // Not half-way: an EP11 queue that is bound is of no use to anybody.
        let fits = state != "bound" || queue.starts_with("0f");
        assert!(fits, "{place}: {queue} is left {state}\n{run:#?}");
    }
    guest.machine.clear_faults().unwrap();
    let again = guest.configure(&["--strict"]);
    assert_eq!(again.status, 0, "{place}: run again: {again:#?}\nafter {run:#?}");
    let states = guest.states();
    for (queue, state) in converges_to {
        assert_eq!(states.get(*queue).map(String::as_str), Some(*state), "{place}: {queue}, run again\n{states:?}");
    }
}

#[test]
fn every_read_and_write_may_fail_once_with_any_errno() {
    let template = Template::new(INVENTORY);
    let mut jobs = Vec::new();
    for operation in OPERATIONS {
        for errno in ERRNOS {
            jobs.extend([0, 1, 3].map(|skip| (operation, errno, skip)));
        }
    }
    let count = jobs.len();
    each(jobs, |(operation, errno, skip)| {
        let guest = template.guest(CONFIG);
        guest.order(operation, "", errno, skip);
        let run = guest.configure(&[]);
        let place = format!("{operation} number {} fails with {errno}", skip + 1);
        // An accelerator or a second entry may well be served by another queue afterwards.
        check(&place, &guest, &run, &[("28.0014", "associated 0"), ("0f.0014", "bound")]);
    });
    println!("{count} faults of reads and writes");
}

#[test]
fn a_queue_may_vanish_turn_illicit_or_be_reset_at_every_step() {
    let template = Template::new(INVENTORY);
    let mut jobs = Vec::new();
    for act in ["vanish", "illicit", "hostreset"] {
        // Without the attributes of cards, which would take the whole card away.
        for operation in OPERATIONS.into_iter().filter(|it| !["read_type", "read_serialnr"].contains(it)) {
            jobs.extend([0, 1, 2].map(|skip| (operation, act, skip)));
        }
    }
    let count = jobs.len();
    each(jobs, |(operation, act, skip)| {
        let guest = template.guest(CONFIG);
        // There is a spare one for this queue.
        guest.order(operation, "28.0015", act, skip);
        let run = guest.configure(&[]);
        let place = format!("28.0015: {act} at {operation} number {}", skip + 1);
        check(&place, &guest, &run, &[("28.0014", "associated 0"), ("0f.0014", "bound")]);
        let states = guest.states();
        let served =
            ["28.0015", "29.0015"].iter().filter(|queue| states.get(**queue).is_some_and(|it| it == "associated 1"));
        assert_eq!(served.count(), 1, "{place}: {states:?}");
    });
    println!("{count} queues that went away");
}

fn with_shim(mut command: Command) -> Command {
    let others = command.get_envs().find(|(name, _)| *name == "LD_PRELOAD").and_then(|(_, value)| value);
    let mut preload = OsString::from(shim());
    preload.push(":");
    preload.push(others.unwrap());
    command.env("LD_PRELOAD", preload);
    command
}

/// The calls for sysfs, the configuration file, the lock, the ultravisor and the talk alike: each fails once, with another
/// errno from one to the next.
#[test]
fn every_call_may_fail_once() {
    const FAULTS: [&str; 5] = ["4", "5", "13", "28", "short"];
    let template = Template::new(INVENTORY);
    let log = Scratch::new();
    let guest = template.guest(CONFIG);
    let mut whole = with_shim(guest.command("pvapconfig", &["-v", "config.yaml"]));
    Run::of(whole.env("PVSIM_FAULT_LOG", log.join("calls")), b"").succeeds();
    let calls = String::from_utf8(log.read("calls")).unwrap().lines().count();
    each((1..=calls).collect(), |call| {
        let guest = template.guest(CONFIG);
        let fault = FAULTS[call % FAULTS.len()];
        let mut command = with_shim(guest.command("pvapconfig", &["-v", "config.yaml"]));
        let run = Run::of(command.env("PVSIM_FAULT", format!("{call}:{fault}")), b"");
        let place = format!("call {call}: {fault}");
        assert!(!run.stderr.contains("panicked") && [0, 1].contains(&run.status), "{place}: {run:#?}");
        guest.configure(&["--strict"]).succeeds();
        assert!(!guest.lock_file().exists(), "{place}");
    });
    println!("{calls} calls failed");
}

#[test]
fn a_kill_at_every_write_is_mended_by_the_next_run() {
    let template = Template::new(INVENTORY);
    let log = Scratch::new();
    let guest = template.guest(CONFIG);
    let mut whole = with_shim(guest.command("pvapconfig", &["config.yaml"]));
    Run::of(whole.env("PVSIM_FAULT_LOG", log.join("calls")), b"").succeeds();
    guest.expect(&DONE);
    let calls = String::from_utf8(log.read("calls")).unwrap();
    let writes: Vec<_> =
        calls.lines().enumerate().filter(|(_, call)| *call == "write").map(|(number, _)| number + 1).collect();
    assert!(writes.len() > 8, "{calls}");
    let count = writes.len();
    // Also at the call behind each: after the write. Threads change the order of calls; any place will do.
    let places: Vec<_> = writes.into_iter().flat_map(|call| [call, call + 1]).collect();
    each(places, |call| {
        let guest = template.guest(CONFIG);
        let mut command = with_shim(guest.command("pvapconfig", &["config.yaml"]));
        let run = Run::of(command.env("PVSIM_FAULT", format!("{call}:kill")), b"");
        assert!([0, 128 + 9].contains(&run.status), "call {call}: {run:#?}");
        guest.configure(&["--strict"]).succeeds();
        guest.expect(&DONE);
        assert!(!guest.lock_file().exists(), "call {call}");
    });
    println!("killed at {count} writes");
}

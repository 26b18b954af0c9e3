//! The AP bus as programs see it.

use crate::{has_python, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pvsim::Machine;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

fn pvsim() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pvsim"))
}

fn machine(inventory: &str) -> (TempDir, Machine) {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::init(&folder.path().join("machine"), Some(inventory)).unwrap();
    (folder, machine)
}

/// `pvsim run MACHINE -- sh -c LINE`.
fn guest(machine: &Path, line: &str) -> Command {
    let mut command = pvsim();
    command.arg("run").arg(machine).args(["--", "sh", "-c", line]);
    command
}

fn states(machine: &Machine) -> Vec<String> {
    machine.show_bus().unwrap().queues.values().map(|queue| queue.state.to_string()).collect()
}

#[test]
fn a_shell_binds_and_associates() {
    let (_folder, machine) = machine(
        "
queues: {'28.0014': {assoc_ms: 600000}, '28.0015': {}, '29.0014': {}, '03.0001': {}}
secrets: [one, two]
",
    );
    let queue = "cd /sys/bus/ap/devices/card28/28.0014";
    let rows = [
        // The order of sysfs, not of names.
        ("ls -U /sys/devices/ap".to_owned(), 0, "card29\ncard03\ncard28\n"),
        ("ls -U /sys/devices/ap/card28 | grep '^28'".into(), 0, "28.0015\n28.0014\n"),
        ("python3 -c 'import os; print(*os.listdir(\"/sys/devices/ap\"))'".into(), 0, "card29 card03 card28\n"),
        (
            "python3 -c 'import os; print(*[e.name for e in os.scandir(os.open(\"/sys/devices/ap\", os.O_RDONLY))])'"
                .into(),
            0,
            "card29 card03 card28\n",
        ),
        (
            "find /sys/devices/ap -maxdepth 1 | tail -n +2".into(),
            0,
            "/sys/devices/ap/card29\n/sys/devices/ap/card03\n/sys/devices/ap/card28\n",
        ),
        ("cat /sys/bus/ap/devices/28.0014/se_bind".into(), 0, "unbound\n"),
        (format!("{queue}; echo 1 > se_bind && cat se_bind se_associate"), 0, "bound\nunassociated\n"),
        (format!("{queue}; (echo 1 > se_bind) 2> /dev/null || echo refused"), 0, "refused\n"),
        (format!("{queue}; echo 1 > se_associate && cat se_associate"), 0, "association pending\n"),
        // Ten minutes later: see below.
        (format!("{queue}; cat se_associate"), 0, "associated 1\n"),
        // What is made at one opening stays one text.
        (
            format!("{queue}; exec 3< se_associate; echo 0 > se_bind; sleep 0.1; cat <&3; cat se_associate"),
            0,
            "associated 1\nunassociated\n",
        ),
        (format!("{queue}; basename $(readlink driver)"), 0, "cex4queue\n"),
    ];
    for (line, status, printed) in rows {
        if line.starts_with("python3") && !has_python(&line) {
            continue;
        }
        let (found, text, _) = run(&mut guest(machine.folder(), &line));
        assert_eq!((found, text.as_str()), (status, printed), "{line}");
        if printed == "association pending\n" {
            machine.advance_clock(600_000).unwrap();
        }
    }
    if !has_python("making files") {
        return;
    }
    // Nobody makes files in sysfs: where the folder is there, that is not allowed; else there is no such folder.
    let create = |path: &str| {
        let script = format!(
            "import os\ntry: os.open(\"/sys/devices/ap/card28/{path}\", os.O_WRONLY | os.O_CREAT)\n\
             except OSError as e: print(e.strerror)"
        );
        run(&mut guest(machine.folder(), &format!("python3 -c '{script}'"))).1
    };
    assert_eq!(create("28.0014/nothing"), "Permission denied\n");
    assert_eq!(create("28.0099/se_bind"), "No such file or directory\n");
}

#[test]
fn a_queue_that_was_taken_goes_with_the_next_scan() {
    let (_folder, machine) = machine("queues: {'28.0014': {}, '28.0015': {}}");
    let folder = machine.folder();
    assert!(pvsim().arg("ap").arg(folder).args(["take", "28.0014"]).status().unwrap().success());
    let line = "cd /sys/devices/ap/card28; cat 28.0014/ap_functions; exec 3> 28.0014/se_bind; echo 1 > /sys/bus/ap/scans; \
                ls -d 28*; (echo 0 >&3) 2> /dev/null; echo $?";
    assert_eq!(run(&mut guest(folder, line)).1, "0x00000000\n28.0015\n1\n");
    let last = machine.writes().unwrap().pop().unwrap();
    assert_eq!((last.path.as_str(), last.result.as_str()), ("/sys/devices/ap/card28/28.0014/se_bind", "ENODEV"));
}

#[test]
fn a_card_that_does_not_answer_hangs_its_reader_alone() {
    let (_folder, machine) =
        machine("cards: {'08': {type: CEX8C, hangs: true}}\nqueues: {'08.0001': {}, '28.0001': {}}");
    let line = "cd /sys/devices/ap; cat card08/type card08/08.0001/online; timeout -s KILL 0.2 cat card08/08.0001/mkvps; \
                echo $?; cat card28/28.0001/se_bind";
    assert_eq!(run(&mut guest(machine.folder(), line)).1, "CEX8C\n1\n137\nunbound\n");
}

#[test]
fn processes_that_bind_at_once_never_pass_the_limit() {
    const PROCESSES: usize = 8;
    let queues: Vec<_> = (0..16).map(|n| format!("'28.{n:04x}': {{}}")).collect();
    let (_folder, machine) = machine(&format!("queues: {{{}}}", queues.join(", ")));
    let line = "for queue in /sys/devices/ap/card28/28.*; do (echo 1 > $queue/se_bind) 2> /dev/null && echo $queue; done; true";
    let children: Vec<_> =
        (0..PROCESSES).map(|_| guest(machine.folder(), line).stdout(Stdio::piped()).spawn().unwrap()).collect();
    let mut bound: Vec<_> = children
        .into_iter()
        .flat_map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap().lines().map(String::from).collect::<Vec<_>>()
        })
        .collect();
    bound.sort_unstable();
    assert_eq!(bound.len(), 12, "{bound:?}");
    bound.dedup();
    assert_eq!(bound.len(), 12, "each queue was bound once");
    assert_eq!(states(&machine).iter().filter(|state| *state == "bound").count(), 12);
    let writes = machine.writes().unwrap();
    assert_eq!(writes.len(), PROCESSES * 16);
    assert_eq!(writes.iter().filter(|write| write.result == "ok").count(), 12);
}

/// Writes that all succeed, so the last one in the log tells the state.
#[test]
fn a_kill_leaves_the_state_that_the_log_tells() {
    let (_folder, machine) = machine("queues: {'28.0001': {reset_ms: 0, sm_ms: 0}}");
    let line = "cd /sys/devices/ap/card28/28.0001; while echo 1 > se_bind; do echo 0 > se_bind; done";
    let mut seen = 0;
    for round in 0..15 {
        let mut child = guest(machine.folder(), line).stderr(Stdio::null()).process_group(0).spawn().unwrap();
        // Until it is at work, and then somewhere in it.
        while machine.writes().unwrap().len() <= seen {
            assert_eq!(child.try_wait().unwrap(), None, "round {round}");
            thread::yield_now();
        }
        thread::sleep(Duration::from_micros(700 * round));
        kill(Pid::from_raw(-(child.id() as i32)), Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        let writes = machine.writes().unwrap();
        let last = writes.last().unwrap();
        let expected = if last.text == "1\n" { "bound" } else { "unbound" };
        assert_eq!((last.result.as_str(), states(&machine)), ("ok", vec![expected.to_owned()]), "round {round}");
        assert!(writes.windows(2).all(|two| two[0].text != two[1].text), "round {round}: {writes:?}");
        // The next round begins with a bind.
        if expected == "bound" {
            assert_eq!(run(&mut guest(machine.folder(), "echo 0 > /sys/devices/ap/card28/28.0001/se_bind")).0, 0);
        }
        seen = machine.writes().unwrap().len();
    }
}

const SCENARIOS: &str = "
format: apconfig-scenarios/1
master_keys: {A: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'}
scenarios:
- id: R1
  title: bound and associated
  inventory: {queues: {'28.0001': {mk: A, assoc_ms: 5000}}}
  secrets: [one]
  lockfile: '1'
  config: queue 28.0001
  steps: [{flags: [bind, '{config}']}, {flags: [associate]}]
  ideal: {exit: 0, exits: [0, 0], final: {'28.0001': associated 0}, writes: 2, stdout_has: [queue 28.0001], lock_left: true}
  reference: {exit: 1}
- id: R2
  title: refused
  inventory: {queues: {'28.0001': {mk: A, state: illicit}}}
  flags: [bind, /dev/null]
  ideal: {exit: 3, final: {'28.0001': illicit}, writes: 1, stderr_has: [rror], lock_left: false}
- id: R3
  title: killed
  inventory: {bus: {present: false}}
  flags: [die]
  ideal: {exit: killed, final: {}, writes: 0}
";

/// Stands for pvapconfig.
const PROGRAM: &str = "#!/bin/sh
queue=/sys/devices/ap/card28/28.0001
case $1 in
bind) cat \"$2\"; (echo 1 > $queue/se_bind) || exit 3 ;;
associate) echo 0 > $queue/se_associate ;;
die) kill -KILL $$ ;;
esac
";

#[test]
fn scenarios_are_run_and_judged() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("list.yaml"), SCENARIOS).unwrap();
    let program = folder.path().join("pvapconfig");
    fs::write(&program, PROGRAM).unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let scenario = |arguments: &[&str]| {
        run(pvsim().args(["scenario", "list.yaml", "--tools", "."]).args(arguments).current_dir(folder.path()))
    };
    // How long it took is not for a test.
    let words = |line: &str| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    let (status, stdout, stderr) = scenario(&[]);
    let lines: Vec<_> = stdout.lines().map(words).collect();
    let expected = ["R1 as expected", "R2 as expected", "R3 as expected", "3 of 3"];
    assert_eq!((status, lines.as_slice(), stderr.as_str()), (0, &expected.map(String::from)[..], ""), "{stdout}");

    let (status, stdout, _) = scenario(&["--row", "R1", "--expect", "reference"]);
    assert_eq!(status, 1);
    assert!(stdout.contains("R1  differs") && stdout.contains("exit 0 instead of 1"), "{stdout}");
    assert!(stdout.ends_with("0 of 1 as expected\n"), "{stdout}");
    let (status, _, stderr) = scenario(&["--row", "R4"]);
    assert_eq!((status, stderr.as_str()), (1, "error: there is no row 'R4'\n"));
    let (status, _, stderr) = scenario(&["--row", "R2", "--expect", "reference"]);
    assert_eq!((status, stderr.as_str()), (1, "error: row 'R2' has no 'reference'\n"));
    fs::write(folder.path().join("list.yaml"), SCENARIOS.replace("writes: 1", "write: 1")).unwrap();
    let (status, _, stderr) = scenario(&[]);
    assert_eq!((status, stderr.contains("unknown field `write`"), stderr.lines().count()), (1, true, 1), "{stderr}");
}

#[test]
fn the_machine_of_a_row_can_be_made_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("list.yaml"), SCENARIOS).unwrap();
    let init = |row: &str| {
        run(pvsim().args(["init", "m", "--inventory", "list.yaml", "--row", row]).current_dir(folder.path()))
    };
    assert_eq!(init("R2"), (0, String::new(), String::new()));
    assert_eq!(states(&Machine::open(&folder.path().join("m")).unwrap()), ["illicit"]);
    assert_eq!(init("R9").2, "error: there is no row 'R9'\n");
}

#[test]
fn the_inventory_in_the_readme_makes_a_machine() {
    let readme = include_str!("../../../../../docs/simulator.md");
    let block = readme.lines().skip_while(|line| !line.starts_with("    master_keys:"));
    let block: Vec<_> = block.map_while(|line| line.strip_prefix("    ")).collect();
    let (_folder, machine) = machine(&block.join("\n"));
    assert_eq!(states(&machine), ["unbound", "associated 0", "unbound"]);
}

#[test]
fn events_by_hand_say_what_is_wrong_with_them() {
    let (_folder, machine) = machine("queues: {'28.0014': {state: associated 1}}");
    let ap = |words: &[&str]| run(pvsim().arg("ap").arg(machine.folder()).args(words));
    let rows = [
        (["leave", "28.0014"].as_slice(), "'leave' is nothing that happens"),
        (&["take", "28.0015"], "'28.0015' is not on the bus"),
        (&["take", "2814"], "'2814' is no card"),
        (&["mk", "B", "28.0014"], "'B' is neither"),
        (&["wait", "long"], "'long' is no number"),
        (&["take", "28", "14"], "is no event and a queue"),
    ];
    for (words, error) in rows {
        let (status, stdout, stderr) = ap(words);
        assert_eq!((status, stdout.as_str(), stderr.lines().count()), (1, "", 1), "{words:?}: {stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains(error), "{words:?}: {stderr}");
    }
    let key = "0123456789abcdef0123456789abcdef";
    for words in [["offline", "28"].as_slice(), &["mk", key, "28.0014"], &["reset", "28.0014"], &["wait", "1000"]] {
        assert_eq!(ap(words), (0, String::new(), String::new()), "{words:?}");
    }
    let bus = machine.show_bus().unwrap();
    let queue = bus.queues.values().next().unwrap();
    assert_eq!((queue.state.to_string().as_str(), queue.online), ("unbound", false));
    assert!(queue.master_key.unwrap().to_string().starts_with(key));
    assert!(!bus.cards.values().next().unwrap().online);
    let (_, text, _) = run(pvsim().arg("show").arg(machine.folder()));
    assert!(
        text.contains("card 28 CEX8P 93AADEV280000028 offline\n  28.0014 unbound offline  master key 0x0123"),
        "{text}"
    );
}

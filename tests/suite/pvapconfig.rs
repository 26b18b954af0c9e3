//! pvapconfig on a simulated AP bus: what it says, keeps, refuses. That it ends as it should is in `tests/ap_scenarios.yaml`.

use crate::ap_guest::ApGuest;
use crate::recorded;
use crate::support::{Run, Scratch, product};
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Two EP11 queues with the same master key on two cards, one with another key, an accelerator.
const INVENTORY: &str = "\
master_keys: {A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3b773619640a1a75a9161cec00000001,
              B: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb3b773619640a1a75a9161cec00000002}
cards: {'0f': {type: CEX8A}}
queues:
  '0f.0014': {}
  '28.0014': {mk: A}
  '28.0015': {mk: B}
  '29.0014': {mk: A}
secrets: [s1]
";
const CONFIG: &str = "\
- {mode: ep11, name: s1, mkvp: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}
- {mode: accel, name: fast}
";
const DONE: [(&str, &str); 4] =
    [("0f.0014", "bound"), ("28.0014", "associated 0"), ("28.0015", "unbound"), ("29.0014", "unbound")];
const NOTHING: [(&str, &str); 4] =
    [("0f.0014", "unbound"), ("28.0014", "unbound"), ("28.0015", "unbound"), ("29.0014", "unbound")];

#[test]
fn behaves_as_recorded() {
    recorded::compare("pvapconfig", |_| true);
}

#[test]
fn says_nothing_on_success_and_everything_with_verbose() {
    let guest = ApGuest::new(INVENTORY, CONFIG);
    let run = guest.configure(&[]).succeeds();
    assert_eq!((run.stdout(), run.stderr.as_str()), ("", ""));
    guest.expect(&DONE);
    let run = guest.configure(&["-v"]).succeeds();
    for line in [
        "EP11 APQN 28.0014 already satisfies AP config entry #1 's1'.",
        "Accelerator APQN 0f.0014 already satisfies AP config entry #2 'fast'.",
        "Successfully applied 2 out of 2 AP config entries.",
    ] {
        assert!(run.stdout().lines().any(|said| said == line), "{line}: {run:#?}");
    }
}

/// What `pvapconfig.path` makes of queues that appear: the command of `pvapconfig.service` once more.
#[test]
fn the_command_of_the_unit_configures_queues_that_appear_and_leaves_alone_what_is_well() {
    let unit = include_str!("../../packaging/systemd/pvapconfig.service");
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=@PROGRAM@ ")).unwrap();
    let guest = ApGuest::new(INVENTORY, CONFIG);
    let service = || {
        let words: Vec<_> = command.split(' ').collect();
        guest.run(words[0], &[&words[1..], &["-c", "config.yaml"]].concat())
    };
    let happens = |event: &str, queue: &str| {
        guest.machine.apply_event(&event.parse().unwrap(), queue.parse().unwrap()).unwrap();
    };
    for queue in ["0f.0014", "28.0014", "29.0014"] {
        happens("take", queue);
    }
    // Nothing that was asked for is there: a failure, which leaves the rest alone.
    let run = service();
    assert_eq!(run.status, 1, "{run:#?}");
    guest.expect(&[("0f.0014", "gone"), ("28.0014", "gone"), ("28.0015", "unbound"), ("29.0014", "gone")]);

    happens("give", "29.0014");
    service().succeeds();
    guest.expect(&[("0f.0014", "gone"), ("28.0014", "gone"), ("28.0015", "unbound"), ("29.0014", "associated 0")]);
    let writes = guest.writes();

    // One that is as good as the one that is used, and the accelerator.
    happens("give", "28.0014");
    service().succeeds();
    assert_eq!(guest.writes(), writes, "another queue is nothing to do");
    happens("give", "0f.0014");
    service().succeeds();
    let done = [("0f.0014", "bound"), ("28.0014", "unbound"), ("28.0015", "unbound"), ("29.0014", "associated 0")];
    guest.expect(&done);
    let writes = guest.writes();
    service().succeeds();
    assert_eq!(guest.writes(), writes, "all is well: nothing to do");

    // What is taken away while it is used is replaced.
    happens("take", "29.0014");
    service().succeeds();
    guest.expect(&[("0f.0014", "bound"), ("28.0014", "associated 0"), ("28.0015", "unbound"), ("29.0014", "gone")]);
}

#[test]
fn a_dry_run_prints_the_actions_of_a_run_and_changes_no_queue() {
    let guest = ApGuest::new(INVENTORY, CONFIG);
    let dry = guest.configure(&["-n"]).succeeds();
    guest.expect(&NOTHING);
    let run = guest.configure(&["-v"]).succeeds();
    guest.expect(&DONE);
    let is_action = |line: &&str| ["Bind ", "Unbind ", "Associate "].iter().any(|verb| line.starts_with(verb));
    let actions: Vec<_> = run.stdout().lines().filter(is_action).collect();
    assert_eq!(dry.stdout().lines().collect::<Vec<_>>(), actions);
    assert_eq!(actions.len(), 7, "{actions:#?}");
}

#[test]
fn a_second_run_writes_nothing() {
    let guest = ApGuest::new(INVENTORY, CONFIG);
    guest.configure(&[]).succeeds();
    let writes = guest.writes();
    guest.configure(&["--strict"]).succeeds();
    assert_eq!(guest.writes(), writes);
    guest.run("pvapconfig", &["--status"]).succeeds();
    guest.run("pvapconfig", &["--check", "config.yaml"]).succeeds();
    assert_eq!(guest.writes(), writes);
}

#[test]
fn unbinds_everything() {
    let guest = ApGuest::new(INVENTORY, CONFIG);
    guest.configure(&[]).succeeds();
    let dry = guest.run("pvapconfig", &["--unbind", "-n"]).succeeds();
    assert_eq!(dry.stdout(), "Unbind APQN 0f.0014.\nUnbind APQN 28.0014.\n");
    guest.expect(&DONE);
    let run = guest.run("pvapconfig", &["--unbind"]).succeeds();
    assert_eq!(run.stdout(), "");
    guest.expect(&NOTHING);
}

#[test]
fn tells_the_state_of_every_queue() {
    let guest = ApGuest::new(INVENTORY, CONFIG);
    guest.configure(&[]).succeeds();
    let run = guest.run("pvapconfig", &["--status", "config.yaml"]).succeeds();
    let key = "a".repeat(32);
    let expected = format!(
        "APQN     TYPE   STATE         MKVP                              SECRET  ENTRY\n\
         0f.0014  CEX8A  bound         -                                 -       #2 'fast'\n\
         28.0014  CEX8P  associated 0  {key}  s1      #1 's1'\n\
         28.0015  CEX8P  unbound       -                                 -       -\n\
         29.0014  CEX8P  unbound       -                                 -       -\n"
    );
    assert_eq!(run.stdout(), expected);
    // Without a file there is no name, but an id.
    let run = guest.run("pvapconfig", &["--status"]).succeeds();
    assert!(run.stdout().contains(&hex::encode(openssl::sha::sha256(b"s1"))), "{run:#?}");
}

#[test]
fn has_the_same_in_json() {
    let guest = ApGuest::new(INVENTORY, &format!("{CONFIG}- {{mode: ep11, name: s2, mkvp: {}}}\n", "c".repeat(32)));
    let json = |args: &[&str]| -> Value { serde_json::from_slice(&guest.configure(args).succeeds().stdout).unwrap() };
    let dry = json(&["-n", "--format", "json"]);
    assert_eq!((&dry["dry_run"], &dry["satisfied"], &dry["status"]), (&true.into(), &2.into(), &0.into()));
    assert_eq!((&dry["queues"][1]["state"], &dry["queues"][1]["entry"]), (&"unbound".into(), &1.into()));
    let run = json(&["-v", "--format", "json"]);
    assert_eq!(run["steps"], dry["steps"]);
    assert_eq!(run["entries"][0]["queue"], "28.0014");
    assert_eq!(run["entries"][2]["satisfied"], false);
    assert!(run["entries"][2]["reason"].as_str().unwrap().contains("secret"), "{run:#}");
    assert_eq!(run["queues"][1]["state"], "associated");
    let status = json(&["--status", "--format", "json"]);
    assert_eq!(status["queues"][1]["secret_name"], "s1");
    assert_eq!(status["queues"][0]["entry"], 2);
    let check = json(&["--check", "--format", "json"]);
    assert_eq!((&check["valid"], &check["entries"]), (&true.into(), &3.into()));
}

#[test]
fn says_why_an_entry_has_no_queue() {
    let config = format!(
        "{CONFIG}- {{mode: accel}}\n- {{mode: ep11, name: s1, mkvp: {}}}\n- {{mode: ep11, name: gone, mkvp: {}}}\n",
        "c".repeat(32),
        "b".repeat(32)
    );
    let guest = ApGuest::new(INVENTORY, &config);
    let run = guest.configure(&["-s"]);
    assert_eq!(run.status, 1);
    for part in [
        "AP config entry #3 has no queue: ",
        "AP config entry #4 's1' has no queue: ",
        "from config entry #5 'gone' not found in UV secrets list.",
        "error: Strict flag given and only 2 out of 5 AP config entries have been applied.",
    ] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
    guest.expect(&DONE);
}

#[test]
fn checks_files_anywhere_and_names_every_mistake_with_its_place() {
    let scratch = Scratch::new();
    scratch
        .write("bad.yaml", "- mode: accel\n  mingent: cex8\n- mode: nonsense\n- mode: ep11\n  name: x\n  mkvp: 12\n");
    let run = Run::of(product("pvapconfig").args(["--check", "bad.yaml"]).current_dir(scratch.path()), b"");
    assert_eq!(run.status, 1, "{run:#?}");
    for part in ["line 2", "'mingen'"] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
    scratch.write("bad.yaml", "- mode: nonsense\n- mode: ep11\n  name: x\n  mkvp: 12\n");
    let run = Run::of(product("pvapconfig").args(["--check", "-c", "bad.yaml"]).current_dir(scratch.path()), b"");
    assert_eq!(run.status, 1, "{run:#?}");
    for part in ["Unknown or invalid mode 'nonsense'", "line 1", "Mkvp value '12' is not valid", "line 4"] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
    let run = Run::of(product("pvapconfig").args(["--check", "nowhere"]).current_dir(scratch.path()), b"");
    run.refuses(1, &["nowhere", "No such file"]);
}

#[test]
fn checks_every_configuration_file_of_ibms_documents() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/apconfig");
    let mut checked = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let run = Run::of(product("pvapconfig").arg("--check").arg(&path), b"");
            // Printed so in a document, where it is a mistake.
            let is_mistake = path.file_stem().is_some_and(|stem| stem == "accelerator-typing-error");
            assert_eq!(run.status, i32::from(is_mistake), "{}: {run:#?}", path.display());
            checked += 1;
        }
    }
    println!("{checked} configuration files of IBM's documents checked");
    assert!(checked >= 5, "{checked}");
}

#[test]
fn an_empty_configuration_is_nothing_to_do() {
    for config in ["", "[]", "# nothing\n"] {
        let guest = ApGuest::new(INVENTORY, config);
        let run = guest.configure(&["--strict"]).succeeds();
        assert_eq!(run.stdout(), "No AP configuration entries in config file 'config.yaml': Nothing to do.\n");
    }
}

#[test]
fn refuses_where_queues_cannot_be_bound() {
    let rows = [
        ("bus: {present: false}", "AP bus support missing (path "),
        ("bus: {features: APSC APXA}", "Missing AP bus feature APSB"),
        ("guest: {secure_execution: false}", "this is not a SE guest"),
    ];
    for (inventory, part) in rows {
        let guest = ApGuest::new(inventory, CONFIG);
        guest.configure(&[]).refuses(1, &[part]);
        guest.run("pvapconfig", &["--unbind"]).refuses(1, &[part]);
        assert!(!guest.lock_file().exists());
    }
}

#[test]
fn one_instance_at_a_time_and_the_other_says_which() {
    let guest = ApGuest::new(&INVENTORY.replace("{mk: A}", "{mk: A, assoc_ms: 4000}"), CONFIG);
    let first = guest.command("pvapconfig", &["config.yaml"]).spawn().unwrap();
    // The lock is there from before the first write on.
    while guest.writes() == 0 {
        std::thread::yield_now();
    }
    let second = guest.configure(&[]);
    let process = first.id().to_string();
    second.refuses(1, &["pvapconfig is running already", &process]);
    let mut first = first;
    assert!(first.wait().unwrap().success());
    guest.expect(&DONE);
    assert!(!guest.lock_file().exists());
}

#[test]
fn a_stale_lock_file_stops_nobody() {
    let guest = ApGuest::new(INVENTORY, CONFIG);
    // A dead process, a living one that is something else, and no number at all.
    for content in ["4194300", &std::process::id().to_string(), "", "garbage\n"] {
        fs::write(guest.lock_file(), content).unwrap();
        guest.configure(&[]).succeeds();
        assert!(!guest.lock_file().exists(), "{content}");
    }
}

#[test]
fn waits_for_the_bus_and_says_how_far_it_is() {
    let guest = ApGuest::new(&format!("bus: {{bindings_after: 4}}\n{INVENTORY}"), CONFIG);
    let run = guest.configure(&["-v"]).succeeds();
    assert!(run.stdout().contains("Waiting for AP bus bindings complete...\n"), "{run:#?}");
    guest.expect(&DONE);
}

#[test]
fn a_terminal_shows_what_is_waited_for_and_for_how_long() {
    let guest = ApGuest::new(&INVENTORY.replace("{mk: A}", "{mk: A, assoc_ms: 2300}"), CONFIG);
    let pty = nix::pty::openpty(None, None).unwrap();
    let mut child = guest.command("pvapconfig", &["config.yaml"]).stderr(pty.slave).spawn().unwrap();
    let mut shown = Vec::new();
    // Reading ends with an error when the last program that has the terminal ends.
    let _ = fs::File::from(pty.master).read_to_end(&mut shown);
    assert!(child.wait().unwrap().success());
    let shown = String::from_utf8(shown).unwrap();
    let mut lines: Vec<_> = shown.split("\r\x1b[K").filter(|line| !line.is_empty()).collect();
    assert!(!lines.is_empty(), "{shown:?}");
    for line in &lines {
        let seconds = line.strip_prefix("Waiting until 28.0014 is associated (");
        assert!(seconds.is_some_and(|rest| rest.ends_with(" of at most 30 s)")), "{shown:?}");
    }
    let count = lines.len();
    lines.dedup();
    assert_eq!(lines.len(), count, "written only when it changes: {shown:?}");
    assert!(shown.ends_with("\r\x1b[K"), "the line is cleared in the end: {shown:?}");
    // Whoever does not look at it gets nothing.
    let run = guest.run("pvapconfig", &["--unbind"]).succeeds();
    assert_eq!(run.stderr, "");
}

#[test]
fn a_closed_stdout_does_not_stop_the_work() {
    let guest = ApGuest::new(INVENTORY, CONFIG);
    let (reader, writer) = UnixStream::pair().unwrap();
    drop(reader);
    let status = guest.command("pvapconfig", &["-v", "config.yaml"]).stdout(OwnedFd::from(writer)).status().unwrap();
    assert!(status.success(), "{status}");
    guest.expect(&DONE);
}

#[test]
fn a_link_in_place_of_the_lock_file_does_no_harm() {
    let guest = ApGuest::new(INVENTORY, CONFIG);
    let precious = guest.scratch.write("precious", "precious");
    std::os::unix::fs::symlink(&precious, guest.lock_file()).unwrap();
    guest.configure(&[]).succeeds();
    assert_eq!(guest.scratch.read("precious"), b"precious");
    fs::hard_link(&precious, guest.lock_file()).unwrap();
    guest.configure(&[]).succeeds();
    assert_eq!(guest.scratch.read("precious"), b"precious");
    assert!(!guest.lock_file().exists());
}

#[test]
fn a_queue_in_error_is_mended_in_one_run() {
    let inventory = "queues: {'28.0014': {mk: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, state: bound}}\nsecrets: [s1]\n";
    for config in [&CONFIG[..CONFIG.find('\n').unwrap()], CONFIG] {
        let guest = ApGuest::new(inventory, config);
        guest.order("assoc", "", "async", 0);
        assert_eq!(guest.run("chzcrypt", &["--se-associate", "0", "28.0014"]).status, 1);
        assert_eq!(guest.states()["28.0014"], "error");
        let dry = guest.configure(&["-n", "-s"]).succeeds();
        assert!(dry.stderr.contains("28.0014 is in error: a run unbinds it"), "{dry:#?}");
        guest.configure(&[]).succeeds();
        guest.expect(&[("28.0014", "associated 0")]);
    }
}

#[test]
fn what_cannot_be_read_now_is_not_taken_down() {
    let config = CONFIG.replace("mkvp", "serialnr: 93AADEV280000028, mkvp");
    for (attribute, act) in [
        ("read_mkvps", "EIO"),
        ("read_serialnr", "EIO"),
        ("read_mkvps", "text:WK CUR: - -"),
        ("read_online", "EIO"),
        ("read_se_associate", "EIO"),
    ] {
        let guest = ApGuest::new(INVENTORY, &config);
        guest.configure(&[]).succeeds();
        guest.expect(&DONE);
        // One error is of the moment for any attribute; those that the card is asked for may go on.
        let count = if ["read_mkvps", "read_serialnr"].contains(&attribute) { 1000 } else { 1 };
        let queue = Some("28.0014".to_owned());
        let fault = pvsim::Fault { op: attribute.into(), command: None, queue, act: act.into(), skip: 0, count };
        guest.machine.order(fault).unwrap();
        let writes = guest.writes();
        guest.configure(&["--strict"]).succeeds();
        guest.expect(&DONE);
        assert_eq!(guest.writes(), writes, "{attribute} {act}");
    }
}

#[test]
fn an_unbind_that_fails_is_not_tried_in_every_round() {
    let inventory = INVENTORY.replace("'28.0015': {mk: B}", "'28.0015': {mk: B, state: bound}");
    let guest = ApGuest::new(&inventory, CONFIG);
    let queue = Some("28.0015".to_owned());
    let fault =
        pvsim::Fault { op: "unbind".into(), command: None, queue, act: "EINVAL".into(), skip: 0, count: 100_000 };
    guest.machine.order(fault).unwrap();
    let run = guest.configure(&[]);
    assert_eq!(run.status, 1, "{run:#?}");
    assert_eq!(run.stderr.matches("Failure unbinding APQN 28.0015").count(), 1, "{run:#?}");
    assert!(run.stderr.contains("error: 2 out of 2 AP config entries have been applied; 1 failure."), "{run:#?}");
}

#[test]
fn json_tells_the_end_whatever_it_is() {
    let guest = ApGuest::new(INVENTORY, CONFIG);
    let json = |args: &[&str], status: i32| -> Value {
        let run = guest.run("pvapconfig", &[args, &["--format", "json"]].concat());
        assert_eq!(run.status, status, "{args:?}: {run:#?}");
        serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {run:#?}"))
    };
    json(&["config.yaml"], 0);
    let unbound = json(&["--unbind"], 0);
    for queue in unbound["queues"].as_array().unwrap() {
        assert_eq!(queue["state"], "unbound", "{queue}");
    }
    guest.scratch.write("empty.yaml", "");
    let nothing = json(&["empty.yaml"], 0);
    assert_eq!((&nothing["status"], nothing["entries"].as_array().unwrap().len()), (&0.into(), 0));
    guest.scratch.write("bad.yaml", "- mode: nonsense\n- mode: nonsense\n");
    for args in [&["nowhere"][..], &["bad.yaml"], &["--status", "nowhere"]] {
        let end = json(args, 1);
        assert!(end["status"] == 1 && end["error"].is_string(), "{args:?}: {end}");
    }
    for file in ["nowhere", "bad.yaml"] {
        let end = json(&["--check", file], 1);
        assert!(end["valid"] == false && !end["errors"].as_array().unwrap().is_empty(), "{file}: {end}");
    }
}

#[test]
fn a_dry_run_says_what_it_cannot_know() {
    // All places are taken by queues that nobody wants: a run frees them first.
    let mut inventory =
        "cards: {'0f': {type: CEX8A}}\nqueues:\n  '28.0014': {mk: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n".to_owned();
    for domain in 0..12 {
        inventory += &format!("  '0f.{domain:04x}': {{state: bound}}\n");
    }
    let guest = ApGuest::new(&(inventory + "secrets: [s1]\n"), CONFIG);
    let dry = guest.configure(&["-n", "-s"]).succeeds();
    assert!(dry.stderr.contains("a run without '--dry-run' first unbinds those that no entry wants"), "{dry:#?}");
    guest.configure(&["-s"]).succeeds();
    assert_eq!(guest.states()["28.0014"], "associated 0");
    // With no entry served at all, nothing is taken down, but the way out is told.
    guest.run("pvapconfig", &["--unbind"]).succeeds();
    for domain in 0..12 {
        guest.run("chzcrypt", &["--se-bind", &format!("0f.{domain:x}")]).succeeds();
    }
    guest.scratch.write("config.yaml", &CONFIG[..CONFIG.find('\n').unwrap()]);
    let run = guest.configure(&[]);
    assert!(run.status == 1 && run.stderr.contains("'pvapconfig --unbind' frees them"), "{run:#?}");
    assert_eq!(guest.states()["0f.0000"], "bound");
}

#[test]
fn unbind_reaches_offline_queues_and_tells_of_what_it_cannot_read() {
    let guest = ApGuest::new(&INVENTORY.replace("'0f.0014': {}", "'0f.0014': {state: bound, online: false}"), CONFIG);
    guest.run("pvapconfig", &["--unbind"]).succeeds();
    guest.expect(&NOTHING);
    guest.configure(&[]);
    let queue = Some("28.0014".to_owned());
    let fault = pvsim::Fault { op: "read_type".into(), command: None, queue, act: "EIO".into(), skip: 0, count: 100 };
    guest.machine.order(fault).unwrap();
    let run = guest.run("pvapconfig", &["--unbind"]);
    assert!(run.status == 1 && run.stderr.contains("1 card or queue could not be read"), "{run:#?}");
}

#[test]
fn names_cannot_write_to_the_terminal() {
    let config = "- {mode: accel, name: \"a\\e[31mred\\nline\"}\n";
    let guest = ApGuest::new(INVENTORY, config);
    for args in [&["-v"][..], &["--status"]] {
        let run = guest.configure(args).succeeds();
        assert!(!run.stdout().contains('\x1b') && run.stdout().contains("[31mred\\nline"), "{run:#?}");
    }
}

#[test]
fn what_others_put_in_place_of_the_lock_file_stops_nobody() {
    let guest = ApGuest::new(INVENTORY, CONFIG);
    let path = guest.lock_file();
    fs::create_dir(&path).unwrap();
    guest.configure(&[]).succeeds();
    assert!(!path.exists());
    // A folder that is not empty stays, and does no harm.
    fs::create_dir_all(path.join("inside")).unwrap();
    guest.configure(&[]).succeeds();
    fs::remove_dir_all(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    guest.configure(&[]).succeeds();
    // Whoever holds a lock on that file holds nothing.
    fs::write(&path, "1").unwrap();
    let held = fs::File::open(&path).unwrap();
    let held = nix::fcntl::Flock::lock(held, nix::fcntl::FlockArg::LockExclusive).unwrap();
    guest.configure(&[]).succeeds();
    drop(held);
    // The one that counts is for its user alone.
    let ours = guest.scratch.join("machine/root/run/pvtools");
    assert_eq!(fs::metadata(&ours).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(ours.join("pvapconfig.lock")).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&ours, fs::Permissions::from_mode(0o777)).unwrap();
    guest.configure(&[]).refuses(1, &["nobody else may write to"]);
}

#[test]
fn a_killed_one_that_nobody_waited_for_stops_nobody() {
    let guest = ApGuest::new(&INVENTORY.replace("{mk: A}", "{mk: A, assoc_ms: 4000}"), CONFIG);
    let mut first = guest.installed("pvapconfig", &["config.yaml"]).spawn().unwrap();
    while guest.writes() == 0 {
        std::thread::yield_now();
    }
    first.kill().unwrap();
    let folder = format!("/proc/{}", first.id());
    let is_dead = || fs::read_to_string(format!("{folder}/stat")).unwrap().contains(") Z ");
    // A thread that is still in a write to the bus has the lock.
    let is_alone = || fs::read_dir(format!("{folder}/task")).unwrap().count() == 1;
    while !is_dead() || !is_alone() {
        std::thread::yield_now();
    }
    assert!(guest.lock_file().exists());
    guest.configure(&[]).succeeds();
    first.wait().unwrap();
    guest.expect(&DONE);
}

#[test]
fn a_living_pvapconfig_of_s390_tools_is_respected() {
    let guest = ApGuest::new(INVENTORY, CONFIG);
    // A program of that name that lives.
    let other = guest.scratch.join("pvapconfig");
    crate::outputs::copy_program("/bin/sleep", &other);
    let mut other = std::process::Command::new(other).arg("1000").spawn().unwrap();
    fs::write(guest.lock_file(), other.id().to_string()).unwrap();
    guest.configure(&[]).refuses(1, &["pvapconfig of s390-tools is running already", &other.id().to_string()]);
    assert!(guest.lock_file().exists(), "its file stays");
    other.kill().unwrap();
    other.wait().unwrap();
    guest.configure(&[]).succeeds();
}

//! lszcrypt and chzcrypt on a simulated AP bus.

use crate::ap_guest::ApGuest;
use pvsim::Fault;
use serde_json::Value;
use std::fs::OpenOptions;
use std::process::Stdio;

const INVENTORY: &str = "\
master_keys: {A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3b773619640a1a75a9161cec00000001}
cards: {'0f': {type: CEX8A}, '08': {type: CEX8C}}
queues:
  '08.0014': {}
  '0f.0014': {state: bound}
  '28.0014': {mk: A, state: associated 0}
  '28.0015': {state: bound}
  '29.0014': {}
secrets: [s1, s2]
";

#[test]
fn lists_cards_and_queues_with_their_states() {
    let guest = ApGuest::new(INVENTORY, "");
    let run = guest.run("lszcrypt", &["-V"]).succeeds();
    // Widths to the letter: scripts cut columns.
    let expected = "\
CARD.DOM TYPE  MODE        STATUS     REQUESTS  PENDING HWTYPE QDEPTH FUNCTIONS  DRIVER      SESTAT     
--------------------------------------------------------------------------------------------------------
08       CEX8C CCA-Coproc  online            0        0     14     08 S--D--NHF- cex4card    -          
08.0014  CEX8C CCA-Coproc  online            0        0     14     08 S--D--NHF- cex4queue   illicit    
0f       CEX8A Accelerator online            0        0     14     08 -MC-A-N-F- cex4card    -          
0f.0014  CEX8A Accelerator online            0        0     14     08 -MC-A-N-F- cex4queue   usable     
28       CEX8P EP11-Coproc online            0        0     14     08 -----XN-F- cex4card    -          
28.0014  CEX8P EP11-Coproc online            0        0     14     08 -----XN-F- cex4queue   usable     
28.0015  CEX8P EP11-Coproc online            0        0     14     08 -----XN-F- cex4queue   bound      
29       CEX8P EP11-Coproc online            0        0     14     08 -----XN-F- cex4card    -          
29.0014  CEX8P EP11-Coproc online            0        0     14     08 -----XN-F- cex4queue   unbound    
";
    assert_eq!(run.stdout(), expected);
}

#[test]
fn shows_what_was_asked_for() {
    let guest = ApGuest::new(INVENTORY, "");
    let rows: [(&[&str], &[&str]); 8] = [
        (&["--queueonly", "--ep11only"], &["28.0014", "28.0015", "29.0014"]),
        (&["--cardonly"], &["08", "0f", "28", "29"]),
        (&["--accelonly"], &["0f", "0f.0014"]),
        (&["--ccaonly"], &["08", "08.0014"]),
        (&["28"], &["28", "28.0014", "28.0015"]),
        (&["28.0015"], &["28.0015"]),
        (&["28.15", "0f"], &["0f", "0f.0014", "28.0015"]),
        (&[".0015"], &["28.0015"]),
    ];
    for (args, expected) in rows {
        let run = guest.run("lszcrypt", args).succeeds();
        let shown: Vec<_> = run.stdout().lines().skip(2).filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(shown, expected, "{args:?}");
        let json: Value =
            serde_json::from_slice(&guest.run("lszcrypt", &[args, &["--format", "json"]].concat()).stdout).unwrap();
        let listed: Vec<_> =
            json["devices"].as_array().unwrap().iter().map(|it| it["device"].as_str().unwrap()).collect();
        assert_eq!(listed, expected, "{args:?}");
    }
}

#[test]
fn lists_broken_and_vanished_queues() {
    let inventory = INVENTORY.replace("'29.0014': {}", "'29.0014': {state: ghost}");
    let guest = ApGuest::new(&inventory, "");
    // The first read is that of the card.
    guest.order("read_ap_functions", "28.0015", "EIO", 1);
    let run = guest.run("lszcrypt", &["-V", "28.0015", "29.0014"]).succeeds();
    let states: Vec<_> = run.stdout().lines().skip(2).filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(states, ["error", "invalid"], "{run:#?}");
}

#[test]
fn has_no_states_where_queues_cannot_be_bound() {
    let guest = ApGuest::new(&format!("bus: {{features: APSC APXA}}\n{INVENTORY}"), "");
    assert!(!guest.run("lszcrypt", &["-V"]).succeeds().stdout().contains("SESTAT"));
    let json: Value = serde_json::from_slice(&guest.run("lszcrypt", &["--format", "json"]).stdout).unwrap();
    assert!(json["devices"].as_array().unwrap().iter().all(|device| device["se_state"] == Value::Null), "{json:#}");
    let guest = ApGuest::new("bus: {present: false}", "");
    let run = guest.run("lszcrypt", &[]);
    assert_eq!((run.status, run.stderr.as_str()), (1, "lszcrypt: Crypto device driver not available.\n"));
}

#[test]
fn lszcrypt_refuses_what_is_not_there() {
    let guest = ApGuest::new(INVENTORY, "");
    for (device, part) in [
        ("30", "card30 does not exist"),
        ("28.0099", "card28/28.0099 does not"),
        ("xy", "parse 'xy'"),
        ("+28", "parse '+28'"),
        (".+14", "parse '.+14'"),
    ] {
        let run = guest.run("lszcrypt", &[device]);
        assert!(run.status == 1 && run.stderr.contains(part), "{run:#?}");
    }
}

#[test]
fn chzcrypt_does_what_it_is_asked_for_and_waits_for_it() {
    let guest = ApGuest::new(INVENTORY, "");
    let rows: [(&[&str], &str, (&str, &str)); 9] = [
        (&["--se-bind", "29.0014"], "Queue device 29.0014 successful bound.\n", ("29.0014", "bound")),
        (
            &["--se-associate", "1", "29.0014"],
            "Queue device 29.0014 successful associated with index 1.\n",
            ("29.0014", "associated 1"),
        ),
        (&["--se-unbind", "29.0014"], "Queue device 29.0014 successful unbound.\n", ("29.0014", "unbound")),
        (&["--se_bind", "29.14"], "Queue device 29.0014 successful bound.\n", ("29.0014", "bound")),
        (
            &["--se_associate", "0x0", "29.14"],
            "Queue device 29.0014 successful associated with index 0.\n",
            ("29.0014", "associated 0"),
        ),
        // As a book of IBM prints it.
        (&["--se-unbind", "0", "28.0014"], "Queue device 28.0014 successful unbound.\n", ("28.0014", "unbound")),
        (&["--se-unbind", "0f.0014"], "Queue device 0f.0014 successful unbound.\n", ("0f.0014", "unbound")),
        (&["--se-bind", "f.14"], "Queue device 0f.0014 successful bound.\n", ("0f.0014", "bound")),
        (
            &["--se-unbind", "0f.0014", "28.0015"],
            "Queue device 0f.0014 successful unbound.\nQueue device 28.0015 successful unbound.\n",
            ("28.0015", "unbound"),
        ),
    ];
    for (args, said, (queue, state)) in rows {
        let run = guest.run("chzcrypt", &[&["-V"], args].concat()).succeeds();
        assert_eq!(run.stdout(), said);
        assert_eq!(guest.states()[queue], state, "{args:?}");
    }
    assert_eq!(guest.run("chzcrypt", &["--se-bind", "28.0014"]).succeeds().stdout(), "");
}

#[test]
fn chzcrypt_refuses_with_the_known_words() {
    let guest = ApGuest::new(INVENTORY, "");
    let before = guest.states();
    let rows: [(&[&str], &str); 17] = [
        (&[], "Error - missing argument."),
        (&["--se-bind"], "Error - The --se-bind needs a queue device given."),
        (&["--se-associate", "1"], "Error - The --se-associate needs a queue device given."),
        (&["--se-unbind", "zz"], "Error - Can't parse queue device 'zz' as xy.abcd."),
        (&["--se-bind", "28.0099"], "Error - Queue device 28.0099 does not exist."),
        (&["--se-associate", "abc", "28.0015"], "Error - Can't parse association index 'abc' as number."),
        (&["--se-associate", "+1", "28.0015"], "Error - Can't parse association index '+1' as number."),
        // All operands are looked at before anything is done.
        (&["--se-bind", "29.0014", "28.0099"], "Error - Queue device 28.0099 does not exist."),
        (&["--se-associate", "65536", "28.0015"], "Error - Association index needs to be in range [0...65535]."),
        (&["--se-bind", "28.0015"], "Error - Queue device 28.0015 is NOT in 'unbound' state (state 'bound' found)."),
        (
            &["--se-associate", "1", "28.0014"],
            "Error - Queue device 28.0014 is NOT in 'unassociated' state (state 'associated 0' found).",
        ),
        (
            &["--se-associate", "1", "0f.0014"],
            "Error - Queue device 0f.0014 is NOT in 'unassociated' state (state '-' found).",
        ),
        (
            &["--se-associate", "1", "29.0014"],
            "Error - Queue device 29.0014 must be bound before it can be associated.",
        ),
        (&["--se-associate", "1", "28.0015", "29.0014"], "--se-associate takes one queue device."),
        (&["--se-bind", "08.0014"], "Error - Failure reading queue device 08.0014"),
        // No such secret; on this card already.
        (&["--se-associate", "9", "28.0015"], "Error - Failure associating queue device 28.0015"),
        (&["--se-associate", "0", "28.0015"], "Error - Failure associating queue device 28.0015"),
    ];
    for (args, part) in rows {
        let run = guest.run("chzcrypt", args);
        assert_eq!(run.status, 1, "{run:#?}");
        assert!(run.stderr.starts_with("chzcrypt: ") && run.stderr.contains(part), "{args:?}: {run:#?}");
    }
    assert_eq!(guest.states(), before);
    let guest = ApGuest::new(&format!("bus: {{features: APSC APXA}}\n{INVENTORY}"), "");
    let run = guest.run("chzcrypt", &["--se-bind", "29.0014"]);
    assert_eq!(run.stderr, "chzcrypt: Error - AP bus: SE bind support is not available.\n");
}

#[test]
fn chzcrypt_waits_for_a_driver_that_is_not_ready_yet() {
    let slow = INVENTORY.replace("'28.0015': {state: bound}", "'28.0015': {state: bound, reset_ms: 50, sm_ms: 2000}");
    let guest = ApGuest::new(&slow, "");
    guest.run("chzcrypt", &["--se-unbind", "28.0015"]).succeeds();
    guest.run("chzcrypt", &["--se-bind", "28.0015"]).succeeds();
    assert_eq!(guest.states()["28.0015"], "bound");
    let writes = guest.machine.writes().unwrap();
    assert!(writes.len() > 2 && writes[1].result == "EBUSY", "it was ready at once: {writes:?}");
}

#[test]
fn chzcrypt_says_that_a_queue_is_not_the_guests() {
    for (state, said) in
        [("ghost", "has been taken away by the host."), ("illicit", "is illicit: this guest may not use it.")]
    {
        let guest = ApGuest::new(&format!("queues: {{'29.0014': {{state: {state}}}}}"), "");
        let run = guest.run("chzcrypt", &["-V", "--se-unbind", "29.0014"]);
        assert_eq!((run.status, run.stdout()), (1, ""), "{run:#?}");
        assert_eq!(run.stderr, format!("chzcrypt: Error - Queue device 29.0014 {said}\n"));
    }
}

#[test]
fn chzcrypt_goes_on_behind_a_queue_that_refuses() {
    let guest = ApGuest::new(INVENTORY, "");
    let run = guest.run("chzcrypt", &["-V", "--se-unbind", "28.0014", "08.0014", "28.0015"]);
    let said = "Queue device 28.0014 successful unbound.\nQueue device 28.0015 successful unbound.\n";
    assert_eq!((run.status, run.stdout()), (1, said));
    assert!(run.stderr.starts_with("chzcrypt: Error - Failure unbinding queue device 08.0014 ("), "{run:#?}");
    let run = guest.run("chzcrypt", &["--se-bind", "0f.0014", "28.0014", "08.0014", "28.0015"]);
    assert_eq!((run.status, run.stderr.lines().count()), (1, 2), "{run:#?}");
    for queue in ["28.0014", "28.0015"] {
        assert_eq!(guest.states()[queue], "bound", "{queue}");
    }
}

#[test]
fn chzcrypt_explains_a_refusal() {
    let guest = ApGuest::new(INVENTORY, "");
    let rows: [(&str, &[&str], &str); 3] = [
        ("bind", &["--se-bind", "29.0014"], "12 queues are bound already, or the queue does not work"),
        (
            "assoc",
            &["--se-associate", "1", "28.0015"],
            "there is no such secret, or it is one that the card has already",
        ),
        ("unbind", &["--se-unbind", "28.0015"], "the queue does not work"),
    ];
    for (op, args, why) in rows {
        let queue = args.last().unwrap();
        let order = Fault {
            op: op.into(),
            command: None,
            queue: Some((*queue).into()),
            act: "EIO".into(),
            skip: 0,
            count: 1000,
        };
        guest.machine.order(order).unwrap();
        let run = guest.run("chzcrypt", args);
        assert_eq!((run.status, run.stderr.lines().count()), (1, 1), "{run:#?}");
        assert!(run.stderr.contains(&format!("(the firmware refused it: {why}): ")), "{op}: {run:#?}");
    }
}

#[test]
fn chzcrypt_does_all_when_nobody_can_read_it() {
    let refused = "chzcrypt: Error - Failure reading queue device 08.0014";
    let full = "error: cannot write to standard output: No space left on device";
    let rows: [(bool, &[&str], i32, &[&str]); 4] = [
        // Whoever reads may be gone, which is no trouble; what cannot be written is. Neither is about the queues.
        (false, &[], 0, &[]),
        (false, &["08.0014"], 1, &[refused]),
        (true, &[], 1, &[full]),
        (true, &["08.0014"], 1, &[refused, full]),
    ];
    for (is_full, further, status, said) in rows {
        let stdout: Stdio = match is_full {
            true => OpenOptions::new().write(true).open("/dev/full").unwrap().into(),
            false => nix::unistd::pipe().unwrap().1.into(),
        };
        let inventory = INVENTORY.replace("'0f.0014': {state: bound}", "'0f.0014': {}");
        let guest = ApGuest::new(&inventory, "");
        let args = [&["-V", "--se-bind", "29.0014"], further, &["0f.0014"]].concat();
        let output = guest.command("chzcrypt", &args).stdout(stdout).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(status), said.len()), "{is_full}: {stderr}");
        for (line, start) in stderr.lines().zip(said) {
            assert!(line.starts_with(start), "{is_full}: {stderr}");
        }
        for queue in ["29.0014", "0f.0014"] {
            assert!(["bound", "usable"].contains(&&*guest.states()[queue]), "{is_full}: {queue}");
        }
    }
}

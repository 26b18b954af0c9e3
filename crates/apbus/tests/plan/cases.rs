//! Known cases, most of them ones where taking queues as they come goes wrong.

use crate::rules::{World, accelerator, ep11, mkvp, secret_id, serialnr};
use apbus::plan::{Excluded, doubled_master_keys, plan, unbind_all};
use apbus::{Apqn, AssociationSecret, Entry, Generation, MAX_QUEUES, MasterKey, Mode, Queue, State};

/// One situation and what is to become of it.
struct Case {
    row: &'static str,
    queues: &'static str,
    entries: &'static str,
    /// Queue and secret of each entry, `kept` if nothing has to be done, `-` if it has none.
    plan: &'static str,
    actions: &'static str,
}

/// Queues are written `28.0014 A associated:0`: name, master key (a letter, `none`, `unknown`, or instead of it `accel7` or
/// `cca8` for another kind of card and its generation) and state, if not unbound. Entries are written `A/s1@29`: master
/// key, secret, card; or `accel`, `accel8`. The secrets s1 to s9 have the indices 0 to 8.
const CASES: &[Case] = &[
    Case {
        row: "one entry, the master key is on one of two queues",
        queues: "28.0014 A, 28.0015 B",
        entries: "A/s1",
        plan: "28.0014:0",
        actions: "bind 28.0014, associate 28.0014 with secret 0",
    },
    Case {
        row: "an entry for an accelerator takes one of two",
        queues: "00.0005 accel8, 00.0042 accel8",
        entries: "accel8",
        plan: "00.0005",
        actions: "bind 00.0005",
    },
    Case {
        row: "all as it should be",
        queues: "28.0014 A associated:0, 0f.0014 accel8 bound",
        entries: "A/s1, accel",
        plan: "28.0014:0 kept, 0f.0014 kept",
        actions: "",
    },
    Case {
        row: "a typing error in the only entry leaves the queue in use alone",
        queues: "28.0014 A associated:0",
        entries: "B/s1",
        plan: "-",
        actions: "",
    },
    Case {
        row: "an entry for any card leaves the only queue to the entry that names its card",
        queues: "28.0014 A, 29.0014 A",
        entries: "A/s1, A/s1@28",
        plan: "29.0014:0, 28.0014:0",
        actions: "bind 29.0014, associate 29.0014 with secret 0, bind 28.0014, associate 28.0014 with secret 0",
    },
    Case {
        row: "the same with all in place",
        queues: "28.0014 A associated:0, 29.0014 A associated:0",
        entries: "A/s1, A/s1@28",
        plan: "29.0014:0 kept, 28.0014:0 kept",
        actions: "",
    },
    Case {
        row: "three cards, the entry for any card first",
        queues: "10.0001 A, 20.0001 A, 30.0001 A",
        entries: "A/s1, A/s1@10, A/s1@20",
        plan: "30.0001:0, 10.0001:0, 20.0001:0",
        actions: "bind 30.0001, associate 30.0001 with secret 0, bind 10.0001, associate 10.0001 with secret 0, bind 20.0001, associate 20.0001 with secret 0",
    },
    Case {
        row: "satisfied entries count more than queues left alone",
        queues: "28.0014 A associated:0, 29.0014 A",
        entries: "A/s2@28, A/s1",
        plan: "28.0014:1, 29.0014:0",
        actions: "unbind 28.0014, bind 28.0014, associate 28.0014 with secret 1, bind 29.0014, associate 29.0014 with secret 0",
    },
    Case {
        row: "a secret for two master keys goes to two cards",
        queues: "29.0014 A, 29.0015 B, 28.0014 A",
        entries: "A/s1, B/s1",
        plan: "28.0014:0, 29.0015:0",
        actions: "bind 28.0014, associate 28.0014 with secret 0, bind 29.0015, associate 29.0015 with secret 0",
    },
    Case {
        row: "a secret for two master keys of one card serves the first entry",
        queues: "28.0014 A, 28.0015 B",
        entries: "A/s1, B/s1",
        plan: "28.0014:0, -",
        actions: "bind 28.0014, associate 28.0014 with secret 0",
    },
    Case {
        row: "a queue in use makes place for its card's secret",
        queues: "2a.0001 A associated:0, 2a.0002 B, 03.0001 A",
        entries: "A/s1, B/s1",
        plan: "03.0001:0, 2a.0002:0",
        actions: "unbind 2a.0001, bind 03.0001, associate 03.0001 with secret 0, bind 2a.0002, associate 2a.0002 with secret 0",
    },
    Case {
        row: "two secrets for two master keys, each with each",
        queues: "28.0001 A, 28.0002 B, 29.0001 A, 29.0002 B",
        entries: "A/s1, B/s1, A/s2, B/s2",
        plan: "28.0001:0, 29.0002:0, 29.0001:1, 28.0002:1",
        actions: "bind 28.0001, associate 28.0001 with secret 0, bind 29.0002, associate 29.0002 with secret 0, bind 29.0001, associate 29.0001 with secret 1, bind 28.0002, associate 28.0002 with secret 1",
    },
    Case {
        row: "CEX4 or newer takes a CEX8",
        queues: "0f.0014 accel8",
        entries: "accel4",
        plan: "0f.0014",
        actions: "bind 0f.0014",
    },
    Case { row: "CEX8 or newer takes no CEX7", queues: "03.0005 accel7", entries: "accel8", plan: "-", actions: "" },
    Case {
        row: "the newer card is left to the entry that needs it",
        queues: "00.0001 accel8, 01.0001 accel7",
        entries: "accel, accel8",
        plan: "01.0001, 00.0001",
        actions: "bind 01.0001, bind 00.0001",
    },
    Case {
        row: "the newer card is taken if there is a choice",
        queues: "00.0001 accel6, 01.0001 accel8, 02.0001 accel7",
        entries: "accel",
        plan: "01.0001",
        actions: "bind 01.0001",
    },
    Case {
        row: "a queue in use counts more than a newer card",
        queues: "00.0001 accel6 bound, 01.0001 accel8",
        entries: "accel",
        plan: "00.0001 kept",
        actions: "",
    },
    Case {
        row: "a bound queue needs only the association",
        queues: "28.0014 A bound",
        entries: "A/s1",
        plan: "28.0014:0",
        actions: "associate 28.0014 with secret 0",
    },
    Case {
        row: "another secret, an association that runs, an error: all go first",
        queues: "28.0014 A associated:1, 29.0014 A pending, 2a.0014 A broken, 2b.0014 B bound, 2c.0014 accel8 bound",
        entries: "A/s1, A/s1, A/s1",
        plan: "28.0014:0, 29.0014:0, 2a.0014:0",
        actions: "unbind 28.0014, unbind 29.0014, unbind 2a.0014, unbind 2b.0014, unbind 2c.0014, bind 28.0014, associate 28.0014 with secret 0, bind 29.0014, associate 29.0014 with secret 0, bind 2a.0014, associate 2a.0014 with secret 0",
    },
    Case {
        row: "what cannot be used is not touched",
        queues: "08.0014 cca8 bound, 20.0014 A illicit, 21.0014 A gone, 22.0014 A offline, 23.0014 unknown, 24.0014 none, 28.0014 A",
        entries: "A/s1, A/s1",
        plan: "28.0014:0, -",
        actions: "bind 28.0014, associate 28.0014 with secret 0",
    },
    Case { row: "no secret", queues: "28.0014 A", entries: "A/x", plan: "-", actions: "" },
    Case { row: "no queues", queues: "", entries: "A/s1, accel", plan: "-, -", actions: "" },
    Case { row: "no entries", queues: "28.0014 A associated:0", entries: "", plan: "", actions: "" },
];

#[test]
fn finds_the_best_plan() {
    for case in CASES {
        let world = world(case.queues, case.entries);
        let plan = plan(&world.problem());
        let shown = plan.assignments.iter().map(|found| match found {
            Ok(found) => {
                let secret = found.secret.map(|index| format!(":{index}")).unwrap_or_default();
                format!("{}{secret}{}", found.queue, if found.kept { " kept" } else { "" })
            }
            Err(_) => "-".to_owned(),
        });
        assert_eq!(shown.collect::<Vec<_>>().join(", "), case.plan, "{}", case.row);
        let actions: Vec<_> = plan.steps.iter().map(ToString::to_string).collect();
        assert_eq!(actions.join(", "), case.actions, "{}", case.row);
        assert!(plan.exact, "{}", case.row);
    }
}

#[test]
fn says_why_an_entry_has_no_queue() {
    for (queues, entries, wanted) in [
        ("28.0014 A", "A/x", "no association secret with this id is in the ultravisor"),
        ("28.0014 A", "accel", "there is no accelerator queue"),
        ("00.0001 accel8", "A/s1", "there is no EP11 queue"),
        (
            "28.0014 B, 28.0015 none, 28.0016 unknown",
            "A/s1",
            "no EP11 queue has this MKVP; queues seen: 28.0014 (02020202020202020202020202020202), 28.0015 (no master key), 28.0016 (not known)",
        ),
        (
            "28.0014 A, 28.0015 B",
            "A/s1, B/s1",
            "1 queue has this MKVP, 28.0015, but it is on card 28, where the secret is already used by 28.0014",
        ),
        ("28.0014 A", "A/s1, A/s2", "1 queue has this MKVP, 28.0014, but it serves entry #1"),
        (
            "28.0014 A, 29.0014 A",
            "A/s1@30",
            "2 queues have this MKVP, but 28.0014 is on the card with serial number 93AADEV280000028; 29.0014 is on the card with serial number 93AADEV290000029",
        ),
        (
            "28.0014 A illicit, 29.0014 A gone, 2a.0014 A offline",
            "A/s1",
            "3 queues have this MKVP, but 28.0014 is illicit: this guest may not use it; 29.0014 has been taken away by the host; 2a.0014 is offline",
        ),
        ("03.0005 accel7", "accel8", "there is 1 accelerator queue, 03.0005, but it is only a CEX7"),
        (
            "28.0014 A, 28.0015 A",
            "A/s1, A/s2",
            "2 queues have this MKVP, but 28.0014 serves entry #1; 28.0015 is on card 28, where the master key is already used by 28.0014",
        ),
        (
            "00.0001 accel7, 00.0002 accel7, 00.0003 accel7, 00.0004 accel7, 00.0005 accel7, 00.0006 accel7, 00.0007 accel7, 00.0008 accel7, 00.0009 accel7, 00.000a accel8",
            "accel8, accel8",
            "there are 10 accelerator queues, but 00.000a serves entry #1; 00.0001 is only a CEX7; 00.0002 is only a CEX7; 00.0003 is only a CEX7; 00.0004 is only a CEX7; 00.0005 is only a CEX7; 00.0006 is only a CEX7; 00.0007 is only a CEX7; and 2 more",
        ),
    ] {
        let plan = plan(&world(queues, entries).problem());
        let reason = plan.assignments.last().unwrap().as_ref().expect_err(wanted);
        assert_eq!(reason.to_string(), wanted);
    }
}

#[test]
fn says_why_a_queue_serves_no_entry() {
    for (row, queue, entries, wanted) in [
        ("CCA", "08.0014 cca8", "A/s1", "CCA queues cannot be used with Secure Execution"),
        ("illicit", "28.0014 A illicit", "A/s1", "illicit: this guest may not use it"),
        ("gone", "28.0014 A gone", "A/s1", "taken away by the host"),
        ("offline", "28.0014 A offline", "A/s1", "offline"),
        (
            "unknown",
            "28.0014 unknown",
            "A/s1",
            "its master key is not known: it can be read only while the queue is bound",
        ),
        ("none", "28.0014 none", "A/s1", "it has no master key"),
        ("accelerator", "28.0014 accel8", "A/s1", "no entry asks for an accelerator"),
        ("other key", "28.0014 B", "A/s1", "no entry asks for its MKVP 02020202020202020202020202020202"),
        ("second", "28.0015 A, 27.0014 A", "A/s1", "entry #1, which it fits, has 27.0014"),
        (
            "other card",
            "28.0014 A",
            "A/s1@27",
            "not for entry #1: it is on the card with serial number 93AADEV280000028",
        ),
        ("old", "28.0014 accel7", "accel8", "not for entry #1: it is only a CEX7"),
        ("no secret", "28.0014 A", "A/x", "not for entry #1: it needs a secret that is not in the ultravisor"),
        (
            "secret used",
            "28.0014 B, 28.0013 A",
            "A/s1, B/s1",
            "not for entry #2: it is on card 28, where the secret is already used by 28.0013",
        ),
    ] {
        let world = world(queue, entries);
        let plan = plan(&world.problem());
        let reason = plan.unused.iter().find(|(queue, _)| *queue == world.queues[0].apqn);
        assert_eq!(reason.unwrap().1.to_string(), wanted, "{row}");
    }
}

#[test]
fn binds_no_more_queues_than_allowed() {
    let thirteen = |text: &str| vec![text; 13].join(", ");
    let queues: Vec<_> = (0..13).map(|domain| format!("00.{domain:04x} accel8 unbound")).collect();
    let mut world = world(&queues.join(", "), &thirteen("accel"));
    let plan = |world: &World| plan(&world.problem());
    let found = plan(&world);
    assert_eq!(found.steps.len(), 12);
    assert_eq!(
        found.assignments[12].as_ref().expect_err("one too many").to_string(),
        "12 queues are bound, and there may be no more"
    );
    let left_out: Vec<_> = found.unused.iter().map(|(queue, reason)| format!("{queue}: {reason}")).collect();
    assert_eq!(
        left_out,
        ["00.000c: not for entry #13: it is not used, as 12 queues are bound, and there may be no more"]
    );

    // A queue that serves an entry is not given up for another one.
    world.queues[12].state = State::Bound;
    let found = plan(&world);
    assert_eq!(found.steps.len(), 11);
    assert!(found.assignments.iter().flatten().any(|found| found.kept && found.queue == world.queues[12].apqn));

    world.limit = 1;
    let found = plan(&world);
    assert_eq!((found.steps.len(), found.assignments.iter().flatten().count()), (0, 1));
    assert_eq!(
        found.assignments[12].as_ref().expect_err("one too many").to_string(),
        "1 queue is bound, and there may be no more"
    );
    world.limit = 0;
    assert_eq!(plan(&world).steps, []);
}

#[test]
fn does_not_try_again_what_failed() {
    let mut world = world("28.0014 A, 29.0014 A", "A/s1");
    let [first, second] = [world.queues[0].apqn, world.queues[1].apqn];
    world.secrets.push(AssociationSecret { id: secret_id(1), index: 7 });
    let used =
        |world: &World| plan(&world.problem()).assignments[0].as_ref().map(|found| (found.queue, found.secret)).ok();
    assert_eq!(used(&world), Some((first, Some(0))));
    world.excluded = vec![Excluded::Secret(first, 0)];
    assert_eq!(used(&world), Some((first, Some(7))));
    world.excluded.push(Excluded::Secret(first, 7));
    assert_eq!(used(&world), Some((second, Some(0))));
    world.excluded = vec![Excluded::Queue(first)];
    assert_eq!(used(&world), Some((second, Some(0))));
    world.excluded.extend([Excluded::Secret(second, 0), Excluded::Secret(second, 7)]);
    let found = plan(&world.problem());
    assert_eq!(
        found.assignments[0].as_ref().expect_err("nothing is left").to_string(),
        "2 queues have this MKVP, but 28.0014 could not be bound; 29.0014 could not be associated with the secret"
    );
    assert_eq!(found.steps, []);

    // Whatever failed: a queue that is as it should be is.
    world.queues[1].state = State::Associated(7);
    assert_eq!(plan(&world.problem()).assignments[0].as_ref().map(|found| found.kept), Ok(true));
}

#[test]
fn finds_master_keys_that_are_twice_on_a_card() {
    let world =
        world("28.0016 A, 28.0014 A bound, 29.0014 A, 28.0015 B, 28.0017 A illicit, 28.0018 none, 28.0019 none", "");
    let apqn = |text: &str| text.parse::<Apqn>().unwrap();
    assert_eq!(
        doubled_master_keys(&world.queues),
        [(apqn("28.0014"), apqn("28.0016"), mkvp(1)), (apqn("28.0014"), apqn("28.0017"), mkvp(1))]
    );
}

#[test]
fn unbinds_what_is_bound() {
    let queues = "29.0014 A bound, 28.0014 A associated:3, 28.0015 B, 0f.0014 accel8 bound, 08.0014 cca8, 2a.0014 A pending, 2b.0014 A broken, 2c.0014 A gone, 2d.0014 A illicit";
    let actions: Vec<_> = unbind_all(&world(queues, "").queues).iter().map(ToString::to_string).collect();
    assert_eq!(actions, ["unbind 0f.0014", "unbind 28.0014", "unbind 29.0014", "unbind 2a.0014", "unbind 2b.0014"]);
}

fn world(queues: &str, entries: &str) -> World {
    let list = |text: &'_ str| text.split(", ").filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    World {
        queues: list(queues).iter().map(|text| queue(text)).collect(),
        entries: list(entries).iter().map(|text| entry(text)).collect(),
        secrets: (1..=9)
            .map(|number| AssociationSecret { id: secret_id(number), index: u16::from(number) - 1 })
            .collect(),
        limit: MAX_QUEUES,
        excluded: Vec::new(),
    }
}

fn queue(text: &str) -> Queue {
    let mut words = text.split(' ');
    let apqn: Apqn = words.next().unwrap().parse().unwrap();
    let (mode, generation, master_key) = match words.next().unwrap() {
        "none" => (Mode::Ep11, 8, MasterKey::None),
        "unknown" => (Mode::Ep11, 8, MasterKey::Unknown),
        other => match (other.strip_prefix("accel"), other.strip_prefix("cca")) {
            (Some(generation), _) => (Mode::Accelerator, generation.parse().unwrap(), MasterKey::None),
            (_, Some(generation)) => (Mode::Cca, generation.parse().unwrap(), MasterKey::None),
            _ => (Mode::Ep11, 8, MasterKey::Valid(mkvp(letter(other)))),
        },
    };
    let state = match words.next().unwrap_or("unbound") {
        "unbound" => State::Unbound,
        "bound" => State::Bound,
        "pending" => State::Pending,
        "illicit" => State::Illicit,
        "gone" => State::Gone,
        "offline" => State::Offline,
        "broken" => State::Broken,
        associated => State::Associated(associated.strip_prefix("associated:").unwrap().parse().unwrap()),
    };
    let serialnr = (mode == Mode::Ep11).then(|| serialnr(apqn.card));
    Queue { apqn, generation: Generation(generation), mode, state, master_key, serialnr }
}

fn entry(text: &str) -> Entry {
    if let Some(mingen) = text.strip_prefix("accel") {
        return accelerator(mingen.parse().ok());
    }
    let (key, rest) = text.split_once('/').unwrap();
    let (secret, card) = rest.split_once('@').map_or((rest, None), |(secret, card)| (secret, Some(card)));
    let secret = secret.strip_prefix('s').map_or(99, |number| number.parse().unwrap());
    ep11(letter(key), secret, card.map(|card| u8::from_str_radix(card, 16).unwrap()))
}

fn letter(text: &str) -> u8 {
    text.as_bytes()[0] - b'A' + 1
}

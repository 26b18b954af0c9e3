use super::super::inventory::{Inventory, MasterKeys};
use super::super::terms::{BindState, Mode, Situation};
use super::*;
use Errno::{EBUSY, EINVAL, EIO, ENODEV, ERANGE};
use proptest::prelude::*;

fn bus(yaml: &str) -> Bus {
    let digits = |digit: &str| digit.repeat(64);
    let names = MasterKeys::from([("A".into(), digits("a")), ("B".into(), digits("b"))]);
    serde_yaml::from_str::<Inventory>(yaml).unwrap().bus(&names).unwrap()
}

/// Association secrets 0, 1 and 2, of which 0 and 2 have the same value; 3 is of another kind.
fn secrets() -> Vec<StoredSecret> {
    let secret = |index, kind, value| StoredSecret {
        index,
        kind,
        id: Hex([index as u8; 32]),
        length: 32,
        secret: vec![value; 32],
    };
    vec![secret(0, 2, 7), secret(1, 2, 8), secret(2, 2, 7), secret(3, 6, 9)]
}

impl Bus {
    fn writes_to(&mut self, queue: &str, name: &str, text: &str, now: Millis) -> Result<(), Errno> {
        self.advance(now);
        let target = Target::Queue(queue.parse().unwrap());
        match self.write(Some(target), name, text.as_bytes(), now, &secrets(), None) {
            Written::Done(result) => result,
            Written::Waits(time) => panic!("waits {time} ms"),
        }
    }

    fn sets(&mut self, target: Option<Target>, name: &str, text: &str) -> Result<(), Errno> {
        match self.write(target, name, text.as_bytes(), 0, &[], None) {
            Written::Done(result) => result,
            Written::Waits(time) => panic!("waits {time} ms"),
        }
    }

    fn situation(&self, queue: &str) -> Situation {
        self.queues[&queue.parse().unwrap()].situation()
    }
}

const ALL: &str = "
cards: {'00': {type: CEX8A}, '08': {type: CEX8C}}
queues: {'00.0001': {}, '08.0001': {}, '28.0001': {state: bound}, '28.0002': {}, '29.0001': {state: ghost}}
";

#[test]
fn texts_are_checked_before_the_hardware_is_asked() {
    let rows = [
        ("28.0001", "se_bind", "bind", Err(EINVAL)),
        ("28.0001", "se_bind", "", Err(EINVAL)),
        ("28.0001", "se_bind", "1", Err(EINVAL)),
        ("28.0001", "se_bind", "Off\n", Ok(())),
        ("08.0001", "se_bind", "1", Err(EINVAL)),
        ("08.0001", "se_bind", "0", Err(EINVAL)),
        ("28.0001", "se_associate", "zero", Err(EINVAL)),
        ("28.0001", "se_associate", "4294967296", Err(ERANGE)),
        ("28.0001", "se_associate", "65536", Err(EINVAL)),
        ("28.0001", "se_associate", "-1", Err(EINVAL)),
        ("28.0001", "se_associate", "0x1\n", Ok(())),
        // The mode comes before the number.
        ("00.0001", "se_associate", "4294967296", Err(EINVAL)),
        ("29.0001", "se_bind", "1", Err(EIO)),
        ("29.0001", "se_bind", "0", Ok(())),
    ];
    for (queue, name, text, expected) in rows {
        assert_eq!(bus(ALL).writes_to(queue, name, text, 0), expected, "{queue} {name} {text:?}");
    }
    let mut gone = bus(ALL);
    gone.sets(None, "scans", "1").unwrap();
    assert_eq!(gone.writes_to("29.0001", "se_bind", "0", 0), Err(ENODEV));
}

#[test]
fn the_limit_counts_all_that_are_bound() {
    let yaml = "
bus: {limit: 3}
cards: {'00': {type: CEX8A}}
queues: {'00.0001': {state: bound}, '28.0001': {state: associated 1}, '28.0002': {}, '28.0003': {state: illicit},
         '28.0004': {state: ghost 2}, '28.0005': {}}
";
    let mut bus = bus(yaml);
    assert_eq!(bus.writes_to("28.0002", "se_bind", "1", 0), Ok(()));
    assert_eq!(bus.writes_to("28.0005", "se_bind", "1", 0), Err(EIO));
    bus.writes_to("00.0001", "se_bind", "0", 0).unwrap();
    assert_eq!(bus.writes_to("28.0005", "se_bind", "1", 19), Err(EIO));
    assert_eq!(bus.writes_to("28.0005", "se_bind", "1", 20), Ok(()));
}

#[test]
fn the_firmware_looks_at_secrets() {
    let queues =
        "queues: {'28.0001': {state: bound}, '28.0002': {state: associated 0}, '29.0001': {state: associated 1}}";
    // Secret 0 is in use on this card, secret 2 has its value; 1 is in use on another card.
    let rows = [
        ("", "0", Err(EIO), None),
        ("", "2", Err(EIO), None),
        ("", "1", Ok(()), Some(Situation::Associated(1))),
        ("", "3", Err(EIO), None),
        ("", "77", Err(EIO), None),
        ("secret_twice: later", "2", Ok(()), Some(Situation::Error)),
        ("secret_twice: off", "2", Ok(()), Some(Situation::Associated(2))),
        ("unknown_secret: later", "77", Ok(()), Some(Situation::Error)),
        ("unknown_secret: off", "77", Ok(()), Some(Situation::Associated(77))),
    ];
    for (switch, index, expected, ends) in rows {
        let mut bus = bus(&format!("bus: {{{switch}}}\n{queues}"));
        assert_eq!(bus.writes_to("28.0001", "se_associate", index, 0), expected, "{switch} {index}");
        bus.advance(100);
        assert_eq!(bus.situation("28.0001"), ends.unwrap_or(Situation::Bound), "{switch} {index}");
    }
    // A pending association holds the secret, and one that failed does not.
    let mut bus = bus("queues: {'28.0001': {state: bound, assoc_end: async}, '28.0002': {state: bound}}");
    bus.writes_to("28.0001", "se_associate", "0", 0).unwrap();
    assert_eq!(bus.writes_to("28.0002", "se_associate", "2", 50), Err(EIO));
    assert_eq!(bus.writes_to("28.0002", "se_associate", "2", 100), Ok(()));
    assert_eq!(bus.writes_to("28.0002", "se_associate", "1", 100), Err(EBUSY));
}

#[test]
fn other_attributes_are_set_within_their_limits() {
    let card = Some(Target::Card("28".parse().unwrap()));
    let queue = Some(Target::Queue("28.0001".parse().unwrap()));
    let rows = [
        (None, "config_time", "4", Err(EINVAL)),
        (None, "config_time", "5", Ok(())),
        (None, "config_time", "121", Err(EINVAL)),
        (None, "ap_domain", "2\n", Ok(())),
        (None, "ap_domain", "3", Err(EINVAL)),
        (None, "poll_thread", "y", Ok(())),
        (None, "poll_thread", "maybe", Err(EINVAL)),
        (card, "online", "0\n", Ok(())),
        (card, "online", "2", Err(EINVAL)),
        (card, "config", "1", Ok(())),
        (card, "request_count", "x", Ok(())),
        (queue, "online", "1", Ok(())),
        (queue, "online", "yes", Err(EINVAL)),
        (queue, "reset", "1", Ok(())),
    ];
    for (target, name, text, expected) in rows {
        assert_eq!(bus(ALL).sets(target, name, text), expected, "{name} {text:?}");
    }
    let mut bus = bus(ALL);
    bus.sets(card, "online", "0").unwrap();
    assert_eq!(bus.sets(queue, "online", "1"), Err(EINVAL));
    bus.sets(card, "config", "0").unwrap();
    assert_eq!(bus.sets(card, "online", "1"), Err(ENODEV));
}

#[test]
fn events_happen_at_their_time_and_after_their_write() {
    let yaml = "
queues: {'28.0001': {}, '28.0002': {mk: A}}
events: [{at_ms: 50, event: take, queue: '28.0001'}, {after: 2, event: mk B, card: '28'}, {at_ms: 70, event: give, queue: '28.0001'}]
";
    let mut bus = bus(yaml);
    bus.advance(49);
    assert_eq!(bus.situation("28.0001"), Situation::Unbound);
    bus.advance(50);
    assert_eq!(bus.situation("28.0001"), Situation::Ghost);
    bus.advance(100);
    assert_eq!(bus.situation("28.0001"), Situation::Unbound);
    let key = |bus: &Bus| bus.queues[&"28.0002".parse().unwrap()].master_key;
    bus.count_write(100);
    assert_eq!(key(&bus), Some(Hex([0xaa; 32])));
    bus.count_write(100);
    assert_eq!(key(&bus), Some(Hex([0xbb; 32])));
}

/// A driver that waits for an association hears of a reset by the host, and gives the queue up. One that does not wait
/// does not hear of it.
#[test]
fn events_and_timers_come_in_the_order_of_time() {
    for (ends, reset, last) in [(100, 60, Err(EBUSY)), (60, 100, Ok(()))] {
        let yaml = format!(
            "queues: {{'28.0001': {{state: pending 1 in {ends}}}}}\n\
             events: [{{at_ms: {reset}, event: reset, queue: '28.0001'}}]"
        );
        let mut bus = bus(&yaml);
        bus.advance(1000);
        assert_eq!(bus.situation("28.0001"), Situation::Unbound);
        bus.writes_to("28.0001", "se_bind", "1", 1000).unwrap();
        assert_eq!(
            bus.writes_to("28.0001", "se_associate", "1", 1000),
            last,
            "association at {ends}, reset at {reset}"
        );
    }
}

/// Something done to one of six queues.
#[derive(Clone, Debug)]
enum Step {
    Write(usize, &'static str, String),
    Happen(usize, Event),
    Scan,
    Pass(Millis),
}

fn step() -> impl Strategy<Value = Step> {
    let text = prop_oneof![Just("0".to_owned()), Just("1".to_owned()), "[0-9a-z]{0,3}"];
    let name = prop_oneof![3 => Just("se_bind"), 2 => Just("se_associate"), 1 => Just("reset"), 1 => Just("online")];
    let event = prop_oneof![
        Just(Event::Reset),
        Just(Event::Take),
        Just(Event::Give),
        Just(Event::CheckStop),
        Just(Event::Recover),
        Just(Event::Deconfigure),
        Just(Event::Configure),
        Just(Event::MasterKey("none".into())),
    ];
    prop_oneof![
        6 => (0..6_usize, name, text).prop_map(|(queue, name, text)| Step::Write(queue, name, text)),
        2 => (0..6_usize, event).prop_map(|(queue, event)| Step::Happen(queue, event)),
        1 => Just(Step::Scan),
        // Shorter than every timer, so that no two changes fall into one step.
        4 => (0..20_u64).prop_map(Step::Pass),
    ]
}

/// Steps of the bind state that the diagrams have.
fn is_edge(mode: Mode, from: BindState, to: BindState) -> bool {
    use BindState::{Bound, Unbound, Usable};
    match (mode, from, to) {
        (_, from, to) if from == to => true,
        (Mode::Accelerator, Unbound, Usable) | (Mode::Ep11, Unbound, Bound) => true,
        // Associated; and a reset that keeps the binding.
        (Mode::Ep11, Bound, Usable) | (Mode::Ep11, Usable, Bound) => true,
        (_, Usable | Bound, Unbound) => true,
        _ => false,
    }
}

fn scale() -> u32 {
    std::env::var("PVTOOLS_TEST_SCALE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96 * scale()))]
    #[test]
    fn whatever_happens_the_rules_hold(
        ends in prop::collection::vec(prop::sample::select(vec!["ok", "never", "async", "drop", "reset", "other:2"]), 4),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let times = "reset_ms: 25, sm_ms: 30, assoc_ms: 40, bind_ms: 0";
        let queues: Vec<_> = (0..4).map(|n| format!("'2{}.000{n}': {{{times}, assoc_end: {}}}", n / 2 + 8, ends[n])).collect();
        let yaml = format!(
            "bus: {{limit: 3, rescan_ms: 60}}\ncards: {{'00': {{type: CEX8A}}}}\n\
             queues: {{{}, '00.0001': {{{times}}}, '00.0002': {{{times}}}}}", queues.join(", ")
        );
        let mut bus = bus(&yaml);
        let ids: Vec<_> = bus.queues.keys().copied().collect();
        let mut now = 0;
        for step in steps {
            let before = bus.clone();
            let queue = |at: usize| Target::Queue(ids[at]);
            match &step {
                Step::Write(at, name, text) => {
                    bus.write(Some(queue(*at)), name, text.as_bytes(), now, &secrets(), None);
                }
                Step::Happen(at, event) => bus.apply_event(now, event, queue(*at)),
                Step::Scan => bus.sets(None, "scans", "1").unwrap(),
                Step::Pass(time) => now += time,
            }
            bus.advance(now);
            let bound = bus.queues.values().filter(|queue| queue.takes_a_place()).count();
            prop_assert!(bound <= 3, "{bound} bound after {step:?}");
            for (id, queue) in &bus.queues {
                let old = &before.queues[id];
                if old.is_here() && queue.is_here() {
                    let edge = is_edge(queue.mode, old.bind_state(), queue.bind_state());
                    prop_assert!(edge, "{id}: {:?} to {:?} by {step:?}", old.bind_state(), queue.bind_state());
                }
            }
        }
        // The order of asking does not matter, nor how often; and what is saved can be loaded.
        let mut later = bus.clone();
        later.advance(now);
        prop_assert_eq!(&later, &bus);
        let saved = serde_json::to_string(&bus).unwrap();
        prop_assert_eq!(serde_json::from_str::<Bus>(&saved).unwrap(), bus);
    }
}

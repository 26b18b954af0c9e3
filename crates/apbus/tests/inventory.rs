//! Inventories of folders that look like sysfs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use apbus::{Apqn, Bus, Error, Generation, Inventory, MasterKey, Mkvp, Mode, State};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const KEY: &str = "WK CUR: valid 0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3b773619640a1a75a9161cec00000001\nWK NEW: empty -\n";

struct Sysfs(TempDir);

impl Sysfs {
    fn new() -> Self {
        let sysfs = Self(tempfile::tempdir().unwrap());
        sysfs.write("bus/ap/features", "APSC APXA QACT RC8A APSB\n");
        fs::create_dir_all(sysfs.path("devices/ap")).unwrap();
        sysfs
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn card(&self, card: u8, kind: &str) {
        self.write(&format!("devices/ap/card{card:02x}/type"), &format!("{kind}\n"));
        self.write(&format!("devices/ap/card{card:02x}/serialnr"), "93AADEV280000028\n");
    }

    /// A queue of domain 0x14 with these bits and this association.
    fn queue(&self, card: u8, functions: u32, association: &str) {
        let folder = format!("devices/ap/card{card:02x}/{card:02x}.0014");
        self.write(&format!("{folder}/online"), "1\n");
        self.write(&format!("{folder}/ap_functions"), &format!("0x{functions:08X}\n"));
        self.write(&format!("{folder}/se_associate"), &format!("{association}\n"));
        self.write(&format!("{folder}/mkvps"), KEY);
    }

    fn bus(&self) -> Bus {
        Bus::open(self.0.path()).unwrap()
    }

    fn inventory(&self) -> Inventory {
        self.bus().inventory().unwrap()
    }
}

fn apqn(card: u8) -> Apqn {
    Apqn { card, domain: 0x14 }
}

#[test]
fn tells_every_state_by_the_bind_bits_and_the_association() {
    let rows = [
        ("CEX8A", 0x6a80_8000, "-", State::Unbound),
        ("CEX8A", 0x6a80_0000, "-", State::Bound),
        ("CEX8A", 0x6a80_c000, "-", State::Illicit),
        ("CEX8A", 0, "-", State::Gone),
        ("CEX8P", 0x0680_8000, "unassociated", State::Unbound),
        ("CEX8P", 0x0680_4000, "unassociated", State::Bound),
        ("CEX8P", 0x0680_4000, "association pending", State::Pending),
        ("CEX8P", 0x0680_0000, "associated 0", State::Associated(0)),
        ("CEX8P", 0x0680_0000, "associated 65535", State::Associated(65535)),
        ("CEX8P", 0x0680_c000, "unassociated", State::Illicit),
        ("CEX8P", 0, "associated 3", State::Gone),
    ];
    for (kind, functions, association, expected) in rows {
        let sysfs = Sysfs::new();
        sysfs.card(0x28, kind);
        sysfs.queue(0x28, functions, association);
        let [queue] = sysfs.inventory().queues.try_into().unwrap();
        assert_eq!(queue.state, expected, "{kind} {functions:08X} {association}");
    }
}

#[test]
fn asks_only_bound_queues_for_their_master_key_and_their_card() {
    let sysfs = Sysfs::new();
    sysfs.card(0x28, "CEX8P");
    sysfs.queue(0x28, 0x0680_8000, "unassociated");
    let [queue] = sysfs.inventory().queues.try_into().unwrap();
    assert_eq!((queue.master_key, queue.serialnr), (MasterKey::Unknown, None));

    sysfs.queue(0x28, 0x0680_4000, "unassociated");
    let [queue] = sysfs.inventory().queues.try_into().unwrap();
    assert_eq!(queue.master_key, MasterKey::Valid(Mkvp([0xaa; 16])));
    assert_eq!(queue.serialnr.unwrap().to_string(), "93AADEV280000028");
    assert_eq!((queue.mode, queue.generation), (Mode::Ep11, Generation::CEX8));
}

#[test]
fn tells_master_keys_that_are_not_valid() {
    let rows = [
        ("WK CUR: invalid -\nWK NEW: empty -\n", MasterKey::None, "has no valid wrapping key set"),
        ("WK CUR: - -\nWK NEW: - -\n", MasterKey::Unknown, "Failure gathering info"),
        ("", MasterKey::Unknown, "Failure gathering info"),
        ("WK CUR: valid 0x12\n", MasterKey::Unknown, "Failure gathering info"),
        (
            "WK NEW: empty -\nWK CUR:  VALID  0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
            MasterKey::Valid(Mkvp([0xaa; 16])),
            "",
        ),
    ];
    for (text, expected, note) in rows {
        let sysfs = Sysfs::new();
        sysfs.card(0x28, "CEX8P");
        sysfs.queue(0x28, 0x0680_4000, "unassociated");
        sysfs.write("devices/ap/card28/28.0014/mkvps", text);
        let inventory = sysfs.inventory();
        assert_eq!(inventory.queues[0].master_key, expected, "{text}");
        let notes: Vec<_> = inventory.notes.iter().map(ToString::to_string).collect();
        assert!(if note.is_empty() { notes.is_empty() } else { notes[0].contains(note) }, "{text}: {notes:?}");
    }
}

#[test]
fn reads_nothing_of_cca_queues() {
    let sysfs = Sysfs::new();
    sysfs.card(0x08, "CEX8C");
    // Whoever opened this would wait for ever.
    fs::create_dir_all(sysfs.path("devices/ap/card08/08.0014")).unwrap();
    let path = sysfs.path("devices/ap/card08/08.0014/online");
    make_fifo(&path);
    let inventory = sysfs.inventory();
    assert_eq!((inventory.queues[0].mode, inventory.queues[0].state), (Mode::Cca, State::Illicit));
    let notes: Vec<_> = inventory.notes.iter().map(ToString::to_string).collect();
    assert_eq!(notes, ["CCA card 08 cannot be used with Secure Execution, as this combination is unsupported"]);
}

fn make_fifo(path: &std::path::Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn leaves_out_what_it_cannot_use_and_says_so() {
    let sysfs = Sysfs::new();
    sysfs.card(0x10, "CEX8Q");
    sysfs.card(0x11, "CEX8P");
    sysfs.queue(0x11, 0x0680_4000, "unassociated");
    sysfs.write("devices/ap/card11/11.0014/online", "0\n");
    sysfs.card(0x12, "CEX8P");
    sysfs.queue(0x12, 0x0680_4000, "something new");
    sysfs.card(0x13, "CEX8P");
    sysfs.queue(0x13, 0x0680_8000, "unassociated");
    sysfs.write("devices/ap/card13/13.0014/ap_functions", "nonsense\n");
    fs::create_dir(sysfs.path("devices/ap/card14")).unwrap();
    for name in ["power", "card1", "card123", "cardxy"] {
        fs::create_dir(sysfs.path("devices/ap").join(name)).unwrap();
    }
    let inventory = sysfs.inventory();
    let states: Vec<_> = inventory.queues.iter().map(|queue| (queue.apqn, queue.state)).collect();
    assert_eq!(states, [(apqn(0x11), State::Offline)]);
    assert_eq!(inventory.offline, [(apqn(0x11), Mode::Ep11)]);
    assert_eq!((inventory.unreadable, inventory.out_of_reach()), (3, 4));
    let notes: Vec<_> = inventory.notes.iter().map(ToString::to_string).collect();
    for (note, part) in notes.iter().zip([
        "card type 'CEX8Q' of card 10",
        "APQN 11.0014 is offline",
        "APQN 12.0014 is left out",
        "APQN 13.0014 is left out",
        "card 14 is left out",
    ]) {
        assert!(note.contains(part), "{part}: {note}");
    }
    assert_eq!(notes.len(), 5, "{notes:?}");
}

#[test]
fn orders_queues_by_number() {
    let sysfs = Sysfs::new();
    for card in [0x2a, 0x03, 0x28, 0x10] {
        sysfs.card(card, "CEX8A");
        sysfs.queue(card, 0x6a80_8000, "-");
    }
    let cards: Vec<_> = sysfs.inventory().queues.iter().map(|queue| queue.apqn.card).collect();
    assert_eq!(cards, [0x03, 0x10, 0x28, 0x2a]);
}

#[test]
fn needs_a_bus_that_can_bind() {
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(Bus::open(empty.path()), Err(Error::NoBus(_))));
    for (features, fits) in [("APSC APSB\n", true), ("APSC APXA\n", false), ("-\n", false), ("\n", false)] {
        let sysfs = Sysfs::new();
        sysfs.write("bus/ap/features", features);
        assert_eq!(sysfs.bus().check_secure_binding().is_ok(), fits, "{features}");
    }
}

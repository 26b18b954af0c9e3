use crate::ap::{LoggedWrite, parts};
use crate::server::{Node, Parts};
use crate::{Fault, Machine};
use nix::errno::Errno::{self, EACCES, EBUSY, EINVAL, EIO, ENODEV, ENOENT};
use tempfile::TempDir;

struct Guest {
    machine: Machine,
    parts: Parts,
    _folder: TempDir,
}

impl Guest {
    fn new(inventory: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine::init(folder.path(), Some(inventory)).unwrap();
        let parts = parts(&machine, |error| panic!("{error}"));
        Self { machine, parts, _folder: folder }
    }

    fn part(&self, path: &str) -> &dyn crate::server::Sysfs {
        self.parts.iter().find(|(root, _)| path.starts_with(root)).unwrap().1.as_ref()
    }

    fn names(&self, path: &str) -> String {
        match self.part(path).node(path) {
            Ok(Node::Folder(mut names)) => {
                names.sort_unstable();
                names.join(" ")
            }
            other => panic!("{path}: {other:?}"),
        }
    }

    fn read(&self, path: &str) -> Result<String, Errno> {
        self.part(path).read(path).map(|text| String::from_utf8(text).unwrap())
    }

    fn write(&self, path: &str, text: &str) -> Result<(), Errno> {
        self.part(path).write(path, text.as_bytes()).map(|count| assert_eq!(count, text.len().min(4096)))
    }

    fn order(&self, fault: &str) {
        self.machine.order(serde_yaml::from_str::<Fault>(fault).unwrap()).unwrap();
    }
}

const KEY: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3b773619640a1a75a9161cec00000001";

/// One queue of each mode and one that was taken, with a key.
fn all() -> Guest {
    Guest::new(&format!(
        "
cards: {{'00': {{type: CEX8A}}, '08': {{type: CEX7C, serial: SERIAL89}}}}
queues: {{'00.0005': {{}}, '08.0005': {{}}, '28.0005': {{mk: {KEY}}}, '28.0006': {{state: ghost 3}}}}
secrets: [one, two]
"
    ))
}

const QUEUE: &str = "/sys/devices/ap/card28/28.0005";

#[test]
fn every_folder_has_what_the_kernel_puts_there() {
    let guest = all();
    let rows = [
        (
            "/sys/bus/ap",
            "ap_adapter_mask ap_control_domain_mask ap_domain ap_interrupts ap_max_adapter_id ap_max_domain_id \
             ap_usage_domain_mask apmask aqmask bindings config_time devices drivers features poll_thread poll_timeout \
             scans",
        ),
        ("/sys/bus/ap/devices", "00.0005 08.0005 28.0005 28.0006 card00 card08 card28"),
        ("/sys/bus/ap/drivers", "cex4card cex4queue"),
        ("/sys/bus/ap/drivers/cex4card", "card00 card08 card28"),
        ("/sys/bus/ap/drivers/cex4queue", "00.0005 08.0005 28.0005 28.0006"),
        ("/sys/devices/ap", "card00 card08 card28"),
        (
            "/sys/devices/ap/card00",
            "00.0005 ap_functions chkstop config depth driver hwtype load max_msg_size modalias online pendingq_count \
             raw_hwtype request_count requestq_count type",
        ),
        (
            "/sys/devices/ap/card28",
            "28.0005 28.0006 API_ordinalnr FW_version ap_functions chkstop config depth driver hwtype load max_msg_size \
             modalias online op_modes pendingq_count raw_hwtype request_count requestq_count serialnr type",
        ),
        (
            "/sys/devices/ap/card00/00.0005",
            "ap_functions chkstop config driver interrupt load online pendingq_count request_count requestq_count reset \
             se_associate se_bind",
        ),
        (
            "/sys/devices/ap/card08/08.0005",
            "ap_functions chkstop config driver interrupt load mkvps online pendingq_count request_count requestq_count \
             reset",
        ),
        (
            QUEUE,
            "ap_functions chkstop config driver interrupt load mkvps online op_modes pendingq_count request_count \
             requestq_count reset se_associate se_bind",
        ),
    ];
    for (path, expected) in rows {
        assert_eq!(guest.names(path), expected, "{path}");
    }
    let links = [
        ("/sys/bus/ap/devices/card28", "../../../devices/ap/card28"),
        ("/sys/bus/ap/devices/28.0005", "../../../devices/ap/card28/28.0005"),
        ("/sys/bus/ap/drivers/cex4queue/28.0005", "../../../../devices/ap/card28/28.0005"),
        ("/sys/devices/ap/card28/driver", "../../../bus/ap/drivers/cex4card"),
        ("/sys/devices/ap/card28/28.0005/driver", "../../../../bus/ap/drivers/cex4queue"),
    ];
    for (path, text) in links {
        assert_eq!(guest.part(path).node(path), Ok(Node::Link(text.into())), "{path}");
    }
    let modes = [("se_bind", 0o644), ("se_associate", 0o644), ("mkvps", 0o444), ("reset", 0o644), ("config", 0o444)];
    for (name, mode) in modes {
        let path = format!("{QUEUE}/{name}");
        assert_eq!(guest.part(&path).node(&path), Ok(Node::Attribute { mode }), "{name}");
    }
    let absent = [
        "/sys/bus/ap/nothing",
        "/sys/bus/ap/devices/28.0007",
        "/sys/bus/ap/drivers/cex4card/28.0005",
        "/sys/bus/ap/drivers/vfio_ap",
        "/sys/devices/ap/card29",
        "/sys/devices/ap/card00/serialnr",
        "/sys/devices/ap/card00/28.0005",
        "/sys/devices/ap/card00/28.0005/se_bind",
        "/sys/devices/ap/card08/08.0005/se_bind",
        "/sys/devices/ap/card00/00.0005/mkvps",
        "/sys/devices/ap/card28/28.0005/se_bind/x",
    ];
    for path in absent {
        assert_eq!(guest.part(path).node(path), Err(ENOENT), "{path}");
        assert_eq!(guest.read(path), Err(ENOENT), "{path}");
    }
}

#[test]
fn attributes_read_as_in_the_kernel() {
    let guest = all();
    let rows = [
        ("/sys/bus/ap/features", "APSC APXA QACT RC8A APSB"),
        ("/sys/bus/ap/bindings", "4/4 (complete)"),
        ("/sys/bus/ap/ap_domain", "5"),
        ("/sys/bus/ap/config_time", "30"),
        ("/sys/bus/ap/ap_max_domain_id", "255"),
        ("/sys/bus/ap/ap_adapter_mask", "0x8080000000800000000000000000000000000000000000000000000000000000"),
        ("/sys/bus/ap/ap_usage_domain_mask", "0x0600000000000000000000000000000000000000000000000000000000000000"),
        ("/sys/devices/ap/card28/type", "CEX8P"),
        ("/sys/devices/ap/card28/hwtype", "14"),
        ("/sys/devices/ap/card08/raw_hwtype", "13"),
        ("/sys/devices/ap/card28/modalias", "ap:t0E"),
        ("/sys/devices/ap/card28/ap_functions", "0x06800000"),
        ("/sys/devices/ap/card28/depth", "8"),
        ("/sys/devices/ap/card28/serialnr", ""),
        ("/sys/devices/ap/card08/serialnr", "SERIAL89"),
        ("/sys/devices/ap/card28/28.0005/ap_functions", "0x06808000"),
        ("/sys/devices/ap/card28/28.0005/mkvps", "WK CUR: - -\nWK NEW: - -"),
        ("/sys/devices/ap/card28/28.0006/ap_functions", "0x00000000"),
        ("/sys/devices/ap/card28/28.0006/se_bind", "bound"),
        ("/sys/devices/ap/card28/28.0006/se_associate", "associated 3"),
        ("/sys/devices/ap/card28/28.0006/mkvps", "WK CUR: - -\nWK NEW: - -"),
        ("/sys/devices/ap/card00/00.0005/ap_functions", "0x6A808000"),
        ("/sys/devices/ap/card00/00.0005/se_associate", "-"),
        ("/sys/devices/ap/card08/08.0005/ap_functions", "0x9380C000"),
        ("/sys/devices/ap/card28/28.0005/reset", "No Reset Timer set."),
        ("/sys/devices/ap/card28/28.0005/interrupt", "Interrupts enabled."),
    ];
    for (path, text) in rows {
        assert_eq!(guest.read(path), Ok(format!("{text}\n")), "{path}");
    }
    assert!(guest.read("/sys/devices/ap/card08/08.0005/mkvps").unwrap().starts_with("AES NEW: - -\nAES CUR: - -\n"));
}

#[test]
fn what_the_card_is_asked_for_needs_a_bound_queue_and_counts() {
    let guest = all();
    let at = |name: &str| guest.read(&format!("{QUEUE}/{name}")).unwrap();
    assert_eq!((at("request_count"), at("se_bind")), ("0\n".into(), "unbound\n".into()));
    guest.write(&format!("{QUEUE}/se_bind"), "1").unwrap();
    assert_eq!(at("ap_functions"), "0x06804000\n");
    assert_eq!(at("mkvps"), format!("WK CUR: valid 0x{KEY}\nWK NEW: empty -\n"));
    assert_eq!(guest.read("/sys/devices/ap/card28/serialnr").unwrap(), "93AADEV280000028\n");
    assert_eq!(at("request_count"), "2\n");
    assert_eq!(guest.read("/sys/devices/ap/card28/request_count").unwrap(), "2\n");
    guest.write("/sys/devices/ap/card28/request_count", "0").unwrap();
    assert_eq!(at("request_count"), "0\n");
    guest.write(&format!("{QUEUE}/online"), "0").unwrap();
    assert_eq!(at("mkvps"), "WK CUR: - -\nWK NEW: - -\n");
    assert_eq!((at("se_bind"), at("request_count")), ("bound\n".into(), "0\n".into()));
}

#[test]
fn bindings_are_complete_after_as_many_reads_as_ordered() {
    let rows = [
        ("bus: {bindings_after: 2}\nqueues: {'28.0001': {}, '28.0002': {}}", ["1/2", "1/2", "2/2 (complete)"]),
        ("bus: {bindings_after: -1}\nqueues: {'28.0001': {}}", ["0/1", "0/1", "0/1"]),
        ("queues: {'28.0001': {driver: false}, '28.0002': {}}", ["1/2", "1/2", "1/2"]),
        ("queues: {}", ["0/0 (complete)", "0/0 (complete)", "0/0 (complete)"]),
    ];
    for (inventory, texts) in rows {
        let guest = Guest::new(inventory);
        let read = texts.map(|_| guest.read("/sys/bus/ap/bindings").unwrap());
        assert_eq!(read, texts.map(|text| format!("{text}\n")), "{inventory}");
    }
    let guest = Guest::new("queues: {'28.0001': {driver: false}}");
    let names = guest.names("/sys/devices/ap/card28/28.0001");
    assert!(names.contains("se_bind") && names.contains("ap_functions"), "{names}");
    for name in ["driver", "online", "load", "mkvps"] {
        assert!(!names.split(' ').any(|known| known == name), "{names}");
    }
}

#[test]
fn without_secure_execution_or_without_apsb_no_queue_can_be_bound() {
    let rows = [
        "guest: {secure_execution: false}",
        "bus: {features: '-'}",
        "bus: {features: ''}",
        "bus: {features: APSC APXA QACT RC8A}",
    ];
    for switch in rows {
        let guest = Guest::new(&format!("{switch}\nqueues: {{'28.0005': {{}}}}"));
        let names = guest.names(QUEUE);
        assert!(!names.contains("se_bind") && names.contains("mkvps"), "{switch}: {names}");
    }
    let guest = Guest::new("bus: {present: false}\nqueues: {'28.0005': {}}");
    for path in ["/sys/bus/ap", "/sys/devices/ap", QUEUE] {
        assert_eq!(guest.part(path).node(path), Err(ENOENT), "{path}");
    }
    // Older drivers made the files for CCA queues too.
    let guest = Guest::new("bus: {old_driver: true}\ncards: {'08': {type: CEX8C}}\nqueues: {'08.0001': {}}");
    let at = |name: &str| format!("/sys/devices/ap/card08/08.0001/{name}");
    assert_eq!((guest.read(&at("se_bind")), guest.read(&at("se_associate"))), (Ok("-\n".into()), Ok("-\n".into())));
    assert_eq!((guest.write(&at("se_bind"), "1"), guest.write(&at("se_associate"), "0")), (Err(EINVAL), Err(EINVAL)));
}

#[test]
fn writes_are_kept_with_what_came_of_them() {
    // Slow hardware: what comes next must not depend on how quick the test is.
    let guest = Guest::new(
        "queues: {'28.0005': {reset_ms: 600000, assoc_ms: 600000}, '28.0006': {state: ghost}}\nsecrets: [one, two]",
    );
    let at = |name: &str| format!("{QUEUE}/{name}");
    assert_eq!(guest.write(&at("se_bind"), "1\n"), Ok(()));
    assert_eq!(guest.write(&at("se_bind"), "1\n"), Err(EINVAL));
    assert_eq!(guest.write(&at("se_associate"), "1"), Ok(()));
    assert_eq!(guest.write(&at("se_associate"), "1"), Err(EBUSY));
    assert_eq!(guest.write(&at("se_bind"), ""), Ok(()));
    assert_eq!(guest.write(&at("se_bind"), &format!("0{}", " ".repeat(5000))), Ok(()));
    assert_eq!(guest.write(&at("se_bind"), "1"), Err(EIO));
    guest.machine.advance_clock(30_000).unwrap();
    assert_eq!(guest.write("/sys/devices/ap/card28/28.0006/se_bind", "0"), Err(ENODEV));
    let writes = guest.machine.writes().unwrap();
    let told: Vec<_> =
        writes.iter().map(|LoggedWrite { text, result, .. }| (text.trim_end(), result.as_str())).collect();
    let expected =
        [("1", "ok"), ("1", "EINVAL"), ("1", "ok"), ("1", "EBUSY"), ("0", "ok"), ("1", "EIO"), ("0", "ENODEV")];
    assert_eq!(told, expected);
    assert!(writes[0].path == at("se_bind") && writes.is_sorted_by_key(|write| write.ms) && writes[6].ms >= 30_000);
}

#[test]
fn faults_strike_the_operations_they_are_ordered_for() {
    let bind = |guest: &Guest, queue: &str| guest.write(&format!("/sys/devices/ap/card28/{queue}/se_bind"), "1");
    let state = |guest: &Guest, queue: &str| guest.read(&format!("/sys/devices/ap/card28/{queue}/se_bind"));
    let inventory = "queues: {'28.0005': {reset_ms: 0, sm_ms: 0}, '28.0006': {reset_ms: 0, sm_ms: 0}}\nsecrets: [one]";
    let guest = Guest::new(inventory);
    guest.order("{op: bind, queue: '28.0005', act: ENOMEM, skip: 1}");
    assert_eq!(bind(&guest, "28.0005"), Ok(()));
    assert_eq!(bind(&guest, "28.0006"), Ok(()));
    guest.write(&format!("{QUEUE}/se_bind"), "0").unwrap();
    assert_eq!(bind(&guest, "28.0005"), Err(Errno::ENOMEM));
    assert_eq!(bind(&guest, "28.0005"), Ok(()));
    assert!(guest.machine.faults().unwrap().is_empty());

    let rows = [
        ("ignore", Ok(()), Ok("unbound\n")),
        ("vanish", Err(EIO), Ok("bound\n")),
        ("illicit", Err(EINVAL), Ok("unbound\n")),
        ("hostreset", Ok(()), Ok("bound\n")),
        ("EACCES", Err(EACCES), Ok("unbound\n")),
        ("delay:1", Ok(()), Ok("bound\n")),
    ];
    for (act, written, read) in rows {
        let guest = Guest::new(inventory);
        guest.order(&format!("{{op: bind, act: '{act}'}}"));
        assert_eq!((bind(&guest, "28.0005"), state(&guest, "28.0005")), (written, read.map(String::from)), "{act}");
        assert_eq!(guest.machine.writes().unwrap().len(), 1, "{act}");
    }
    let rows =
        [("EIO", Err(EIO)), ("text:strange", Ok("strange\n")), ("vanish", Ok("bound\n")), ("delay:1", Ok("unbound\n"))];
    for (act, read) in rows {
        let guest = Guest::new(inventory);
        guest.order(&format!("{{op: read_se_bind, queue: '28.0005', act: '{act}'}}"));
        assert_eq!(state(&guest, "28.0006"), Ok("unbound\n".into()), "{act}");
        assert_eq!(state(&guest, "28.0005"), read.map(String::from), "{act}");
    }
    let rows = [("never", "association pending\n"), ("drop", "unassociated\n"), ("other:9", "associated 9\n")];
    for (act, read) in rows {
        let guest = Guest::new("queues: {'28.0005': {state: bound}}\nsecrets: [one]");
        guest.order(&format!("{{op: assoc, act: '{act}'}}"));
        guest.write(&format!("{QUEUE}/se_associate"), "0").unwrap();
        guest.machine.advance_clock(100).unwrap();
        assert_eq!(guest.read(&format!("{QUEUE}/se_associate")), Ok(read.into()), "{act}");
    }
}

#[test]
fn a_slow_bind_holds_up_nobody_else() {
    let guest = Guest::new("queues: {'28.0005': {bind_ms: 1500}, '28.0006': {}}");
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| guest.write(&format!("{QUEUE}/se_bind"), "1"));
        while guest.machine.show_bus().unwrap().queues[&"28.0005".parse().unwrap()].state.to_string() != "binding" {
            std::thread::yield_now();
        }
        assert_eq!(guest.write(&format!("{QUEUE}/se_bind"), "1"), Err(EIO));
        assert_eq!(guest.write("/sys/devices/ap/card28/28.0006/se_bind", "1"), Ok(()));
        assert_eq!(slow.join().unwrap(), Ok(()));
    });
    let order: Vec<_> = guest.machine.writes().unwrap().into_iter().map(|write| write.result).collect();
    assert_eq!(order, ["EIO", "ok", "ok"]);
}

#[test]
fn a_restart_ends_all_bindings() {
    let guest =
        Guest::new("queues: {'28.0005': {state: associated 1}, '28.0006': {state: ghost}}\nsecrets: [one, two]");
    assert_eq!(guest.read(&format!("{QUEUE}/se_associate")), Ok("associated 1\n".into()));
    guest.machine.reboot().unwrap();
    assert_eq!(guest.read(&format!("{QUEUE}/se_bind")), Ok("unbound\n".into()));
    assert_eq!(guest.names("/sys/bus/ap/devices"), "28.0005 card28");
}

//! pvapconfig in a simulated guest, whole process: 12 EP11 queues, with a kernel that answers at once and with one that
//! takes its time, and single associations that take very long.
//!
//! `cargo bench --bench pvapconfig` prints the times. Each run must end as it should; no time is asserted.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark that cannot go on says where")]

use pvsim::{GuestServer, Machine, ap};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Four cards with three domains each, every queue with a master key of its own.
const QUEUES: usize = 12;

struct Guest {
    folder: tempfile::TempDir,
    machine: Machine,
    server: GuestServer,
}

impl Guest {
    fn new(queues: usize, times: &str) -> Self {
        // The simulator's state in memory: a kernel does not keep it on a disk either.
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = tempfile::tempdir_in(place).unwrap();
        let (mut inventory, mut config) = ("queues:\n".to_owned(), String::new());
        let mut secrets = String::from("secrets: [");
        for number in 0..queues {
            let key = format!("{:02x}", 0x10 + number).repeat(32);
            let (card, domain) = (0x28 + number / 3, number % 3);
            writeln!(inventory, "  '{card:02x}.{domain:04x}': {{mk: '{key}', {times}}}").unwrap();
            writeln!(config, "- {{mode: ep11, name: s{number}, mkvp: {}}}", &key[..32]).unwrap();
            write!(secrets, "s{number}, ").unwrap();
        }
        fs::write(folder.path().join("config.yaml"), config).unwrap();
        let machine = Machine::init(&folder.path().join("machine"), Some(&format!("{inventory}{secrets}]\n"))).unwrap();
        let on_error = |error: &pvsim::Error| panic!("{error}");
        let server = GuestServer::start(machine.clone(), ap::parts(&machine, on_error), on_error).unwrap();
        Self { folder, machine, server }
    }

    /// How long it takes, its exit status and its last word.
    fn configure(&self, words: &[&str]) -> (Duration, i32, String) {
        let mut command = self.server.command(env!("CARGO_BIN_EXE_pvtools"));
        command.arg("pvapconfig").args(words).current_dir(self.folder.path());
        let start = Instant::now();
        let output = command.output().unwrap();
        let time = start.elapsed();
        let said = String::from_utf8(output.stderr).unwrap();
        (time, output.status.code().unwrap(), said)
    }

    fn associated(&self) -> usize {
        let queues = self.machine.show_bus().unwrap().queues;
        queues.values().filter(|queue| queue.state.to_string().starts_with("associated")).count()
    }
}

fn main() {
    const STRICT: [&str; 3] = ["--strict", "-c", "config.yaml"];
    println!("{QUEUES} EP11 queues");
    for (name, times) in [
        ("a kernel that answers at once", "reset_ms: 0, sm_ms: 0, assoc_ms: 0"),
        ("200 ms for a bind, 2 s for an association", "bind_ms: 200, assoc_ms: 2000"),
    ] {
        let mut all: Vec<_> = (0..if name.starts_with("200") { 3 } else { 15 })
            .map(|_| {
                let guest = Guest::new(QUEUES, times);
                let (time, status, said) = guest.configure(&STRICT);
                assert_eq!((status, guest.associated()), (0, QUEUES), "{said}");
                let (again, status, said) = guest.configure(&STRICT);
                assert_eq!(status, 0, "{said}");
                (time, again)
            })
            .collect();
        all.sort();
        let (time, again) = all[all.len() / 2];
        println!("  {name:<42} {time:>9.2?}   again, nothing to do {again:>9.2?}");
    }
    println!("one association that takes very long");
    let rows: Vec<_> =
        [12, 29, 31].into_iter().map(|seconds| (seconds, thread::spawn(move || slow(seconds)))).collect();
    for (seconds, end) in rows {
        let (time, line) = end.join().unwrap();
        println!("  {seconds} s: {time:>7.2?}  {line}");
    }
}

fn slow(seconds: u64) -> (Duration, String) {
    let guest = Guest::new(1, &format!("assoc_ms: {}", seconds * 1000));
    let (time, status, said) = guest.configure(&["config.yaml"]);
    let fits = seconds <= 30;
    assert_eq!((status, guest.associated()), (i32::from(!fits), usize::from(fits)), "{said}");
    if fits {
        return (time, "associated".to_owned());
    }
    let state = guest.machine.show_bus().unwrap().queues.values().next().unwrap().settled.to_string();
    assert_eq!(state, "unbound");
    (time, format!("{state}: {}", first_line(&said)))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

//! What the kernel's AP bus says to each write and read: `tests/ap_writes.yaml`, under the preload library and in a booted
//! kernel.

use crate::ap_guest::ApGuest;
use crate::booted::{Kernel, PATIENCE_MS, modules};
use crate::support::{Run, Scratch};
use nix::errno::Errno;
use pvsim::{GuestServer, Machine, ap};
use pvsim_machine::{Agent, Job};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// No state that a step waits for takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    inventory: serde_yaml::Value,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Step {
    queue: String,
    write: BTreeMap<String, String>,
    errno: Option<String>,
    read: BTreeMap<String, String>,
    until: BTreeMap<String, String>,
    /// Binds the queue, which a reset of the kernel's may hinder for a while.
    bind: bool,
    event: Option<String>,
    /// The event is one of the queue's card.
    card: bool,
    scan: bool,
}

/// What attributes are written and read with.
trait Guest {
    fn write(&mut self, path: &str, text: &str) -> Result<(), Errno>;
    fn read(&mut self, path: &str) -> Result<String, Errno>;
}

#[test]
fn the_simulated_bus_says_what_the_kernel_says() {
    let (list, scratch) = (list(), Scratch::new());
    let machine = machine(&list, &scratch);
    let on_error = |error: &pvsim::Error| panic!("the simulator itself failed: {error}");
    let server = GuestServer::start(machine.clone(), ap::parts(&machine, on_error), on_error).unwrap();
    play(&list, &machine, &mut Simulated { server: &server, scratch: &scratch });
}

#[test]
#[ignore = "boots a kernel: .ci/machine.sh names one"]
fn a_booted_kernel_says_it() {
    let (list, scratch) = (list(), Scratch::new());
    let machine = machine(&list, &scratch);
    Kernel::with(modules()).boot(&machine, |mut agent, _| {
        play(&list, &machine, &mut agent);
        (agent, ())
    });
}

/// What keys a queue has, and which serial number its card, the kernel has to ask the card for.
const SILENT: &str = "{cards: {'28': {hangs: true}}, queues: {'28.0014': {mk: A}, '29.0014': {}}, secrets: [s],
    master_keys: {A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa3b773619640a1a75a9161cec00000001}}";
const CONFIG: &str = "- {mode: EP11, name: s, mkvp: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n";
const LINES: [(&str, u8); 8] = [
    ("chzcrypt --se-bind 28.0014", 0),
    ("lszcrypt -V", 0),
    ("lszcrypt -s", 0),
    ("lszcrypt -VV 28.0014", 0),
    ("pvapconfig --status", 0),
    ("pvapconfig -v -c CONFIG", 1),
    ("chzcrypt --se-unbind 28.0014", 0),
    ("lszcrypt -V", 0),
];

#[test]
fn a_card_that_never_answers_hangs_no_tool() {
    let guest = ApGuest::new(SILENT, CONFIG);
    for (line, status) in LINES {
        let line = line.replace("CONFIG", &guest.scratch.join("config.yaml").display().to_string());
        let words: Vec<_> = line.split(' ').collect();
        let run = Run::of(&mut guest.command(words[0], &words[1..]), b"");
        assert_eq!(run.status, i32::from(status), "{line}: {run:?}");
    }
}

#[test]
#[ignore = "boots a kernel: .ci/machine.sh names one"]
fn in_a_booted_kernel_it_hangs_none_either() {
    let scratch = Scratch::new();
    let machine = Machine::init(&scratch.join("machine"), Some(SILENT)).unwrap();
    Kernel::with(modules()).boot(&machine, |mut agent, _| {
        agent.put("/tmp/config.yaml", CONFIG.as_bytes()).unwrap();
        // Without interrupts the kernel asks for the reply every 250 microseconds, and each question stops the emulator for
        // longer than that: on a busy machine nothing else would run in the guest.
        agent.write("/sys/bus/ap/poll_timeout", b"50000000").unwrap();
        for (line, status) in LINES {
            let line = format!("/bin/{line}").replace("CONFIG", "/tmp/config.yaml");
            let command = line.split(' ').map(str::to_owned).collect();
            let done = agent.run(&Job { command, limit_ms: PATIENCE_MS, ..Job::default() }).unwrap();
            println!("{line}: {:?} after {:?}", done.status, done.took);
            println!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
            assert_eq!(done.status, Some(status), "'{line}' (none: it hangs)");
        }
        (agent, ())
    });
}

fn list() -> List {
    let text = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ap_writes.yaml")).unwrap();
    serde_yaml::from_slice(&text).unwrap()
}

fn machine(list: &List, scratch: &Scratch) -> Machine {
    let inventory = serde_yaml::to_string(&list.inventory).unwrap();
    Machine::init(&scratch.join("machine"), Some(&inventory)).unwrap()
}

/// Plays all steps, so that all differences are seen at once.
fn play(list: &List, machine: &Machine, guest: &mut impl Guest) {
    let failures: Vec<_> = (1..)
        .zip(&list.steps)
        .filter_map(|(number, step)| step.play(machine, guest).err().map(|what| format!("step {number}: {what}")))
        .collect();
    assert!(failures.is_empty(), "{} of {} steps differ\n{}", failures.len(), list.steps.len(), failures.join("\n"));
    println!("{} steps", list.steps.len());
}

impl Step {
    fn play(&self, machine: &Machine, guest: &mut impl Guest) -> Result<(), String> {
        let path = |attribute: &str| format!("/sys/bus/ap/devices/{}/{attribute}", self.queue);
        if self.scan {
            return guest.write("/sys/bus/ap/scans", "1").map_err(|errno| format!("scan: {errno:?}"));
        }
        if let Some(event) = &self.event {
            let target = if self.card { &self.queue[..2] } else { &self.queue };
            machine.apply_event(&event.parse().unwrap(), target.parse().unwrap()).unwrap();
        }
        if self.bind {
            again_until("bind", "ok", || named(guest.write(&path("se_bind"), "1").map(|()| "ok".into())))?;
        }
        for (attribute, text) in &self.write {
            let written = named(guest.write(&path(attribute), text).map(|()| "accepted".into()));
            equal(
                &format!("{text:?} > {} {attribute}", self.queue),
                self.errno.as_deref().unwrap_or("accepted"),
                written,
            )?;
        }
        for (attribute, text) in &self.read {
            equal(&format!("{} {attribute}", self.queue), text, named(guest.read(&path(attribute))))?;
        }
        for (attribute, text) in &self.until {
            again_until(&format!("{} {attribute}", self.queue), text, || named(guest.read(&path(attribute))))?;
        }
        Ok(())
    }
}

/// What came, or the errno's name.
fn named(result: Result<String, Errno>) -> String {
    result.map_or_else(|errno| format!("{errno:?}"), |text| text.trim_end_matches('\n').to_owned())
}

fn equal(what: &str, expected: &str, found: String) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: expected '{expected}', found '{found}'")) }
}

fn again_until(what: &str, expected: &str, mut look: impl FnMut() -> String) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let found = look();
        if found == expected || began.elapsed() > PATIENCE {
            return equal(what, expected, found);
        }
        // Nothing tells when an attribute changes: the kernel itself looks every 40 ms.
        thread::sleep(Duration::from_millis(10));
    }
}

/// The preload library's bus, by dd, whose errors say what the system said.
struct Simulated<'a> {
    server: &'a GuestServer,
    scratch: &'a Scratch,
}

impl Simulated<'_> {
    fn dd(&self, argument: &str, stdin: &str) -> Result<String, Errno> {
        let mut command = self.server.command("dd");
        command.args([argument, "bs=4096", "status=none", "conv=nocreat,notrunc"]).env("LC_ALL", "C");
        let done = Run::of(command.current_dir(self.scratch.path()), stdin.as_bytes());
        if done.status == 0 {
            return Ok(String::from_utf8(done.stdout).unwrap());
        }
        let said = done.stderr.trim().rsplit(": ").next().unwrap_or_default().to_owned();
        let known =
            [Errno::EINVAL, Errno::EIO, Errno::EBUSY, Errno::ERANGE, Errno::ENOENT, Errno::ENODEV, Errno::EACCES];
        let errno =
            known.into_iter().find(|errno| errno.desc().eq_ignore_ascii_case(&said) || said == strerror(*errno));
        Err(errno.unwrap_or_else(|| panic!("dd said: {}", done.stderr)))
    }
}

/// As the C library calls it, where nix has other words.
fn strerror(errno: Errno) -> &'static str {
    match errno {
        Errno::EIO => "Input/output error",
        Errno::EBUSY => "Device or resource busy",
        Errno::ERANGE => "Numerical result out of range",
        _ => "",
    }
}

impl Guest for Simulated<'_> {
    fn write(&mut self, path: &str, text: &str) -> Result<(), Errno> {
        self.dd(&format!("of={path}"), text).map(drop)
    }

    fn read(&mut self, path: &str) -> Result<String, Errno> {
        self.dd(&format!("if={path}"), "")
    }
}

impl Guest for Agent {
    fn write(&mut self, path: &str, text: &str) -> Result<(), Errno> {
        match self.try_write(path, text.as_bytes()).unwrap() {
            None => Ok(()),
            Some(errno) => Err(Errno::from_raw(errno.into())),
        }
    }

    fn read(&mut self, path: &str) -> Result<String, Errno> {
        match self.try_read(path).unwrap() {
            Ok(bytes) => Ok(String::from_utf8(bytes).unwrap()),
            Err(errno) => Err(Errno::from_raw(errno.into())),
        }
    }
}

//! What happens in a guest, step by step: the scenarios of `tests/guest.yaml`.
//!
//! After every command the state of the ultravisor is compared with `pvsim show --format json`: it is as it was but for
//! what the step says. Each scenario is played three times: in this process, with the simulator's ultravisor in place of the
//! device; by the real program in the guest, started as `pvsim run` starts it; and by the s390x program in a booted kernel.

use crate::booted::{Kernel, PATIENCE_MS, modules};
use crate::support::{Run, Scratch, clean, left_out};
use openssl::sha::sha256;
use pvsim::open::Request;
use pvsim::seal::Draft;
use pvsim::{Fault, GuestServer, HostKey, InProcess, Machine};
use pvsim_machine::{Agent, Job};
use pvtools::System;
use serde::Deserialize;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;
use uvdevice::UvDevice;

/// A machine, and what is done in its guest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    id: String,
    shows: String,
    /// `guest:` of the inventory.
    #[serde(default)]
    guest: Option<serde_yaml::Value>,
    /// `secrets:` of the inventory.
    #[serde(default)]
    secrets: Vec<String>,
    steps: Vec<Step>,
}

/// Exactly one of `make`, `write`, `run`, `reboot`, `fault`; what follows each belongs to it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Step {
    /// Makes a request.
    make: Option<Make>,
    /// Writes files.
    write: BTreeMap<String, String>,
    /// Runs a command. `@NAME` is a file of the scenario, also in what it prints; `{id:NAME}` is the id of a name,
    /// `{cuid}` the CUID of the running guest.
    run: Option<Vec<String>>,
    stdin: Option<String>,
    exit: i32,
    /// What it prints; nothing when absent.
    stdout: Option<String>,
    stdout_has: Vec<String>,
    stderr: Option<String>,
    stderr_has: Vec<String>,
    /// Files there are afterwards, all for their owner alone unless `public`; none of them was there before.
    files: BTreeMap<String, FileIs>,
    no_files: Vec<String>,
    /// The request in this file was carried out.
    takes: Option<String>,
    /// The store is locked now.
    locks: bool,
    /// The guest is started again.
    reboot: bool,
    /// Something is ordered to go wrong.
    fault: Option<Fault>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileIs {
    public: bool,
    content: Option<String>,
    size: Option<usize>,
}

/// A request, correct but for what is said. See [`Draft`].
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Make {
    file: String,
    kind: Option<u16>,
    /// The id is the SHA-256 of this.
    name: Option<String>,
    /// The id is this text, filled with zeros.
    spelled: Option<String>,
    /// Bytes of a secret of 0x5a; the length that the kind has when absent.
    length: Option<usize>,
    /// A plaintext secret.
    text: Option<String>,
    stated_length: Option<u32>,
    /// Every byte of it; `cck` for the one made of the CCK.
    extension: Option<u8>,
    flags: u64,
    /// `ours` or `other`.
    cuid: Option<String>,
    other_host: bool,
    other_image: bool,
    version: Option<u32>,
    slots: Option<u8>,
    no_id: bool,
    /// Flips a bit of the byte at this offset; from the end when negative.
    change: Option<isize>,
    /// Leaves out that many bytes at the end.
    cut: usize,
    /// Appends that many.
    append: usize,
}

#[test]
fn every_scenario_goes_as_told_in_one_process() {
    play_all(Stage::new);
}

#[test]
fn every_scenario_goes_as_told_by_the_real_program() {
    play_all(|scenario| {
        let stage = Stage::new(scenario);
        Stage { server: Some(server(&stage.machine)), ..stage }
    });
}

fn scenarios() -> Vec<Scenario> {
    let list = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guest.yaml")).unwrap();
    serde_yaml::from_slice(&list).unwrap()
}

/// A boot for each machine that is like no other, and for each start of a guest.
#[test]
#[ignore = "boots a kernel again and again: .ci/machine.sh names one"]
fn every_scenario_goes_as_told_in_a_booted_kernel() {
    let kernel = Kernel::with(modules());
    let scenarios = scenarios();
    let mut boots = 0;
    let mut alike = Vec::new();
    for scenario in &scenarios {
        if let Some(why) = scenario.cannot_be() {
            left_out(format!("{}: {why}", scenario.id));
        } else if scenario.guest.is_none() && scenario.secrets.is_empty() && scenario.starts() == 1 {
            alike.push(scenario);
        } else {
            let mut at = 0;
            let mut stage = Stage::new(scenario);
            while at < scenario.steps.len() {
                stage.boot(&kernel, |stage| {
                    // The step that starts the guest again is this boot.
                    if at > 0 {
                        assert!(stage.state()["secrets"].as_array().unwrap().is_empty(), "{}", scenario.id);
                        at += 1;
                    }
                    at += stage.play_steps(scenario, at);
                });
                boots += 1;
            }
        }
    }
    // All that a kernel knows of the store is in the ultravisor: for these the firmware begins anew, and the kernel stays.
    Stage::with_inventory("{}").boot(&kernel, |stage| {
        let first = std::mem::replace(&mut stage.scratch, Scratch::new());
        for scenario in &alike {
            stage.machine.reboot().unwrap();
            // No files of the one before, neither here nor in the guest, which has them under the same path.
            stage.scratch = Scratch::new();
            std::os::unix::fs::symlink(first.join("machine"), stage.scratch.join("machine")).unwrap();
            stage.play_steps(scenario, 0);
        }
        stage.scratch = first;
    });
    println!("{} scenarios in {} boots", scenarios.len(), boots + 1);
}

#[test]
#[ignore = "boots a kernel: .ci/machine.sh names one"]
fn in_a_booted_kernel_the_module_makes_the_device() {
    let run = |kernel: Kernel| {
        let scratch = Scratch::new();
        let machine = Machine::init(&scratch.join("machine"), None).unwrap();
        kernel.boot(&machine, |mut agent, _| {
            let mode = agent.mode("/dev/uv").unwrap();
            let command = vec!["/bin/pvsecret".into(), "list".into()];
            let done = agent.run(&Job { command, limit_ms: PATIENCE_MS, ..Job::default() }).unwrap();
            (agent, (mode, done.status, String::from_utf8(done.stderr).unwrap()))
        })
    };
    let (mode, status, said) = run(Kernel::with(vec![]));
    assert_eq!((mode, status), (None, Some(1)));
    assert!(said.starts_with("error: /dev/uv: no such device"), "{said}");
    let (mode, status, said) = run(Kernel::with(modules()));
    assert_eq!(
        (mode.map(|mode| mode & 0o170_000), status),
        (Some(0o020_000), Some(0)),
        "expected a character device: {said}"
    );
}

impl Scenario {
    /// What of it is the kernel's own.
    fn cannot_be(&self) -> Option<&'static str> {
        if self.guest.as_ref().is_some_and(|guest| guest.get("kernel").is_some()) {
            return Some("what a kernel lacks is the kernel's own");
        }
        let errno = |fault: &Fault| fault.op == "uv_open" || fault.act.starts_with('E');
        let struck = self.steps.iter().filter_map(|step| step.fault.as_ref()).any(errno);
        struck.then_some("errno are the kernel's own")
    }

    /// How often the guest is started.
    fn starts(&self) -> usize {
        1 + self.steps.iter().filter(|step| step.reboot).count()
    }
}

fn play_all(stage: fn(&Scenario) -> Stage) {
    let scenarios = scenarios();
    for scenario in &scenarios {
        assert!(!scenario.shows.is_empty(), "{}", scenario.id);
        let guest = stage(scenario);
        for (number, step) in scenario.steps.iter().enumerate() {
            guest.play(&format!("{} step {}", scenario.id, number + 1), step);
        }
    }
    println!("{} scenarios", scenarios.len());
}

/// A guest, and the folder that its commands work in.
pub(crate) struct Stage {
    /// The way of programs into the guest; without it and without a kernel, the product runs in this process.
    server: Option<GuestServer>,
    kernel: Option<Booted>,
    pub(crate) scratch: Scratch,
    pub(crate) machine: Machine,
}

/// A line to a booted guest.
struct Booted {
    agent: RefCell<Agent>,
    /// Linux before 6.13 retrieves no secret.
    retrieves: bool,
}

impl Stage {
    fn new(scenario: &Scenario) -> Self {
        let guest = scenario.guest.clone().unwrap_or(serde_yaml::Value::Mapping(Default::default()));
        let inventory = json!({ "guest": guest, "secrets": scenario.secrets });
        Self::with_inventory(&inventory.to_string())
    }

    /// A guest on a machine with this inventory.
    pub(crate) fn with_inventory(inventory: &str) -> Self {
        let scratch = Scratch::new();
        let machine = Machine::init(&scratch.join("machine"), Some(inventory)).unwrap();
        Self { server: None, kernel: None, scratch, machine }
    }

    /// Boots its machine, and does `work` there.
    fn boot(&mut self, kernel: &Kernel, work: impl FnOnce(&mut Stage) + Send) {
        let scratch = std::mem::replace(&mut self.scratch, Scratch::new());
        let folder = scratch.join("machine");
        self.scratch = kernel.boot(&self.machine, |agent, release| {
            let retrieves = release >= (6, 13);
            let booted = Booted { agent: RefCell::new(agent), retrieves };
            // With the header that it was started from.
            let machine = Machine::open(&folder).unwrap();
            let mut stage = Stage { server: None, kernel: Some(booted), scratch, machine };
            work(&mut stage);
            let Stage { kernel, scratch, .. } = stage;
            (kernel.unwrap().agent.into_inner(), scratch)
        });
    }

    /// Plays steps from `from` on until the guest is started again. Gives how many.
    fn play_steps(&self, scenario: &Scenario, from: usize) -> usize {
        let steps: Vec<_> = scenario.steps[from..].iter().take_while(|step| !step.reboot).collect();
        for (number, step) in steps.iter().enumerate() {
            let place = format!("{} step {}", scenario.id, from + number + 1);
            let retrieves = step
                .run
                .as_ref()
                .is_some_and(|words| words.iter().any(|word| ["retrieve", "retr"].contains(&word.as_str())));
            if retrieves && !self.kernel.as_ref().unwrap().retrieves {
                left_out(format!("{place}: this kernel retrieves no secrets"));
            } else {
                self.play(&place, step);
            }
        }
        steps.len()
    }

    fn play(&self, place: &str, step: &Step) {
        let before = self.state();
        let mut expected = before.clone();
        if let Some(make) = &step.make {
            self.make(make);
        }
        for (name, content) in &step.write {
            self.scratch.write(name, self.fill(content));
        }
        if let Some(args) = &step.run {
            let files: Vec<_> = step.files.keys().chain(&step.no_files).collect();
            assert!(files.iter().all(|file| !self.scratch.join(file).exists()), "{place}: a file is there before");
            let run = self.run(args, step.stdin.as_deref());
            if let Some(booted) = &self.kernel {
                files.iter().for_each(|file| booted.fetch(&self.scratch, file));
            }
            self.check(place, step, &run);
        }
        if step.reboot {
            self.machine.reboot().unwrap();
            expected = self.after_boot(&before, &self.state());
        }
        if let Some(fault) = &step.fault {
            self.machine.order(fault.clone()).unwrap();
        }
        if let Some(request) = &step.takes {
            self.expect_taken(&mut expected, &self.scratch.read(request));
        }
        if step.locks {
            expected["locked"] = true.into();
        }
        assert_eq!(self.state(), expected, "{place}: the ultravisor's state; left: as it is, right: as it must be");
    }

    /// What `pvsim show --format json` says about the guest.
    pub(crate) fn state(&self) -> Value {
        let shown: Value = serde_json::from_str(&self.machine.show().unwrap().to_json().unwrap()).unwrap();
        shown["guest"].clone()
    }

    /// What a new boot clears, and what it must not.
    fn after_boot(&self, before: &Value, after: &Value) -> Value {
        let image = &self.machine.platform().image;
        assert_ne!(before["cuid"], after["cuid"]);
        assert_ne!(before["wrapping_key"], after["wrapping_key"]);
        let mut expected = before.clone();
        for (key, value) in [
            ("boot", (before["boot"].as_u64().unwrap() + 1).into()),
            ("cuid", after["cuid"].clone()),
            ("wrapping_key", after["wrapping_key"].clone()),
            ("locked", false.into()),
            ("extension_secret", Value::Null),
            ("secrets", json!([])),
            ("request_tags", json!([])),
            ("dump_allowed", image.dump_allowed.into()),
            ("cck", hex::encode(image.secrets.cck).into()),
        ] {
            expected[key] = value;
        }
        expected
    }

    /// What a request that was carried out leaves, told from its decoded fields.
    pub(crate) fn expect_taken(&self, expected: &mut Value, request: &[u8]) {
        let Request::AddSecret(open) = Request::open(request, &self.machine.platform().host_key).unwrap() else {
            panic!("an attestation request cannot be added");
        };
        let header = &open.request.secret_header;
        expected["request_tags"].as_array_mut().unwrap().push(hex::encode(open.request.frame.tag).into());
        if expected["extension_secret"].is_null() {
            expected["extension_secret"] = hex::encode(open.extension_secret.expose()).into();
        }
        if open.request.flags >> 63 == 1 {
            expected["dump_allowed"] = false.into();
        }
        let secret = open.secret.expose();
        match header.kind {
            0x01 => {}
            0x16 => expected["cck"] = hex::encode(secret).into(),
            kind => {
                let secrets = expected["secrets"].as_array_mut().unwrap();
                let protection = if matches!(kind, 2 | 3) { 0 } else { 32 };
                secrets.push(json!({
                    "index": secrets.len(),
                    "kind": kind,
                    "id": hex::encode(header.id.unwrap()),
                    "length": secret.len() + protection,
                    "secret": hex::encode(secret),
                }));
            }
        }
    }

    fn check(&self, place: &str, step: &Step, run: &Run) {
        let clean = |text: &str| text.replace(&format!("{}/", self.scratch.path().display()), "@");
        let (stdout, stderr) = (clean(&String::from_utf8_lossy(&run.stdout)), clean(&run.stderr));
        let all = format!("{place}: exit {}\n--- stdout\n{stdout}--- stderr\n{stderr}", run.status);
        assert_eq!(run.status, step.exit, "{all}");
        for (name, text, exact, parts) in
            [("stdout", &stdout, &step.stdout, &step.stdout_has), ("stderr", &stderr, &step.stderr, &step.stderr_has)]
        {
            match exact {
                Some(exact) => assert_eq!(text, &self.fill(exact), "{all}"),
                None if parts.is_empty() => assert_eq!(text, "", "{all}: {name} was not expected"),
                None => {}
            }
            for part in parts {
                assert!(text.contains(&self.fill(part)), "{all}: '{part}' is not on {name}");
            }
        }
        if run.status != 0 {
            assert_eq!(stderr.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{all}");
        }
        for (file, is) in &step.files {
            let content = self.scratch.read(file);
            let mode = self.scratch.mode(file);
            assert_eq!(mode & 0o077 == 0, !is.public, "{place}: {file} has mode {mode:o}");
            if let Some(expected) = &is.content {
                assert_eq!(String::from_utf8_lossy(&content), self.fill(expected), "{place}: {file}");
            }
            assert!(is.size.is_none_or(|size| size == content.len()), "{place}: {file} has {} bytes", content.len());
        }
        for file in &step.no_files {
            assert!(!self.scratch.join(file).exists(), "{place}: {file} is there");
        }
    }

    /// `{id:NAME}` becomes the id of a name, `{cuid}` the CUID of the running guest.
    fn fill(&self, text: &str) -> String {
        let text = text.replace("{cuid}", &self.machine.guest().unwrap().cuid.to_string());
        let mut filled = String::new();
        let mut rest = text.as_str();
        while let Some((before, behind)) = rest.split_once("{id:") {
            let (name, behind) = behind.split_once('}').unwrap();
            filled += &format!("{before}0x{}", hex::encode(sha256(name.as_bytes())));
            rest = behind;
        }
        filled + rest
    }

    /// Runs a command in the guest.
    pub(crate) fn run(&self, args: &[String], stdin: Option<&str>) -> Run {
        let args: Vec<OsString> = args
            .iter()
            .map(|arg| match arg.strip_prefix('@') {
                Some(file) => self.scratch.join(file).into_os_string(),
                None => self.fill(arg).into(),
            })
            .collect();
        let stdin = stdin.map(|file| self.scratch.read(file)).unwrap_or_default();
        if self.server.is_none() && self.kernel.is_none() {
            return run_in_process(&self.machine, &args, stdin);
        }
        let (tool, args) = args.split_first().unwrap();
        if args.first().is_some_and(|command| command == "create") {
            // Requests are made on the workstation.
            return self.scratch.run_with(tool.to_str().unwrap(), args, &stdin);
        }
        if let Some(booted) = &self.kernel {
            return booted.run(&self.scratch, tool, args, stdin);
        }
        let mut command = self.server.as_ref().unwrap().command(self.scratch.link_tool(tool));
        clean(&mut command);
        Run::of(command.args(args).current_dir(self.scratch.path()), &stdin)
    }

    /// Makes a correct request for an association secret.
    pub(crate) fn make_association(&self, file: &str, name: &str) {
        self.make(&Make { file: file.into(), name: Some(name.into()), ..Make::default() });
    }

    fn make(&self, make: &Make) {
        let platform = self.machine.platform();
        let kind = make.kind.unwrap_or(2);
        let secret = match &make.text {
            Some(text) => {
                let mut stored = [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat();
                stored.resize(stored.len().next_multiple_of(16), 0);
                stored
            }
            None => vec![0x5a; make.length.unwrap_or(usual_length(kind))],
        };
        let mut id = sha256(make.name.as_deref().unwrap_or("").as_bytes());
        if let Some(spelled) = &make.spelled {
            id = [0; 32];
            id[..spelled.len()].copy_from_slice(spelled.as_bytes());
        }
        let has_id = kind != 1 && !make.no_id;
        let mut draft = Draft::new(platform, kind, has_id.then_some(id), &secret);
        draft.flags = make.flags;
        draft.version = make.version.unwrap_or(draft.version);
        draft.stated_slots = make.slots;
        draft.stated_length = make.stated_length.unwrap_or(draft.stated_length);
        draft.extension_secret = [make.extension.unwrap_or(0); 32];
        draft.cuid = match make.cuid.as_deref() {
            None => [0; 16],
            Some("ours") => self.machine.guest().unwrap().cuid.0,
            Some("other") => [0x77; 16],
            Some(other) => panic!("cuid: {other}"),
        };
        if make.other_image {
            draft.header_tag[3] ^= 1;
        }
        let other = HostKey::generate().unwrap();
        let host = if make.other_host { &other } else { &platform.host_key };
        let mut request = draft.seal(&[host]).unwrap();
        if let Some(at) = make.change {
            let at = if at < 0 { request.len() - at.unsigned_abs() } else { at.unsigned_abs() };
            request[at] ^= 1;
        }
        request.truncate(request.len() - make.cut);
        request.resize(request.len() + make.append, 0);
        self.scratch.write(&make.file, request);
    }
}

impl Booted {
    /// Runs a tool in the guest, with the files of `scratch` that it is told of.
    fn run(&self, scratch: &Scratch, tool: &OsString, args: &[OsString], stdin: Vec<u8>) -> Run {
        let text = |word: &OsString| word.to_str().unwrap().to_owned();
        // The folder comes with the first file.
        let mut files = vec![(scratch.join(".stage").display().to_string(), vec![])];
        for path in args.iter().map(Path::new).filter(|path| path.starts_with(scratch.path()) && path.is_file()) {
            files.push((path.display().to_string(), fs::read(path).unwrap()));
        }
        let mut command = vec![format!("/bin/{}", text(tool))];
        command.extend(args.iter().map(text));
        let job = Job { command, stdin, files, limit_ms: PATIENCE_MS };
        let done = self.agent.borrow_mut().run(&job).unwrap();
        Run {
            status: done.status.expect("it hangs").into(),
            stdout: done.stdout,
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        }
    }

    /// Takes a file out of the guest, if it is there.
    fn fetch(&self, scratch: &Scratch, file: &str) {
        let path = scratch.join(file).display().to_string();
        let mut agent = self.agent.borrow_mut();
        if let Some(mode) = agent.mode(&path).unwrap() {
            let copy = scratch.write(file, agent.get(&path).unwrap());
            fs::set_permissions(copy, fs::Permissions::from_mode(mode & 0o7777)).unwrap();
        }
    }
}

/// Bytes of the stored form of a secret.
fn usual_length(kind: u16) -> usize {
    match kind {
        0x01 => 0,
        0x03 | 0x04 => 16,
        0x05 => 24,
        0x08 | 0x09 | 0x15 => 64,
        0x0a => 128,
        0x12 => 48,
        0x13 => 80,
        _ => 32,
    }
}

/// The way of programs into the guest of `machine`.
pub(crate) fn server(machine: &Machine) -> GuestServer {
    GuestServer::start(machine.clone(), vec![], |error| panic!("the simulator itself failed: {error}")).unwrap()
}

/// The product, in this process, in the guest of `machine`.
pub(crate) fn run_in_process(machine: &Machine, args: &[OsString], stdin: Vec<u8>) -> Run {
    let machine = machine.clone();
    run_with(args, stdin, |system| {
        system.uv = Box::new(move || match machine.open_device().unwrap() {
            Some(errno) => Err(uvdevice::Error::of_opening(Path::new("/dev/uv"), io::Error::from_raw_os_error(errno))),
            None => Ok(Box::new(UvDevice::new(InProcess(machine.clone())))),
        });
    })
}

/// The product, in this process, on a system of the caller's making.
pub(crate) fn run_with(args: &[OsString], stdin: Vec<u8>, prepare: impl FnOnce(&mut System)) -> Run {
    let (stdout, stderr) = (Collected::default(), Collected::default());
    let mut system = System::new(Box::new(Cursor::new(stdin)), Box::new(stdout.clone()), Box::new(stderr.clone()));
    prepare(&mut system);
    let code = pvtools::run(args, &mut system);
    // An ExitCode shows itself in no other way.
    let status = if code == std::process::ExitCode::SUCCESS { 0 } else { 1 };
    let stderr = String::from_utf8_lossy(&stderr.0.borrow()).into_owned();
    Run { status, stdout: stdout.0.take(), stderr }
}

/// A stream that keeps what is written.
#[derive(Clone, Default)]
struct Collected(Rc<RefCell<Vec<u8>>>);

impl Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! One row, run in a booted guest: its machine takes the place of the one before, and the kernel looks again.

use super::file::{Exit, List, NoStatus, Row, States};
use super::run::Outcome;
use crate::ap::terms::Situation;
use crate::{Error, Fault, Machine};
use pvsim_machine::{Agent, Done, Job};
use serde_yaml::Value;
use std::io;
use std::time::Duration;

const CONFIG: &str = "/tmp/config.yaml";
const LOCK_FILE: &str = "/run/lock/pvapconfig.lock";
const SCANS: &str = "/sys/bus/ap/scans";
/// As under the preload library.
const LIMIT: Duration = Duration::from_secs(100);
/// How often a queue is asked for what it begins with: a reset by the kernel may be under way.
const TRIES: usize = 5;

/// What became of a row.
#[derive(Clone, Debug)]
pub enum InKernel {
    /// It ran.
    Ran(Outcome),
    /// It cannot be had in a booted guest.
    CannotBe(&'static str),
}

/// What of a row only a simulated kernel can do.
fn cannot_be(row: &Row) -> Option<&'static str> {
    if !row.guest.is_null() {
        return Some("what kernel and firmware can do is settled when the guest starts");
    }
    let bus = row.inventory.get("bus");
    let has = |key| bus.is_some_and(|bus| bus.get(key).is_some());
    if has("present") || has("features") {
        return Some("what the AP bus can do is settled when the guest starts");
    }
    if has("bindings_after") || has("old_driver") {
        return Some("what the kernel's driver does is the kernel's own");
    }
    let faults: Vec<Fault> = serde_yaml::from_value(row.faults.clone()).unwrap_or_default();
    let of_the_kernel = |fault: &Fault| {
        let reads = fault.op.starts_with("read_") && fault.act != "hang";
        reads
            || fault.op == "uv_open"
            || (fault.act.starts_with('E') && fault.act != "EIO")
            || fault.op == "uv" && fault.act.starts_with('E')
    };
    if faults.iter().any(of_the_kernel) {
        return Some("errors of reads, and all errno but EIO, are the kernel's own");
    }
    let ends =
        |queue: &Value| queue.get("assoc_end").and_then(Value::as_str).is_some_and(|end| end.starts_with("other:"));
    let queues =
        || row.inventory.get("queues").and_then(Value::as_mapping).into_iter().flat_map(|queues| queues.values());
    if faults.iter().any(|fault| fault.act.starts_with("other:")) || queues().any(ends) {
        return Some("the kernel shows the secret that it asked for: hardware never says which one it has");
    }
    if queues().any(|queue| queue.get("driver").is_some()) {
        return Some("a queue without a driver is the kernel's own");
    }
    None
}

/// Runs a row in the guest of `machine`, whose agent is `agent`.
///
/// # Errors
/// [`Error::Scenario`], and what is wrong with the machine.
pub fn run_in_kernel(list: &List, row: &Row, machine: &Machine, agent: &mut Agent) -> Result<InKernel, Error> {
    if let Some(why) = cannot_be(row) {
        return Ok(InKernel::CannotBe(why));
    }
    let mut guest = InGuest { agent };
    // What was there before goes, and is forgotten.
    machine.exchange_bus("queues: {}")?;
    guest.scan()?;
    let exchanged = machine.exchange_bus(&list.inventory(row)?)?;
    guest.scan()?;
    guest.remove(LOCK_FILE)?;
    for (queue, situation) in exchanged.states() {
        match situation {
            Situation::Bound if guest.set(&["--se-bind", &queue.to_string()])? => {}
            Situation::Associated(index)
                if guest.set(&["--se-bind", &queue.to_string()])?
                    && guest.set(&["--se-associate", &index.to_string(), &queue.to_string()])? => {}
            Situation::Bound | Situation::Associated(_) => {
                return Ok(InKernel::CannotBe(
                    "firmware would not let a queue come into the state that it begins with",
                ));
            }
            Situation::Unbound | Situation::Illicit | Situation::Ghost => {}
            _ => return Ok(InKernel::CannotBe("no queue of a fresh kernel is in the middle of something")),
        }
    }
    for queue in exchanged.offline() {
        guest.write(&format!("/sys/bus/ap/devices/{queue}/online"), b"0")?;
    }
    machine.begin_row(exchanged)?;
    let mut files = vec![(CONFIG.to_owned(), row.config.clone().unwrap_or_default().into_bytes())];
    if let Some(content) = &row.lockfile {
        files.push((LOCK_FILE.to_owned(), content.clone().into_bytes()));
    }
    let mut outcome = Outcome::default();
    for step in row.steps() {
        let mut command = vec!["/bin/pvapconfig".to_owned()];
        command.extend(step.iter().map(|argument| argument.replace("{config}", CONFIG)));
        let done = guest.run(&Job { command, files: std::mem::take(&mut files), ..Job::default() })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&done.stdout), text(&done.stderr));
        let exit = done.status.map_or(Exit::Other(NoStatus::Hangs), |status| Exit::Status(status.into()));
        outcome.exits.push(exit);
        outcome.last = format!("{stdout}{stderr}");
        outcome.stdout += &stdout;
        outcome.stderr += &stderr;
    }
    outcome.lock_left = guest.has(LOCK_FILE)?;
    let bus = machine.show_bus()?;
    outcome.states =
        bus.queues.iter().map(|(queue, shown)| (queue.to_string(), shown.settled.to_string())).collect::<States>();
    outcome.writes = bus.writes;
    Ok(InKernel::Ran(outcome))
}

/// The guest, from outside.
struct InGuest<'a> {
    agent: &'a mut Agent,
}

fn wrong(what: &'static str) -> impl FnOnce(pvsim_machine::Error) -> Error {
    move |error| Error::Scenario { what, source: io::Error::other(error) }
}

impl InGuest<'_> {
    fn run(&mut self, job: &Job) -> Result<Done, Error> {
        let limit_ms = LIMIT.as_millis() as u64;
        self.agent.run(&Job { limit_ms, ..job.clone() }).map_err(wrong("the guest"))
    }

    /// Has the kernel look at the bus, and waits until it has.
    fn scan(&mut self) -> Result<(), Error> {
        self.write(SCANS, b"1")
    }

    fn write(&mut self, path: &str, text: &[u8]) -> Result<(), Error> {
        self.agent.write(path, text).map_err(wrong("an attribute of the bus"))
    }

    fn remove(&mut self, path: &str) -> Result<(), Error> {
        self.agent.remove(path).map_err(wrong("the guest's files"))
    }

    fn has(&mut self, path: &str) -> Result<bool, Error> {
        self.agent.has(path).map_err(wrong("the guest's files"))
    }

    /// Brings a queue into a state with chzcrypt. Gives whether it could be.
    fn set(&mut self, arguments: &[&str]) -> Result<bool, Error> {
        let mut command = vec!["/bin/chzcrypt".to_owned()];
        command.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let job = Job { command, ..Job::default() };
        for _ in 0..TRIES {
            if self.run(&job)?.status == Some(0) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

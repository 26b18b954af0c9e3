//! One row, run.

use super::file::{Exit, List, NoStatus, Row, States};
use anyhow::Context;
use pvsim::ap::{self, LoggedWrite};
use pvsim::{Front, Machine};
use std::fs;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const NAME: &str = "pvapconfig";
/// The product's binary, which is `pvapconfig` when it is called so.
const ALL_IN_ONE: &str = "pvtools";
/// Longer than anything that has an end: an association may take 30 seconds, and so may the unbind after it.
const LIMIT: Duration = Duration::from_secs(100);
const LOCK_FILE: &str = "root/run/lock/pvapconfig.lock";

/// The program that is judged.
pub(super) struct Program(PathBuf);

/// What it did.
pub(super) struct Outcome {
    /// How each step ended.
    pub(super) exits: Vec<Exit>,
    /// How long all steps took.
    pub(super) took: Duration,
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// What the last step printed on both.
    pub(super) last: String,
    /// Each queue when all timers have run out.
    pub(super) states: States,
    pub(super) writes: Vec<LoggedWrite>,
    pub(super) lock_left: bool,
}

impl Program {
    /// That in `folder`, or else beside this program.
    pub(super) fn in_folder(folder: Option<&Path>) -> anyhow::Result<Self> {
        let folder = match folder {
            Some(folder) => folder.to_owned(),
            None => std::env::current_exe()?.parent().context("this program is in no folder")?.to_owned(),
        };
        let found = [NAME, ALL_IN_ONE].iter().map(|name| folder.join(name)).find(|path| path.is_file());
        let found = found.with_context(|| format!("neither {NAME} nor {ALL_IN_ONE} is in '{}'", folder.display()))?;
        Ok(Self(found.canonicalize()?))
    }

    fn command(&self, front: &Front) -> Command {
        let mut command = front.command(&self.0);
        command.arg0(NAME);
        command
    }
}

/// Makes the row's machine and does in it what the row says.
pub(super) fn run(list: &List, row: &Row, program: &Program) -> anyhow::Result<Outcome> {
    let folder = scratch().context("cannot make a folder")?;
    let machine = folder.path().join("machine");
    let config = folder.path().join("config.yaml");
    fs::write(&config, row.config.as_deref().unwrap_or_default())?;
    let machine = Machine::init(&machine, Some(&list.inventory_of(row)?))?;
    let front = Front::start(machine.clone(), ap::parts(&machine, crate::run::report), crate::run::report)?;
    let lock_file = machine.folder().join(LOCK_FILE);
    if let Some(content) = &row.lockfile {
        fs::write(&lock_file, content)?;
    }
    let mut outcome = Outcome {
        exits: vec![],
        took: Duration::ZERO,
        stdout: String::new(),
        stderr: String::new(),
        last: String::new(),
        states: States::new(),
        writes: vec![],
        lock_left: false,
    };
    for step in row.steps() {
        let config = config.display().to_string();
        let arguments = step.iter().map(|argument| argument.replace("{config}", &config));
        let mut command = program.command(&front);
        command.args(arguments).current_dir(folder.path());
        let began = Instant::now();
        let (exit, stdout, stderr) = watch(&mut command)?;
        outcome.took += began.elapsed();
        outcome.exits.push(exit);
        outcome.last = format!("{stdout}{stderr}");
        outcome.stdout += &stdout;
        outcome.stderr += &stderr;
    }
    let bus = machine.show_bus()?;
    let states = bus.queues.iter().map(|(queue, shown)| (queue.to_string(), shown.settled.to_string()));
    outcome.states = states.collect();
    outcome.writes = bus.writes;
    outcome.lock_left = lock_file.exists();
    Ok(outcome)
}

/// A folder for a machine: in memory where there is such a place, as files that are replaced again and again take a
/// disk milliseconds, which would be counted as the program's.
fn scratch() -> io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("pvsim-scenario-");
    builder.tempdir_in("/dev/shm").or_else(|_| builder.tempdir())
}

/// Runs a command, and kills it when its time is over.
fn watch(command: &mut Command) -> anyhow::Result<(Exit, String, String)> {
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let stdout = child.stdout.take().map(collected);
    let stderr = child.stderr.take().map(collected);
    let exit = wait(&mut child)?;
    let text = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
        let bytes = reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok((exit, text(stdout), text(stderr)))
}

fn collected(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = vec![];
        // What came until the stream broke is what there is.
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}

fn wait(child: &mut Child) -> anyhow::Result<Exit> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for the program")? {
            return Ok(status.code().map_or(Exit::Other(NoStatus::Killed), Exit::Status));
        }
        if began.elapsed() > LIMIT {
            child.kill().context("cannot kill the program")?;
            child.wait().context("cannot wait for the program")?;
            return Ok(Exit::Other(NoStatus::Hangs));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

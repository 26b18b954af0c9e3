//! One row, run.

use super::file::{Exit, List, NoStatus, Row, States};
use crate::ap::{self, LoggedWrite};
use crate::{Error, GuestServer, Machine};
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
#[derive(Clone, Debug)]
pub struct Program(PathBuf);

/// What it did.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How each step ended.
    pub exits: Vec<Exit>,
    /// How long all steps took.
    pub took: Duration,
    /// What all steps printed.
    pub stdout: String,
    /// What all steps printed there.
    pub stderr: String,
    /// What the last step printed on both.
    pub last: String,
    /// Each queue when all timers have run out.
    pub states: States,
    /// All writes to attributes.
    pub writes: Vec<LoggedWrite>,
    /// Whether the lock file is there at the end.
    pub lock_left: bool,
}

impl Program {
    /// That in `folder`.
    ///
    /// # Errors
    /// [`Error::NoProgram`].
    pub fn in_folder(folder: &Path) -> Result<Self, Error> {
        let found = [NAME, ALL_IN_ONE].iter().map(|name| folder.join(name)).find(|path| path.is_file());
        let found = found.and_then(|path| path.canonicalize().ok());
        found.map(Self).ok_or_else(|| Error::NoProgram(folder.to_owned()))
    }

    fn command(&self, server: &GuestServer) -> Command {
        let mut command = server.command(&self.0);
        command.arg0(NAME);
        command
    }
}

/// Makes the row's machine and does in it what the row says. `on_error` is told of errors of the simulator itself.
///
/// # Errors
/// [`Error::Scenario`], and all of making a machine and of serving it.
pub fn run(list: &List, row: &Row, program: &Program, on_error: fn(&Error)) -> Result<Outcome, Error> {
    let wrong = |what| move |source| Error::Scenario { what, source };
    let folder = scratch().map_err(wrong("its folder"))?;
    let machine = folder.path().join("machine");
    let config = folder.path().join("config.yaml");
    fs::write(&config, row.config.as_deref().unwrap_or_default()).map_err(wrong("its configuration file"))?;
    let machine = Machine::init(&machine, Some(&list.inventory(row)?))?;
    let server = GuestServer::start(machine.clone(), ap::parts(&machine, on_error), on_error)?;
    let lock_file = machine.folder().join(LOCK_FILE);
    if let Some(content) = &row.lockfile {
        fs::write(&lock_file, content).map_err(wrong("its lock file"))?;
    }
    let mut outcome = Outcome::default();
    for step in row.steps() {
        let config = config.display().to_string();
        let arguments = step.iter().map(|argument| argument.replace("{config}", &config));
        let mut command = program.command(&server);
        command.args(arguments).current_dir(folder.path());
        let began = Instant::now();
        let (exit, stdout, stderr) = watch(&mut command).map_err(wrong("its program"))?;
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
fn watch(command: &mut Command) -> io::Result<(Exit, String, String)> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
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

fn wait(child: &mut Child) -> io::Result<Exit> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code().map_or(Exit::Other(NoStatus::Killed), Exit::Status));
        }
        if began.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            return Ok(Exit::Other(NoStatus::Hangs));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

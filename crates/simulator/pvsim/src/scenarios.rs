//! `pvsim scenario`, from the command line.

use crate::boot::{self, GuestArguments};
use anyhow::Context;
use clap::ValueEnum;
use pvsim::Machine;
use pvsim::scenario::{self, InKernel, List, Outcome, Program, Row};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Rows wait most of their time, for firmware that takes its time.
const AT_ONCE: usize = 8;

/// What is to be run.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// List of scenarios (YAML)
    file: PathBuf,
    /// Folder with pvapconfig, or with pvtools, which is then called so [default: that of this program]
    #[arg(long, value_name = "DIR")]
    tools: Option<PathBuf>,
    /// Run this row alone; may be given several times
    #[arg(long, value_name = "ID")]
    row: Vec<String>,
    /// Which expectation of each row holds
    #[arg(long, value_enum, default_value_t = Expect::Ideal)]
    expect: Expect,
    /// Run the rows one after the other in a guest that this s390x kernel boots; --tools is the folder with pvtools for
    /// s390x. Times are not compared there, and what only a simulated kernel can do is left out
    #[arg(long, value_name = "KERNEL", requires = "tools")]
    in_kernel: Option<PathBuf>,
    #[command(flatten)]
    guest: Box<GuestArguments>,
    /// Print what the program says, and its writes
    #[arg(short, long)]
    verbose: bool,
}

/// Which of its expectations a row is compared with.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Expect {
    /// What is best
    Ideal,
    /// What s390-tools 2.43.0 does
    Reference,
}

impl From<Expect> for scenario::Expect {
    fn from(expect: Expect) -> Self {
        match expect {
            Expect::Ideal => Self::Ideal,
            Expect::Reference => Self::Reference,
        }
    }
}

/// Reads a list.
pub(crate) fn read(file: &Path) -> anyhow::Result<List> {
    let named = || format!("'{}'", file.display());
    let text = fs::read_to_string(file).with_context(named)?;
    List::parse(&text).with_context(named)
}

/// Runs a list; success if all rows end as they should.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let list = read(&arguments.file)?;
    let rows: Vec<_> = match arguments.row.as_slice() {
        [] => list.rows().iter().collect(),
        ids => ids.iter().map(|id| list.row(id)).collect::<Result<_, _>>()?,
    };
    if let Some(kernel) = &arguments.in_kernel {
        return in_kernel(&list, &rows, kernel, arguments);
    }
    let program = match &arguments.tools {
        Some(folder) => Program::in_folder(folder)?,
        None => Program::in_folder(std::env::current_exe()?.parent().unwrap_or(Path::new("/")))?,
    };
    let next = AtomicUsize::new(0);
    let (sender, results) = mpsc::channel();
    let good = thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(rows.len()) {
            let sender = sender.clone();
            let (list, rows, program, next) = (&list, &rows, &program, &next);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    let Some(row) = rows.get(at) else { break };
                    // Nobody listens any more after an error.
                    if sender.send((at, tell(list, row, program, arguments))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        print_in_order(results)
    })?;
    writeln!(io::stdout(), "{good} of {} as expected", rows.len())?;
    Ok(if good == rows.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs rows in one booted guest.
fn in_kernel(list: &List, rows: &[&Row], kernel: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir().context("cannot make a folder for the machine")?;
    let dir = folder.path().join("machine");
    Machine::init(&dir, Some("queues: {}"))?;
    let mut guest = (*arguments.guest).clone();
    guest.add.extend(arguments.tools.iter().map(|tools| tools.join("pvtools")));
    let (good, left_out) = boot::in_kernel(&dir, kernel, &guest, |agent, _| {
        let machine = Machine::open(&dir)?;
        let (mut good, mut left_out) = (0, 0);
        for row in rows {
            let named = || format!("row '{}'", row.id);
            match scenario::run_in_kernel(list, row, &machine, agent).with_context(named)? {
                InKernel::CannotBe(why) => {
                    left_out += 1;
                    writeln!(io::stdout(), "{}  left out     {}: {why}", row.id, row.title)?;
                }
                InKernel::Ran(outcome) => {
                    let (as_expected, text) = told(row, &outcome, arguments)?;
                    good += usize::from(as_expected);
                    write!(io::stdout(), "{text}")?;
                }
            }
        }
        Ok((good, left_out))
    })?;
    writeln!(io::stdout(), "{good} of {} as expected, {left_out} left out", rows.len() - left_out)?;
    Ok(if good + left_out == rows.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is to be said about a row, and whether it ended as it should.
type Told = anyhow::Result<(bool, String)>;

/// Prints the rows as they stand in the file. Gives how many are good.
fn print_in_order(results: mpsc::Receiver<(usize, Told)>) -> anyhow::Result<usize> {
    let mut waiting = BTreeMap::new();
    let (mut next, mut good) = (0, 0);
    for (at, told) in results {
        waiting.insert(at, told?);
        while let Some((as_expected, text)) = waiting.remove(&next) {
            write!(io::stdout(), "{text}").context("cannot write to standard output")?;
            next += 1;
            good += usize::from(as_expected);
        }
    }
    Ok(good)
}

fn tell(list: &List, row: &Row, program: &Program, arguments: &Arguments) -> Told {
    let outcome = scenario::run(list, row, program, crate::run::report).with_context(|| format!("row '{}'", row.id))?;
    told(row, &outcome, arguments)
}

fn told(row: &Row, outcome: &Outcome, arguments: &Arguments) -> Told {
    let differences = scenario::differences(outcome, row.expectation(arguments.expect.into())?);
    let took = format!("{} ms", outcome.took.as_millis());
    let verdict = if differences.is_empty() { "as expected" } else { "differs" };
    let mut text = format!("{}  {verdict:<11}  {took:>9}  {}\n", row.id, row.title);
    // Writing to a String cannot fail.
    for difference in &differences {
        let _ = writeln!(text, "      {difference}");
    }
    if arguments.verbose {
        let lines =
            |name: &str, lines: &str| lines.lines().map(|line| format!("      {name}  {line}\n")).collect::<String>();
        text += &lines("stdout", &outcome.stdout);
        text += &lines("stderr", &outcome.stderr);
        for write in &outcome.writes {
            let _ = writeln!(text, "      {:>6} ms  {:?} > {}: {}", write.ms, write.text, write.path, write.result);
        }
    }
    Ok((differences.is_empty(), text))
}

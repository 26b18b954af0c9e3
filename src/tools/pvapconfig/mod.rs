//! `pvapconfig`: gives a Secure Execution guest the Crypto Express queues that its configuration file asks for.

mod check;
mod guest;
mod json;
mod lock;
mod reporter;
mod status;

use crate::shared::cli::{self, Format};
use crate::shared::clock::Monotonic;
use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::shared::system::System;
use anyhow::anyhow;
use apbus::{Bus, Event, Executor, Report, Task, Wanted};
use clap::builder::OsStringValueParser;
use clap::{CommandFactory, Parser};
use lock::Lock;
use reporter::{Reporter, Style};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use uvtypes::text::shown;

/// Exit code for a wrong command line.
const USAGE_STATUS: UsageStatus = UsageStatus::Own;
/// Where the configuration is unless said.
const DEFAULT_CONFIG: &str = "/etc/pvapconfig.yaml";

/// Configure the Crypto Express queues of a Secure Execution guest
///
/// Reads the entries of a configuration file, finds the best assignment of the guest's accelerator and EP11 queues to
/// them, and binds and associates these. Queues that serve an entry already are left alone; bound ones that no entry
/// wants are unbound. Needs root.
///
/// Exit status: 0 if at least one entry has its queue (with '--strict' all of them), 1 if not or if a step failed
/// that nothing made up for, 2 for a wrong command line.
#[derive(Parser)]
#[command(name = "pvapconfig", disable_version_flag = true)]
struct Arguments {
    /// Configuration file [default: /etc/pvapconfig.yaml]
    #[arg(short, long, value_name = "FILE", value_parser = OsStringValueParser::new(), conflicts_with = "unbind")]
    config: Option<OsString>,
    /// Configuration file
    #[arg(id = "positional_config", value_name = "CONFIG", conflicts_with_all = ["config", "unbind"])]
    positional_config: Option<PathBuf>,
    /// Print what would be done, one action in each line, and leave every queue as it is
    ///
    /// Unbound EP11 queues do not tell their master key. Those that may be needed are bound to read it, and unbound
    /// again.
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Fail unless every entry has its queue
    #[arg(short, long, conflicts_with = "unbind")]
    strict: bool,
    /// Unbind all queues
    #[arg(long)]
    unbind: bool,
    /// Print the state of every queue, and which entry it serves; writes nothing and needs no configuration file
    #[arg(long, conflicts_with_all = ["dry_run", "strict", "unbind", "check"])]
    status: bool,
    /// Only check the configuration file, on any machine
    #[arg(long, conflicts_with_all = ["dry_run", "strict", "unbind"])]
    check: bool,
    /// Form of what is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Say what is done
    #[arg(short, long)]
    verbose: bool,
    /// Print the version
    #[arg(short = 'V', long)]
    version: bool,
}

pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

pub(crate) fn run(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    cli::run(args, USAGE_STATUS, system, |args: Arguments, system| {
        if args.version {
            return cli::print_version::<Arguments>(system).map(|()| Outcome::Done);
        }
        if args.check {
            return check::run(&args, system);
        }
        let outcome =
            if args.status { status::run(&args, system).map(|()| Outcome::Done) } else { configure(&args, system) };
        if let (Err(Failure::Failed(error)), Format::Json) = (&outcome, args.format) {
            // Whoever reads the object learns the end from it, too.
            let object = serde_json::json!({ "status": 1, "error": format!("{error:#}") });
            system.print_json(&format!("{object:#}\n"))?;
        }
        outcome
    })
}

impl Arguments {
    fn config(&self) -> &Path {
        let given = self.config.as_deref().map(Path::new).or(self.positional_config.as_deref());
        given.unwrap_or(Path::new(DEFAULT_CONFIG))
    }

    fn style(&self, system: &System) -> Style {
        let Self { format, verbose, dry_run, .. } = *self;
        Style { format, verbose, dry_run, shows_waits: system.stderr_is_terminal }
    }
}

fn configure(args: &Arguments, system: &mut System) -> Result<Outcome, Failure> {
    let mut reporter = Reporter::new(args.style(system), &mut system.stdout, &mut system.stderr);
    reporter.verbose("Checking AP bus support and facilities...");
    let bus = Bus::open(&system.root.join("sys"))?;
    bus.check_secure_binding()?;
    reporter.verbose("AP bus support and facilities are ok.");
    reporter.verbose("Checking UV support and environment...");
    guest::check(&system.root)?;
    reporter.verbose("UV support and environment is ok.");
    if args.unbind {
        let _lock = Lock::take(&system.root)?;
        return execute(args, &bus, None, &mut reporter);
    }

    let path = shown(&args.config().to_string_lossy());
    reporter.verbose(&format!("Reading AP configuration entries from file '{path}'..."));
    let config = match check::read(args.config()) {
        Ok(config) => config,
        Err(mut problems) => {
            let last = problems.pop().unwrap_or_default();
            problems.iter().for_each(|problem| reporter.complaint(&format!("error: {problem}")));
            return Err(anyhow!(last).into());
        }
    };
    config.warnings.iter().for_each(|warning| reporter.warning(&format!("Warning: {warning}")));
    reporter.verbose(&format!("Found {} AP configuration entries.", config.entries.len()));
    if config.entries.is_empty() {
        reporter.notice(&format!("No AP configuration entries in config file '{path}': Nothing to do."));
        reporter.finish_without_work()?;
        return Ok(Outcome::Done);
    }
    reporter.entries.clone_from(&config.entries);
    let _lock = Lock::take(&system.root)?;
    reporter.verbose("Fetching list of secrets from UV...");
    let secrets = guest::association_secrets(&system.uv, &mut reporter)?;
    reporter.verbose(&format!("Fetched {} Secret entries from UV.", secrets.len()));
    if secrets.is_empty() && config.entries.iter().any(|entry| matches!(entry.wanted, Wanted::Ep11 { .. })) {
        reporter.notice("Warning: No UV Secrets given but at least one AP config entry requires a Secret.");
    }
    execute(args, &bus, Some(Task { entries: &config.entries, secrets: &secrets }), &mut reporter)
}

/// Does what the task asks for; without one, unbinds everything.
fn execute(
    args: &Arguments,
    bus: &Bus,
    task: Option<Task<'_>>,
    reporter: &mut Reporter<'_>,
) -> Result<Outcome, Failure> {
    let clock = Monotonic::start();
    reporter.verbose("Waiting for AP bus bindings complete...");
    guest::wait_for_bindings(bus, &clock, reporter)?;
    reporter.verbose(if task.is_some() { "Applying AP configuration..." } else { "Unbinding all APQNs..." });
    let report = {
        let mut watch = |event: Event<'_>| reporter.on_event(&event);
        let executor = Executor::new(bus, &clock, &mut watch);
        match (task, args.dry_run) {
            (None, dry_run) => executor.unbind_all(dry_run)?,
            (Some(task), true) => executor.dry_run(task)?,
            (Some(task), false) => executor.apply(task)?,
        }
    };
    let verdict = verdict(args, task.map_or(0, |task| task.entries.len()), &report);
    reporter.finish(&report, &verdict)?;
    Ok(verdict.outcome)
}

/// The end of a run.
struct Verdict {
    outcome: Outcome,
    /// Why it failed, or how it went.
    line: Option<String>,
}

fn verdict(args: &Arguments, entries: usize, report: &Report) -> Verdict {
    let satisfied = report.satisfied();
    let failed = report.lasting_failures().count();
    let applied = if args.dry_run { "could be applied" } else { "have been applied" };
    let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let (outcome, line) = if report.unseen > 0 && (satisfied == 0 || args.strict) {
        // What a run would come to is not known.
        (Outcome::Done, None)
    } else if entries > 0 && satisfied == 0 {
        (Outcome::Failed, Some(format!("None out of {entries} AP config entries could be applied.")))
    } else if args.strict && satisfied < entries {
        let line = format!("Strict flag given and only {satisfied} out of {entries} AP config entries {applied}.");
        (Outcome::Failed, Some(line))
    } else if failed > 0 && entries > 0 {
        let failures = plural(failed, "failure");
        (Outcome::Failed, Some(format!("{satisfied} out of {entries} AP config entries {applied}; {failures}.")))
    } else if failed > 0 {
        (Outcome::Failed, Some(format!("{} could not be unbound.", plural(failed, "APQN"))))
    } else if entries > 0 {
        (Outcome::Done, Some(format!("Successfully applied {satisfied} out of {entries} AP config entries.")))
    } else if report.unreadable > 0 {
        (
            Outcome::Failed,
            Some(format!("{} could not be read, and may be bound.", plural(report.unreadable, "card or queue"))),
        )
    } else {
        (Outcome::Done, None)
    };
    Verdict { outcome, line }
}

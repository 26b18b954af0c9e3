//! `chzcrypt`: binds, unbinds and associates queues by hand, takes devices offline, sets what holds for the bus.

mod settings;

use crate::shared::cli;
use crate::shared::clock::Monotonic;
use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::shared::system::System;
use anyhow::{Error, Result, anyhow, bail};
use apbus::{Apqn, Bus, Mode, Operator, State};
use clap::{ArgGroup, CommandFactory, Parser};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use uvtypes::text::escaped;

/// Exit code for a wrong command line, as for all other errors.
const USAGE_STATUS: UsageStatus = UsageStatus::AsFailure;

/// Change Crypto Express devices: online, configured, bound, associated; and the AP bus
///
/// Waits until it is done: up to 30 seconds for an association. Needs root. Underscores in the names of options count
/// as hyphens. All devices are looked for before anything is changed; a device that refuses does not keep the others
/// from being changed.
#[derive(Parser)]
#[command(
    name = "chzcrypt",
    disable_version_flag = true,
    override_usage = "chzcrypt [-V] <--se-bind|--se-unbind> QUEUE...\n       \
                      chzcrypt [-V] --se-associate INDEX QUEUE\n       \
                      chzcrypt [-V] <-e|-d|--config-on|--config-off> <-a|DEVICE...>\n       \
                      chzcrypt [-V] <-p|-n|-c TIMEOUT|-t TIMEOUT|-q DOMAIN>",
    group(ArgGroup::new("action").args([
        "se_bind", "se_unbind", "se_associate", "version", "enable", "disable", "config_on", "config_off",
        "poll_thread_enable", "poll_thread_disable", "config_time", "poll_timeout", "default_domain",
    ]))
)]
struct Arguments {
    /// Bind the queues to this guest
    #[arg(long)]
    se_bind: bool,
    /// Unbind the queues, which resets them
    #[arg(long)]
    se_unbind: bool,
    /// Associate a bound EP11 queue with the association secret of this index, as 'pvsecret list' prints it
    #[arg(long)]
    se_associate: bool,
    #[command(flatten)]
    settings: settings::Settings,
    /// Queues such as 28.0014, or cards such as 28; with '--se-associate', the index of the secret comes first
    #[arg(value_name = "DEVICE")]
    operands: Vec<String>,
    /// Say what was done
    #[arg(short = 'V', long)]
    verbose: bool,
    /// Print the version
    #[arg(short = 'v', long)]
    version: bool,
}

pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

pub(crate) fn run(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    let args: Vec<_> = args.iter().map(|arg| with_hyphens(arg)).collect();
    cli::run(&args, USAGE_STATUS, system, |args: Arguments, system| {
        if args.version {
            return cli::print_version::<Arguments>(system).map(|()| Outcome::Done);
        }
        let setting = args.settings.action();
        let Some(option) = args.action().or(setting.as_ref().map(|_| "")) else {
            return refuse(system, &anyhow!("missing argument.\nTry 'chzcrypt --help' for more information."));
        };
        let Ok(bus) = Bus::open(&system.root.join("sys")) else {
            system.eprint("chzcrypt: Crypto device driver not available.\n");
            return Ok(Outcome::Failed);
        };
        if let Some(setting) = setting {
            return settings::run(&bus, setting, &args.operands, args.verbose, system);
        }
        match args.check(option, &bus) {
            Ok((action, queues)) => change(&bus, action, &queues, args.verbose, system),
            Err(error) => refuse(system, &error),
        }
    })
}

fn refuse(system: &mut System, error: &Error) -> Result<Outcome, Failure> {
    complain(system, error);
    Ok(Outcome::Failed)
}

fn complain(system: &mut System, error: &Error) {
    system.eprint(&format!("chzcrypt: Error - {}\n", escaped(&error.to_string())));
}

/// `--se_bind` is `--se-bind`. What stands behind `=` stays.
fn with_hyphens(arg: &OsStr) -> OsString {
    let bytes = arg.as_bytes();
    if !bytes.starts_with(b"--") {
        return arg.to_owned();
    }
    let name = bytes.iter().position(|byte| *byte == b'=').unwrap_or(bytes.len());
    let replaced = |(at, byte): (usize, &u8)| if at < name && *byte == b'_' { b'-' } else { *byte };
    OsString::from_vec(bytes.iter().enumerate().map(replaced).collect())
}

/// What is to be done.
#[derive(Clone, Copy)]
enum Action {
    Bind,
    Unbind,
    Associate(u16),
}

impl Arguments {
    /// The option that says what is to be done.
    fn action(&self) -> Option<&'static str> {
        let options =
            [(self.se_bind, "--se-bind"), (self.se_unbind, "--se-unbind"), (self.se_associate, "--se-associate")];
        options.into_iter().find(|(given, _)| *given).map(|(_, option)| option)
    }

    /// What is to be done with which queues. Nothing is done to any of them before all are known to be there.
    fn check(&self, option: &str, bus: &Bus) -> Result<(Action, Vec<Apqn>)> {
        let (index, queues) = match self.operands.split_first() {
            Some((index, queues)) if self.se_associate => (Some(index), queues),
            // IBM's books print "--se-unbind 0 28.0014".
            Some((zero, queues)) if self.se_unbind && zero == "0" && !queues.is_empty() => (None, queues),
            _ => (None, self.operands.as_slice()),
        };
        if queues.is_empty() {
            bail!("The {option} needs a queue device given.");
        }
        bus.check_secure_binding().map_err(|error| match error {
            apbus::Error::NoSecureBinding { .. } => anyhow!("AP bus: SE bind support is not available."),
            error => anyhow!("{}.", error.chain()),
        })?;
        if self.se_associate && queues.len() > 1 {
            bail!("A secret is for one queue of a card: --se-associate takes one queue device.");
        }
        let queues = queues.iter().map(|text| queue_device(text, bus)).collect::<Result<_>>()?;
        let action = match index {
            Some(text) => Action::Associate(index_of(text)?),
            None if self.se_bind => Action::Bind,
            None => Action::Unbind,
        };
        Ok((action, queues))
    }
}

fn queue_device(text: &str, bus: &Bus) -> Result<Apqn> {
    let Ok(apqn) = text.parse::<Apqn>() else { bail!("Can't parse queue device '{text}' as xy.abcd.") };
    if !bus.queue_folder(apqn).is_dir() {
        bail!("Queue device {apqn} does not exist.");
    }
    Ok(apqn)
}

/// Does it to every queue, also behind one that refuses, and when nobody can read on standard output what was done.
fn change(bus: &Bus, action: Action, queues: &[Apqn], verbose: bool, system: &mut System) -> Result<Outcome, Failure> {
    let clock = Monotonic::start();
    let operator = Operator::new(bus, &clock, &|_| {});
    let (mut outcome, mut printed) = (Outcome::Done, Ok(()));
    for &apqn in queues {
        match change_one(&operator, apqn, action) {
            Ok(done) if verbose && printed.is_ok() => {
                printed = system.print(&format!("{}\n", escaped(&done.to_string())))
            }
            Ok(_) => {}
            Err(error) => {
                complain(system, &error);
                outcome = Outcome::Failed;
            }
        }
    }
    match printed {
        // A reader who has gone away does not turn a failure into a success.
        Ok(()) | Err(Failure::BrokenPipe) => Ok(outcome),
        Err(failure) => Err(failure),
    }
}

/// Gives the sentence that says it was done.
fn change_one(operator: &Operator<'_>, apqn: Apqn, action: Action) -> Result<String> {
    let bus = operator.bus();
    let failure =
        |doing: &str, error: &apbus::Error| anyhow!("Failure {doing} queue device {apqn} ({}).", error.chain());
    let needs = |name: &str, wanted: &str| match bus.queue_attribute(apqn, name) {
        Ok(found) if found == wanted => Ok(()),
        Ok(found) => Err(anyhow!("Queue device {apqn} is NOT in '{wanted}' state (state '{found}' found).")),
        Err(error) => Err(failure("reading", &error)),
    };
    match action {
        Action::Bind => {
            needs("se_bind", "unbound")?;
            operator.bind(apqn, mode(bus, apqn)).map_err(|error| failure("binding", &error))?;
            Ok(format!("Queue device {apqn} successful bound."))
        }
        Action::Unbind => match operator.unbind(apqn, mode(bus, apqn)) {
            Ok(State::Illicit) => bail!("Queue device {apqn} is illicit: this guest may not use it."),
            Ok(State::Gone) => bail!("Queue device {apqn} has been taken away by the host."),
            Ok(_) => Ok(format!("Queue device {apqn} successful unbound.")),
            Err(error) => Err(failure("unbinding", &error)),
        },
        Action::Associate(index) => {
            needs("se_associate", "unassociated")?;
            if bus.state(apqn, Mode::Ep11).is_ok_and(|state| state == State::Unbound) {
                bail!("Queue device {apqn} must be bound before it can be associated.");
            }
            operator.associate(apqn, index).map_err(|error| failure("associating", &error))?;
            Ok(format!("Queue device {apqn} successful associated with index {index}."))
        }
    }
}

/// A queue that cannot be associated is an accelerator, as far as binding is concerned.
fn mode(bus: &Bus, apqn: Apqn) -> Mode {
    match bus.queue_attribute(apqn, "se_associate") {
        Ok(text) if text == "-" => Mode::Accelerator,
        _ => Mode::Ep11,
    }
}

fn index_of(text: &str) -> Result<u16> {
    let index = settings::number(&text.to_ascii_lowercase());
    let Some(index) = index else { bail!("Can't parse association index '{text}' as number.") };
    u16::try_from(index).map_err(|_| anyhow!("Association index needs to be in range [0...65535]."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_indices_in_three_bases() {
        let rows = [("0", Some(0)), ("10", Some(10)), ("0x10", Some(16)), ("010", Some(8)), ("65535", Some(65535))];
        for (text, index) in rows {
            assert_eq!(index_of(text).ok(), index, "{text}");
        }
        for wrong in ["", "abc", "0x", "08", "-1", "+1", "0x+1", "0+1", "65536", "1 "] {
            assert!(index_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn takes_underscores_for_hyphens_in_names_of_options_alone() {
        for (given, wanted) in [("--se_bind", "--se-bind"), ("se_bind", "se_bind"), ("--x_y=a_b", "--x-y=a_b")] {
            assert_eq!(with_hyphens(OsStr::new(given)), wanted);
        }
    }
}

//! `chzcrypt`: binds, unbinds and associates queues by hand.

use crate::cli;
use crate::clock::Monotonic;
use crate::error::{Failure, Outcome};
use crate::system::System;
use apbus::{Apqn, Bus, Error, Mode, Operator, State};
use clap::{ArgGroup, CommandFactory, Parser};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Exit code for a wrong command line, as for all other errors.
const USAGE_STATUS: u8 = 1;

/// Bind, unbind or associate Crypto Express queues of a Secure Execution guest
///
/// Waits until it is done: up to 30 seconds for an association. Needs root. Underscores in the names of options count as
/// hyphens. Everything else that the chzcrypt of s390-tools can do is not for guests like this and not here.
#[derive(Parser)]
#[command(
    name = "chzcrypt",
    disable_version_flag = true,
    override_usage = "chzcrypt [-V] <--se-bind|--se-unbind> QUEUE...\n       chzcrypt [-V] --se-associate INDEX QUEUE",
    group(ArgGroup::new("action").args(["se_bind", "se_unbind", "se_associate", "version"]))
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
    /// Queues such as 28.0014; with '--se-associate', the index of the secret comes first
    #[arg(value_name = "QUEUE")]
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
    let args = match cli::parse::<Arguments>(&args, USAGE_STATUS, system) {
        Ok(args) => args,
        Err(ended) => return ended,
    };
    if args.version {
        return cli::print_version::<Arguments>(system).map(|()| Outcome::Done);
    }
    let outcome = change(&args, system);
    if let Err(line) = outcome {
        system.complain(&format!("chzcrypt: {line}\n"));
        return Ok(Outcome::Status(1));
    }
    Ok(Outcome::Done)
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

fn change(args: &Arguments, system: &mut System) -> Result<(), String> {
    let name = match (args.se_bind, args.se_unbind, args.se_associate) {
        (true, _, _) => "--se-bind",
        (_, true, _) => "--se-unbind",
        (_, _, true) => "--se-associate",
        _ => return Err("Error - missing argument.\nTry 'chzcrypt --help' for more information.".to_owned()),
    };
    let bus = Bus::open(&system.root.join("sys")).map_err(|_| "Crypto device driver not available.".to_owned())?;
    let no_queue = || format!("Error - The {name} needs a queue device given.");
    let (action, queues) = match (args.operands.as_slice(), args.se_associate) {
        ([], _) | ([_], true) => return Err(no_queue()),
        ([index, queues @ ..], true) => (None.or_else(|| index_of(index)).map(Action::Associate), queues),
        // IBM's books print "--se-unbind 0 28.0014".
        ([zero, queues @ ..], false) if args.se_unbind && zero == "0" && !queues.is_empty() => {
            (Some(Action::Unbind), queues)
        }
        (queues, false) => (Some(if args.se_bind { Action::Bind } else { Action::Unbind }), queues),
    };
    bus.check_secure_binding().map_err(|error| match error {
        Error::NoSecureBinding { .. } => "Error - AP bus: SE bind support is not available.".to_owned(),
        error => format!("Error - {error}."),
    })?;
    if queues.len() > 1 && args.se_associate {
        return Err("Error - A secret is for one queue of a card: --se-associate takes one queue device.".to_owned());
    }
    let mut named = Vec::new();
    for queue in queues {
        named.push(queue_device(queue, &bus)?);
    }
    let Some(action) = action else {
        let index = &args.operands[0];
        return Err(match parse_index(index) {
            Some(_) => "Error - Association index needs to be in range [0...65535].".to_owned(),
            None => format!("Error - Can't parse association index '{index}' as number."),
        });
    };
    let clock = Monotonic::start();
    let operator = Operator::new(&bus, &clock, &|_| {});
    for apqn in named {
        let done = one(&operator, &bus, apqn, action)?;
        if args.verbose {
            system.print(&format!("{done}\n")).map_err(|_| "Error - Can't write to standard output.".to_owned())?;
        }
    }
    Ok(())
}

fn queue_device(text: &str, bus: &Bus) -> Result<Apqn, String> {
    let apqn: Apqn = text.parse().map_err(|_| format!("Error - Can't parse queue device '{text}' as xy.abcd."))?;
    if bus.queue_folder(apqn).is_dir() { Ok(apqn) } else { Err(format!("Error - Queue device {apqn} does not exist.")) }
}

fn one(operator: &Operator<'_>, bus: &Bus, apqn: Apqn, action: Action) -> Result<String, String> {
    let failure = |doing: &str, error: &Error| {
        let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
        format!("Error - Failure {doing} queue device {apqn} ({error}{source}).")
    };
    let needs = |name: &str, wanted: &str| match bus.queue_attribute(apqn, name) {
        Ok(found) if found == wanted => Ok(()),
        Ok(found) => Err(format!("Error - Queue device {apqn} is NOT in '{wanted}' state (state '{found}' found).")),
        Err(error) => Err(failure("reading", &error)),
    };
    match action {
        Action::Bind => {
            needs("se_bind", "unbound")?;
            operator.bind(apqn, mode(bus, apqn)).map_err(|error| failure("binding", &error))?;
            Ok(format!("Queue device {apqn} successful bound."))
        }
        Action::Unbind => {
            operator.unbind(apqn, mode(bus, apqn)).map_err(|error| failure("unbinding", &error))?;
            Ok(format!("Queue device {apqn} successful unbound."))
        }
        Action::Associate(index) => {
            needs("se_associate", "unassociated")?;
            if bus.state(apqn, Mode::Ep11).is_ok_and(|state| state == State::Unbound) {
                return Err(format!("Error - Queue device {apqn} must be bound before it can be associated."));
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

fn index_of(text: &str) -> Option<u16> {
    parse_index(text).and_then(|index| index.try_into().ok())
}

/// Decimal, hexadecimal behind `0x`, octal behind `0`.
fn parse_index(text: &str) -> Option<u64> {
    let digits = text.to_ascii_lowercase();
    let parsed = match (digits.strip_prefix("0x"), digits.strip_prefix('0')) {
        (Some(hex), _) => u64::from_str_radix(hex, 16),
        (None, Some(octal)) if !octal.is_empty() => u64::from_str_radix(octal, 8),
        _ => digits.parse(),
    };
    parsed.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_indices_in_three_bases() {
        let rows = [("0", Some(0)), ("10", Some(10)), ("0x10", Some(16)), ("010", Some(8)), ("65535", Some(65535))];
        for (text, index) in rows {
            assert_eq!(index_of(text), index, "{text}");
        }
        for wrong in ["", "abc", "0x", "08", "-1", "65536", "1 "] {
            assert_eq!(index_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn takes_underscores_for_hyphens_in_names_of_options_alone() {
        for (given, wanted) in [("--se_bind", "--se-bind"), ("se_bind", "se_bind"), ("--x_y=a_b", "--x-y=a_b")] {
            assert_eq!(with_hyphens(OsStr::new(given)), wanted);
        }
    }
}

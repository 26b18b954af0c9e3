//! `pvattest`: is the guest the one it claims to be?

mod check;
mod create;
#[cfg(feature = "network")]
mod firmware;
mod perform;
mod report;
mod verify;

use crate::shared::cli::{self, Verbosity};
use crate::shared::error::{Failure, Outcome};
use crate::shared::input;
use crate::shared::system::System;
use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::path::Path;
use uvrequest::attest::Exchange;
use uvtypes::limits::{ADDITIONAL_MAX, ARCB_MAX, MEASUREMENT_MAX};

/// Exit code for a wrong command line: the same as for any failure.
const USAGE_STATUS: u8 = 1;
/// Exit code for a guest that is not what it should be.
const NOT_AS_EXPECTED: u8 = 2;
/// All parts of an exchange file at their largest.
const MAX_EXCHANGE: usize = ARCB_MAX + MEASUREMENT_MAX + ADDITIONAL_MAX + 4096;

/// Attest an IBM Secure Execution guest
#[derive(Parser)]
#[command(name = "pvattest", subcommand_required = true, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    verbosity: Verbosity,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Create(create::Arguments),
    Perform(perform::Arguments),
    Verify(verify::Arguments),
    Check(Box<check::Arguments>),
    /// Print the version
    #[command(long_flag = "version", hide = true)]
    Version,
}

pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

pub(crate) fn run(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    let args = match cli::parse::<Arguments>(args, USAGE_STATUS, system) {
        Ok(args) => args,
        Err(ended) => return ended,
    };
    args.verbosity.apply(system);
    match args.command {
        Command::Create(args) => create::run(&args, system).map(|()| Outcome::Done),
        Command::Perform(args) => perform::run(&args, system).map(|()| Outcome::Done),
        Command::Verify(args) => verify::run(&args, system),
        Command::Check(args) => check::run(&args, system),
        Command::Version => cli::print_version::<Arguments>(system).map(|()| Outcome::Done),
    }
}

fn usage_error(subcommand: &str, message: &str) -> Failure {
    cli::usage_error::<Arguments>(USAGE_STATUS, subcommand, message)
}

/// Reads a request or response.
fn load_exchange(path: &Path, system: &mut System) -> anyhow::Result<Exchange> {
    let bytes = input::read_or_stdin(path, MAX_EXCHANGE, "attestation exchange file", system)?;
    Exchange::parse(&bytes).with_context(|| format!("Cannot use '{}'", path.display()))
}

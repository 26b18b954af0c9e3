//! `pvattest`: is the guest the one it claims to be?

#[cfg(feature = "workstation")]
mod check;
#[cfg(feature = "workstation")]
mod create;
#[cfg(feature = "network")]
mod firmware;
mod perform;
#[cfg(feature = "workstation")]
mod report;
#[cfg(feature = "workstation")]
mod verify;

use crate::shared::cli::{self, Verbosity};
use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::shared::input;
use crate::shared::system::System;
use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::path::Path;
use uvrequest::attest::Exchange;
use uvtypes::limits::{ADDITIONAL_MAX, ARCB_MAX, MEASUREMENT_MAX};

/// Exit code for a wrong command line: the same as for any failure.
const USAGE_STATUS: UsageStatus = UsageStatus::AsFailure;
/// All parts of an exchange file at their largest.
const MAX_EXCHANGE: usize = ARCB_MAX + MEASUREMENT_MAX + ADDITIONAL_MAX + 4096;

/// Attest an IBM Secure Execution guest
#[derive(Parser)]
#[command(name = "pvattest", subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = cli::VERSION_HELP)]
struct Arguments {
    #[command(flatten)]
    verbosity: Verbosity,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[cfg(feature = "workstation")]
    Create(create::Arguments),
    /// Not in this program: it was built without OpenSSL
    #[cfg(not(feature = "workstation"))]
    Create(cli::Absent),
    Perform(perform::Arguments),
    #[cfg(feature = "workstation")]
    Verify(verify::Arguments),
    /// Not in this program: it was built without OpenSSL
    #[cfg(not(feature = "workstation"))]
    Verify(cli::Absent),
    #[cfg(feature = "workstation")]
    Check(Box<check::Arguments>),
    /// Not in this program: it was built without OpenSSL
    #[cfg(not(feature = "workstation"))]
    Check(cli::Absent),
    /// Print the version
    #[command(long_flag = "version", hide = true)]
    Version,
}

pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

pub(crate) fn run(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    cli::run(args, USAGE_STATUS, system, |args: Arguments, system| {
        args.verbosity.apply(system);
        match args.command {
            #[cfg(feature = "workstation")]
            Command::Create(args) => create::run(&args, system).map(|()| Outcome::Done),
            #[cfg(not(feature = "workstation"))]
            Command::Create(args) => args.refuse("pvattest create"),
            Command::Perform(args) => perform::run(&args, system).map(|()| Outcome::Done),
            #[cfg(feature = "workstation")]
            Command::Verify(args) => verify::run(&args, system),
            #[cfg(not(feature = "workstation"))]
            Command::Verify(args) => args.refuse("pvattest verify"),
            #[cfg(feature = "workstation")]
            Command::Check(args) => check::run(&args, system),
            #[cfg(not(feature = "workstation"))]
            Command::Check(args) => args.refuse("pvattest check"),
            Command::Version => cli::print_version::<Arguments>(system).map(|()| Outcome::Done),
        }
    })
}

fn usage_error(subcommand: &str, message: &str) -> Failure {
    cli::usage_error::<Arguments>(USAGE_STATUS, subcommand, message)
}

/// Reads a request or response.
fn load_exchange(path: &Path, system: &mut System) -> anyhow::Result<Exchange> {
    let bytes = input::read_or_stdin(path, MAX_EXCHANGE, "attestation exchange file", system)?;
    Exchange::parse(&bytes).with_context(|| format!("Cannot use '{}'", path.display()))
}

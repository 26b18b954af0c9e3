//! `pvsecret`: secrets for a Secure Execution guest, from the workstation into the guest.

mod add;
#[cfg(feature = "workstation")]
mod create;
#[cfg(feature = "workstation")]
mod cuid;
mod identity;
mod list;
mod lock;
#[cfg(feature = "workstation")]
mod outputs;
mod retrieve;
#[cfg(feature = "workstation")]
mod verify;

#[cfg(feature = "workstation")]
pub(crate) use verify::load_user_certificate;

use crate::shared::cli::{self, Verbosity};
use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::shared::system::System;
use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use uvtypes::SecretId;

/// Exit code for a wrong command line: the same as for any failure.
const USAGE_STATUS: UsageStatus = UsageStatus::AsFailure;

/// Manage secrets of an IBM Secure Execution guest
#[derive(Parser)]
#[command(name = "pvsecret", subcommand_required = true, arg_required_else_help = true)]
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
    Create(Box<create::Arguments>),
    /// Not in this program: it was built without OpenSSL
    #[cfg(not(feature = "workstation"))]
    Create(cli::Absent),
    Add(add::Arguments),
    Lock(lock::Arguments),
    List(list::Arguments),
    #[cfg(feature = "workstation")]
    Verify(verify::Arguments),
    /// Not in this program: it was built without OpenSSL
    #[cfg(not(feature = "workstation"))]
    Verify(cli::Absent),
    #[command(alias = "retr")]
    Retrieve(retrieve::Arguments),
    /// Print the version
    #[command(long_flag = "version", hide = true)]
    Version,
}

/// An id as s390-tools writes it, and as it alone takes it from people: with `0x` in front.
fn stored_id(text: &str) -> anyhow::Result<SecretId> {
    let id = text.strip_prefix("0x").and_then(|digits| digits.parse().ok());
    // Two prefixes are one too many.
    let id = id.filter(|_| text.len() == 66);
    id.context("is not a secret id: that is 0x and 64 hex digits")
}

pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

pub(crate) fn run(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    cli::run(args, USAGE_STATUS, system, |args: Arguments, system| {
        args.verbosity.apply(system);
        match args.command {
            #[cfg(feature = "workstation")]
            Command::Create(args) => create::run(&args, system),
            #[cfg(not(feature = "workstation"))]
            Command::Create(args) => args.refuse("pvsecret create"),
            Command::Add(args) => add::run(&args, system),
            Command::Lock(_) => lock::run(system),
            Command::List(args) => list::run(&args, system),
            #[cfg(feature = "workstation")]
            Command::Verify(args) => verify::run(&args, system),
            #[cfg(not(feature = "workstation"))]
            Command::Verify(args) => args.refuse("pvsecret verify"),
            Command::Retrieve(args) => retrieve::run(&args, system),
            Command::Version => cli::print_version::<Arguments>(system),
        }?;
        Ok(Outcome::Done)
    })
}

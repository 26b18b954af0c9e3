//! `pvimg`: Secure Execution images, made on any machine, looked into, checked, taken apart. `genprotimg` is `pvimg create`.

mod components;
mod create;
mod extract;
mod flags;
mod info;
mod layout;
mod loader;
mod open;
mod parts;
mod progress;
mod seed;
mod test;
mod verify;

use crate::shared::cli::{self, Verbosity};
use crate::shared::error::{Failure, Outcome};
use crate::shared::system::System;
use clap::{ArgAction, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;

/// Exit code for a wrong command line.
const USAGE_STATUS: u8 = 2;

/// Create and inspect IBM Secure Execution boot images
#[derive(Parser)]
#[command(name = "pvimg", subcommand_required = true, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    verbosity: Verbosity,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Create(Box<create::Arguments>),
    Info(info::Arguments),
    Test(test::Arguments),
    Verify(verify::Arguments),
    Extract(extract::Arguments),
    /// Print the version
    #[command(long_flag = "version", hide = true)]
    Version,
}

/// Create an IBM Secure Execution boot image
///
/// The same as 'pvimg create'.
#[derive(Parser)]
#[command(name = "genprotimg", disable_version_flag = true, arg_required_else_help = true)]
struct Genprotimg {
    #[command(flatten)]
    verbosity: Verbosity,
    #[command(flatten)]
    create: create::Arguments,
    /// Print all options
    #[arg(long, action = ArgAction::HelpLong, hide = true)]
    help_all: Option<bool>,
    /// Print all options
    #[arg(long, action = ArgAction::HelpLong, hide = true)]
    help_experimental: Option<bool>,
    /// Print the version
    #[arg(long, exclusive = true)]
    version: bool,
}

pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

pub(crate) fn genprotimg_command() -> clap::Command {
    Genprotimg::command()
}

pub(crate) fn run(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    let args = match cli::parse::<Arguments>(args, USAGE_STATUS, system) {
        Ok(args) => args,
        Err(ended) => return ended,
    };
    args.verbosity.apply(system);
    match args.command {
        Command::Create(args) => create::run(&args, system)?,
        Command::Info(args) => info::run(&args, system)?,
        Command::Test(args) => return test::run(&args, system),
        Command::Verify(args) => return verify::run(&args, system),
        Command::Extract(args) => extract::run(&args, system)?,
        Command::Version => cli::print_version::<Arguments>(system)?,
    }
    Ok(Outcome::Done)
}

pub(crate) fn run_genprotimg(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    if args.get(1..).is_some_and(|words| matches!(words, [word] if word == "--version")) {
        // All that 'create' demands is not demanded here.
        cli::print_version::<Genprotimg>(system)?;
        return Ok(Outcome::Done);
    }
    let args = match cli::parse::<Genprotimg>(args, USAGE_STATUS, system) {
        Ok(args) => args,
        Err(ended) => return ended,
    };
    args.verbosity.apply(system);
    create::run(&args.create, system)?;
    Ok(Outcome::Done)
}

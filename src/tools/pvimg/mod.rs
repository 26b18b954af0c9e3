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

use crate::shared::cli::{self, Commands, Tool, Verbosity};
use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::shared::system::System;
use clap::{ArgAction, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;

/// Exit code for a wrong command line.
const USAGE_STATUS: UsageStatus = UsageStatus::Own;

#[derive(Subcommand)]
enum Command {
    Create(Box<create::Arguments>),
    Info(info::Arguments),
    Test(test::Arguments),
    Verify(verify::Arguments),
    Extract(extract::Arguments),
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
    Tool::<Command>::command()
}

pub(crate) fn genprotimg_command() -> clap::Command {
    Genprotimg::command()
}

impl Commands for Command {
    const NAME: &'static str = "pvimg";
    const ABOUT: &'static str = "Create and inspect IBM Secure Execution boot images";
    const USAGE_STATUS: UsageStatus = USAGE_STATUS;

    fn run(self, system: &mut System) -> Result<Outcome, Failure> {
        match self {
            Self::Create(args) => create::run(&args, system)?,
            Self::Info(args) => info::run(&args, system)?,
            Self::Test(args) => return test::run(&args, system),
            Self::Verify(args) => return verify::run(&args, system),
            Self::Extract(args) => extract::run(&args, system)?,
        }
        Ok(Outcome::Done)
    }
}

pub(crate) fn run(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    cli::run_tool::<Command>(args, system)
}

pub(crate) fn run_genprotimg(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    if args.get(1..).is_some_and(|words| matches!(words, [word] if word == "--version")) {
        // All that 'create' demands is not demanded here.
        cli::print_version::<Genprotimg>(system)?;
        return Ok(Outcome::Done);
    }
    cli::run(args, USAGE_STATUS, system, |args: Genprotimg, system| {
        args.verbosity.apply(system);
        create::run(&args.create, system)?;
        Ok(Outcome::Done)
    })
}

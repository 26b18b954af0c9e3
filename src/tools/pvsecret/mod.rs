//! `pvsecret`: secrets for a Secure Execution guest, from the workstation into the guest.

mod add;
mod create;
mod cuid;
mod identity;
mod list;
mod lock;
mod outputs;
mod retrieve;
mod verify;

pub(crate) use verify::load_user_certificate;

use crate::shared::cli::{self, Commands, Tool};
use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::shared::system::System;
use anyhow::Context;
use clap::{CommandFactory, Subcommand};
use std::ffi::OsString;
use uvtypes::SecretId;

#[derive(Subcommand)]
enum Command {
    Create(Box<create::Arguments>),
    Add(add::Arguments),
    Lock(lock::Arguments),
    List(list::Arguments),
    Verify(verify::Arguments),
    #[command(alias = "retr")]
    Retrieve(retrieve::Arguments),
}

/// An id as s390-tools writes it, and as it alone takes it from people: with `0x` in front.
fn stored_id(text: &str) -> anyhow::Result<SecretId> {
    let id = text.strip_prefix("0x").and_then(|digits| digits.parse().ok());
    // Two prefixes are one too many.
    let id = id.filter(|_| text.len() == 66);
    id.context("is not a secret id: that is 0x and 64 hex digits")
}

impl Commands for Command {
    const NAME: &'static str = "pvsecret";
    const ABOUT: &'static str = "Manage secrets of an IBM Secure Execution guest";
    const USAGE_STATUS: UsageStatus = UsageStatus::AsFailure;

    fn run(self, system: &mut System) -> Result<Outcome, Failure> {
        match self {
            Self::Create(args) => create::run(&args, system),
            Self::Add(args) => add::run(&args, system),
            Self::Lock(_) => lock::run(system),
            Self::List(args) => list::run(&args, system),
            Self::Verify(args) => verify::run(&args, system),
            Self::Retrieve(args) => retrieve::run(&args, system),
        }?;
        Ok(Outcome::Done)
    }
}

pub(crate) fn command() -> clap::Command {
    Tool::<Command>::command()
}

pub(crate) fn run(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    cli::run_tool::<Command>(args, system)
}

//! `pvsecret`: secrets for a Secure Execution guest, from the workstation into the guest.

mod add;
#[cfg(feature = "workstation")]
mod create;
#[cfg(feature = "workstation")]
mod cuid;
#[cfg(feature = "workstation")]
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

use crate::shared::cli::{self, Commands, Tool};
use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::shared::system::System;
use anyhow::Context;
use clap::{CommandFactory, Subcommand};
use std::ffi::OsString;
use uvtypes::SecretId;

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
            #[cfg(feature = "workstation")]
            Self::Create(args) => create::run(&args, system),
            #[cfg(not(feature = "workstation"))]
            Self::Create(args) => args.refuse("pvsecret create"),
            Self::Add(args) => add::run(&args, system),
            Self::Lock(_) => lock::run(system),
            Self::List(args) => list::run(&args, system),
            #[cfg(feature = "workstation")]
            Self::Verify(args) => verify::run(&args, system),
            #[cfg(not(feature = "workstation"))]
            Self::Verify(args) => args.refuse("pvsecret verify"),
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

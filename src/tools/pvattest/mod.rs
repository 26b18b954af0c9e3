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

use crate::shared::cli::{self, Commands, Tool};
use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::shared::input;
use crate::shared::system::System;
use anyhow::Context;
use clap::{CommandFactory, Subcommand};
use std::ffi::OsString;
use std::path::Path;
use uvrequest::attest::Exchange;
use uvtypes::limits::{ADDITIONAL_MAX, ARCB_MAX, MEASUREMENT_MAX};

/// All parts of an exchange file at their largest.
const MAX_EXCHANGE: usize = ARCB_MAX + MEASUREMENT_MAX + ADDITIONAL_MAX + 4096;

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
}

impl Commands for Command {
    const NAME: &'static str = "pvattest";
    const ABOUT: &'static str = "Attest an IBM Secure Execution guest";
    const USAGE_STATUS: UsageStatus = UsageStatus::AsFailure;

    fn run(self, system: &mut System) -> Result<Outcome, Failure> {
        match self {
            #[cfg(feature = "workstation")]
            Self::Create(args) => create::run(&args, system).map(|()| Outcome::Done),
            #[cfg(not(feature = "workstation"))]
            Self::Create(args) => args.refuse("pvattest create"),
            Self::Perform(args) => perform::run(&args, system).map(|()| Outcome::Done),
            #[cfg(feature = "workstation")]
            Self::Verify(args) => verify::run(&args, system),
            #[cfg(not(feature = "workstation"))]
            Self::Verify(args) => args.refuse("pvattest verify"),
            #[cfg(feature = "workstation")]
            Self::Check(args) => check::run(&args, system),
            #[cfg(not(feature = "workstation"))]
            Self::Check(args) => args.refuse("pvattest check"),
        }
    }
}

pub(crate) fn command() -> clap::Command {
    Tool::<Command>::command()
}

pub(crate) fn run(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    cli::run_tool::<Command>(args, system)
}

/// Reads a request or response.
fn load_exchange(path: &Path, system: &mut System) -> anyhow::Result<Exchange> {
    let bytes = input::read_or_stdin(path, MAX_EXCHANGE, "attestation exchange file", system)?;
    Exchange::parse(&bytes).with_context(|| format!("Cannot use '{}'", path.display()))
}

//! `pvattest`: is the guest the one it claims to be?

mod check;
mod create;
#[cfg(feature = "network")]
mod firmware;
mod perform;
mod report;
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
    Create(create::Arguments),
    Perform(perform::Arguments),
    Verify(verify::Arguments),
    Check(Box<check::Arguments>),
}

impl Commands for Command {
    const NAME: &'static str = "pvattest";
    const ABOUT: &'static str = "Attest an IBM Secure Execution guest";
    const USAGE_STATUS: UsageStatus = UsageStatus::AsFailure;

    fn run(self, system: &mut System) -> Result<Outcome, Failure> {
        match self {
            Self::Create(args) => create::run(&args, system).map(|()| Outcome::Done),
            Self::Perform(args) => perform::run(&args, system).map(|()| Outcome::Done),
            Self::Verify(args) => verify::run(&args, system),
            Self::Check(args) => check::run(&args, system),
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

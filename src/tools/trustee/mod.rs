//! `pvtools trustee`: what the key broker of Confidential Containers needs to know of Secure Execution.

mod challenge;
mod evidence;
mod folder;
mod key;
mod policy;
mod renew;
mod replace;
mod resources;
mod server;
mod verifier;

#[cfg(fuzzing)]
pub use server::answer_to_upload;

use crate::shared::cli::{self, Verbosity};
use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::shared::input;
use crate::shared::system::System;
use anyhow::{Context, bail};
use clap::{CommandFactory, Parser, Subcommand};
use sehdr::{SeHeader, Search};
use setrustee::{Finding, Severity};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use uvtypes::text::shown_path;

/// Prepare, check and explain Trustee for Secure Execution guests
#[derive(Parser)]
#[command(name = "trustee", bin_name = "pvtools trustee", version, disable_version_flag = true)]
#[command(subcommand_required = true, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    verbosity: Verbosity,
    #[command(subcommand)]
    command: Command,
    /// Print the version
    #[arg(long, action = clap::ArgAction::Version)]
    version: Option<bool>,
}

#[derive(Subcommand)]
enum Command {
    Verifier(Box<verifier::Arguments>),
    Policy(policy::Arguments),
    Resources(resources::Arguments),
    Key(key::Arguments),
    Challenge(Box<challenge::Arguments>),
    Evidence(evidence::Arguments),
    Renew(Box<renew::Arguments>),
}

pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

pub(crate) fn run(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    cli::run(args, UsageStatus::Own, system, |args: Arguments, system| {
        args.verbosity.apply(system);
        match args.command {
            Command::Verifier(args) => verifier::run(&args, system),
            Command::Policy(args) => policy::run(&args, system),
            Command::Resources(args) => resources::run(&args, system),
            Command::Key(args) => key::run(&args, system),
            Command::Challenge(args) => challenge::run(&args, system),
            Command::Evidence(args) => evidence::run(&args, system),
            Command::Renew(args) => renew::run(&args, system),
        }
    })
}

/// An SE header, with the bytes that it has.
struct Header {
    path: PathBuf,
    bytes: Vec<u8>,
    parsed: SeHeader,
}

/// The header in an image, or on its own.
fn load_header(path: &Path, system: &mut System) -> anyhow::Result<Header> {
    let mut file = input::open_seekable(path, "SE header", system)?;
    let cannot = || format!("Cannot use '{}' as SE header or image", shown_path(path));
    let found = sehdr::locate(&mut file, Search::Everywhere).with_context(cannot)?;
    let parsed = SeHeader::parse(&found.bytes).with_context(cannot)?;
    Ok(Header { path: path.to_owned(), bytes: found.bytes, parsed })
}

fn load_headers(paths: &[PathBuf], system: &mut System) -> anyhow::Result<Vec<Header>> {
    paths.iter().map(|path| load_header(path, system)).collect()
}

/// Seconds since 1970.
fn now(system: &System) -> anyhow::Result<i64> {
    let now = (system.now)().duration_since(UNIX_EPOCH).context("The clock is set before 1970")?.as_secs();
    i64::try_from(now).context("The clock is set too late")
}

/// A text file of moderate size.
fn read_text(path: &Path, what: &str, system: &mut System) -> anyhow::Result<zeroize::Zeroizing<String>> {
    let bytes = input::read_or_stdin(path, 1 << 20, what, system)?;
    let text = std::str::from_utf8(&bytes).with_context(|| format!("Cannot use '{}' as {what}", shown_path(path)))?;
    Ok(zeroize::Zeroizing::new(text.to_owned()))
}

/// The exit code that findings deserve.
fn outcome(findings: &[Finding]) -> Outcome {
    match findings.iter().map(|finding| finding.severity).max() {
        None => Outcome::Done,
        Some(Severity::Warning) => Outcome::WithWarnings,
        Some(Severity::Error) => Outcome::NotAsExpected,
    }
}

/// Says all findings; fails in one line if there is an error among them.
fn refuse_errors(findings: &[Finding], system: &mut System) -> anyhow::Result<()> {
    for finding in findings.iter().filter(|finding| finding.severity == Severity::Warning) {
        system.warn(&finding.to_string());
    }
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let errors: Vec<_> =
        errors.map(|finding| format!("{}: {}; {}", finding.place, finding.problem, finding.advice)).collect();
    if errors.is_empty() { Ok(()) } else { bail!(errors.join(" | ")) }
}

//! `pvtools doctor`: what is there for Secure Execution, what is missing, and what to do about it. Changes nothing.

mod documents;
mod machine;

use crate::shared::cli;
use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::shared::system::System;
use clap::{CommandFactory, Parser};
use serde::Serialize;
use std::ffi::OsString;
use std::path::PathBuf;

/// Show what is there and what is missing for Secure Execution
///
/// On a host, in a guest, or on a workstation. Each finding that is not good says the next step; nothing is changed. Exit
/// status: 0 if nothing is missing, 3 if something is, 1 for any failure, 2 for a wrong command line.
#[derive(Parser)]
#[command(name = "doctor", bin_name = "pvtools doctor", version)]
struct Arguments {
    /// Print a list of objects with 'check', 'status', 'found' and 'next'
    #[arg(long)]
    json: bool,
    /// Look also when this host-key document, certificate or CRL ends; may be repeated
    #[arg(value_name = "FILE")]
    file: Vec<PathBuf>,
}

/// How a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Good,
    Missing,
}

/// What was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    check: String,
    status: Status,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Finding {
    fn good(check: &str, found: impl Into<String>) -> Self {
        Self { check: check.to_owned(), status: Status::Good, found: found.into(), next: None }
    }

    fn missing(check: &str, found: impl Into<String>, next: impl Into<String>) -> Self {
        Self { status: Status::Missing, next: Some(next.into()), ..Self::good(check, found) }
    }
}

pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

pub(crate) fn run(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    cli::run(args, UsageStatus::Own, system, |args: Arguments, system| {
        let mut findings = machine::findings(system);
        findings.extend(documents::findings(&args.file, system)?);
        if args.json {
            system.print_json(&format!("{:#}\n", serde_json::to_value(&findings)?))?;
        } else {
            for Finding { check, status, found, next } in &findings {
                let mark = if *status == Status::Good { "ok     " } else { "MISSING" };
                let next = next.as_ref().map(|next| format!("\n         next: {next}")).unwrap_or_default();
                system.print(&format!("{mark}  {check}: {found}{next}\n"))?;
            }
        }
        let missing = findings.iter().any(|finding| finding.status == Status::Missing);
        Ok(if missing { Outcome::WithWarnings } else { Outcome::Done })
    })
}

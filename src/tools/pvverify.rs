//! `pvverify`: may these host-key documents be used?

use crate::shared::cli;
use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::shared::host_keys::{HostKeyArgs, draw, load_document};
use crate::shared::system::System;
use clap::{CommandFactory, Parser, ValueEnum};
use hostkey::HostKeyDocument;
use serde::Serialize;
use std::ffi::OsString;
use std::path::Path;
use uvtypes::text::escaped;

/// Exit code for a wrong command line.
const USAGE_STATUS: UsageStatus = UsageStatus::Own;

/// Verify host-key documents
///
/// Judges every document, also when one is refused. Exit status: 0 if all may be used, 1 if one may not or that could not
/// be told, 2 for a wrong command line.
#[derive(Parser)]
#[command(name = "pvverify", version, disable_version_flag = true)]
struct Arguments {
    #[command(flatten)]
    host_keys: HostKeyArgs,
    /// Form of the verdicts
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Draw the chain of trust: each certificate, its validity, and what failed
    #[arg(long, conflicts_with = "format")]
    explain: bool,
    /// Print the version
    #[arg(long, action = clap::ArgAction::Version)]
    version: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// A line for each document, on stderr
    Human,
    /// A list with one object for each document, on stdout
    Json,
}

/// What is printed of a document in JSON.
#[derive(Serialize)]
struct Verdict {
    file: String,
    /// `verified`, `refused`, or `not-verified` with '--no-verify'.
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_key_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

pub(crate) fn run(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    cli::run(args, USAGE_STATUS, system, |args: Arguments, system| {
        let documents: Vec<_> = args.host_keys.documents().iter().map(|path| (path, load_document(path))).collect();
        let judged = if args.host_keys.no_verify() {
            args.host_keys.warn_unverified("info", system);
            None
        } else {
            let good: Vec<_> = documents.iter().filter_map(|(_, document)| document.as_ref().ok()).collect();
            Some(args.host_keys.judge(&good, system))
        };
        if let (true, Some(Ok(judged))) = (args.explain, &judged) {
            let text = draw(&documents, judged);
            system.print(&text)?;
        }
        let judged = match judged {
            Some(Err(error)) if args.format == Format::Human => return Err(error.into()),
            Some(Ok(judged)) if args.format == Format::Human && judged.verifier().is_err() => {
                return judged.into_failure().map_or(Ok(Outcome::Done), |error| Err(error.into()));
            }
            other => other,
        };
        let mut verdicts = Vec::new();
        for (path, document) in documents {
            let verdict = match (document, &judged) {
                (Err(error), _) => Verdict::refused(path, None, format!("{error:#}")),
                (Ok(document), None) => Verdict::of(path, &document, "not-verified"),
                (Ok(document), Some(Err(error))) => Verdict::refused(path, Some(&document), format!("{error:#}")),
                (Ok(document), Some(Ok(judged))) => match judged.verdict(&document) {
                    Ok(()) => Verdict::of(path, &document, "verified"),
                    Err(reason) => Verdict::refused(path, Some(&document), reason),
                },
            };
            if args.format == Format::Human {
                verdict.say(system);
            }
            verdicts.push(verdict);
        }
        if args.format == Format::Json {
            system.print_json(&format!("{:#}\n", serde_json::to_value(&verdicts)?))?;
        }
        let refused = verdicts.iter().filter(|verdict| verdict.reason.is_some()).count();
        if refused > 0 {
            return Ok(Outcome::Failed);
        }
        if judged.is_some() && args.format == Format::Human {
            system.warn("Host-key documents verified.");
        }
        Ok(Outcome::Done)
    })
}

impl Verdict {
    fn of(path: &Path, document: &HostKeyDocument, verdict: &'static str) -> Self {
        let host_key_hash = Some(document.hash().to_string());
        Self { file: path.display().to_string(), verdict, host_key_hash, reason: None }
    }

    fn refused(path: &Path, document: Option<&HostKeyDocument>, reason: String) -> Self {
        Self {
            file: path.display().to_string(),
            verdict: "refused",
            host_key_hash: document.map(|document| document.hash().to_string()),
            reason: Some(reason),
        }
    }

    fn say(&self, system: &mut System) {
        match &self.reason {
            // Errors of loading name the file already.
            Some(reason) if reason.contains(&format!("'{}'", self.file)) => {
                system.eprint(&format!("error: {}\n", escaped(reason)));
            }
            Some(reason) => {
                let line = format!("error: Host-key verification failed: '{}': {reason}", self.file);
                system.eprint(&format!("{}\n", escaped(&line)));
            }
            None => system.warn(&format!("Use host-key document at '{}'", self.file)),
        }
    }
}

//! `pvapconfig --check`, and reading configuration files.

use super::Arguments;
use crate::shared::cli::Format;
use crate::shared::error::{Failure, Outcome};
use crate::shared::input;
use crate::shared::system::System;
use apbus::config::{Configuration, MAX_SIZE};
use serde::Serialize;
use std::path::Path;
use uvtypes::text::{escaped, shown};

/// Documented in pvapconfig(1).
#[derive(Serialize)]
struct Verdict {
    file: String,
    valid: bool,
    entries: usize,
    errors: Vec<String>,
    warnings: Vec<String>,
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<Outcome, Failure> {
    let file = shown(&args.config().to_string_lossy());
    let (config, errors) = match read(args.config()) {
        Ok(config) => (Some(config), Vec::new()),
        Err(errors) => (None, errors),
    };
    let entries = config.as_ref().map_or(0, |config| config.entries.len());
    let warnings = config.map_or_else(Vec::new, |config| config.warnings.iter().map(ToString::to_string).collect());
    let verdict = Verdict { file, valid: errors.is_empty(), entries, errors, warnings };
    match args.format {
        Format::Json => system.print_json(&(serde_json::to_string_pretty(&verdict)? + "\n"))?,
        Format::Text => {
            let Verdict { file, entries, errors, warnings, .. } = &verdict;
            errors.iter().for_each(|error| system.eprint(&format!("error: {}\n", escaped(&error.to_string()))));
            warnings.iter().for_each(|warning| system.warn(&format!("Warning: {file}: {warning}")));
            if verdict.valid {
                let noun = if *entries == 1 { "entry" } else { "entries" };
                system.print(&format!("{file}: {entries} valid AP config {noun}\n"))?;
            }
        }
    }
    Ok(if verdict.valid { Outcome::Done } else { Outcome::Failed })
}

/// Reads a configuration file, or says everything that is wrong with it.
pub(super) fn read(path: &Path) -> Result<Configuration, Vec<String>> {
    let bytes = input::read(path, MAX_SIZE, "the AP configuration").map_err(|error| vec![format!("{error:#}")])?;
    apbus::config::parse(&bytes).map_err(|error| {
        let file = shown(&path.to_string_lossy());
        let more = (error.more() > 0).then(|| format!("and {} more problems", error.more()));
        let problems = error.problems().iter().map(ToString::to_string).chain(more);
        problems.map(|problem| format!("{file}: {problem}")).collect()
    })
}

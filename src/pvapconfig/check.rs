//! `pvapconfig --check`.

use super::{Arguments, CONFIG_LIMIT};
use crate::cli::Format;
use crate::error::{Failure, Outcome};
use crate::input;
use crate::system::System;
use serde_json::json;

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<Outcome, Failure> {
    let path = args.config();
    let bytes = input::read(path, CONFIG_LIMIT, "the AP configuration")?;
    let name = path.display();
    let (problems, warnings, entries) = match apbus::config::parse(&bytes) {
        Ok(config) => (Vec::new(), config.warnings, config.entries.len()),
        Err(error) => {
            let more = (error.more() > 0).then(|| format!("and {} more problems", error.more()));
            (error.problems().iter().map(ToString::to_string).chain(more).collect(), Vec::new(), 0)
        }
    };
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    if args.format == Format::Json {
        let object = json!({
            "file": name.to_string(),
            "valid": problems.is_empty(),
            "entries": entries,
            "errors": problems,
            "warnings": warnings,
        });
        system.print(&format!("{object:#}\n"))?;
    } else {
        for problem in &problems {
            system.complain(&format!("error: {name}: {problem}\n"));
        }
        for warning in &warnings {
            system.warn(&format!("Warning: {name}: {warning}"));
        }
        if problems.is_empty() {
            system.print(&format!("{name}: {entries} valid AP config entries\n"))?;
        }
    }
    Ok(Outcome::Status(u8::from(!problems.is_empty())))
}

//! `pvapconfig --status`.

use super::json::JsonQueue;
use super::reporter::{Reporter, label};
use super::{Arguments, check, guest};
use crate::shared::cli::Format;
use crate::shared::error::Failure;
use crate::shared::system::System;
use anyhow::anyhow;
use apbus::plan::{Plan, Problem, doubled_master_keys, plan};
use apbus::{Bus, Entry, MAX_QUEUES, MasterKey, Queue, State, Task, Wanted};
use serde::Serialize;
use std::fmt::Write;
use uvtypes::SecretId;
use uvtypes::text::shown;

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<(), Failure> {
    let bus = Bus::open(&system.root.join("sys"))?;
    let mut reporter = Reporter::new(args.style(system), &mut system.stdout, &mut system.stderr);
    let inventory = bus.inventory()?;
    let entries = entries(args, &mut reporter)?;
    // A bus can also be looked at where there is no ultravisor to ask.
    let secrets = guest::association_secrets(&system.uv, &mut reporter).unwrap_or_else(|error| {
        reporter.warning(&format!("Warning: the secrets of the queues are not known: {error:#}"));
        Vec::new()
    });
    inventory.notes.iter().for_each(|note| reporter.warning(&note.to_string()));
    let queues = &inventory.queues;
    for (first, second, mkvp) in doubled_master_keys(queues) {
        reporter.warning(&format!("Warning: {}", apbus::Error::DoubledMasterKey { first, second, mkvp }));
    }
    let task = Task { entries: &entries, secrets: &secrets };
    let plan = plan(&Problem { entries: &entries, queues, secrets: &secrets, limit: MAX_QUEUES, excluded: &[] });
    let rows: Vec<_> = inventory.queues.iter().map(|queue| Row::of(queue, &task, &plan)).collect();
    match args.format {
        Format::Json => {
            let status = Status { queues: rows.iter().map(Row::json).collect(), notes: &reporter.notes };
            let object = serde_json::to_string_pretty(&status)?;
            reporter.print_json(&object);
        }
        Format::Text => reporter.print(table(&rows, &entries).trim_end_matches('\n')),
    }
    reporter.end()
}

/// What the queues are for: from the file that was named, or from the usual one if that is there and good.
fn entries(args: &Arguments, reporter: &mut Reporter<'_>) -> Result<Vec<Entry>, Failure> {
    let named = args.config.is_some() || args.positional_config.is_some();
    if !named && !args.config().exists() {
        return Ok(Vec::new());
    }
    let problems = match check::read(args.config()) {
        Ok(config) => return Ok(config.entries),
        Err(problems) => problems.join("; "),
    };
    if named {
        return Err(anyhow!(problems).into());
    }
    reporter.warning(&format!("Warning: the entries are not known: {problems}"));
    Ok(Vec::new())
}

/// Documented in pvapconfig(1).
#[derive(Serialize)]
struct Status<'a> {
    queues: Vec<JsonQueue>,
    notes: &'a [String],
}

/// A queue and what it is for.
struct Row<'a> {
    queue: &'a Queue,
    secret: Option<SecretId>,
    /// The name whose SHA-256 the id is, if an entry has it.
    secret_name: Option<&'a str>,
    entry: Option<usize>,
}

impl<'a> Row<'a> {
    fn of(queue: &'a Queue, task: &Task<'a>, plan: &Plan) -> Self {
        let secret = match queue.state {
            State::Associated(index) => task.secrets.iter().find(|secret| secret.index == index).map(|found| found.id),
            _ => None,
        };
        let named =
            |entry: &&Entry| matches!(entry.wanted, Wanted::Ep11 { secret: wanted, .. } if Some(wanted) == secret);
        let secret_name = task.entries.iter().filter(named).find_map(|entry| {
            let name = entry.name.as_deref()?;
            (Some(SecretId::of_name(name)) == secret).then_some(name)
        });
        Self { queue, secret, secret_name, entry: kept(plan, queue) }
    }

    fn json(&self) -> JsonQueue {
        let mut queue = JsonQueue::from(self.queue);
        queue.secret_id = self.secret.map(|id| format!("{id:x}"));
        queue.secret_name = self.secret_name.map(str::to_owned);
        queue.entry = self.entry.map(|entry| entry + 1);
        queue
    }

    fn cells(&self, entries: &[Entry]) -> [String; 6] {
        let Queue { apqn, state, master_key, .. } = self.queue;
        let mkvp = match master_key {
            MasterKey::Valid(mkvp) => mkvp.to_string(),
            MasterKey::Unknown | MasterKey::None => "-".to_owned(),
        };
        let secret = match (self.secret_name, self.secret) {
            (Some(name), _) => shown(name),
            (None, Some(id)) => format!("{id:x}"),
            (None, None) => "-".to_owned(),
        };
        let entry = self.entry.map_or_else(|| "-".to_owned(), |entry| label(entries, entry));
        [apqn.to_string(), self.queue.card_type(), state.to_string(), mkvp, secret, entry]
    }
}

/// The entry that a queue serves as it is.
fn kept(plan: &Plan, queue: &Queue) -> Option<usize> {
    plan.assignments.iter().position(|planned| planned.as_ref().is_ok_and(|it| it.kept && it.queue == queue.apqn))
}

/// Columns as wide as they must be.
fn table(rows: &[Row<'_>], entries: &[Entry]) -> String {
    let head = ["APQN", "TYPE", "STATE", "MKVP", "SECRET", "ENTRY"].map(str::to_owned);
    let mut lines = vec![head];
    lines.extend(rows.iter().map(|row| row.cells(entries)));
    let mut widths = [0; 6];
    for line in &lines {
        widths.iter_mut().zip(line).for_each(|(width, cell)| *width = cell.chars().count().max(*width));
    }
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<_> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

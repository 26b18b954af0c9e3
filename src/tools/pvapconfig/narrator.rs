//! Says what happens: on stdout what was asked for, on stderr what is wrong.

use super::{Arguments, Verdict, json};
use crate::shared::cli::Format;
use crate::shared::error::Failure;
use crate::shared::error::Outcome;
use crate::shared::system::System;
use apbus::plan::Unsatisfied;
use apbus::{Apqn, Entry, Event, Failure as Failed, Mode, Report, Step, Waiting, Wanted};
use std::collections::BTreeMap;
use std::time::Duration;
use uvtypes::text::{escaped, shown};

pub(super) struct Narrator<'a> {
    args: &'a Arguments,
    pub(super) system: &'a mut System,
    /// The entries of the configuration file, once they are known.
    pub(super) entries: Vec<Entry>,
    /// Stdout broke. The queues are more important than the talk, so that is told at the end.
    broken: Option<Failure>,
    steps: Vec<Step>,
    pub(super) notes: Vec<String>,
    waiting: BTreeMap<Apqn, Waiting>,
    /// The line that stands on the terminal.
    shown: Option<String>,
}

impl<'a> Narrator<'a> {
    pub(super) fn new(args: &'a Arguments, system: &'a mut System) -> Self {
        Self {
            args,
            system,
            entries: Vec::new(),
            broken: None,
            steps: Vec::new(),
            notes: Vec::new(),
            waiting: BTreeMap::new(),
            shown: None,
        }
    }

    /// Said with '-v'.
    pub(super) fn progress(&mut self, line: &str) {
        if self.args.is_chatty() {
            self.print(line);
        }
    }

    /// Said also without '-v'. Stdout is where s390-tools says it.
    pub(super) fn remind(&mut self, line: &str) {
        match self.args.format {
            Format::Text => self.print(line),
            Format::Json => self.notes.push(line.to_owned()),
        }
    }

    /// A warning that also whoever reads the object shall have.
    pub(super) fn note(&mut self, line: &str) {
        self.warn(line);
        self.notes.push(line.to_owned());
    }

    pub(super) fn warn(&mut self, line: &str) {
        self.clear();
        self.system.warn(line);
    }

    /// Says what happens now.
    pub(super) fn tell(&mut self, event: &Event<'_>) {
        match event {
            Event::Note(note) => self.note(&note.to_string()),
            Event::Step(step) => {
                self.steps.push(*step);
                let is_action = !matches!(step, Step::Keep { .. });
                let asked = self.args.verbose || self.args.dry_run && is_action;
                if asked && self.args.format == Format::Text {
                    let line = self.sentence(*step);
                    self.print(&line);
                }
            }
            Event::Failed(failed) => {
                let line = self.failure(failed);
                self.warn(&line);
            }
            Event::Waiting(waiting) => self.show(*waiting),
            // Events that are not known here are of no use to the reader either.
            _ => {}
        }
    }

    /// The end: what has no queue and why, and the verdict.
    pub(super) fn conclude(&mut self, report: &Report, verdict: &Verdict) -> Result<(), Failure> {
        self.clear();
        for (number, planned) in report.plan.assignments.iter().enumerate() {
            if let Err(reason) = planned {
                let line = match (reason, self.entries.get(number).map(|entry| &entry.wanted)) {
                    // The words of s390-tools.
                    (Unsatisfied::NoSecret, Some(Wanted::Ep11 { secret, .. })) => {
                        let label = label(&self.entries, number);
                        format!("Warning: Secret id '{secret}' from config entry {label} not found in UV secrets list.")
                    }
                    _ => format!("Warning: AP config entry {} has no queue: {reason}", label(&self.entries, number)),
                };
                self.system.warn(&line);
            }
        }
        if self.args.is_chatty() && !self.entries.is_empty() {
            for (apqn, reason) in &report.plan.left_out {
                self.print(&format!("APQN {apqn} is left out: {reason}"));
            }
        }
        if self.args.format == Format::Json {
            let object = json::report(&self.entries, report, &self.steps, &self.notes, verdict.outcome.code())?;
            self.print(&object);
        }
        match &verdict.line {
            Some(line) if verdict.outcome != Outcome::Done => {
                self.system.complain(&format!("error: {}\n", escaped(line)))
            }
            Some(line) if !self.args.dry_run => self.progress(line),
            _ => {}
        }
        self.end()
    }

    /// The end where there was nothing to do.
    pub(super) fn conclude_nothing(&mut self) -> Result<(), Failure> {
        if self.args.format == Format::Json {
            let object = json::nothing(self.args.dry_run, &self.notes)?;
            self.print(&object);
        }
        self.end()
    }

    /// All that was said was heard.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        match self.broken.take() {
            // What was done was done, and the status tells about that.
            Some(Failure::BrokenPipe) | None => Ok(()),
            Some(failure) => Err(failure),
        }
    }

    fn print(&mut self, line: &str) {
        self.clear();
        if self.broken.is_none() {
            self.broken = self.system.print(&format!("{line}\n")).err();
        }
    }

    /// Which step it is, and for what.
    fn sentence(&self, step: Step) -> String {
        let label = |entry| label(&self.entries, entry);
        match step {
            Step::Keep { apqn, mode, entry } => {
                let kind = if mode == Mode::Accelerator { "Accelerator" } else { "EP11" };
                format!("{kind} APQN {apqn} already satisfies AP config entry {}.", label(entry))
            }
            Step::Probe(apqn) => format!("Bind APQN {apqn} to read its master key verification pattern."),
            Step::Release(apqn) if self.entries.is_empty() => format!("Unbind APQN {apqn}."),
            Step::Release(apqn) => {
                format!("Unbind APQN {apqn} as this bind/associate does not match to any AP config entry.")
            }
            Step::Restore(apqn) => format!("Unbind APQN {apqn} again, as no AP config entry needs it."),
            Step::Bind { apqn, entry } => {
                let steps = match self.entries.get(entry).map(|entry| &entry.wanted) {
                    Some(Wanted::Ep11 { .. }) => " (step 1/2)",
                    _ => "",
                };
                format!("Bind APQN {apqn} to match to AP config entry {}{steps}.", label(entry))
            }
            Step::Associate { apqn, index, entry } => format!(
                "Associate APQN {apqn} with uv secrets index {index} to match AP config entry {} (step 2/2).",
                label(entry)
            ),
        }
    }

    fn failure(&self, failed: &Failed) -> String {
        let (what, apqn, entry) = match failed.step {
            Step::Keep { apqn, entry, .. } => ("using", apqn, Some(entry)),
            Step::Probe(apqn) => ("looking into", apqn, None),
            Step::Release(apqn) | Step::Restore(apqn) => ("unbinding", apqn, None),
            Step::Bind { apqn, entry } => ("binding", apqn, Some(entry)),
            Step::Associate { apqn, entry, .. } => ("associating", apqn, Some(entry)),
        };
        let mut line = format!("Failure {what} APQN {apqn}");
        if let Some(entry) = entry {
            line += &format!(" for AP config entry {}", label(&self.entries, entry));
        }
        line += &format!(": {}", failed.error.chain());
        if let Some(error) = &failed.not_undone {
            line += &format!("; and it could not be unbound again: {}", error.chain());
        }
        line
    }

    /// On a terminal, one line that is written over and over.
    fn show(&mut self, waiting: Waiting) {
        const PATIENCE: Duration = Duration::from_millis(500);
        self.waiting.insert(waiting.apqn, waiting);
        if !self.system.stderr_is_terminal || self.args.format == Format::Json || waiting.waited < PATIENCE {
            return;
        }
        // What was not told about since then has ended.
        let fresh = |other: &Waiting| other.waited + PATIENCE >= waiting.waited && other.operation == waiting.operation;
        let names: Vec<_> = self.waiting.values().filter(|other| fresh(other)).map(|it| it.apqn.to_string()).collect();
        let line = format!(
            "Waiting until {} {} {} ({} of at most {} s)",
            names.join(", "),
            if names.len() == 1 { "is" } else { "are" },
            waiting.operation,
            waiting.waited.as_secs(),
            waiting.limit.as_secs()
        );
        if self.shown.as_ref() != Some(&line) {
            self.system.draw(&format!("\r\x1b[K{}", escaped(&line)));
            self.shown = Some(line);
        }
    }

    fn clear(&mut self) {
        if self.shown.take().is_some() {
            self.system.draw("\r\x1b[K");
        }
        self.waiting.clear();
    }
}

/// `#1 'name'`, counted from 1.
pub(super) fn label(entries: &[Entry], number: usize) -> String {
    match entries.get(number).and_then(|entry| entry.name.as_deref()) {
        Some(name) => format!("#{} '{}'", number + 1, shown(name)),
        None => format!("#{}", number + 1),
    }
}

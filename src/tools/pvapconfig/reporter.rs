//! Says what happens: on stdout what was asked for, on stderr what is wrong.

use super::{Verdict, json};
use crate::shared::cli::Format;
use crate::shared::error::{Failure, Outcome};
use crate::shared::system::stdout_failure;
use apbus::plan::EntryUnserved;
use apbus::{Apqn, Entry, Event, Failure as Failed, Mode, Note, Report, Step, Waiting, Wanted};
use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;
use uvtypes::text::{escaped, escaped_json, escaped_lines, shown};

/// How a run reports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// Of stdout.
    pub(super) format: Format,
    /// Whether steps that are taken are said, too.
    pub(super) verbose: bool,
    /// Whether nothing is done, so that what would be done is what was asked for.
    pub(super) dry_run: bool,
    /// Whether a person reads stderr, and wants to know what is waited for.
    pub(super) shows_waits: bool,
}

/// Reports a run.
pub(super) struct Reporter<'a> {
    style: Style,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
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

impl<'a> Reporter<'a> {
    pub(super) fn new(style: Style, out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self {
            style,
            out,
            err,
            entries: Vec::new(),
            broken: None,
            steps: Vec::new(),
            notes: Vec::new(),
            waiting: BTreeMap::new(),
            shown: None,
        }
    }

    /// Progress is for people who asked for it. In JSON everything is in the object.
    fn is_verbose(&self) -> bool {
        self.style.verbose && self.style.format == Format::Text
    }

    /// Progress, to stdout with '-v'.
    pub(super) fn verbose(&mut self, line: &str) {
        if self.is_verbose() {
            self.print(line);
        }
    }

    /// To stdout also without '-v': s390-tools says it there. In JSON it is a note of the object.
    pub(super) fn notice(&mut self, line: &str) {
        match self.style.format {
            Format::Text => self.print(line),
            Format::Json => self.notes.push(line.to_owned()),
        }
    }

    /// To stderr, and a note of the object.
    pub(super) fn warning(&mut self, line: &str) {
        self.complaint(line);
        self.notes.push(line.to_owned());
    }

    /// To stderr only. Nothing can be done when that is gone.
    pub(super) fn complaint(&mut self, line: &str) {
        self.clear();
        let _ = self.err.write_all(escaped_lines(&format!("{line}\n")).as_bytes());
    }

    /// Reports what happens now.
    pub(super) fn on_event(&mut self, event: &Event<'_>) {
        match event {
            Event::Note(note) => {
                let remedy = match note {
                    Note::NotLookedAt { later: true, .. } => {
                        ": a run without '--dry-run' first unbinds those that no entry wants"
                    }
                    Note::NotLookedAt { .. } => ": no entry wants these, and 'pvapconfig --unbind' frees them",
                    _ => "",
                };
                self.warning(&format!("{note}{remedy}"));
            }
            Event::Step(step) => {
                self.steps.push(*step);
                let is_action = !matches!(step, Step::Keep { .. });
                let asked = self.style.verbose || self.style.dry_run && is_action;
                if asked && self.style.format == Format::Text {
                    let line = self.sentence(*step);
                    self.print(&line);
                }
            }
            Event::Failed(failed) => {
                let line = self.failure(failed);
                self.complaint(&line);
            }
            Event::Waiting(waiting) => self.show_wait(*waiting),
            // Events that are not known here are of no use to the reader either.
            _ => {}
        }
    }

    /// The end: what has no queue and why, and the verdict.
    pub(super) fn finish(&mut self, report: &Report, verdict: &Verdict) -> Result<(), Failure> {
        self.clear();
        for (number, planned) in report.plan.assignments.iter().enumerate() {
            if let Err(reason) = planned {
                let line = match (reason, self.entries.get(number).map(|entry| &entry.wanted)) {
                    // The words of s390-tools.
                    (EntryUnserved::NoSecret, Some(Wanted::Ep11 { secret, .. })) => {
                        let label = label(&self.entries, number);
                        format!("Warning: Secret id '{secret}' from config entry {label} not found in UV secrets list.")
                    }
                    _ => format!("Warning: AP config entry {} has no queue: {reason}", label(&self.entries, number)),
                };
                self.complaint(&line);
            }
        }
        if self.is_verbose() && !self.entries.is_empty() {
            for (apqn, reason) in &report.plan.unused {
                self.print(&format!("APQN {apqn} is left out: {reason}"));
            }
        }
        if self.style.format == Format::Json {
            let object = json::report(&self.entries, report, &self.steps, &self.notes, verdict.outcome.code())?;
            self.print_json(&object);
        }
        match &verdict.line {
            Some(line) if verdict.outcome != Outcome::Done => self.complaint(&format!("error: {}", escaped(line))),
            Some(line) if !self.style.dry_run => self.verbose(line),
            _ => {}
        }
        self.end()
    }

    /// The end where there was nothing to do.
    pub(super) fn finish_without_work(&mut self) -> Result<(), Failure> {
        if self.style.format == Format::Json {
            let object = json::nothing(self.style.dry_run, &self.notes)?;
            self.print_json(&object);
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

    /// A line, or several, to stdout.
    pub(super) fn print(&mut self, line: &str) {
        self.write(&escaped_lines(&format!("{line}\n")));
    }

    /// An object to stdout.
    pub(super) fn print_json(&mut self, object: &str) {
        self.write(&escaped_json(&format!("{object}\n")));
    }

    fn write(&mut self, text: &str) {
        self.clear();
        if self.broken.is_none() {
            self.broken = self.out.write_all(text.as_bytes()).map_err(stdout_failure).err();
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
            Step::Unbind(apqn) if self.entries.is_empty() => format!("Unbind APQN {apqn}."),
            Step::Unbind(apqn) => {
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
            Step::Unbind(apqn) | Step::Restore(apqn) => ("unbinding", apqn, None),
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
    fn show_wait(&mut self, waiting: Waiting) {
        const UNSAID: Duration = Duration::from_millis(500);
        self.waiting.insert(waiting.apqn, waiting);
        if !self.style.shows_waits || self.style.format == Format::Json || waiting.waited < UNSAID {
            return;
        }
        // What was not told about since then has ended.
        let fresh = |other: &Waiting| other.waited + UNSAID >= waiting.waited && other.operation == waiting.operation;
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
            self.draw(&format!("\r\x1b[K{}", escaped(&line)));
            self.shown = Some(line);
        }
    }

    /// Moves the cursor; with nothing in it that came from outside.
    fn draw(&mut self, text: &str) {
        let _ = self.err.write_all(text.as_bytes());
    }

    fn clear(&mut self) {
        if self.shown.take().is_some() {
            self.draw("\r\x1b[K");
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

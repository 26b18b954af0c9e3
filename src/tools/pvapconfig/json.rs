//! The forms of pvapconfig(1)'s JSON.

use apbus::{Entry, MasterKey, Mode, Queue, Report, State, Step, Wanted};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct JsonReport<'a> {
    dry_run: bool,
    status: u8,
    satisfied: usize,
    entries: Vec<JsonEntry<'a>>,
    queues: Vec<JsonQueue>,
    steps: Vec<JsonStep>,
    failures: Vec<JsonFailure>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct JsonEntry<'a> {
    number: usize,
    name: Option<&'a str>,
    mode: &'static str,
    satisfied: bool,
    queue: Option<String>,
    secret_index: Option<u16>,
    reason: Option<String>,
}

/// A queue, as far as it is known.
#[derive(Serialize)]
pub(super) struct JsonQueue {
    queue: String,
    #[serde(rename = "type")]
    kind: String,
    mode: &'static str,
    state: &'static str,
    secret_index: Option<u16>,
    mkvp: Option<String>,
    serialnr: Option<String>,
    pub(super) secret_id: Option<String>,
    pub(super) secret_name: Option<String>,
    pub(super) entry: Option<usize>,
    pub(super) left_out: Option<String>,
}

#[derive(Serialize)]
struct JsonStep {
    action: &'static str,
    queue: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_index: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<usize>,
}

#[derive(Serialize)]
struct JsonFailure {
    #[serde(flatten)]
    step: JsonStep,
    error: String,
    not_undone: Option<String>,
}

pub(super) fn report(
    entries: &[Entry],
    report: &Report,
    steps: &[Step],
    notes: &[String],
    status: u8,
) -> serde_json::Result<String> {
    let plan = &report.plan;
    let planned = entries.iter().zip(&plan.assignments).enumerate().map(|(number, (entry, planned))| JsonEntry {
        number: number + 1,
        name: entry.name.as_deref(),
        mode: match entry.wanted {
            Wanted::Accelerator => "accel",
            Wanted::Ep11 { .. } => "ep11",
        },
        satisfied: report.is_satisfied(number),
        queue: planned.as_ref().ok().map(|assignment| assignment.queue.to_string()),
        secret_index: planned.as_ref().ok().and_then(|assignment| assignment.secret),
        reason: planned.as_ref().err().map(ToString::to_string),
    });
    let unused: BTreeMap<_, _> = plan.unused.iter().map(|(apqn, reason)| (*apqn, reason)).collect();
    let queues = report.queues.iter().map(|queue| JsonQueue {
        entry: plan.entry_of(queue.apqn).map(|entry| entry + 1),
        left_out: unused.get(&queue.apqn).map(ToString::to_string),
        ..JsonQueue::from(queue)
    });
    let failures = report.failures.iter().map(|failure| JsonFailure {
        step: JsonStep::from(&failure.step),
        error: failure.error.chain(),
        not_undone: failure.not_undone.as_ref().map(apbus::Error::chain),
    });
    let object = JsonReport {
        dry_run: report.dry_run,
        status,
        satisfied: report.satisfied(),
        entries: planned.collect(),
        queues: queues.collect(),
        steps: steps.iter().map(JsonStep::from).collect(),
        failures: failures.collect(),
        notes,
    };
    serde_json::to_string_pretty(&object)
}

/// The report of a run that had nothing to do.
pub(super) fn nothing(dry_run: bool, notes: &[String]) -> serde_json::Result<String> {
    let (entries, queues, steps, failures) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let report = JsonReport { dry_run, status: 0, satisfied: 0, entries, queues, steps, failures, notes };
    serde_json::to_string_pretty(&report)
}

impl From<&Queue> for JsonQueue {
    fn from(queue: &Queue) -> Self {
        let mode = match queue.mode {
            Mode::Accelerator => "accel",
            Mode::Cca => "cca",
            Mode::Ep11 => "ep11",
        };
        let (state, secret_index) = match queue.state {
            State::Unbound => ("unbound", None),
            State::Bound => ("bound", None),
            State::Pending => ("pending", None),
            State::Associated(index) => ("associated", Some(index)),
            State::Illicit => ("illicit", None),
            State::Gone => ("gone", None),
            State::Offline => ("offline", None),
            State::Broken => ("error", None),
        };
        let mkvp = match queue.master_key {
            MasterKey::Valid(mkvp) => Some(mkvp.to_string()),
            MasterKey::Unknown | MasterKey::None => None,
        };
        Self {
            queue: queue.apqn.to_string(),
            kind: queue.card_type(),
            mode,
            state,
            secret_index,
            mkvp,
            serialnr: queue.serialnr.as_ref().map(ToString::to_string),
            secret_id: None,
            secret_name: None,
            entry: None,
            left_out: None,
        }
    }
}

impl From<&Step> for JsonStep {
    fn from(step: &Step) -> Self {
        let (action, apqn, secret_index, entry) = match *step {
            Step::Keep { apqn, entry, .. } => ("keep", apqn, None, Some(entry)),
            Step::Probe(apqn) => ("probe", apqn, None, None),
            Step::Unbind(apqn) => ("unbind", apqn, None, None),
            Step::Restore(apqn) => ("restore", apqn, None, None),
            Step::Bind { apqn, entry } => ("bind", apqn, None, Some(entry)),
            Step::Associate { apqn, index, entry } => ("associate", apqn, Some(index), Some(entry)),
        };
        Self { action, queue: apqn.to_string(), secret_index, entry: entry.map(|entry| entry + 1) }
    }
}

//! The form of a list of scenarios.

use super::Expect;
use anyhow::{Context, bail};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_yaml::{Mapping, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

const FORMAT: &str = "apconfig-scenarios/1";

/// A list of scenarios.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    format: String,
    /// Names for master keys, for all rows.
    #[serde(default)]
    master_keys: Value,
    scenarios: Vec<Row>,
}

/// A machine, a configuration, and what comes out of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(super) id: String,
    pub(super) title: String,
    /// What it is there for: for readers.
    #[serde(default, rename = "shows")]
    _shows: IgnoredAny,
    /// Of the inventory file of a machine.
    #[serde(default)]
    inventory: Value,
    #[serde(default)]
    guest: Value,
    #[serde(default)]
    secrets: Value,
    #[serde(default)]
    faults: Value,
    /// The configuration file.
    #[serde(default)]
    pub(super) config: Option<String>,
    #[serde(default)]
    flags: Option<Vec<String>>,
    #[serde(default)]
    steps: Option<Vec<Step>>,
    /// What the lock file holds before the first step; none without it.
    #[serde(default)]
    pub(super) lockfile: Option<String>,
    #[serde(default)]
    reference: Option<Expectation>,
    #[serde(default)]
    ideal: Option<Expectation>,
}

/// One run of the program.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    flags: Vec<String>,
}

/// What must come out. A key that is left out is not checked.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Expectation {
    pub(super) exit: Option<Exit>,
    pub(super) exit_in: Option<Vec<Exit>>,
    pub(super) exits: Option<Vec<Exit>>,
    pub(super) applied: Option<u64>,
    #[serde(rename = "final")]
    pub(super) end: Option<States>,
    #[serde(rename = "final_one_of")]
    pub(super) end_one_of: Option<Vec<States>>,
    pub(super) writes: Option<usize>,
    pub(super) writes_max: Option<usize>,
    pub(super) ms_max: Option<u128>,
    pub(super) untouched: Vec<String>,
    pub(super) stdout_has: Vec<String>,
    pub(super) stderr_has: Vec<String>,
    pub(super) lock_left: Option<bool>,
    /// That it differs from documented behaviour on purpose: for readers.
    #[serde(rename = "proposal")]
    _proposal: Option<bool>,
}

/// States by queue.
pub(super) type States = BTreeMap<String, String>;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Exit {
    /// With this status.
    Status(i32),
    /// Otherwise.
    Other(NoStatus),
}

/// The end of a program that gave no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NoStatus {
    /// It had not ended when the time was over.
    Hangs,
    /// By a signal.
    Killed,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Other(NoStatus::Hangs) => f.write_str("hangs"),
            Self::Other(NoStatus::Killed) => f.write_str("killed"),
        }
    }
}

impl List {
    /// Reads a file.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let name = file.display();
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read '{name}'"))?;
        let list: Self = serde_yaml::from_str(&text).with_context(|| format!("'{name}' is no list of scenarios"))?;
        if list.format != FORMAT {
            bail!("'{name}': the format '{}' is not known, only {FORMAT}", list.format);
        }
        Ok(list)
    }

    /// The rows with these ids; all without ids.
    pub(super) fn select(&self, ids: &[String]) -> anyhow::Result<Vec<&Row>> {
        if ids.is_empty() {
            return Ok(self.scenarios.iter().collect());
        }
        ids.iter().map(|id| self.row(id)).collect()
    }

    fn row(&self, id: &str) -> anyhow::Result<&Row> {
        self.scenarios.iter().find(|row| row.id == id).with_context(|| format!("there is no row '{id}'"))
    }

    /// The machine of the row with this id, as an inventory file.
    pub(crate) fn inventory(&self, id: &str) -> anyhow::Result<String> {
        self.inventory_of(self.row(id)?)
    }

    pub(super) fn inventory_of(&self, row: &Row) -> anyhow::Result<String> {
        let parts = [
            ("master_keys", &self.master_keys),
            ("inventory", &row.inventory),
            ("guest", &row.guest),
            ("secrets", &row.secrets),
            ("faults", &row.faults),
        ];
        let given = parts.into_iter().filter(|(_, value)| !value.is_null());
        let mapping: Mapping = given.map(|(key, value)| (key.into(), value.clone())).collect();
        Ok(serde_yaml::to_string(&mapping)?)
    }
}

impl Row {
    /// The arguments of each step; `{config}` stands for the configuration file.
    pub(super) fn steps(&self) -> Vec<Vec<String>> {
        if let Some(steps) = &self.steps {
            return steps.iter().map(|step| step.flags.clone()).collect();
        }
        let default = || ["-v", "-c", "{config}"].map(String::from).to_vec();
        vec![self.flags.clone().unwrap_or_else(default)]
    }

    /// What must come out.
    pub(super) fn expectation(&self, which: Expect) -> anyhow::Result<&Expectation> {
        let expectation = match which {
            Expect::Ideal => &self.ideal,
            Expect::Reference => &self.reference,
        };
        expectation.as_ref().with_context(|| format!("row '{}' has no '{}'", self.id, which.key()))
    }
}

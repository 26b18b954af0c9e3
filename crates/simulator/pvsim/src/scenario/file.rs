//! The form of a list of scenarios.

use crate::Error;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_yaml::{Mapping, Value};
use std::collections::BTreeMap;
use std::fmt;

const FORMAT: &str = "apconfig-scenarios/1";

/// A list of scenarios.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    format: String,
    /// Names for master keys, for all rows.
    #[serde(default)]
    master_keys: Value,
    scenarios: Vec<Row>,
}

/// A machine, a configuration, and what comes out of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its name.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// What it is there for: for readers.
    #[serde(default, rename = "shows")]
    _shows: IgnoredAny,
    /// Of the inventory file of a machine.
    #[serde(default)]
    pub(super) inventory: Value,
    #[serde(default)]
    pub(super) guest: Value,
    #[serde(default)]
    secrets: Value,
    #[serde(default)]
    pub(super) faults: Value,
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
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    flags: Vec<String>,
}

/// What must come out. A key that is left out is not checked.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expectation {
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
pub type States = BTreeMap<String, String>;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Exit {
    /// With this status.
    Status(i32),
    /// Otherwise.
    Other(NoStatus),
}

/// The end of a program that gave no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoStatus {
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

/// Which of its expectations a row is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// What is best.
    Ideal,
    /// What s390-tools 2.43.0 does.
    Reference,
}

impl List {
    /// Reads a list.
    ///
    /// # Errors
    /// [`Error::Scenarios`], [`Error::ScenarioFormat`].
    pub fn parse(yaml: &str) -> Result<Self, Error> {
        let list: Self = serde_yaml::from_str(yaml).map_err(Error::Scenarios)?;
        if list.format == FORMAT { Ok(list) } else { Err(Error::ScenarioFormat(list.format)) }
    }

    /// All rows, in the order of the file.
    pub fn rows(&self) -> &[Row] {
        &self.scenarios
    }

    /// The row with this id.
    ///
    /// # Errors
    /// [`Error::NoRow`].
    pub fn row(&self, id: &str) -> Result<&Row, Error> {
        self.scenarios.iter().find(|row| row.id == id).ok_or_else(|| Error::NoRow(id.into()))
    }

    /// The machine of a row, as an inventory file.
    ///
    /// # Errors
    /// [`Error::Yaml`].
    pub fn inventory(&self, row: &Row) -> Result<String, Error> {
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
    ///
    /// # Errors
    /// [`Error::NoExpectation`].
    pub fn expectation(&self, which: Expect) -> Result<&Expectation, Error> {
        let (key, expectation) = match which {
            Expect::Ideal => ("ideal", &self.ideal),
            Expect::Reference => ("reference", &self.reference),
        };
        expectation.as_ref().ok_or_else(|| Error::NoExpectation { row: self.id.clone(), key })
    }
}

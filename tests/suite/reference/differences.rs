//! `tests/differences/TOOL.yaml`: where we deliberately differ from s390-tools, and why.
//!
//! A difference that disappears, or that no command line shows, is reported as one that appears is.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What a command line did.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Behaviour {
    pub(crate) exit: i32,
    /// `data` or `empty`.
    #[serde(default = "empty")]
    pub(crate) stdout: String,
    #[serde(default = "empty")]
    pub(crate) stderr: String,
    /// Files that appeared or changed: kind, mode, size.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
}

fn empty() -> String {
    "empty".to_owned()
}

/// A deliberate difference. What is not named is as with the reference.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    /// Ids of recorded command lines; `*` stands for any text.
    cases: Vec<String>,
    exit: Option<i32>,
    stdout: Option<String>,
    stderr: Option<String>,
    /// By file: what it is instead, `~` for "not there".
    #[serde(default)]
    files: BTreeMap<String, Option<String>>,
    /// Outputs for the owner alone, whatever the reference's mode. Such a row goes together with another.
    #[serde(default)]
    secret: Vec<String>,
    /// Of guest commands: the ultravisor knows something else afterwards.
    #[serde(default)]
    state: bool,
    reason: String,
}

impl Difference {
    fn is_about(&self, id: &str) -> bool {
        self.cases.iter().any(|glob| matches(glob, id))
    }

    fn applied_to(&self, reference: &Behaviour) -> Behaviour {
        let mut expected = reference.clone();
        expected.exit = self.exit.unwrap_or(expected.exit);
        expected.stdout = self.stdout.clone().unwrap_or(expected.stdout);
        expected.stderr = self.stderr.clone().unwrap_or(expected.stderr);
        for (name, file) in &self.files {
            match file {
                Some(file) => expected.files.insert(name.clone(), file.clone()),
                None => expected.files.remove(name),
            };
        }
        for (name, file) in &mut expected.files {
            if self.secret.contains(name) {
                *file = file.replacen("0644", "0600", 1);
            }
        }
        expected
    }
}

/// The differences of one tool, and how often each was met.
pub(crate) struct Differences {
    rows: Vec<Difference>,
    used: Vec<usize>,
}

impl Differences {
    pub(crate) fn of_tool(tool: &str) -> Self {
        let table = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/differences/{tool}.yaml"));
        let rows: Vec<Difference> = serde_yaml::from_slice(&fs::read(table).unwrap()).unwrap();
        assert!(rows.iter().all(|row| !row.reason.is_empty()), "{tool}: a difference without a reason");
        Self { used: vec![0; rows.len()], rows }
    }

    /// For comparing a program with itself.
    pub(crate) fn none() -> Self {
        Self { rows: Vec::new(), used: Vec::new() }
    }

    /// What we must do where the reference does this; or which row of the table is wrong.
    pub(crate) fn expected(&mut self, id: &str, reference: &Behaviour) -> Result<Behaviour, String> {
        let rows = (0..self.rows.len()).filter(|&row| self.rows[row].is_about(id));
        let (secrets, rows): (Vec<_>, Vec<_>) = rows.partition(|&row| !self.rows[row].secret.is_empty());
        if rows.len() > 1 {
            return Err(format!("{id}: rows {rows:?} of the differences all match"));
        }
        let mut expected = reference.clone();
        for row in rows.into_iter().chain(secrets) {
            let differing = self.rows[row].applied_to(&expected);
            if differing != expected {
                self.used[row] += 1;
            } else if self.rows[row].secret.is_empty() {
                return Err(format!("{id}: row {row} of the differences changes nothing"));
            }
            expected = differing;
        }
        Ok(expected)
    }

    /// Whether the ultravisor must know something else afterwards.
    pub(crate) fn leaves_other_state(&self, id: &str) -> bool {
        self.rows.iter().any(|row| row.state && row.is_about(id))
    }

    /// How many times a row was met.
    pub(crate) fn met(&self) -> usize {
        self.used.iter().sum()
    }

    /// Rows that were not met, and are about none of the ids that others compare.
    pub(crate) fn idle<'a>(&self, elsewhere: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
        let idle = self.rows.iter().zip(&self.used).filter(|(row, used)| {
            let anywhere = elsewhere.clone().any(|id| row.is_about(id));
            **used == 0 && !anywhere
        });
        idle.map(|(row, _)| format!("a row of the differences matches no case: {:?}", row.cases)).collect()
    }
}

/// Whether `text` is `glob`, in which `*` stands for any text.
fn matches(glob: &str, text: &str) -> bool {
    match glob.split_once('*') {
        None => glob == text,
        Some((start, rest)) => match text.strip_prefix(start) {
            None => false,
            Some(text) => (0..=text.len()).any(|at| text.is_char_boundary(at) && matches(rest, &text[at..])),
        },
    }
}

#[test]
fn a_difference_that_is_gone_is_reported() {
    let id = "pvattest.check/left-out:<OUT>";
    let mut table = Differences::of_tool("pvattest");
    let reference = Behaviour { exit: 1, stdout: empty(), stderr: "data".to_owned(), files: BTreeMap::new() };
    let ours = table.expected(id, &reference).unwrap();
    assert_eq!((ours.exit, ours.stdout.as_str()), (0, "data"));
    assert!(table.expected(id, &ours).unwrap_err().contains("changes nothing"));
    assert_eq!(table.expected("any/other", &reference), Ok(reference));
    // Rows that nobody met; it is no matter when another comparison meets them.
    assert_eq!(table.idle([].into_iter()).len(), table.rows.len() - 1);
    assert!(table.idle(["extra/check-3"].into_iter()).len() < table.rows.len() - 1);
}

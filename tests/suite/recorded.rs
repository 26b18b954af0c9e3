//! What s390-tools did, command line by command line: exit code, streams and files must be the same, or
//! stand in `tests/differences/TOOL.yaml` with what ours does and why. A difference that disappears fails
//! the test as one that appears does.
//!
//! The recording is in `../shared`, so the test runs where that folder is.

use crate::support::{Run, Scratch, product, shared};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

#[derive(Deserialize)]
struct Recording {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    tool: String,
    argv: Vec<String>,
    #[serde(flatten)]
    expected: Behaviour,
    stdin: Option<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Behaviour {
    exit: i32,
    stdout: String,
    stderr: String,
    /// Files that appeared or changed: kind, mode, size.
    files: BTreeMap<String, String>,
}

/// A deliberate difference. What is not named is as recorded.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    /// Ids of recorded cases; `*` stands for any text.
    cases: Vec<String>,
    exit: Option<i32>,
    stdout: Option<String>,
    stderr: Option<String>,
    /// By file: what it is instead, `~` for "not there".
    #[serde(default)]
    files: BTreeMap<String, Option<String>>,
    /// Outputs for the owner alone, whatever the recorded mode. Such a row goes together with another.
    #[serde(default)]
    secret: Vec<String>,
    reason: String,
}

impl Difference {
    fn applied_to(&self, recorded: &Behaviour) -> Behaviour {
        let mut expected = recorded.clone();
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

/// Compares every recorded case of `tool` that `wanted` takes.
pub(crate) fn compare(tool: &str, wanted: impl Fn(&[String]) -> bool) {
    let (Some(recording), Some(fixtures)) = (shared("spec/cli-recorded.json"), shared("spec/cli-fixtures")) else {
        return;
    };
    let recording: Recording = serde_json::from_slice(&fs::read(recording).unwrap()).unwrap();
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/differences/{tool}.yaml"));
    let table: Vec<Difference> = serde_yaml::from_slice(&fs::read(table).unwrap()).unwrap();
    let mut used = vec![0_usize; table.len()];
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in recording.cases.iter().filter(|case| case.tool == tool && wanted(&case.argv)) {
        count += 1;
        let rows = (0..table.len()).filter(|&row| table[row].cases.iter().any(|glob| matches(glob, &case.id)));
        let (secrets, rows): (Vec<_>, Vec<_>) = rows.partition(|&row| !table[row].secret.is_empty());
        assert!(rows.len() <= 1, "{}: rows {rows:?} of the differences all match", case.id);
        let mut expected = case.expected.clone();
        for row in rows.into_iter().chain(secrets) {
            assert!(!table[row].reason.is_empty());
            let differing = table[row].applied_to(&expected);
            if differing != expected {
                used[row] += 1;
            } else if table[row].secret.is_empty() {
                wrong.push(format!("{}: row {row} of the differences changes nothing", case.id));
            }
            expected = differing;
        }
        let ours = observe(case, &fixtures);
        if ours.0 != expected {
            wrong.push(format!(
                "{}: {tool} {:?}\n  expected {expected:?}\n  ours     {:?}\n  stderr   {}",
                case.id, case.argv, ours.0, ours.1
            ));
        }
    }
    // Rows for cases that this call does not compare are another call's matter.
    for (row, _) in used.iter().enumerate().filter(|(_, uses)| **uses == 0) {
        let anywhere = recording.cases.iter().any(|case| {
            case.tool == tool && table[row].cases.iter().any(|glob| matches(glob, &case.id)) && !wanted(&case.argv)
        });
        if !anywhere {
            wrong.push(format!("row {row} of the differences matches no case: {:?}", table[row].cases));
        }
    }
    println!(
        "{tool}: {count} recorded command lines compared, {} of them deliberately different",
        used.iter().sum::<usize>()
    );
    assert!(count > 0, "no case was compared");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Runs a case in a clean folder that holds the files it names.
fn observe(case: &Case, fixtures: &Path) -> (Behaviour, String) {
    let scratch = Scratch::new();
    let words = case.argv.iter().flat_map(|word| word.split([',', '='])).chain(case.stdin.as_deref());
    for name in words {
        // Short options may have their value attached.
        for name in [name, name.get(2..).unwrap_or_default()] {
            let source = fixtures.join(name);
            if !name.is_empty() && !name.contains('/') && !name.starts_with('.') && source.is_file() {
                let target = scratch.join(name);
                fs::copy(source, &target).unwrap();
                fs::set_permissions(target, fs::Permissions::from_mode(0o644)).unwrap();
            }
        }
    }
    let before = listing(&scratch);
    let stdin = case.stdin.as_ref().map(|name| scratch.read(name)).unwrap_or_default();
    let run = Run::of(product(&case.tool).current_dir(scratch.path()).args(&case.argv), &stdin);
    let files = listing(&scratch)
        .into_iter()
        .filter_map(|(name, (shown, content))| match before.get(&name) {
            Some((_, old)) if *old == content => None,
            Some(_) => Some((name, format!("{shown} (was there)"))),
            None => Some((name, shown)),
        })
        .collect();
    let stream = |bytes: &[u8]| if bytes.is_empty() { "empty" } else { "data" }.to_owned();
    let behaviour =
        Behaviour { exit: run.status, stdout: stream(&run.stdout), stderr: stream(run.stderr.as_bytes()), files };
    (behaviour, run.stderr)
}

fn listing(scratch: &Scratch) -> BTreeMap<String, (String, Vec<u8>)> {
    scratch
        .names()
        .into_iter()
        .map(|name| {
            let content = scratch.read(&name);
            let shown = format!("file {:04o} {}", scratch.mode(&name), content.len());
            (name, (shown, content))
        })
        .collect()
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
fn pvextract_hdr_behaves_as_recorded() {
    compare("pvextract-hdr", |_| true);
}

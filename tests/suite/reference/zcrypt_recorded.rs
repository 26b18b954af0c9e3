//! lszcrypt and chzcrypt on a static sysfs, beside what those of s390-tools were recorded to do.

use crate::guest::run_with;
use crate::support::Scratch;
use pvtools::System;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

#[derive(Deserialize)]
struct Recording {
    tree: BTreeMap<String, Entry>,
    rows: Vec<Row>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Entry {
    Link(String),
    Text(String),
}

#[derive(Deserialize)]
struct Row {
    line: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    changes: BTreeMap<String, Option<String>>,
    exit: i32,
    stdout: String,
    stderr: String,
    #[serde(default)]
    written: BTreeMap<String, String>,
}

impl Row {
    fn key(&self) -> String {
        if self.name.is_empty() { self.line.trim().to_owned() } else { format!("{} # {}", self.line.trim(), self.name) }
    }
}

#[derive(Deserialize)]
struct Difference {
    cases: Vec<String>,
    #[expect(dead_code, reason = "for readers")]
    reason: String,
    exit: i32,
    #[serde(default)]
    stdout: String,
    #[serde(default)]
    stderr: String,
}

fn lay_out(tree: &BTreeMap<String, Entry>, root: &Path) {
    for (path, entry) in tree {
        let path = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match entry {
            Entry::Link(target) => symlink(target, path).unwrap(),
            Entry::Text(text) => fs::write(path, text).unwrap(),
        }
    }
}

/// 2.40.0 shows one more than the attribute says; 2.43.0 and this kernel's drivers do not.
fn of_2_43(stdout: &str) -> String {
    stdout.replace("     09 ", "     08 ")
}

#[test]
fn lists_and_settings_are_those_of_the_reference() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let recording = fs::read_to_string(manifest.join("fixtures/recorded/zcrypt.json")).unwrap();
    let recording: Recording = serde_json::from_str(&recording).unwrap();
    let differences = fs::read_to_string(manifest.join("tests/differences/zcrypt.yaml")).unwrap();
    let differences: Vec<Difference> = serde_yaml::from_str(&differences).unwrap();
    let mut unseen: BTreeSet<_> = differences.iter().flat_map(|difference| &difference.cases).cloned().collect();
    let (mut same, mut different, mut wrong) = (0, 0, Vec::new());
    for row in &recording.rows {
        let mut tree = recording.tree.clone();
        for (path, text) in &row.changes {
            match text {
                Some(text) => tree.insert(path.clone(), Entry::Text(text.clone())),
                None => tree.remove(path),
            };
        }
        let scratch = Scratch::new();
        lay_out(&tree, scratch.path());
        let args: Vec<_> = row.line.split_whitespace().map(OsString::from).collect();
        let root = scratch.path().to_owned();
        let run = run_with(&args, vec![], |system: &mut System| system.root = root.clone());
        let first_line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        // We write as to an attribute, without cutting the file: it keeps what stood behind a shorter text.
        let over = |text: &str, before: &str| format!("{text}{}", before.get(text.len()..).unwrap_or_default());
        let mut written = BTreeMap::new();
        let mut expected = BTreeMap::new();
        for (path, entry) in &tree {
            let Entry::Text(before) = entry else { continue };
            let after = first_line(&fs::read_to_string(scratch.join(path.trim_start_matches('/'))).unwrap());
            if after != first_line(before) {
                written.insert(path.clone(), after);
            }
            let theirs = row.written.get(path).map(|text| over(&first_line(text), &first_line(before)));
            let theirs = theirs.filter(|text| *text != first_line(before));
            expected.extend(theirs.map(|text| (path.clone(), text)));
        }
        let ours = (run.status, run.stdout().to_owned(), run.stderr.replace(scratch.path().to_str().unwrap(), ""));
        let theirs = (row.exit, of_2_43(&row.stdout), row.stderr.clone());
        // A wrong command line is explained in other words, by all tools.
        let is_usage = |stderr: &str| stderr.contains("--help' ") || stderr.contains("try '--help'");
        let both_usage = ours.0 == theirs.0 && is_usage(&ours.2) && is_usage(&theirs.2);
        let equal = (ours == theirs || both_usage) && written == expected;
        let key = row.key();
        match differences.iter().find(|difference| difference.cases.contains(&key)) {
            None if equal => same += 1,
            None => wrong.push(format!("{key}\n  ours   {ours:?} {written:?}\n  theirs {theirs:?} {expected:?}")),
            Some(_) if equal => wrong.push(format!("{key}: listed as a difference, but there is none")),
            Some(difference) => {
                unseen.remove(&key);
                different += 1;
                let as_listed = ours.0 == difference.exit
                    && ours.1.contains(difference.stdout.as_str())
                    && ours.2.contains(difference.stderr.as_str());
                if !as_listed {
                    wrong.push(format!("{key}: differs in another way than listed: {ours:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(unseen, BTreeSet::new(), "listed differences that no row has");
    println!("{} rows: {same} the same, {different} deliberately different", recording.rows.len());
}

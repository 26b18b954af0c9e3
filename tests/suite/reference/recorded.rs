//! What s390-tools did, command line by command line: exit code, streams and files must be the same, or stand in
//! `tests/differences` with what ours does and why.
//!
//! The rows are in `fixtures/recorded`; the files that they name are made by `recorded_inputs`. Where the recording
//! itself is at hand with its own files, our behaviour is compared with those as well.

use crate::differences::{Behaviour, Differences};
use crate::recorded_images;
use crate::recorded_inputs::Inputs;
use crate::side_by_side;
use crate::support::{Run, Scratch, product, shared};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The tools that make images, whose rows have inputs of their own.
const IMAGE_TOOLS: [&str; 2] = ["genprotimg", "pvimg"];
/// The other tools whose rows are kept.
pub(crate) const TOOLS: [&str; 6] = ["pvapconfig", "pvattest", "pvextract-hdr", "pvinfo", "pvsecret", "pvverify"];

/// A command line, and what the reference did.
#[derive(Debug, Deserialize, PartialEq)]
pub(crate) struct Row {
    #[serde(flatten)]
    pub(crate) line: Line,
    #[serde(flatten)]
    behaviour: Behaviour,
}

/// A command line.
#[derive(Debug, Deserialize, PartialEq)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) argv: Vec<String>,
    /// The file on standard input.
    pub(crate) stdin: Option<String>,
    /// A file that was there before, 13 bytes, and its mode.
    #[serde(default)]
    pub(crate) existing: Option<(String, String)>,
}

/// What a command did, with the bytes.
pub(crate) struct Observed {
    pub(crate) behaviour: Behaviour,
    pub(crate) run: Run,
    /// Content of the files that appeared or changed.
    pub(crate) contents: BTreeMap<String, Vec<u8>>,
}

/// The rows of a tool.
pub(crate) fn rows(tool: &str) -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/recorded/{tool}.jsonl"));
    let lines = fs::read_to_string(path).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Whether this is a command line of `pvsecret` for guests.
pub(crate) fn is_for_guests(argv: &[String]) -> bool {
    argv.first().is_some_and(|command| ["add", "list", "lock", "retrieve", "retr"].contains(&command.as_str()))
}

/// What of a real machine `tool` would work on.
pub(crate) fn reaches_device(tool: &str) -> Option<&'static str> {
    match tool {
        "pvattest" | "pvsecret" => Some("/dev/uv"),
        "pvapconfig" => Some("/sys/bus/ap"),
        "pvinfo" => Some("/sys/firmware/uv"),
        _ => None,
    }
}

/// Compares every row of `tool` whose arguments `wanted` takes.
pub(crate) fn compare(tool: &str, wanted: impl Fn(&[String]) -> bool) {
    if IMAGE_TOOLS.contains(&tool) {
        return compare_with(tool, &wanted, recorded_images::inputs(), "our own inputs");
    }
    compare_with(tool, &wanted, Inputs::ours(), "our own inputs");
    if cfg!(target_arch = "s390x") {
        println!("skipped: the recording's own inputs, which say nothing more here than on the developer's machine");
    } else if let Some(folder) = shared("spec/cli-fixtures") {
        compare_with(tool, &wanted, &Inputs::of_folder(&folder), "the recording's inputs");
    }
}

fn compare_with(tool: &str, wanted: &impl Fn(&[String]) -> bool, inputs: &Inputs, whose: &str) {
    let (rows, others): (Vec<_>, Vec<_>) = rows(tool).into_iter().partition(|row| wanted(&row.line.argv));
    if let Some(device) = reaches_device(tool).filter(|device| Path::new(device).exists()) {
        println!("skipped: {tool}, recorded without {device}, might change it here");
        return;
    }
    let mut differences = Differences::of_tool(tool);
    let mut wrong = Vec::new();
    for Row { line, behaviour } in &rows {
        let expected = match differences.expected(&line.id, behaviour) {
            Ok(expected) => expected,
            Err(problem) => {
                wrong.push(problem);
                continue;
            }
        };
        let mut ours = observe(product(tool), line, inputs);
        forget_sizes(&mut ours.behaviour, &expected);
        if ours.behaviour != expected {
            wrong.push(format!(
                "{}: {tool} {:?}\n  expected {expected:?}\n  ours     {:?}\n  stderr   {}",
                line.id, line.argv, ours.behaviour, ours.run.stderr
            ));
        }
    }
    // Rows for cases that this call does not compare are another call's matter.
    let mut elsewhere: Vec<&str> = side_by_side::guest_ids().collect();
    elsewhere.extend(others.iter().map(|row| &*row.line.id));
    wrong.extend(differences.idle(elsewhere.into_iter()));
    let (count, met) = (rows.len(), differences.met());
    println!("{tool}: {count} recorded command lines compared with {whose}, {met} of them deliberately different");
    assert!(count > 0, "no case was compared");
    assert!(wrong.is_empty(), "{} of {count} differ with {whose}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Sizes of images depend on the loader, so they were not recorded.
fn forget_sizes(ours: &mut Behaviour, expected: &Behaviour) {
    for (name, shown) in &mut ours.files {
        if expected.files.get(name).is_some_and(|expected| expected.ends_with(" SIZE")) {
            shown.truncate(shown.rfind(' ').unwrap());
            shown.push_str(" SIZE");
        }
    }
}

/// Runs `program` with the arguments of a line, in a clean folder that holds the files it names.
pub(crate) fn observe(mut program: Command, line: &Line, inputs: &Inputs) -> Observed {
    let scratch = Scratch::new();
    for name in named_files(line, inputs) {
        let path = scratch.write(name, inputs.find(name).unwrap());
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    if let Some((name, mode)) = &line.existing {
        let path = scratch.write(name, "was there so\n");
        fs::set_permissions(path, fs::Permissions::from_mode(u32::from_str_radix(mode, 8).unwrap())).unwrap();
    }
    let before = listing(&scratch);
    let stdin = line.stdin.as_ref().map(|name| scratch.read(name)).unwrap_or_default();
    let run = Run::of(program.current_dir(scratch.path()).args(&line.argv), &stdin);
    let (mut files, mut contents) = (BTreeMap::new(), BTreeMap::new());
    let after = listing(&scratch);
    files.extend(
        before.keys().filter(|name| !after.contains_key(*name)).map(|name| (name.clone(), "removed".to_owned())),
    );
    for (name, (shown, content)) in after {
        match before.get(&name) {
            Some((_, old)) if *old == content => continue,
            Some(_) => files.insert(name.clone(), format!("{shown} (was there)")),
            None => files.insert(name.clone(), shown),
        };
        contents.insert(name, content);
    }
    let stream = |bytes: &[u8]| if bytes.is_empty() { "empty" } else { "data" }.to_owned();
    let (stdout, stderr) = (stream(&run.stdout), stream(run.stderr.as_bytes()));
    Observed { behaviour: Behaviour { exit: run.status, stdout, stderr, files }, run, contents }
}

/// The inputs that a line names, in lists and behind options too.
fn named_files<'a>(line: &'a Line, inputs: &Inputs) -> BTreeSet<&'a str> {
    let words = line.argv.iter().flat_map(|word| word.split([',', '='])).chain(line.stdin.as_deref());
    // Short options may have their value attached.
    let names = words.flat_map(|word| [word, word.get(2..).unwrap_or_default()]);
    names.filter(|name| inputs.find(name).is_some()).collect()
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

#[test]
fn pvimg_behaves_as_recorded() {
    compare("pvimg", |_| true);
}

#[test]
fn genprotimg_behaves_as_recorded() {
    compare("genprotimg", |_| true);
}

#[test]
fn pvextract_hdr_behaves_as_recorded() {
    compare("pvextract-hdr", |_| true);
}

/// The recording was carried over whole, and each file that it names is made.
#[test]
fn every_recorded_row_is_kept() {
    #[derive(Deserialize)]
    struct Recording {
        cases: Vec<Case>,
    }
    #[derive(Deserialize)]
    struct Case {
        tool: String,
        #[serde(flatten)]
        row: Row,
    }

    let recordings: [(&[&str], _, _, _); 2] = [
        (&TOOLS, Inputs::ours(), "spec/cli-recorded.json", "spec/cli-fixtures"),
        (&IMAGE_TOOLS, recorded_images::inputs(), "spec/cli-pvimg-recorded.json", "spec/cli-pvimg-fixtures"),
    ];
    for (tools, ours, recording, folder) in recordings {
        let kept: Vec<_> = tools.iter().flat_map(|tool| rows(tool).into_iter().map(move |row| (*tool, row))).collect();
        let ids: BTreeSet<_> = kept.iter().map(|(_, row)| &row.line.id).collect();
        assert_eq!(ids.len(), kept.len(), "two rows have the same id");
        println!("{} recorded command lines of {tools:?}", kept.len());
        let used: BTreeSet<_> = kept.iter().flat_map(|(_, row)| named_files(&row.line, ours)).collect();
        let idle: Vec<_> = ours.names().filter(|name| !used.contains(name)).collect();
        assert!(idle.is_empty(), "no command line names {idle:?}");
        let (Some(recording), Some(folder)) = (shared(recording), shared(folder)) else { continue };
        let recording: Recording = serde_json::from_slice(&fs::read(recording).unwrap()).unwrap();
        assert_eq!(recording.cases.len(), kept.len());
        let theirs = Inputs::of_folder(&folder);
        for case in &recording.cases {
            assert!(kept.iter().any(|(tool, row)| *tool == case.tool && *row == case.row), "{}", case.row.line.id);
            assert_eq!(named_files(&case.row.line, ours), named_files(&case.row.line, &theirs), "{}", case.row.line.id);
        }
    }
}

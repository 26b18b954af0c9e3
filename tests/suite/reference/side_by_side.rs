//! The reference's programs and ours with the same command lines: exit codes, streams, files with their contents, what a
//! guest's ultravisor knows afterwards; and each side with the other's files.
//!
//! `PVTOOLS_REFERENCE=DIR` names a folder with the reference's `pvsecret`, `pvattest`, ... Known differences are those of
//! `tests/differences`. Without that folder, the comparison itself is tested: with links to our own program, which must
//! come out equal, and with programs that behave a little differently, which must be found.

use crate::differences::Differences;
use crate::recorded::{Line, Observed, TOOLS, observe, reaches_device, rows};
use crate::recorded_inputs::Inputs;
use crate::side_by_side_guest::{COMMANDS, Guests};
use crate::support::{Scratch, clean, product};
use pvsim::GuestServer;
use serde_yaml::Value;
use std::env;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

pub(crate) use crate::side_by_side_guest::ids as guest_ids;

/// Whose program.
#[derive(Clone, Copy)]
pub(crate) enum Side<'a> {
    Ours,
    /// The folder with the programs.
    Theirs(&'a Path),
}

impl Side<'_> {
    pub(crate) fn command(self, tool: &str) -> Command {
        let Self::Theirs(folder) = self else { return product(tool) };
        let mut command = Command::new(folder.join(tool));
        clean(&mut command);
        command
    }

    /// The program in a guest.
    pub(crate) fn in_guest(self, server: &GuestServer, tool: &str) -> Command {
        let mut command = match self {
            Self::Ours => server.command(env!("CARGO_BIN_EXE_pvtools")),
            Self::Theirs(folder) => server.command(folder.join(tool)),
        };
        if let Self::Ours = self {
            command.arg0(tool);
        }
        clean(&mut command);
        command
    }

    pub(crate) fn has(self, tool: &str) -> bool {
        match self {
            Self::Ours => true,
            Self::Theirs(folder) => folder.join(tool).exists(),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs(_) => "the reference",
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) compared: usize,
    /// Beginning with the id of the command line.
    pub(crate) findings: Vec<String>,
}

impl Report {
    /// Compares one command line, which `theirs` and `ours` run.
    pub(crate) fn compare(
        &mut self,
        line: &Line,
        inputs: &Inputs,
        differences: &mut Differences,
        [theirs, ours]: [&dyn Fn() -> Command; 2],
    ) {
        self.compared += 1;
        let (their, our) = (observe(theirs(), line, inputs), observe(ours(), line, inputs));
        let expected = match differences.expected(&line.id, &their.behaviour) {
            Ok(expected) => expected,
            Err(problem) => return self.findings.push(problem),
        };
        if our.behaviour != expected {
            self.findings.push(format!(
                "{}: {:?}\n  the reference {:?}\n  we must       {expected:?}\n  we do         {:?}\n  {}  {}",
                line.id, line.argv, their.behaviour, our.behaviour, their.run.stderr, our.run.stderr
            ));
            return;
        }
        let differing: Vec<_> = data(line, &their)
            .into_iter()
            .filter_map(|(name, theirs)| Some((name, theirs, output(&our, name)?)))
            .filter(|(_, theirs, ours)| !are_same(theirs, ours))
            .collect();
        if differing.is_empty() {
            return;
        }
        // What we never write twice alike is random, and says nothing.
        let again = observe(ours(), line, inputs);
        for (name, theirs, ours) in differing {
            if output(&again, name).is_some_and(|again| are_same(again, ours)) {
                let [theirs, ours] = [theirs, ours].map(String::from_utf8_lossy);
                self.findings.push(format!("{}: {name} differs\n  theirs: {theirs}\n  ours:   {ours}", line.id));
            }
        }
    }

    fn print(&self, what: &str) {
        println!("{what}: {} compared, {} findings", self.compared, self.findings.len());
        self.findings.iter().for_each(|finding| println!("{finding}"));
    }
}

/// The outputs for programs: all files, and standard output where it is no text for people.
fn data<'a>(line: &Line, observed: &'a Observed) -> Vec<(&'a str, &'a [u8])> {
    let mut data: Vec<_> = observed.contents.iter().map(|(name, content)| (&**name, &**content)).collect();
    let for_people = ["-h", "--help", "help", "-V", "--version", "version"];
    if !line.argv.iter().any(|word| for_people.contains(&word.as_str())) && structured(&observed.run.stdout).is_some() {
        data.push((STDOUT, &observed.run.stdout));
    }
    data
}

/// An output by its name. A file that is not there was compared already, and is a known difference.
fn output<'a>(observed: &'a Observed, name: &str) -> Option<&'a [u8]> {
    if name == STDOUT { Some(&observed.run.stdout) } else { observed.contents.get(name).map(Vec::as_slice) }
}

const STDOUT: &str = "standard output";

fn are_same(left: &[u8], right: &[u8]) -> bool {
    left == right || structured(left).is_some_and(|left| structured(right) == Some(left))
}

/// The value of YAML or JSON that is more than a word.
fn structured(bytes: &[u8]) -> Option<Value> {
    let value = serde_yaml::from_slice(bytes).ok()?;
    matches!(value, Value::Mapping(_) | Value::Sequence(_) | Value::Tagged(_)).then_some(value)
}

/// Every `step`th of the recorded command lines.
fn compare_rows(theirs: &Path, differences: impl Fn(&str) -> Differences, step: usize) -> Report {
    let mut report = Report::default();
    for tool in TOOLS {
        let device = reaches_device(tool).filter(|device| Path::new(device).exists());
        if !Side::Theirs(theirs).has(tool) || device.is_some() {
            crate::support::left_out(format!("{tool}, which is not in {} or would reach {device:?}", theirs.display()));
            continue;
        }
        let mut differences = differences(tool);
        for row in rows(tool).iter().step_by(step) {
            let sides: [&dyn Fn() -> Command; 2] = [&|| Side::Theirs(theirs).command(tool), &|| product(tool)];
            report.compare(&row.line, Inputs::ours(), &mut differences, sides);
        }
        if step == 1 {
            report.findings.extend(differences.idle(guest_ids()));
        }
    }
    report
}

#[test]
fn the_reference_and_we_do_the_same() {
    let Some(folder) = env::var_os("PVTOOLS_REFERENCE") else {
        crate::support::left_out("PVTOOLS_REFERENCE names no folder with the reference's programs");
        return;
    };
    let folder = fs::canonicalize(folder).unwrap();
    assert!(TOOLS.iter().any(|tool| folder.join(tool).exists()), "none of {TOOLS:?} is in {}", folder.display());
    let guests = Guests::new(&folder);
    let reports = [
        ("recorded command lines", compare_rows(&folder, Differences::of_tool, 1)),
        ("guest command lines", guests.compare_commands(Differences::of_tool)),
        ("requests of the other side", guests.exchange_requests()),
        ("attestations by both sides", guests.exchange_attestations()),
    ];
    reports.iter().for_each(|(what, report)| report.print(what));
    assert!(reports.iter().all(|(_, report)| report.findings.is_empty()), "see above");
}

#[test]
fn our_own_program_is_found_equal() {
    let folder = Scratch::new();
    for tool in TOOLS {
        symlink(env!("CARGO_BIN_EXE_pvtools"), folder.join(tool)).unwrap();
    }
    let guests = Guests::new(folder.path());
    for (what, report, least) in [
        ("recorded command lines", compare_rows(folder.path(), |_| Differences::none(), 10), 100),
        ("guest command lines", guests.compare_commands(|_| Differences::none()), COMMANDS.len()),
        ("requests of the other side", guests.exchange_requests(), 16),
        ("attestations by both sides", guests.exchange_attestations(), 6),
    ] {
        report.print(what);
        assert!(report.compared >= least && report.findings.is_empty(), "{what}: {report:#?}");
    }
}

/// A folder with programs that are ours but for `deviation`, shell code with `"$@"` and `$pvtools`.
fn deviating(tool: &str, deviation: &str) -> Scratch {
    let folder = Scratch::new();
    for tool in TOOLS {
        symlink(env!("CARGO_BIN_EXE_pvtools"), folder.join(tool)).unwrap();
    }
    let program = folder.join(tool);
    fs::remove_file(&program).unwrap();
    let pvtools = env!("CARGO_BIN_EXE_pvtools");
    fs::write(&program, format!("#!/bin/sh\npvtools() {{ '{pvtools}' {tool} \"$@\"; }}\n{deviation}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn every_kind_of_difference_in_a_row_is_found() {
    let id = "extra/measure-resp_user-user";
    let row = rows("pvattest").into_iter().find(|row| row.line.id == id).unwrap();
    for (what, deviation, words) in [
        ("nothing", r#"pvtools "$@""#, None),
        ("exit code", r#"pvtools "$@"; exit 3"#, Some("exit: 3")),
        ("size of a file", r#"pvtools "$@"; echo >> user.out"#, Some("user.out")),
        ("content of a file", r#"pvtools "$@"; tr a-z A-Z < user.out > x; mv x user.out"#, Some("user.out differs")),
        ("mode of a file", r#"pvtools "$@"; chmod 600 user.out"#, Some("0600")),
        ("one more file", r#"pvtools "$@"; echo > one-more"#, Some("one-more")),
        ("no file", r#"pvtools "$@"; rm user.out"#, Some("files: {}")),
        ("a stream", r#"pvtools "$@" 2> /dev/null"#, Some(r#"stderr: "empty""#)),
    ] {
        let folder = deviating("pvattest", deviation);
        let mut report = Report::default();
        let sides: [&dyn Fn() -> Command; 2] =
            [&|| Side::Theirs(folder.path()).command("pvattest"), &|| product("pvattest")];
        report.compare(&row.line, Inputs::ours(), &mut Differences::none(), sides);
        let found = report.findings.concat();
        assert_eq!(report.findings.len(), usize::from(words.is_some()), "{what}: {found}");
        assert!(found.contains(words.unwrap_or_default()), "{what}: {found}");
        assert!(words.is_none() || found.starts_with(id), "{what}: {found}");
    }
}

#[test]
fn differences_in_the_guest_are_found() {
    for (what, tool, deviation, found_at) in [
        ("a list", "pvsecret", r#"pvtools "$@" > out; sed 's/stype: 2/stype: 3/' out; rm out"#, "guest/list-yaml: "),
        ("an exit code", "pvsecret", r#"pvtools "$@" || exit 4"#, "guest/add-cut: "),
        // It says that it locked the store, and did not.
        ("a state", "pvsecret", "echo Successfully locked >&2", "guest/lock: the ultravisor's state"),
        (
            "a response",
            "pvattest",
            r#"pvtools "$@"; printf x | dd of=response bs=1 seek=500 conv=notrunc"#,
            "guest/perform: ",
        ),
    ] {
        // Nothing else is done in another way.
        let (id, _) = found_at.split_once(':').unwrap();
        let (_, words) = COMMANDS.into_iter().find(|(of, _)| *of == id).unwrap();
        let (_, arguments) = words.split_once(' ').unwrap();
        let folder =
            deviating(tool, &format!("if [ \"$*\" = '{arguments}' ]; then {deviation}; else pvtools \"$@\"; fi"));
        let mut report = Guests::new(folder.path()).compare_commands(|_| Differences::none());
        // Other steps have the same words.
        let same_words = |finding: &str| COMMANDS.iter().any(|(of, same)| words == *same && finding.starts_with(of));
        report.findings.retain(|finding| finding.starts_with(found_at) || !same_words(finding));
        assert!(matches!(&*report.findings, [one] if one.starts_with(found_at)), "{what}: {report:#?}");
    }
}

#[test]
fn files_that_the_other_side_refuses_are_found() {
    type Exchange = fn(&Guests) -> Report;
    let rows: [(&str, &str, u32, &str, Exchange); 3] = [
        ("a request that no guest takes", "pvsecret", 1340, "add: exit 1", Guests::exchange_requests),
        ("a signature", "pvsecret", 800, "verify: exit 1", Guests::exchange_requests),
        ("an attestation request", "pvattest", 420, "perform: exit 1", Guests::exchange_attestations),
    ];
    for (what, tool, at, found_at, exchange) in rows {
        let spoil = format!("printf x | dd of=request bs=1 seek={at} conv=notrunc 2> /dev/null");
        let folder = deviating(tool, &format!("pvtools \"$@\" || exit\n[ \"$1\" != create ] || {spoil}"));
        let findings = exchange(&Guests::new(folder.path())).findings;
        assert!(findings.iter().any(|finding| finding.starts_with(found_at)), "{what}: {findings:#?}");
        // What our side makes is sound.
        assert!(findings.iter().all(|finding| finding.contains("by the reference")), "{what}: {findings:#?}");
    }
}

#[test]
#[cfg(not(target_arch = "s390x"))]
fn a_reference_without_guest_commands_is_compared_in_all_else() {
    let refuse = r#"case "$1" in add|list|lock|retrieve|perform) echo s390x only >&2; exit 1; esac; pvtools "$@""#;
    let folder = deviating("pvsecret", refuse);
    let guests = Guests::new(folder.path());
    for (report, compared) in [
        (guests.compare_commands(|_| Differences::none()), 0),
        (guests.exchange_requests(), 16),
        (guests.exchange_attestations(), 3),
    ] {
        assert!(report.compared == compared && report.findings.is_empty(), "{report:#?}");
    }
}

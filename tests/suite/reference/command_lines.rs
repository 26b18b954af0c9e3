//! Every option of s390-tools: the same names, values, repetitions and exclusions.
//!
//! The reference's definitions are in `../shared`, so the test runs where that folder is.

use crate::support::shared;
use clap::{Arg, ArgAction, Command};
use pvtools::Applet;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;

#[derive(Deserialize)]
struct Definitions {
    tools: Vec<Definition>,
}

#[derive(Deserialize)]
struct Definition {
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    hidden_aliases: Vec<String>,
    #[serde(default)]
    hidden: bool,
    groups: Vec<Group>,
    options: Vec<Defined>,
    subcommands: Vec<Definition>,
}

#[derive(Deserialize)]
struct Group {
    members: Vec<String>,
    multiple: bool,
}

#[derive(Deserialize)]
struct Defined {
    key: String,
    long: Option<String>,
    short: Option<char>,
    aliases: Vec<String>,
    hidden_aliases: Vec<String>,
    positional: Option<usize>,
    action: String,
    value_delimiter: Option<char>,
    required: bool,
    default: Option<String>,
    possible_values: Vec<String>,
    conflicts_with: Vec<String>,
    hidden: bool,
    global: bool,
}

/// Deliberate differences: where, what the comparison finds, and why.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("pvapconfig", "--check is ours", "checks a configuration file anywhere"),
    ("pvapconfig", "--format is ours", "json"),
    ("pvapconfig", "--status is ours", "the state of every queue"),
    ("pvapconfig", "--strict: short", "IBM's documents print -s"),
    ("pvapconfig", "<CONFIG> is ours", "IBM's documents print the file as a plain argument"),
    ("pvattest check", "--arpk is ours", "checks the measurement first"),
    ("pvattest check", "--hdr is ours", "checks the measurement first"),
    ("pvattest check", "--firmware-verify-url: default", "the reference has the same one, unseen in its help"),
    ("pvattest check", "--format: values", "also json"),
    ("pvattest check", "--input with <IN>", "'-i IN OUT' works"),
    ("pvattest create", "--output: aliases", "IBM's documents print --output-file"),
    ("pvattest perform", "--input with <IN>", "'-i IN OUT' works"),
    ("pvattest verify", "--format: values", "also json"),
    ("pvextract-hdr", "-h: action", "the reference is a shell script"),
    ("pvextract-hdr", "-l: default", "without it, the header is looked for in more places"),
    ("pvextract-hdr", "-s: default", "without it, the header is looked for in more places"),
    ("pvinfo", "--format: global", "supported-flags takes it, too"),
    ("pvinfo", "--format: values", "also json"),
    ("pvsecret create", "--hdr: aliases", "IBM's documents print --se-hdr"),
    ("pvsecret list", "--format: values", "also json"),
    ("pvsecret retrieve", "--input with <INPUT>", "'-i ID OUT' works"),
    ("pvsecret verify", "--input with <INPUT>", "'-i IN OUT' works"),
    ("pvverify", "--explain is ours", "draws the chain"),
    ("pvverify", "--format is ours", "json"),
];

#[test]
fn options_are_those_of_the_reference() {
    let Some(file) = shared("spec/cli.yaml") else { return };
    let definitions: Definitions = serde_yaml::from_slice(&fs::read(file).unwrap()).unwrap();
    let mut findings = BTreeSet::new();
    let mut options = 0;
    for tool in &definitions.tools {
        let Some(applet) = Applet::ALL.iter().find(|applet| applet.name == tool.name) else { continue };
        let mut command = (applet.command)();
        command.build();
        options += compare(&tool.name, tool, &command, &mut findings);
    }
    let expected: BTreeSet<_> =
        DIFFERENCES.iter().map(|(place, found, _)| (String::from(*place), String::from(*found))).collect();
    let new: Vec<_> = findings.difference(&expected).collect();
    let gone: Vec<_> = expected.difference(&findings).collect();
    assert!(new.is_empty() && gone.is_empty(), "not deliberate: {new:#?}\nno longer there: {gone:#?}");
    println!("{options} options of the reference found, {} differences", findings.len());
    assert!(options > 80, "{options}");
}

/// Compares a command and those below it; gives the number of options that were compared.
fn compare(place: &str, theirs: &Definition, ours: &Command, findings: &mut BTreeSet<(String, String)>) -> usize {
    let mut find = |words: String| findings.insert((place.to_owned(), words));
    let mut pairs = Vec::new();
    for defined in theirs.options.iter().filter(|defined| !is_help_or_version(&defined.key)) {
        match ours.get_arguments().find(|arg| is(defined, arg)) {
            Some(arg) => pairs.push((defined, arg)),
            None => drop(find(format!("{} is missing", defined.key))),
        }
    }
    for arg in ours.get_arguments().filter(|arg| !arg.is_global_set() && !is_help_or_version(&key(arg))) {
        if !pairs.iter().any(|(_, found)| found.get_id() == arg.get_id()) {
            find(format!("{} is ours", key(arg)));
        }
    }
    for (at, (defined, arg)) in pairs.iter().enumerate() {
        for what in differing(defined, arg) {
            find(format!("{}: {what}", defined.key));
        }
        for (other, other_arg) in &pairs[at + 1..] {
            if excludes(theirs, defined, other) != clap_excludes(ours, arg, other_arg) {
                find(format!("{} with {}", defined.key, other.key));
            }
        }
    }
    let mut compared = pairs.len();
    for theirs in &theirs.subcommands {
        let Some(ours) = ours.get_subcommands().find(|ours| ours.get_name() == theirs.name) else {
            findings.insert((place.to_owned(), format!("{} is missing", theirs.name)));
            continue;
        };
        let place = format!("{place} {}", theirs.name);
        let flag = ours.get_long_flag().map(|flag| format!("--{flag}"));
        let names: BTreeSet<_> = ours.get_all_aliases().map(str::to_owned).chain(flag).collect();
        let aliases: BTreeSet<_> = theirs.aliases.iter().chain(&theirs.hidden_aliases).cloned().collect();
        if names != aliases || ours.is_hide_set() != theirs.hidden {
            findings.insert((place.clone(), "aliases or visibility".to_owned()));
        }
        compared += compare(&place, theirs, ours, findings);
    }
    compared
}

fn is_help_or_version(key: &str) -> bool {
    ["--help", "--version"].contains(&key)
}

fn is(defined: &Defined, arg: &Arg) -> bool {
    match (&defined.long, defined.short, defined.positional) {
        (Some(long), ..) => arg.get_long() == Some(long),
        (None, Some(short), _) => arg.get_short() == Some(short),
        (None, None, index) => arg.is_positional() && arg.get_index() == index,
    }
}

/// As the definitions name it.
fn key(arg: &Arg) -> String {
    match (arg.get_long(), arg.get_short()) {
        (Some(long), _) => format!("--{long}"),
        (None, Some(short)) => format!("-{short}"),
        (None, None) => format!("<{}>", arg.get_value_names().unwrap_or_default().join(" ")),
    }
}

/// What is not as the reference has it.
fn differing(defined: &Defined, arg: &Arg) -> Vec<&'static str> {
    let action = match arg.get_action() {
        ArgAction::Set => "set",
        ArgAction::Append => "append",
        ArgAction::SetTrue => "set_true",
        ArgAction::Count => "count",
        _ => "other",
    };
    let names = |names: Option<Vec<&str>>| names.unwrap_or_default().into_iter().map(str::to_owned).collect();
    let ours: BTreeSet<String> = names(arg.get_all_aliases());
    let theirs: BTreeSet<_> = defined.aliases.iter().chain(&defined.hidden_aliases).cloned().collect();
    let takes_value = arg.get_action().takes_values();
    let values: Vec<_> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let default = arg.get_default_values().first().and_then(|value| value.to_str());
    let rows = [
        ("short", arg.get_short() == defined.short),
        ("aliases", ours == theirs),
        ("action", action == defined.action),
        ("delimiter", arg.get_value_delimiter() == defined.value_delimiter),
        ("required", arg.is_required_set() == defined.required),
        ("default", !takes_value || default == defined.default.as_deref()),
        ("values", !takes_value || values == defined.possible_values),
        ("hidden", arg.is_hide_set() == defined.hidden),
        ("global", arg.is_global_set() == defined.global),
    ];
    rows.into_iter().filter(|(_, is_same)| !is_same).map(|(what, _)| what).collect()
}

fn excludes(command: &Definition, one: &Defined, other: &Defined) -> bool {
    let in_group = |group: &Group| !group.multiple && [one, other].iter().all(|it| group.members.contains(&it.key));
    one.conflicts_with.contains(&other.key)
        || other.conflicts_with.contains(&one.key)
        || command.groups.iter().any(in_group)
}

fn clap_excludes(command: &Command, one: &Arg, other: &Arg) -> bool {
    let declared = |one: &Arg, other: &Arg| {
        command.get_arg_conflicts_with(one).iter().any(|conflict| conflict.get_id() == other.get_id())
    };
    let in_group = |group: &clap::ArgGroup| {
        !group.clone().is_multiple() && [one, other].iter().all(|it| group.get_args().any(|id| id == it.get_id()))
    };
    declared(one, other) || declared(other, one) || command.get_groups().any(in_group)
}

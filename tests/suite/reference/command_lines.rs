//! Every option of s390-tools (`fixtures/reference/options.yaml`): the same names, values, repetitions and exclusions.

use crate::support::fixture;
use clap::{Arg, ArgAction, Command};
use pvtools::Applet;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;

#[derive(Deserialize)]
struct Definitions {
    commands: Vec<Definition>,
}

/// A tool or a command of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    command: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    hidden: bool,
    /// Groups of options, of which one may be given.
    #[serde(default)]
    exclusive: Vec<Vec<String>>,
    #[serde(default)]
    options: Vec<Defined>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Defined {
    /// The long form; else the short one; else the name of the value.
    #[serde(rename = "option")]
    key: String,
    short: Option<char>,
    #[serde(default)]
    aliases: Vec<String>,
    position: Option<usize>,
    action: String,
    delimiter: Option<char>,
    #[serde(default)]
    required: bool,
    default: Option<String>,
    #[serde(default)]
    values: Vec<String>,
    #[serde(default)]
    excludes: Vec<String>,
    #[serde(default)]
    hidden: bool,
    #[serde(default)]
    global: bool,
}

impl Defined {
    fn short(&self) -> Option<char> {
        let alone = || self.key.strip_prefix('-').and_then(|rest| rest.parse().ok());
        self.short.or_else(alone)
    }
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
    ("pvattest create", "--refresh is ours", "downloads CRLs also where a usable one is at hand"),
    ("pvattest create", "--output: aliases", "IBM's documents print --output-file"),
    ("pvattest perform", "--input with <IN>", "'-i IN OUT' works"),
    ("pvattest verify", "--format: values", "also json"),
    ("pvextract-hdr", "-h: action", "the reference is a shell script"),
    ("pvextract-hdr", "-l: default", "without it, the header is looked for in more places"),
    ("pvextract-hdr", "-s: default", "without it, the header is looked for in more places"),
    ("pvinfo", "--format: global", "supported-flags takes it, too"),
    ("pvinfo", "--format: values", "also json"),
    ("pvsecret create", "--refresh is ours", "downloads CRLs also where a usable one is at hand"),
    ("pvsecret create", "--hdr: aliases", "IBM's documents print --se-hdr"),
    ("pvsecret list", "--format: values", "also json"),
    ("pvsecret retrieve", "--input with <INPUT>", "'-i ID OUT' works"),
    ("pvsecret verify", "--input with <INPUT>", "'-i IN OUT' works"),
    ("pvverify", "--explain is ours", "draws the chain"),
    ("pvverify", "--format is ours", "json"),
    ("pvverify", "--refresh is ours", "downloads CRLs also where a usable one is at hand"),
];

#[test]
fn options_are_those_of_the_reference() {
    let text = fs::read(fixture("reference/options.yaml")).unwrap();
    let definitions: Definitions = serde_yaml::from_slice(&text).unwrap();
    let mut findings = BTreeSet::new();
    let mut options = 0;
    for applet in Applet::ALL {
        let mut tool = (applet.command)();
        tool.build();
        let is_of_tool = |definition: &&Definition| definition.command.split(' ').next() == Some(applet.name);
        for theirs in definitions.commands.iter().filter(is_of_tool) {
            let mut words = theirs.command.split(' ').skip(1);
            let ours = words.try_fold(&tool, |above, word| above.get_subcommands().find(|it| it.get_name() == word));
            match ours {
                Some(ours) => options += compare(theirs, ours, &mut findings),
                None => drop(findings.insert((theirs.command.clone(), "is missing".to_owned()))),
            }
        }
    }
    let expected: BTreeSet<_> =
        DIFFERENCES.iter().map(|(place, found, _)| (String::from(*place), String::from(*found))).collect();
    let new: Vec<_> = findings.difference(&expected).collect();
    let gone: Vec<_> = expected.difference(&findings).collect();
    assert!(new.is_empty() && gone.is_empty(), "not deliberate: {new:#?}\nno longer there: {gone:#?}");
    println!("{options} options of the reference found, {} differences", findings.len());
    assert!(options > 80, "{options}");
}

/// Compares a command; gives the number of options that were compared.
fn compare(theirs: &Definition, ours: &Command, findings: &mut BTreeSet<(String, String)>) -> usize {
    let mut find = |words: String| findings.insert((theirs.command.clone(), words));
    let mut pairs = Vec::new();
    for defined in &theirs.options {
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
    if theirs.command.contains(' ') {
        let flag = ours.get_long_flag().map(|flag| format!("--{flag}"));
        let names: BTreeSet<_> = ours.get_all_aliases().map(str::to_owned).chain(flag).collect();
        if names != theirs.aliases.iter().cloned().collect() || ours.is_hide_set() != theirs.hidden {
            find("aliases or visibility".to_owned());
        }
    }
    pairs.len()
}

fn is_help_or_version(key: &str) -> bool {
    ["--help", "--version"].contains(&key)
}

fn is(defined: &Defined, arg: &Arg) -> bool {
    match (defined.key.strip_prefix("--"), defined.short(), defined.position) {
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
    let theirs: BTreeSet<_> = defined.aliases.iter().cloned().collect();
    let takes_value = arg.get_action().takes_values();
    let values: Vec<_> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let default = arg.get_default_values().first().and_then(|value| value.to_str());
    let rows = [
        ("short", arg.get_short() == defined.short()),
        ("aliases", ours == theirs),
        ("action", action == defined.action),
        ("delimiter", arg.get_value_delimiter() == defined.delimiter),
        ("required", arg.is_required_set() == defined.required),
        ("default", !takes_value || default == defined.default.as_deref()),
        ("values", !takes_value || values == defined.values),
        ("hidden", arg.is_hide_set() == defined.hidden),
        ("global", arg.is_global_set() == defined.global),
    ];
    rows.into_iter().filter(|(_, is_same)| !is_same).map(|(what, _)| what).collect()
}

fn excludes(command: &Definition, one: &Defined, other: &Defined) -> bool {
    let in_group = |group: &Vec<String>| [one, other].iter().all(|it| group.contains(&it.key));
    one.excludes.contains(&other.key) || other.excludes.contains(&one.key) || command.exclusive.iter().any(in_group)
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

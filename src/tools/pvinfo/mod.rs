//! `pvinfo`: what the ultravisor of this machine can do.

mod tables;

use crate::shared::cli;
use crate::shared::error::{Failure, Outcome, UsageStatus};
use crate::shared::system::System;
use crate::shared::yaml;
use anyhow::{Context, anyhow};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::ffi::OsString;
pub(crate) use tables::Topic;
use tables::{LIMITS, MAX_ADDRESS};
use uvdevice::{SeStatus, UvInfo};

/// Exit code for a wrong command line.
const USAGE_STATUS: UsageStatus = UsageStatus::Own;

/// Show what the ultravisor of this machine can do
///
/// Without any option, everything. Exit status: 0 if it could be told, 1 if not, 2 for a wrong command line.
#[derive(Parser)]
#[command(name = "pvinfo", disable_version_flag = true)]
struct Arguments {
    #[command(flatten)]
    topics: Topics,
    /// Form of the output
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Human, global = true)]
    format: Format,
    /// Print the version
    #[arg(long)]
    version: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args)]
struct Topics {
    /// Whether this is a Secure Execution guest or host
    #[arg(long)]
    se_status: bool,
    /// The calls that the ultravisor knows
    #[arg(long)]
    facilities: bool,
    /// Its features
    #[arg(long)]
    feature_indications: bool,
    /// Attestation flags that it takes
    #[arg(long)]
    supported_plaintext_attestation_flags: bool,
    /// Versions of SE headers that it takes
    #[arg(long)]
    supported_se_header_versions: bool,
    /// Types of secrets that it takes
    #[arg(long)]
    supported_secret_types: bool,
    /// Control flags of SE headers that it takes
    #[arg(long)]
    supported_plaintext_control_flags: bool,
    /// Versions of attestation requests that it takes
    #[arg(long)]
    supported_attestation_request_versions: bool,
    /// Versions of add-secret requests that it takes
    #[arg(long)]
    supported_add_secret_request_versions: bool,
    /// Flags of add-secret requests that it takes
    #[arg(long)]
    supported_plaintext_add_secret_flags: bool,
    /// How much of everything there can be
    #[arg(long)]
    limits: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Show flags, versions and types that the ultravisor takes
    SupportedFlags(SupportedFlags),
}

/// Without any option, all three.
#[derive(Args)]
struct SupportedFlags {
    /// Of add-secret requests
    #[arg(long)]
    secret: bool,
    /// Of attestation requests
    #[arg(long)]
    attestation: bool,
    /// Of SE headers
    #[arg(long)]
    header: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Human,
    /// YAML
    Yaml,
    /// JSON, with the keys of the YAML form
    Json,
}

pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

pub(crate) fn run(args: &[OsString], system: &mut System) -> Result<Outcome, Failure> {
    cli::run(args, USAGE_STATUS, system, |args: Arguments, system| {
        if args.version {
            return cli::print_version::<Arguments>(system).map(|()| Outcome::Done);
        }
        let text = match UvInfo::at_sysfs(&system.root.join("sys")) {
            Some(query) => args.show(&query)?,
            None if args.command.is_none() && args.topics.takes_status() => args.show_no_ultravisor()?,
            None => {
                return Err(
                    anyhow!("This system is neither a SE-host or SE-guest: there is no /sys/firmware/uv").into()
                );
            }
        };
        system.print(&text)?;
        Ok(Outcome::Done)
    })
}

impl Topics {
    fn asked(&self, topic: Topic) -> bool {
        match topic {
            Topic::Facilities => self.facilities,
            Topic::FeatureIndications => self.feature_indications,
            Topic::AttestationFlags => self.supported_plaintext_attestation_flags,
            Topic::HeaderVersions => self.supported_se_header_versions,
            Topic::SecretTypes => self.supported_secret_types,
            Topic::ControlFlags => self.supported_plaintext_control_flags,
            Topic::AttestationVersions => self.supported_attestation_request_versions,
            Topic::AddSecretVersions => self.supported_add_secret_request_versions,
            Topic::AddSecretFlags => self.supported_plaintext_add_secret_flags,
        }
    }

    fn takes_status(&self) -> bool {
        self.se_status || self.is_all()
    }

    fn is_all(&self) -> bool {
        !self.se_status && !self.limits && Topic::ALL.into_iter().all(|topic| !self.asked(topic))
    }

    fn takes(&self, topic: Topic) -> bool {
        self.is_all() || self.asked(topic)
    }

    fn se_status(&self, query: &UvInfo) -> anyhow::Result<Option<SeStatus>> {
        if self.takes_status() { Ok(Some(query.se_status()?)) } else { Ok(None) }
    }

    fn limits(&self, query: &UvInfo) -> anyhow::Result<BTreeMap<&'static str, u64>> {
        if self.limits || self.is_all() { limits(query) } else { Ok(BTreeMap::new()) }
    }

    fn sections(&self, query: &UvInfo) -> anyhow::Result<String> {
        let limits = self.limits(query)?;
        let mut sections: Vec<_> =
            self.se_status(query)?.map(|status| format!("{}\n", sentence(status))).into_iter().collect();
        for topic in Topic::ALL {
            if topic == Topic::AttestationFlags && !limits.is_empty() {
                let lines = limits.iter().map(|(name, number)| format!("{name} {number}\n"));
                sections.push(format!("\nLimits:\n{}", lines.collect::<String>()));
            }
            if self.takes(topic) {
                sections.extend(section(query, topic, topic.title())?);
            }
        }
        Ok(sections.concat())
    }
}

/// What the machine-readable forms have.
#[derive(Serialize)]
#[serde(untagged)]
enum Entry {
    /// `None` where it was not asked for.
    Status(Option<&'static str>),
    Lines(Vec<String>),
    Limits(BTreeMap<&'static str, u64>),
}

impl Entry {
    fn yaml(&self, key: &str) -> String {
        match self {
            Self::Status(word) => format!("{key}: {}\n", word.unwrap_or("null")),
            Self::Lines(lines) => {
                let items = lines.iter().map(|line| format!("- {}\n", yaml::scalar(line)));
                format!("{key}:\n{}", items.collect::<String>())
            }
            Self::Limits(limits) => {
                let items = limits.iter().map(|(name, number)| format!("  {name}: {number}\n"));
                format!("{key}:\n{}", items.collect::<String>())
            }
        }
    }
}

/// Keys and their order as in s390-tools.
struct Machine(Vec<(&'static str, Entry)>);

impl Serialize for Machine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, entry)| (key, entry)))
    }
}

impl Arguments {
    fn show(&self, query: &UvInfo) -> anyhow::Result<String> {
        match (self.format, &self.command) {
            (Format::Human, Some(Command::SupportedFlags(flags))) => flags.sections(query),
            (Format::Human, None) => self.topics.sections(query),
            (Format::Yaml, _) => Ok(self.machine(query)?.yaml()),
            (Format::Json, _) => json(&self.machine(query)?),
        }
    }

    /// The reference prints its sentence also for YAML.
    fn show_no_ultravisor(&self) -> anyhow::Result<String> {
        match self.format {
            Format::Human | Format::Yaml => Ok(format!("{}\n", sentence(SeStatus::None))),
            Format::Json => json(&Machine(vec![("se_status", Entry::Status(Some(word(SeStatus::None))))])),
        }
    }

    fn machine(&self, query: &UvInfo) -> anyhow::Result<Machine> {
        match &self.command {
            Some(Command::SupportedFlags(flags)) => {
                Machine::read(query, None, BTreeMap::new(), |topic| flags.takes(topic))
            }
            None => {
                let (status, limits) = (self.topics.se_status(query)?, self.topics.limits(query)?);
                Machine::read(query, status, limits, |topic| self.topics.takes(topic))
            }
        }
    }
}

impl Machine {
    fn read(
        query: &UvInfo,
        status: Option<SeStatus>,
        limits: BTreeMap<&'static str, u64>,
        takes: impl Fn(Topic) -> bool,
    ) -> anyhow::Result<Self> {
        let mut entries = vec![("se_status", Entry::Status(status.map(word)))];
        for topic in Topic::ALL_BY_KEY {
            // Their place is before the control flags.
            if topic == Topic::ControlFlags && !limits.is_empty() {
                entries.push(("limits", Entry::Limits(limits.clone())));
            }
            let lines = if takes(topic) { topic.lines(query)? } else { None };
            entries.extend(lines.map(|lines| (topic.key(), Entry::Lines(lines))));
        }
        Ok(Self(entries))
    }

    fn yaml(&self) -> String {
        self.0.iter().map(|(key, entry)| entry.yaml(key)).collect()
    }
}

fn json(machine: &Machine) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(machine)? + "\n")
}

impl SupportedFlags {
    /// What people see, in this order, with the option that asks for it.
    fn parts(&self) -> [(bool, Topic, &'static str); 7] {
        [
            (self.secret, Topic::SecretTypes, "Supported Secret types:"),
            (self.secret, Topic::AddSecretVersions, Topic::AddSecretVersions.title()),
            (self.secret, Topic::AddSecretFlags, "Supported Plaintext Add Secret Flags:"),
            (self.attestation, Topic::AttestationFlags, Topic::AttestationFlags.title()),
            (self.attestation, Topic::AttestationVersions, Topic::AttestationVersions.title()),
            (self.header, Topic::HeaderVersions, Topic::HeaderVersions.title()),
            (self.header, Topic::ControlFlags, "Supported Plaintext Control Flags:"),
        ]
    }

    fn takes(&self, topic: Topic) -> bool {
        let all = !(self.secret || self.attestation || self.header);
        self.parts().into_iter().any(|(asked, part, _)| part == topic && (asked || all))
    }

    fn sections(&self, query: &UvInfo) -> anyhow::Result<String> {
        let mut text = String::new();
        for (_, topic, title) in self.parts().into_iter().filter(|(_, topic, _)| self.takes(*topic)) {
            text.extend(section(query, topic, title)?);
        }
        Ok(text)
    }
}

fn sentence(status: SeStatus) -> &'static str {
    match status {
        SeStatus::Guest => "Secure Execution Guest",
        SeStatus::Host => "Secure Execution Host",
        SeStatus::None => "Secure Execution is not enabled",
        SeStatus::Both => "Invalid state: both guest and host enabled (impossible)",
    }
}

/// As JSON and YAML have it.
fn word(status: SeStatus) -> &'static str {
    match status {
        SeStatus::Guest => "Guest",
        SeStatus::Host => "Host",
        SeStatus::None => "Unsecure",
        SeStatus::Both => "Invalid",
    }
}

fn section(query: &UvInfo, topic: Topic, title: &str) -> anyhow::Result<Option<String>> {
    let lines = topic.lines(query)?;
    Ok(lines.map(|lines| format!("\n{title}\n{}", lines.iter().map(|line| format!("{line}\n")).collect::<String>())))
}

fn limits(query: &UvInfo) -> anyhow::Result<BTreeMap<&'static str, u64>> {
    let mut limits = BTreeMap::new();
    for (file, name) in LIMITS {
        let number = if file == MAX_ADDRESS { query.address(file) } else { query.number(file) };
        if let Some(number) = number.context("the limits are not known")?.filter(|number| *number != 0) {
            limits.insert(name, number);
        }
    }
    Ok(limits)
}

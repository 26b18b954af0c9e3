//! `pvsecret list`.

use crate::shared::error::Failure;
use crate::shared::output::{self, Privacy};
use crate::shared::system::System;
use crate::shared::yaml;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;
use uvtypes::{ListedSecret, SecretList};

/// List the secrets in the secret store (guest only)
#[derive(Args)]
pub(super) struct Arguments {
    /// Write the list to FILE; '-' is standard output
    #[arg(short, long, value_name = "FILE", conflicts_with = "positional_output")]
    output: Option<PathBuf>,
    /// Write the list to this file; '-' is standard output
    #[arg(id = "positional_output", value_name = "OUTPUT")]
    positional_output: Option<PathBuf>,
    /// Form of the list
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people; other programs should not read it
    Human,
    /// YAML
    Yaml,
    /// As the ultravisor wrote it
    Bin,
    /// JSON
    Json,
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<(), Failure> {
    let list = (system.uv)()?.list_secrets()?;
    if list.is_cut() {
        system.warn("The secret list contains more data but the uvdevice cannot show all.");
    }
    let bytes = match args.format {
        Format::Human => human(&list).into_bytes(),
        Format::Yaml => yaml(&list).into_bytes(),
        Format::Bin => list.as_bytes().to_vec(),
        Format::Json => (serde_json::to_string_pretty(&JsonList::from(&list))? + "\n").into_bytes(),
    };
    match args.output.as_deref().or(args.positional_output.as_deref()) {
        Some(path) if !output::is_stdout(path, Privacy::Public) => {
            output::write(path, &bytes, Privacy::Public, "list of secrets", system)?;
            system.status(&format!("Successfully wrote the list of secrets to '{}'", path.display()));
            Ok(())
        }
        _ => system.print_bytes(&bytes),
    }
}

fn human(list: &SecretList) -> String {
    let mut text = format!("Total number of secrets: {}\n", list.total);
    if !list.secrets.is_empty() {
        text.push('\n');
    }
    for ListedSecret { index, kind, id, .. } in &list.secrets {
        let name = id.as_name().map(|name| format!("{name} | ")).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{index} {kind}:\n {name}{id}");
    }
    text
}

/// Keys and their order as in s390-tools.
fn yaml(list: &SecretList) -> String {
    let secrets = if list.secrets.is_empty() { " []" } else { "" };
    let mut text = format!("total_num_secrets: {}\nsecrets:{secrets}\n", list.total);
    for ListedSecret { index, kind, length, id, .. } in &list.secrets {
        let id = id.to_string();
        let id = yaml::scalar(&id);
        let _ = writeln!(text, "- index: {index}\n  stype: {}\n  len: {length}\n  id: {id}", kind.number());
    }
    text
}

/// Documented in pvsecret-list(1).
#[derive(Serialize)]
struct JsonList<'a> {
    total: u16,
    complete: bool,
    secrets: Vec<JsonSecret<'a>>,
}

#[derive(Serialize)]
struct JsonSecret<'a> {
    index: u16,
    kind: u16,
    kind_name: String,
    retrievable: bool,
    length: u32,
    id: String,
    name: Option<&'a str>,
}

impl<'a> From<&'a SecretList> for JsonList<'a> {
    fn from(list: &'a SecretList) -> Self {
        let secrets = list.secrets.iter().map(|secret| JsonSecret {
            index: secret.index,
            kind: secret.kind.0,
            kind_name: secret.kind.to_string(),
            retrievable: secret.kind.is_retrievable(),
            length: secret.length,
            id: secret.id.to_string(),
            name: secret.id.as_name(),
        });
        Self { total: list.total, complete: !list.is_cut(), secrets: secrets.collect() }
    }
}

//! `NAME.yaml`: which id a secret with a name has.

use crate::shared::input;
use anyhow::{Context, bail};
use serde::Serialize;
use std::path::{Path, PathBuf};
use uvtypes::{SecretId, SecretKind};

/// The longest name of a file that Linux's file systems take.
const MAX_FILE_NAME: usize = 255;
/// More than any such file has.
const MAX_FILE: usize = 64 << 10;

/// What is in the file; the variants are its YAML tags.
#[derive(Serialize)]
pub(super) enum Identity {
    Association { name: String, id: String },
    Retrievable { kind: String, name: String, id: String },
}

impl Identity {
    pub(super) fn association(name: &str, id: SecretId) -> Self {
        Self::Association { name: name.to_owned(), id: id.to_string() }
    }

    pub(super) fn retrievable(name: &str, id: SecretId, kind: SecretKind) -> Self {
        let kind = format!("{} ({kind})", kind.number());
        Self::Retrievable { kind, name: name.to_owned(), id: id.to_string() }
    }

    pub(super) fn to_yaml(&self) -> anyhow::Result<String> {
        serde_yaml::to_string(self).context("Cannot write the name of the secret as YAML")
    }

    /// The file for the secret called `name`: in the folder of the request, white space as `_`. The name
    /// must not lead anywhere else.
    pub(super) fn path(name: &str, request: &Path) -> anyhow::Result<PathBuf> {
        let file: String = name.chars().map(|c| if c.is_whitespace() { '_' } else { c }).collect();
        if file.is_empty() || file == "." || file == ".." || file.contains(['/', '\0']) {
            bail!("The name {name:?} cannot be the name of a file: use another name, or '--stdout'");
        }
        let file = format!("{file}.yaml");
        if file.len() > MAX_FILE_NAME {
            bail!(
                "The name of the secret has {} bytes, too many for the name of a file: use another name, or '--stdout'",
                name.len()
            );
        }
        Ok(request.with_file_name(file))
    }

    /// Refuses to replace the file of a secret with another name: white space and `_` make one file of two names.
    pub(super) fn refuse_replacing_other(path: &Path, name: &str) -> anyhow::Result<()> {
        if !path.metadata().is_ok_and(|found| found.is_file()) {
            return Ok(());
        }
        // What cannot be read or is something else is replaced, as any output.
        let Ok(old) = input::read(path, MAX_FILE, "the name and id of a secret") else { return Ok(()) };
        let old = serde_yaml::from_slice(&old);
        let Ok(serde_yaml::Value::Tagged(old)) = old else { return Ok(()) };
        match old.value.get("name").and_then(serde_yaml::Value::as_str) {
            Some(other) if other != name => bail!(
                "'{}' belongs to the secret {other:?}: use another name or another folder, or '--stdout'",
                path.display()
            ),
            _ => Ok(()),
        }
    }
}

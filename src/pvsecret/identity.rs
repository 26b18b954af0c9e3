//! `NAME.yaml`: which id a secret with a name has.

use anyhow::{Context, bail};
use serde::Serialize;
use std::path::{Path, PathBuf};
use uvrequest::secret::{SecretId, SecretKind};

/// The longest name of a file that Linux's file systems take.
const MAX_FILE_NAME: usize = 255;

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
        let kind = format!("{} ({})", kind.number(), kind.name());
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
}

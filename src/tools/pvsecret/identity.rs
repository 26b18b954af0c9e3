//! `NAME.yaml`: which id a secret with a name has.

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use std::path::{Path, PathBuf};
use uvtypes::{SecretId, SecretKind};

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

    /// The id in the file of a retrievable secret.
    pub(super) fn retrievable_id(yaml: &[u8]) -> anyhow::Result<SecretId> {
        let value: serde_yaml::Value =
            serde_yaml::from_slice(yaml).context("it is not a YAML file with a secret's id")?;
        let serde_yaml::Value::Tagged(tagged) = value else {
            bail!("it is not the information about a secret: there is no tag '!Retrievable'");
        };
        let tag = tagged.tag.to_string();
        let kind = tag.trim_start_matches('!');
        ensure!(kind == "Retrievable", "The file contains a {kind}-secret, which is not retrievable");
        let id = tagged.value.get("id").and_then(serde_yaml::Value::as_str).context("it has no 'id'")?;
        super::stored_id(id).with_context(|| format!("its id '{id}'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_retrievable_secrets_are_taken() {
        let id = format!("0x{}", "ab".repeat(32));
        let good = format!("!Retrievable\nkind: 6 (AES-256-KEY)\nname: n\nid: {id}\n");
        assert_eq!(Identity::retrievable_id(good.as_bytes()).unwrap().to_string(), id);
        // Many leading zeros: quoted by those who write it.
        let zeros = format!("!Retrievable\nname: n\nid: '0x{}'\n", "0".repeat(64));
        assert_eq!(Identity::retrievable_id(zeros.as_bytes()).unwrap(), SecretId([0; 32]));
        let rows = [
            (good.replace("Retrievable", "Association"), "contains a Association-secret, which is not retrievable"),
            (good.replace("!Retrievable\n", ""), "no tag"),
            (good.replace("id: 0x", "id: 0xg"), "its id"),
            (good.replace("id:", "idd:"), "no 'id'"),
            ("!Retrievable [".into(), "not a YAML file"),
            (String::new(), "no tag"),
        ];
        for (yaml, expected) in rows {
            let error = format!("{:#}", Identity::retrievable_id(yaml.as_bytes()).expect_err(&yaml));
            assert!(error.contains(expected), "{yaml}: {error}");
        }
    }
}

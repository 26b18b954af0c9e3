//! The files that `pvsecret create` makes: checked before any work, and all of them or none.

use crate::shared::error::Failure;
use crate::shared::output::{self, Privacy};
use crate::shared::system::System;
use anyhow::bail;
use std::path::{Path, PathBuf};
use uvtypes::SecretBox;

/// Where everything goes; `-` is standard output.
pub(super) struct Targets {
    pub(super) request: PathBuf,
    pub(super) identity: Option<PathBuf>,
    pub(super) secret: Option<PathBuf>,
    /// Appended to.
    pub(super) toc: Option<PathBuf>,
    /// The hash of a policy goes to standard output.
    pub(super) prints_hash: bool,
}

impl Targets {
    /// Where one ends and the next begins cannot be seen once bytes are among them. Text alone may be mixed.
    fn refuse_mixing_on_stdout(&self) -> anyhow::Result<()> {
        let on_stdout = |path: &PathBuf| output::is_stdout(path, Privacy::Public);
        let secret = self.secret.as_ref().is_some_and(|path| output::is_stdout(path, Privacy::Secret));
        let bytes = [("the request", on_stdout(&self.request)), ("the secret", secret)];
        let texts = [
            ("the name and id of the secret", self.identity.as_ref().is_some_and(on_stdout)),
            ("the hash of the policy", self.prints_hash),
            ("the TOC", self.toc.as_ref().is_some_and(on_stdout)),
        ];
        let all = bytes.into_iter().chain(texts);
        let there: Vec<_> = all.filter(|(_, is_there)| *is_there).map(|(what, _)| what).collect();
        match there.as_slice() {
            [one, other, ..] if bytes.iter().any(|(_, is_there)| *is_there) => {
                bail!("{one} and {other} would both be written to standard output")
            }
            _ => Ok(()),
        }
    }
}

/// What goes there.
pub(super) struct Produced {
    pub(super) request: Vec<u8>,
    pub(super) identity: Option<String>,
    pub(super) secret: Option<SecretBox<[u8; 32]>>,
    pub(super) toc_line: String,
    pub(super) policy_hash: Option<String>,
}

/// Targets that do not get into each other's way.
pub(super) struct Outputs(Targets);

impl Outputs {
    /// Refuses outputs that are one file, or one of the inputs, and bytes mixed with others on standard output.
    pub(super) fn plan(targets: Targets, inputs: &[&Path]) -> anyhow::Result<Self> {
        let all = [
            ("the request", Some(&targets.request), Privacy::Public),
            ("the name and id of the secret", targets.identity.as_ref(), Privacy::Public),
            ("the secret", targets.secret.as_ref(), Privacy::Secret),
            ("the TOC", targets.toc.as_ref(), Privacy::Public),
        ];
        let given: Vec<_> = all.into_iter().filter_map(|(what, path, privacy)| Some((what, path?, privacy))).collect();
        for (number, (what, path, privacy)) in given.iter().enumerate() {
            output::refuse_overwriting(path, inputs)?;
            for (other_what, other, other_privacy) in given.iter().skip(number + 1) {
                // Text may go there together with text.
                let are_streams = output::is_stdout(path, *privacy) && output::is_stdout(other, *other_privacy);
                if !are_streams && output::same_target(path, other) {
                    bail!("{what} and {other_what} would both be written to '{}'", path.display());
                }
            }
        }
        targets.refuse_mixing_on_stdout()?;
        Ok(Self(targets))
    }

    /// Writes everything. The request comes last: without it, nothing else is of use.
    pub(super) fn write(self, produced: Produced, system: &mut System) -> Result<(), Failure> {
        let Targets { request, identity, secret, toc, prints_hash: _ } = self.0;
        let stdout = Path::new("-");
        let mut outputs = output::Outputs::default();
        outputs.add(&request, &produced.request, Privacy::Public, "the add-secret request")?;
        if let Some(hash) = &produced.policy_hash {
            outputs.add(stdout, format!("{hash}\n").as_bytes(), Privacy::Public, "the hash of the policy")?;
        }
        if let (Some(path), Some(secret)) = (&secret, &produced.secret) {
            outputs.add(path, secret.expose(), Privacy::Secret, "the association secret")?;
        }
        if let (Some(path), Some(yaml)) = (&identity, &produced.identity) {
            // On standard output an empty line ends it.
            let end = if path == stdout { "\n" } else { "" };
            outputs.add(path, format!("{yaml}{end}").as_bytes(), Privacy::Public, "the name and id of the secret")?;
        }
        if let Some(path) = &toc {
            outputs.append(path, &produced.toc_line, "the TOC")?;
        }
        outputs.first_appears_last();
        outputs.publish(system)?;
        system.status("Successfully generated the request");
        system.info(&format!("Successfully wrote the request to '{}'", request.display()));
        if let Some(path) = identity.filter(|path| path != stdout) {
            system.status(&format!("Successfully wrote secret info to '{}'", path.display()));
        }
        Ok(())
    }
}

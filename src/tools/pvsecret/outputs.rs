//! The files that `pvsecret create` makes: checked before any work, and all of them or none.

use crate::shared::error::Failure;
use crate::shared::output::{self, Privacy, Staged};
use crate::shared::system::System;
use anyhow::{Context, bail};
use std::fs::{self, OpenOptions};
use std::io::Write;
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
        let on_stdout = |path: &PathBuf| ["-", "/dev/stdout"].iter().any(|stdout| path == Path::new(stdout));
        let bytes =
            [("the request", on_stdout(&self.request)), ("the secret", self.secret.as_ref().is_some_and(on_stdout))];
        let texts = [
            ("the name and id of the secret", self.identity.as_ref().is_some_and(on_stdout)),
            ("the hash of the policy", self.prints_hash),
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
            ("the request", Some(&targets.request)),
            ("the name and id of the secret", targets.identity.as_ref()),
            ("the secret", targets.secret.as_ref()),
            ("the TOC", targets.toc.as_ref()),
        ];
        let given: Vec<_> = all.into_iter().filter_map(|(what, path)| Some((what, path?))).collect();
        for (number, (what, path)) in given.iter().enumerate() {
            output::refuse_overwriting(path, inputs)?;
            for (other_what, other) in given.iter().skip(number + 1) {
                if output::same_target(path, other) {
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
        let mut to_stdout = zeroize::Zeroizing::new(Vec::new());
        let mut stage = |path: &Path, bytes: &[u8], privacy, what| {
            if path == Path::new("-") {
                to_stdout.extend_from_slice(bytes);
                return Ok(None);
            }
            Staged::new(path, bytes, privacy, what).map(Some)
        };
        if let Some(hash) = &produced.policy_hash {
            stage(Path::new("-"), format!("{hash}\n").as_bytes(), Privacy::Public, "the hash of the policy")?;
        }
        let staged_request = stage(&request, &produced.request, Privacy::Public, "the add-secret request")?;
        let mut files = Vec::new();
        if let (Some(path), Some(secret)) = (&secret, &produced.secret) {
            files.extend(stage(path, secret.expose(), Privacy::Secret, "the association secret")?);
        }
        if let (Some(path), Some(yaml)) = (&identity, &produced.identity) {
            // On standard output an empty line ends it.
            let end = if path == Path::new("-") { "\n" } else { "" };
            let yaml = format!("{yaml}{end}");
            files.extend(stage(path, yaml.as_bytes(), Privacy::Public, "the name and id of the secret")?);
        }
        files.extend(staged_request);
        let toc = toc.map(|path| Toc::open(&path)).transpose()?;
        system.print_bytes(&to_stdout)?;
        system.finish()?;
        output::publish_all(files)?;
        if let Some(toc) = toc {
            toc.append(&produced.toc_line)?;
        }
        system.warn("Successfully generated the request");
        system.info(&format!("Successfully wrote the request to '{}'", request.display()));
        if let Some(path) = identity.filter(|path| path != Path::new("-")) {
            system.warn(&format!("Successfully wrote secret info to '{}'", path.display()));
        }
        Ok(())
    }
}

/// A table of contents: tags of requests, one a line.
struct Toc {
    path: PathBuf,
    file: fs::File,
    created: bool,
    used: bool,
}

impl Toc {
    /// Makes sure that a line can be appended, before there is a request.
    fn open(path: &Path) -> anyhow::Result<Self> {
        let created = !path.exists();
        let file = OpenOptions::new().append(true).create(true).open(path);
        let file = file.with_context(|| format!("Cannot write to the TOC '{}'", path.display()))?;
        Ok(Self { path: path.to_owned(), file, created, used: false })
    }

    fn append(mut self, line: &str) -> anyhow::Result<()> {
        let cannot = || format!("The request is written, but not its line in the TOC '{}'", self.path.display());
        self.file.write_all(format!("{line}\n").as_bytes()).with_context(cannot)?;
        // A pipe cannot be synced.
        if self.file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            self.file.sync_all().with_context(cannot)?;
        }
        self.used = true;
        Ok(())
    }
}

impl Drop for Toc {
    fn drop(&mut self) {
        if self.created && !self.used {
            // Made for a request that there is not; nothing can be done if it cannot be removed.
            let _ = fs::remove_file(&self.path);
        }
    }
}

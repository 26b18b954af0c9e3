//! `trustee renew`.

use super::resources::{load_mkvp, send, write};
use super::server::{Server, ServerArgs};
use super::{Header, load_header, policy, read_text};
use crate::shared::error::{Failure, Outcome};
use crate::shared::host_keys::HostKeyArgs;
use crate::shared::input;
use crate::shared::output::{self, Privacy};
use crate::shared::system::System;
use anyhow::{Context, anyhow, ensure};
use clap::Args;
use hostkey::TrustedHostKey;
use serde::Deserialize;
use setrustee::verifier::HEADER;
use setrustee::{Lists, ReferenceValues, SecretIdentity, SecretPair, attestation_policy, resource_policy};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use uvrequest::secret::{AddSecretRequest, GuestSecret};
use uvtypes::text::shown_path;
use uvtypes::{HostKeyHash, SecretBox, SecretId};

/// Go over to a rebuilt image
///
/// In this order: policies that allow both the image of the verifier's folder and the new one; add-secret requests for the
/// new image with the same secrets; last the header in the folder, from when on guests of the new image can attest, and
/// those of the old one cannot any more. Two images at once need two verifiers. With '--retire', after the guests have gone
/// over: policies that allow the image of the folder alone.
#[derive(Args)]
pub(super) struct Arguments {
    /// The verifier's folder
    dir: PathBuf,
    /// The new SE image, or its header
    #[arg(long, value_name = "IMAGE", required_unless_present = "retire")]
    image: Option<PathBuf>,
    /// Allow the image of the folder alone
    #[arg(long, conflicts_with_all = ["image", "secrets"])]
    retire: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// YAML list of the association secrets, each with 'name', 'secret' (a file with its 32 bytes, from the folder of the
    /// list) and 'mkvp' (64 or 32 hex digits)
    #[arg(long, value_name = "FILE")]
    secrets: Option<PathBuf>,
    /// Write policies and resources below this folder
    #[arg(short, long, value_name = "FOLDER", required_unless_present = "url", conflicts_with = "url")]
    output: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    host_keys: HostKeyArgs,
}

/// A secret that the guests have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    name: String,
    secret: PathBuf,
    mkvp: String,
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<Outcome, Failure> {
    let old = load_header(&args.dir.join(HEADER), system)?;
    let new = args.image.as_deref().map(|image| load_header(image, system)).transpose()?;
    let Some(new) = new else { return retire(args, &old, system) };
    if new.bytes == old.bytes {
        system.warn("Nothing to do: the folder has the header of this image");
        return Ok(Outcome::Done);
    }
    let known = args.known(system)?;
    system.print(&plan(args, &old, &new, &known))?;
    system.finish()?;
    // Everything that can fail before anything is changed.
    let host_keys = args.host_keys.load("secrets", system)?;
    let fits = |key: &TrustedHostKey| new.parsed.host_key_hashes().any(|hash| hash == key.hash());
    if !host_keys.iter().any(fits) {
        let image = shown_path(&new.path);
        return Err(anyhow!("'{image}' has a key slot for none of the host keys: no machine could start it").into());
    }
    let pairs = args.pairs(&known, &new, &host_keys, system)?;
    let mut server = args.server.is_given().then(|| args.server.connect(system)).transpose()?;
    if args.dry_run {
        return Ok(Outcome::Done);
    }
    let header = new.bytes.clone();
    let values = policy::reference_values(&[old, new], args.host_keys.documents())?;
    let place = args.dir.join(HEADER);
    let prepared =
        args.set_policies(&values, server.as_mut(), system).and_then(|()| match (&mut server, &args.output) {
            (Some(server), _) => send(&pairs, server, system),
            (None, Some(folder)) => write(&pairs, |path| folder.join(path.parts().iter().collect::<PathBuf>()), system),
            (None, None) => Ok(()),
        });
    let result = prepared.and_then(|()| {
        let written = output::write(&place, &header, Privacy::Public, "SE header", system);
        let told = server.as_ref().map(|server| format!(". {}", server.told())).unwrap_or_default();
        written.map_err(|error| anyhow!("{error:#}{told}"))
    });
    if let Err(error) = result {
        return Err(anyhow!("{error:#}. '{}' has not changed: run the command again", shown_path(&place)).into());
    }
    system.status("Successfully went over to the new image. When its guests run: '--retire'");
    Ok(Outcome::Done)
}

fn retire(args: &Arguments, only: &Header, system: &mut System) -> Result<Outcome, Failure> {
    let tag = hex::encode(only.parsed.boot_tags().tag);
    system.print(&format!("allow tag {tag} alone\n"))?;
    system.finish()?;
    let only = Header { path: only.path.clone(), bytes: only.bytes.clone(), parsed: only.parsed.clone() };
    let values = policy::reference_values(&[only], args.host_keys.documents())?;
    let mut server = args.server.is_given().then(|| args.server.connect(system)).transpose()?;
    if !args.dry_run {
        args.set_policies(&values, server.as_mut(), system)?;
    }
    Ok(Outcome::Done)
}

fn plan(args: &Arguments, old: &Header, new: &Header, known: &[Known]) -> String {
    let tag = |header: &Header| hex::encode(header.parsed.boot_tags().tag);
    let has_slot = |header: &Header, hash: &HostKeyHash| header.parsed.host_key_hashes().any(|slot| slot == *hash);
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "1. allow both tag {} (now) and tag {} ('{}')", tag(old), tag(new), shown_path(&new.path));
    for hash in new.parsed.host_key_hashes().filter(|hash| !has_slot(old, hash)) {
        let _ = writeln!(text, "   new key slot  {hash:x}");
    }
    for hash in old.parsed.host_key_hashes().filter(|hash| !has_slot(new, hash)) {
        let _ = writeln!(text, "   lost key slot {hash:x}");
    }
    for secret in known {
        let (name, mkvp) = (uvtypes::text::shown(&secret.name), uvtypes::text::shown(&secret.mkvp));
        let _ = writeln!(text, "2. new request for the secret '{name}' of the master key {mkvp}");
    }
    let _ = writeln!(text, "3. replace '{}'", shown_path(&args.dir.join(HEADER)));
    text
}

impl Arguments {
    fn known(&self, system: &mut System) -> anyhow::Result<Vec<Known>> {
        let Some(path) = &self.secrets else { return Ok(Vec::new()) };
        let text = read_text(path, "list of secrets", system)?;
        serde_yaml::from_str(&text).with_context(|| format!("Cannot use '{}' as list of secrets", shown_path(path)))
    }

    fn pairs(
        &self,
        known: &[Known],
        image: &Header,
        host_keys: &[TrustedHostKey],
        system: &mut System,
    ) -> anyhow::Result<Vec<SecretPair>> {
        let folder = self.secrets.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let pair = |known: &Known| {
            let path = folder.join(&known.secret);
            let bytes = input::read(&path, 1 << 16, "association secret")?;
            let secret = SecretBox::copy_of(&bytes);
            ensure!(
                secret.is_some(),
                "'{}' has {} bytes; an association secret has 32",
                shown_path(&path),
                bytes.len()
            );
            let secret = secret.unwrap_or_else(SecretBox::zeros);
            let id = SecretId::of_name(&known.name);
            let request =
                AddSecretRequest::new(image.parsed.boot_tags().clone(), GuestSecret::Association { id, secret });
            let request = request.seal(host_keys).context("Cannot make the add-secret request")?;
            let identity = SecretIdentity { name: Some(known.name.clone()), id };
            Ok(SecretPair::new(load_mkvp(&known.mkvp, system)?, request, &identity)?)
        };
        known.iter().map(pair).collect()
    }

    fn set_policies(
        &self,
        values: &ReferenceValues,
        server: Option<&mut Server>,
        system: &mut System,
    ) -> anyhow::Result<()> {
        if let Some(server) = server {
            return policy::upload(values, false, server, system);
        }
        let Some(folder) = &self.output else { return Ok(()) };
        std::fs::create_dir_all(folder).with_context(|| format!("Cannot make the folder '{}'", shown_path(folder)))?;
        let attestation = attestation_policy(values, Lists::Literal);
        for (name, text) in
            [("attestation-policy.rego", attestation.as_str()), ("resource-policy.rego", resource_policy())]
        {
            output::write(&folder.join(name), text.as_bytes(), Privacy::Public, "the policy", system)?;
        }
        Ok(())
    }
}

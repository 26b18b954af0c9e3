//! `trustee resources`.

use super::server::{Body, Server, ServerArgs};
use super::{load_headers, outcome, read_text, refuse_errors};
use crate::shared::error::{Failure, Outcome};
use crate::shared::host_keys::load_document;
use crate::shared::input;
use crate::shared::output::{Outputs, Privacy};
use crate::shared::system::System;
use anyhow::{Context, ensure};
use apbus::Mkvp;
use clap::Args;
use setrustee::{Finding, MAX_RESOURCE, RequestContext, SecretIdentity, SecretPair};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use uvtypes::text::shown_path;

/// Prepare what guests fetch for their Crypto Express queues
///
/// For each add-secret request, the pair vfio_ap/MKVP/secret and vfio_ap/MKVP/secret_id: as a folder, as files of a server
/// that stores in LocalFs, or sent to the key broker. '-r', '-i' and '-m' belong together in their order. Every pair is
/// checked before anything is written. Exit status: 0 if all is done, 1 if not; with '--check' 0 if nothing was found, 3 if
/// there are warnings, 2 if there are errors.
#[derive(Args)]
pub(super) struct Arguments {
    /// Add-secret request; may be repeated
    #[arg(short, long, value_name = "FILE", required = true, value_delimiter = ',')]
    request: Vec<PathBuf>,
    /// Name and id of the request's secret: the YAML file of 'pvsecret create', or 64 hex digits in a file; once for each
    /// request
    #[arg(short, long, value_name = "FILE", required = true, value_delimiter = ',')]
    identity: Vec<PathBuf>,
    /// Pattern of the master key (MKVP): 64 or 32 hex digits, or a file with them or with the text of 'mkvps'; once for
    /// each request
    #[arg(short, long, value_name = "MKVP", required_unless_present = "check", value_delimiter = ',')]
    mkvp: Vec<String>,
    /// SE image that the requests must be for, or its header; may be repeated
    #[arg(long, value_name = "IMAGE", value_delimiter = ',')]
    image: Vec<PathBuf>,
    /// Host-key document of a machine that the requests must be for; may be repeated
    #[arg(short = 'k', long, value_name = "FILE", value_delimiter = ',')]
    host_key_document: Vec<PathBuf>,
    /// Check the pairs, and write nothing; '-r' and '-i' may also be the files 'secret' and 'secret_id' of a pair
    #[arg(long, conflicts_with_all = ["folder", "local_fs", "url"])]
    check: bool,
    /// Write the pairs below this folder, as vfio_ap/MKVP/secret and secret_id
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Write the pairs below the LocalFs folder of a server, as repository/vfio_ap\x2FMKVP\x2Fsecret and secret_id
    #[arg(long, value_name = "FOLDER")]
    local_fs: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<Outcome, Failure> {
    let context = args.context(system)?;
    if args.identity.len() != args.request.len() || (!args.check && args.mkvp.len() != args.request.len()) {
        let (requests, identities, patterns) = (args.request.len(), args.identity.len(), args.mkvp.len());
        let problem = format!(
            "expected as many '-i' and '-m' as '-r', found {requests} '-r', {identities} '-i', {patterns} '-m'"
        );
        return Err(anyhow::anyhow!(problem).into());
    }
    if args.check {
        let mut findings = Vec::new();
        for (request, identity) in args.request.iter().zip(&args.identity) {
            findings.extend(check(request, identity, &context, system)?);
        }
        for finding in &findings {
            system.print(&format!("{finding}\n"))?;
        }
        return Ok(outcome(&findings));
    }
    if args.folder.is_none() && args.local_fs.is_none() && !args.server.is_given() {
        return Err(anyhow::anyhow!("nothing to do: give '--folder', '--local-fs', '--url' or '--check'").into());
    }
    let pairs = args.pairs(&context, system)?;
    // Before anything is written: a token that is of no use ends it here.
    let server = args.server.is_given().then(|| args.server.connect(system)).transpose()?;
    if let Some(folder) = &args.folder {
        write(&pairs, |path| folder.join(path.parts().iter().collect::<PathBuf>()), system)?;
    }
    if let Some(folder) = &args.local_fs {
        write(&pairs, |path| folder.join("repository").join(path.local_fs_name()), system)?;
    }
    if let Some(mut server) = server {
        send(&pairs, &mut server, system)?;
    }
    Ok(Outcome::Done)
}

impl Arguments {
    fn context(&self, system: &mut System) -> anyhow::Result<RequestContext> {
        let images = load_headers(&self.image, system)?;
        let host_keys = self.host_key_document.iter().map(|path| Ok(load_document(path)?.hash()));
        Ok(RequestContext {
            images: images.iter().map(|header| header.parsed.boot_tags().clone()).collect(),
            host_keys: host_keys.collect::<anyhow::Result<_>>()?,
        })
    }

    fn pairs(&self, context: &RequestContext, system: &mut System) -> anyhow::Result<Vec<SecretPair>> {
        let mut seen = BTreeSet::new();
        let (mut pairs, mut findings) = (Vec::new(), Vec::new());
        for ((request, identity), mkvp) in self.request.iter().zip(&self.identity).zip(&self.mkvp) {
            let mkvp = load_mkvp(mkvp, system)?;
            ensure!(seen.insert(mkvp), "two requests for the master key {mkvp}: a server has one pair for each");
            let (place, identity) = (shown_path(request), load_identity(identity, system)?);
            let bytes = input::read(request, MAX_RESOURCE, "add-secret request")?;
            let pair = SecretPair::new(mkvp, bytes.to_vec(), &identity);
            let pair = pair.with_context(|| format!("Cannot use '{place}'"))?;
            findings.extend(pair.check(&place, &identity, context));
            pairs.push(pair);
        }
        refuse_errors(&findings, system)?;
        Ok(pairs)
    }
}

/// A pattern, or a file with one.
pub(super) fn load_mkvp(text: &str, system: &mut System) -> anyhow::Result<Mkvp> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) && !Path::new(text).exists() {
        return Ok(setrustee::mkvp(text)?);
    }
    let content = read_text(Path::new(text), "master key verification pattern", system)?;
    setrustee::mkvp(&content).with_context(|| format!("Cannot use '{text}'"))
}

fn load_identity(path: &Path, system: &mut System) -> anyhow::Result<SecretIdentity> {
    let text = read_text(path, "name and id of a secret", system)?;
    SecretIdentity::parse(&text).with_context(|| format!("Cannot use '{}'", shown_path(path)))
}

fn check(
    request: &Path,
    identity: &Path,
    context: &RequestContext,
    system: &mut System,
) -> anyhow::Result<Vec<Finding>> {
    let place = shown_path(request);
    let bytes = input::read(request, MAX_RESOURCE, "add-secret request")?;
    let id = input::read(identity, 1 << 16, "id of a secret")?;
    if !id.contains(&b':') {
        return Ok(SecretPair::check_stored(&place, &bytes, &id, context));
    }
    let identity = load_identity(identity, system)?;
    Ok(match SecretPair::new(Mkvp([0; 16]), bytes.to_vec(), &identity) {
        Ok(pair) => pair.check(&place, &identity, context),
        Err(error) => {
            let error = format!("{:#}", anyhow::Error::new(error));
            vec![Finding::error(place, error, "take the files that one 'pvsecret create' wrote")]
        }
    })
}

/// Writes all pairs, of each the id last. What is there and equal is left alone.
pub(super) fn write(
    pairs: &[SecretPair],
    place: impl Fn(&setrustee::ResourcePath) -> PathBuf,
    system: &mut System,
) -> anyhow::Result<()> {
    let mut outputs = Outputs::default();
    let (mut new, mut same) = (0, 0);
    for (path, bytes) in pairs.iter().flat_map(SecretPair::resources) {
        let file = place(&path);
        if fs::read(&file).is_ok_and(|old| old == bytes) {
            same += 1;
            continue;
        }
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(|| format!("Cannot make the folder '{}'", shown_path(folder)))?;
        }
        outputs.add(&file, &bytes, Privacy::Public, "the resource")?;
        new += 1;
    }
    outputs.publish(system)?;
    system.status(&format!("Successfully wrote {new} resources; {same} existed already"));
    Ok(())
}

/// Sends all pairs, of each the id last: the agent does nothing without it. An administrator cannot read resources back,
/// and sending what is there again changes nothing.
pub(super) fn send(pairs: &[SecretPair], server: &mut Server, system: &mut System) -> anyhow::Result<()> {
    let resources: Vec<_> = pairs.iter().flat_map(SecretPair::resources).collect();
    let count = resources.len();
    for (path, bytes) in resources {
        server.post(&format!("resource/{path}"), &Body::Bytes(bytes), &format!("'{path}'"), system)?;
    }
    system.status(&format!("Successfully sent {count} resources"));
    Ok(())
}

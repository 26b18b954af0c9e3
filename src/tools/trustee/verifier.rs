//! `trustee verifier`.

use super::folder::{self, Staging};
use super::{Header, load_header, now, outcome, read_text};
use crate::shared::cli::Format;
use crate::shared::error::{Failure, Outcome};
use crate::shared::host_keys::{Bundle, HostKeyArgs};
use crate::shared::input;
use crate::shared::system::System;
use anyhow::{Context, anyhow, bail};
use clap::{Args, FromArgMatches};
use setrustee::verifier::{
    CERTIFICATES, CRLS, DEFAULT_BASE, HEADER, HOST_KEY_DOCUMENTS, MAX_HOST_KEYS, ROOT_CA, RSA_PRIVATE, RSA_PUBLIC,
    Report, check, environment,
};
use setrustee::{Finding, MeasurementKeyPair};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use uvtypes::text::{escaped, shown_path};

/// The environment file in the folder.
const ENVIRONMENT: &str = "verifier.env";
/// Days before its end from which something is said to end. Public authorities issue CRLs for some weeks.
const WARN_DAYS: u16 = 7;

/// Make or check the folder that Trustee's Secure Execution verifier reads
///
/// Verifies the host-key documents, downloading CRLs where needed, and writes header, documents, certificates, the CRLs for
/// the offline mode, root CA and RSA pair into a folder, with an environment file that names them. A folder that is there
/// keeps its RSA pair. One verifier serves the guests of one image. Exit status: 0 if the folder is complete, 1 if not;
/// with '--check' 0 if guests can attest, 3 if they can but there are warnings, 2 if they cannot, 1 if that could not be told.
#[derive(Args)]
pub(super) struct Arguments {
    /// The folder
    dir: PathBuf,
    /// Check the folder that is there, and change nothing
    #[arg(long, conflicts_with_all = ["image", "mount", "host_key_document", "certs", "crls", "root_ca"])]
    check: bool,
    /// Warn of what ends within DAYS
    #[arg(long, value_name = "DAYS", default_value_t = WARN_DAYS, requires = "check")]
    warn_days: u16,
    /// Check also this environment file of the verifier [default: verifier.env in the folder, if it is there]
    #[arg(long, value_name = "FILE", requires = "check")]
    environment: Option<PathBuf>,
    /// Form of what a check prints
    #[arg(long, value_enum, default_value_t = Format::Text, requires = "check")]
    format: Format,
    /// SE image of the guests, or its header: exactly one
    #[arg(long, value_name = "IMAGE", required_unless_present = "check")]
    image: Vec<PathBuf>,
    /// Let this group read the folder: that of the pod (fsGroup), by number or name; with '--check', look whether it can
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Where the verifier sees the folder
    #[arg(long, value_name = "PATH", default_value = DEFAULT_BASE)]
    mount: String,
    #[command(flatten)]
    host_keys: OptionalHostKeys,
}

/// Host keys that need not be given for a check.
#[derive(Clone, Debug)]
struct OptionalHostKeys(HostKeyArgs);

impl Args for OptionalHostKeys {
    fn augment_args(command: clap::Command) -> clap::Command {
        let command = HostKeyArgs::augment_args(command);
        let command = command
            .mut_arg("host_key_document", |argument| {
                let help = "Host-key document of a machine that guests run on; may be repeated";
                argument.required(false).required_unless_present("check").help(help)
            })
            .mut_arg("no_verify", |argument| argument.hide(true));
        command.mut_group("pv_verify", |group| group.required(false))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for OptionalHostKeys {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        HostKeyArgs::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<Outcome, Failure> {
    if args.check {
        let mut report = check_folder(&args.dir, args.environment.as_deref(), args.warn_days, system)?;
        if let Some(group) = &args.group {
            report.findings.extend(folder::unreadable_for(&args.dir, folder::group(group)?)?);
        }
        print(&report, args.format, system)?;
        return Ok(outcome(&report.findings));
    }
    make(args, system)?;
    Ok(Outcome::Done)
}

/// Checks the folder on disk.
pub(super) fn check_folder(
    dir: &Path,
    environment: Option<&Path>,
    warn_days: u16,
    system: &mut System,
) -> anyhow::Result<Report> {
    let own = dir.join(ENVIRONMENT);
    let file = environment.or_else(|| own.is_file().then_some(own.as_path()));
    let text = file.map(|file| read_text(file, "environment file", system)).transpose()?;
    let place = file.map(shown_path);
    let environment = place.as_deref().zip(text.as_deref().map(String::as_str));
    let folder = folder::read(dir)?;
    Ok(check(&folder, environment, now(system)?, warn_days.into()))
}

fn print(report: &Report, format: Format, system: &mut System) -> Result<(), Failure> {
    if format == Format::Json {
        return system.print_json(&format!("{:#}\n", serde_json::to_value(report)?));
    }
    let mut text = String::new();
    if let Some(tag) = &report.tag {
        text += &format!("tag {tag}\n");
    }
    for slot in &report.slots {
        text += &format!("key slot {}  {}\n", slot.image_phkh, escaped(slot.file.as_deref().unwrap_or("-")));
    }
    for expiry in &report.expiries {
        text +=
            &format!("{:>6} days  {}  {}, until {}\n", expiry.days, escaped(&expiry.file), expiry.what, expiry.date);
    }
    for finding in &report.findings {
        text += &format!("{finding}\n");
    }
    text += match (report.has_errors(), report.findings.is_empty()) {
        (true, _) => "guests cannot attest\n",
        (false, false) => "guests can attest; see the warnings\n",
        (false, true) => "guests can attest\n",
    };
    system.print(&text)
}

fn make(args: &Arguments, system: &mut System) -> anyhow::Result<()> {
    let host_keys = &args.host_keys.0;
    if host_keys.no_verify() {
        bail!("'--no-verify' makes no sense here: Trustee verifies the documents at each challenge");
    }
    let [image] = args.image.as_slice() else {
        bail!(
            "{} images were given; one verifier serves the guests of one image, so make a folder for each and run several \
             verifiers",
            args.image.len()
        );
    };
    let documents = host_keys.documents().len();
    if documents > MAX_HOST_KEYS {
        bail!(
            "{documents} host-key documents were given; a challenge is for {MAX_HOST_KEYS} machines at most, so run several \
             verifiers"
        );
    }
    if args.dir.exists() && !args.dir.is_dir() {
        bail!("Cannot make the folder '{}': a file is there", shown_path(&args.dir));
    }
    let header = load_header(image, system)?;
    let group = args.group.as_deref().map(folder::group).transpose()?;
    let bundle = Bundle::collect(host_keys, system)?;
    let staging = Staging::begin(&args.dir, group)?;
    for (number, pem) in bundle.documents.iter().enumerate() {
        let name = host_keys.documents().get(number).and_then(|path| path.file_name());
        let name = name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // Documents of several folders may have one name.
        staging.add(&format!("{HOST_KEY_DOCUMENTS}/{:03}-{}.pem", number + 1, plain(&name)), pem)?;
    }
    let mut seen = BTreeSet::new();
    for pem in &bundle.certificates {
        // The same signing key twice is two for the verifier.
        if seen.insert(pem.clone()) {
            staging.add(&format!("{CERTIFICATES}/{:03}.pem", seen.len()), pem)?;
        }
    }
    for (number, pem) in bundle.crls.iter().enumerate() {
        staging.add(&format!("{CRLS}/{:03}.pem", number + 1), pem)?;
    }
    if let Some(root) = &bundle.root {
        staging.add(ROOT_CA, root)?;
    }
    let made = add_pair(&args.dir, &staging)?;
    staging.add(HEADER, &header.bytes)?;
    staging.add(ENVIRONMENT, environment(&args.mount).as_bytes())?;
    staging.publish(&[ROOT_CA, ENVIRONMENT])?;
    report_success(args, &header, made, system)
}

fn report_success(args: &Arguments, header: &Header, made: bool, system: &mut System) -> anyhow::Result<()> {
    let report = check_folder(&args.dir, None, WARN_DAYS, system)?;
    let broken: Vec<_> = report.findings.iter().map(Finding::to_string).collect();
    for finding in &broken {
        system.warn(finding);
    }
    if report.has_errors() {
        bail!("The folder '{}' is written, but guests cannot attest with it", shown_path(&args.dir));
    }
    if made {
        system.warn("A new RSA pair was made: the verifier has to be restarted, for it reads the pair once.");
    }
    system.status(&format!(
        "Successfully wrote the verifier's folder to '{}', for the image '{}' with tag {}",
        shown_path(&args.dir),
        shown_path(&header.path),
        hex::encode(header.parsed.boot_tags().tag)
    ));
    Ok(())
}

/// The pair that is there, or a new one: whether it is new.
fn add_pair(dir: &Path, staging: &Staging) -> anyhow::Result<bool> {
    let old = dir.join(RSA_PRIVATE);
    // What cannot be looked at is not missing: a new pair would shut out the verifier that runs.
    let is_there = old.try_exists().with_context(|| format!("Cannot look for '{}'", shown_path(&old)))?;
    let (pair, made) = if is_there {
        let pem = input::read(&old, 1 << 20, "RSA key")?;
        let pair = MeasurementKeyPair::from_pem(&pem);
        (pair.with_context(|| format!("Cannot use '{}'", shown_path(&old)))?, false)
    } else {
        (MeasurementKeyPair::generate().map_err(|error| anyhow!(error).context("Cannot make an RSA pair"))?, true)
    };
    staging.add(RSA_PRIVATE, pair.to_pem()?.expose())?;
    staging.add(RSA_PUBLIC, &pair.public()?.to_pem()?)?;
    Ok(made)
}

/// A file's name, fit for any system.
fn plain(name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    stem.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' }).take(100).collect()
}

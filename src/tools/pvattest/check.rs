//! `pvattest check`.

use super::report::hex;
use super::verify::{Format, load_arpk, mismatch};
use super::{Command, load_exchange};
use crate::shared::cli::{self, InOut};
use crate::shared::error::{Failure, Outcome};
use crate::shared::output::{self, Privacy};
use crate::shared::system::System;
use crate::shared::{host_keys, input, se_header};
use anyhow::Context;
use clap::{Args, ValueEnum};
use hostkey::HostKeyDocument;
use serde::Serialize;
use std::path::{Path, PathBuf};
use uvrequest::attest::{AdditionalData, Attested, Claims, Exchange, Unverified, Verdict, secret_store_hash};
use uvrequest::secret::AddSecretRequestView;
use uvtypes::flags::attestation;
use uvtypes::limits::ADD_SECRET_MAX;

const FILES: [(&str, &str); 4] = [
    ("FILE", "Attestation response; '-' is standard input"),
    ("IN", "Attestation response; '-' is standard input. With '-i' the first argument is OUT"),
    ("FILE", "Write the result to FILE; '-' is standard output [default: '-']"),
    ("OUT", "Write the result to this file; '-' is standard output"),
];

/// Check what a response says against policies
///
/// Only the policies that are given are checked. Without '--arpk' and '--hdr' the response itself is not verified: do that
/// with 'pvattest verify', or give both options. Exit status: 0 if every policy is met, 2 if one is not, 1 if that could not
/// be told.
#[derive(Args)]
#[command(mut_args(|arg| InOut::described(arg, FILES)))]
pub(super) struct Arguments {
    #[command(flatten)]
    files: InOut,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    format: Format,
    /// Verify the response first, with this attestation request protection key
    #[arg(short, long, value_name = "FILE", requires = "hdr")]
    arpk: Option<PathBuf>,
    /// Verify the response first, with this SE header or boot image
    #[arg(long, value_name = "FILE", requires = "arpk")]
    hdr: Option<PathBuf>,
    /// A host key in the response must be that of one of these host-key documents; may be repeated
    #[arg(short = 'k', long, value_name = "FILE", value_delimiter = ',')]
    host_key_document: Vec<PathBuf>,
    /// The response must contain this host key; may be repeated
    #[arg(long, value_enum, value_name = "HOST_KEY_CHECKS", value_delimiter = ',', requires = "host_key_document")]
    host_key_check: Vec<HostKeyCheck>,
    /// The user data must be exactly the content of FILE
    #[arg(short, long, value_name = "FILE")]
    user_data: Option<PathBuf>,
    /// Add-secret requests that the guest accepted, in their order; may be repeated
    #[arg(long, value_name = "FILE", value_delimiter = ',', requires = "secret_store_locked")]
    secret: Vec<PathBuf>,
    /// The secret store must contain the secrets of '--secret', and be locked or not
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set)]
    secret_store_locked: Option<bool>,
    /// The firmware must be valid, according to IBM's service
    #[arg(long)]
    firmware: bool,
    /// Version of the service
    #[arg(
        long,
        visible_alias = "fw-ver",
        value_enum,
        value_name = "FIRMWARE_CHECK_VERSION",
        default_value = "1",
        requires = "firmware"
    )]
    firmware_check_version: FirmwareCheckVersion,
    /// Address of the service
    #[arg(
        long,
        value_name = "URL",
        default_value = "https://esupport.ibm.com/eccedge/ent/z",
        hide_default_value = true,
        requires = "firmware"
    )]
    firmware_verify_url: String,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum HostKeyCheck {
    /// The key that opened the attestation request
    AttKeyHash,
    /// The key that opened the image
    BootKeyHash,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum FirmwareCheckVersion {
    /// Version 1
    #[value(name = "1")]
    V1,
    /// Version 2
    #[value(name = "2")]
    V2,
}

/// Keys and their order are those of s390-tools; JSON has the same.
#[derive(Default, Serialize)]
struct Findings {
    successful: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    issues: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_host_key: Option<FoundHostKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attest_host_key: Option<FoundHostKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_store: Option<SecretStore>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_firmware: Option<bool>,
}

#[derive(Serialize)]
struct FoundHostKey {
    check_enforced: bool,
    /// The host-key document with this hash.
    hash: String,
}

#[derive(Serialize)]
struct SecretStore {
    add_secret_requests: Vec<String>,
    locked: bool,
}

/// The response that policies are checked against.
enum Answer<'a> {
    Verified(Attested<'a>),
    Unverified(Unverified<'a>),
}

impl<'a> Answer<'a> {
    fn claims(&self) -> &Claims<'a> {
        match self {
            Self::Verified(attested) => attested.claims(),
            Self::Unverified(unverified) => unverified.claims(),
        }
    }
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<Outcome, Failure> {
    let (input, output) = args.files.paths(|message| cli::usage_error::<Command>("check", message))?;
    let output = output.unwrap_or(Path::new("-"));
    output::refuse_overwriting(output, &args.inputs(input))?;
    let exchange = load_exchange(input, system)?;
    let answer = match args.judge(input, &exchange, system)? {
        Ok(answer) => answer,
        Err(outcome) => return Ok(outcome),
    };
    let Claims { fields: data, user_data, .. } = answer.claims();

    let mut findings = Findings::default();
    args.check_host_keys(data, &mut findings, system)?;
    args.check_user_data(user_data, &mut findings, system)?;
    args.check_secret_store(data, &mut findings, system)?;
    args.check_firmware(data, &mut findings, system)?;
    findings.successful = findings.issues.is_empty();

    let text = match args.format {
        Format::Yaml => serde_yaml::to_string(&findings)?,
        Format::Json => format!("{:#}\n", serde_json::to_value(&findings)?),
    };
    let text = args.format.for_output(text, output);
    output::write(output, text.as_bytes(), Privacy::Public, "the result", system)?;
    for issue in &findings.issues {
        system.warn(&format!("✘ {issue}"));
    }
    if !findings.successful {
        system.warn("✘ The Attestation response does not fulfill all policies");
        return Ok(Outcome::NotAsExpected);
    }
    system.warn("✓ The Attestation response fulfills all policies");
    Ok(Outcome::Done)
}

impl Arguments {
    fn inputs<'a>(&'a self, input: &'a Path) -> Vec<&'a Path> {
        let lists = self.host_key_document.iter().chain(&self.secret);
        let options = [&self.arpk, &self.hdr, &self.user_data].into_iter().flatten();
        lists.chain(options).map(PathBuf::as_path).chain([input]).collect()
    }

    /// The response, verified if that was asked for; the outcome if it does not hold.
    fn judge<'a>(
        &self,
        input: &Path,
        exchange: &'a Exchange,
        system: &mut System,
    ) -> anyhow::Result<Result<Answer<'a>, Outcome>> {
        let (Some(arpk), Some(hdr)) = (&self.arpk, &self.hdr) else {
            system.warn("The response itself is not verified: that needs '--arpk' and '--hdr'.");
            let claims = Unverified::read(exchange).with_context(|| format!("Cannot use '{}'", input.display()))?;
            return Ok(Ok(Answer::Unverified(claims)));
        };
        let image = se_header::load_boot_tags(hdr, system)?;
        let verdict = uvrequest::attest::verify(exchange, &load_arpk(arpk)?, &image);
        match verdict.with_context(|| format!("Cannot verify '{}'", input.display()))? {
            Verdict::Verified(attested) => {
                system.info("✓ Attestation measurement verified");
                Ok(Ok(Answer::Verified(attested)))
            }
            Verdict::Mismatch { calculated } => Ok(Err(mismatch(exchange, &calculated, system))),
        }
    }

    fn check_host_keys(
        &self,
        data: &AdditionalData<'_>,
        findings: &mut Findings,
        system: &mut System,
    ) -> anyhow::Result<()> {
        if self.host_key_document.is_empty() {
            return Ok(());
        }
        let load = |path: &PathBuf| Ok((path.clone(), host_keys::load_document(path)?));
        let documents: Vec<_> = self.host_key_document.iter().map(load).collect::<anyhow::Result<_>>()?;
        let checks = [
            ("image", HostKeyCheck::BootKeyHash, data.part(attestation::IMAGE_HOST_KEY)),
            ("attestation", HostKeyCheck::AttKeyHash, data.part(attestation::ATTESTATION_HOST_KEY)),
        ];
        for (name, check, hash) in checks {
            let enforced = self.host_key_check.contains(&check);
            let found = match (hash, enforced) {
                (Some(hash), _) => find_host_key(&documents, hash, name),
                (None, true) => Err(format!(
                    "The Attestation result does not contain an {name} public host-key hash, but checking was enabled."
                )),
                (None, false) => continue,
            };
            let found = match found {
                Ok(path) => FoundHostKey { check_enforced: enforced, hash: path.display().to_string() },
                Err(issue) => {
                    findings.issues.push(issue);
                    continue;
                }
            };
            system.info(&format!("✓ Check {name} public host-key hash"));
            match check {
                HostKeyCheck::BootKeyHash => findings.image_host_key = Some(found),
                HostKeyCheck::AttKeyHash => findings.attest_host_key = Some(found),
            }
        }
        Ok(())
    }

    fn check_user_data(&self, user_data: &[u8], findings: &mut Findings, system: &mut System) -> anyhow::Result<()> {
        let Some(path) = &self.user_data else { return Ok(()) };
        let expected = input::read(path, 64 << 10, "user data")?;
        if expected.as_slice() != user_data {
            let issue = "The Provided user data does not match the user data from the attestation response.";
            findings.issues.push(issue.to_owned());
            return Ok(());
        }
        system.info("✓ Checked user-data");
        findings.user_data = Some(hex(user_data));
        Ok(())
    }

    fn check_secret_store(
        &self,
        data: &AdditionalData<'_>,
        findings: &mut Findings,
        system: &mut System,
    ) -> anyhow::Result<()> {
        let Some(locked) = self.secret_store_locked else { return Ok(()) };
        let tags = self.secret.iter().map(|path| tag_of(path)).collect::<anyhow::Result<Vec<_>>>()?;
        let issue = match data.part(attestation::SECRET_STORE_HASH) {
            None => "The Attestation response contains no secret-store-hash, but checking was enabled",
            Some(hash) if hash != secret_store_hash(&tags, locked) => {
                "The calculated secret-store-hash does not match with the provided hash"
            }
            Some(_) => {
                system.info("✓ Secret Store hash");
                let add_secret_requests = self.secret.iter().map(|path| path.display().to_string()).collect();
                findings.secret_store = Some(SecretStore { add_secret_requests, locked });
                return Ok(());
            }
        };
        findings.issues.push(issue.to_owned());
        Ok(())
    }

    #[cfg(feature = "network")]
    fn check_firmware(
        &self,
        data: &AdditionalData<'_>,
        findings: &mut Findings,
        system: &mut System,
    ) -> anyhow::Result<()> {
        use super::firmware::{Version, check};
        if !self.firmware {
            return Ok(());
        }
        let Some(state) = data.part(attestation::FIRMWARE_STATE) else {
            let issue = "The Attestation response contains no firmware hash, but checking was enabled";
            findings.issues.push(issue.to_owned());
            findings.valid_firmware = Some(false);
            return Ok(());
        };
        let version = match self.firmware_check_version {
            FirmwareCheckVersion::V1 => Version::V1,
            FirmwareCheckVersion::V2 => Version::V2,
        };
        let issue = check(&self.firmware_verify_url, version, state)?;
        findings.valid_firmware = Some(issue.is_none());
        match issue {
            None => system.info("✓ The firmware is in a valid state"),
            Some(issue) => findings.issues.push(issue),
        }
        Ok(())
    }

    #[cfg(not(feature = "network"))]
    fn check_firmware(&self, _: &AdditionalData<'_>, _: &mut Findings, _: &mut System) -> anyhow::Result<()> {
        anyhow::ensure!(!self.firmware, "This pvattest was built without network code, which '--firmware' needs");
        Ok(())
    }
}

/// The one document with this hash.
fn find_host_key(documents: &[(PathBuf, HostKeyDocument)], hash: &[u8], name: &str) -> Result<PathBuf, String> {
    let mut matching = documents.iter().filter(|(_, document)| document.hash().as_bytes() == hash);
    match (matching.next(), matching.next()) {
        (Some((path, _)), None) => Ok(path.clone()),
        (None, _) => Err(format!("No given host-key document matches the given {name} public host-key hash")),
        (Some(_), Some(_)) => {
            Err(format!("More than one host-key document matches the given {name} public host-key hash"))
        }
    }
}

fn tag_of(path: &Path) -> anyhow::Result<[u8; 16]> {
    let request = input::read(path, ADD_SECRET_MAX, "add-secret request")?;
    let view = AddSecretRequestView::parse(&request);
    Ok(view.with_context(|| format!("Cannot use '{}' as add-secret request", path.display()))?.tag())
}

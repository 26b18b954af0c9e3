//! `trustee evidence`.

use super::load_headers;
use crate::shared::cli::Format;
use crate::shared::error::{Failure, Outcome};
use crate::shared::host_keys::load_document;
use crate::shared::input;
use crate::shared::system::System;
use anyhow::Context;
use clap::{Args, Subcommand};
use setrustee::{Challenge, Claims, Evidence, Expectations, MeasurementKeyPair, RuntimeData, verify};
use std::path::{Path, PathBuf};
use uvtypes::text::shown_path;

/// Verify or show the evidence of a Secure Execution guest
#[derive(Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Verify(VerifyArguments),
    Show(ShowArguments),
}

/// Verify an evidence, and say which part of it differs
///
/// Does what Trustee's verifier does, and compares what it does not: the tags with the image, the host keys with the
/// documents, the encrypted keys with the challenge. What is not given is not compared. Exit status: 0 if the evidence
/// holds, 2 if it does not, 1 if that could not be told.
#[derive(Args)]
struct VerifyArguments {
    /// The evidence, or a whole body of 'POST /kbs/v0/attest', as JSON; '-' is standard input
    #[arg(short, long, value_name = "FILE")]
    input: PathBuf,
    /// The verifier's private RSA key (rsa/encrypt_key.pem)
    #[arg(long, value_name = "FILE")]
    rsa_key: PathBuf,
    /// SE image that the guest may run, or its header; may be repeated
    #[arg(long, value_name = "IMAGE", required = true, value_delimiter = ',')]
    image: Vec<PathBuf>,
    /// Host-key document of a machine that the guest may run on; may be repeated
    #[arg(short = 'k', long, value_name = "FILE", value_delimiter = ',')]
    host_key_document: Vec<PathBuf>,
    /// The challenge that the guest was given [default: the one in the runtime data, if there are any]
    #[arg(long, value_name = "FILE")]
    challenge: Option<PathBuf>,
    /// The runtime data of the session: 'nonce' and 'tee-pubkey' as JSON
    #[arg(long, value_name = "FILE")]
    runtime_data: Option<PathBuf>,
    /// Form of the verdict
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Show what an evidence claims, verified or not
#[derive(Args)]
struct ShowArguments {
    /// The evidence, or a whole body of 'POST /kbs/v0/attest', as JSON; '-' is standard input
    #[arg(short, long, value_name = "FILE")]
    input: PathBuf,
    /// Form of the claims
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<Outcome, Failure> {
    match &args.command {
        Command::Verify(args) => args.run(system),
        Command::Show(args) => args.run(system),
    }
}

fn load(path: &Path, system: &mut System) -> anyhow::Result<(Evidence, Option<RuntimeData>)> {
    let json = input::read_or_stdin(path, 1 << 20, "evidence", system)?;
    Evidence::parse(&json).with_context(|| format!("Cannot use '{}'", shown_path(path)))
}

fn to_text(claims: &Claims) -> String {
    let Claims { cuid, version, image_phkh, attestation_phkh, tag, report_data } = claims;
    format!(
        "tag               {tag}\nimage_phkh        {image_phkh}\nattestation_phkh  {attestation_phkh}\n\
         cuid              {cuid}\nversion           {version}\nreport_data       {report_data}\n"
    )
}

impl ShowArguments {
    fn run(&self, system: &mut System) -> Result<Outcome, Failure> {
        let claims = Claims::of(&load(&self.input, system)?.0);
        match self.format {
            Format::Text => system.print(&to_text(&claims))?,
            Format::Json => system.print_json(&format!("{:#}\n", serde_json::to_value(&claims)?))?,
        }
        Ok(Outcome::Done)
    }
}

impl VerifyArguments {
    fn run(&self, system: &mut System) -> Result<Outcome, Failure> {
        let (evidence, body) = load(&self.input, system)?;
        let pem = input::read(&self.rsa_key, 1 << 16, "private RSA key")?;
        let rsa = MeasurementKeyPair::from_pem(&pem);
        let rsa = rsa.with_context(|| format!("Cannot use '{}'", shown_path(&self.rsa_key)))?;
        let headers = load_headers(&self.image, system)?;
        let runtime_data = match &self.runtime_data {
            None => body,
            Some(path) => {
                let json = input::read(path, 1 << 20, "runtime data")?;
                Some(RuntimeData::parse(&json).with_context(|| format!("Cannot use '{}'", shown_path(path)))?)
            }
        };
        let challenge = match (&self.challenge, &runtime_data) {
            (Some(path), _) => {
                let json = input::read(path, 4 << 20, "challenge")?;
                Some(Challenge::parse(&json).with_context(|| format!("Cannot use '{}'", shown_path(path)))?)
            }
            (None, Some(data)) => Challenge::parse(data.nonce.as_bytes()).ok(),
            (None, None) => None,
        };
        let documents = self.host_key_document.iter().map(|path| Ok(load_document(path)?.hash()));
        let expected = Expectations {
            images: headers.iter().map(|header| header.parsed.boot_tags().clone()).collect(),
            host_keys: documents.collect::<anyhow::Result<_>>()?,
            challenge: challenge.as_ref(),
            runtime_data: runtime_data.as_ref().map(RuntimeData::digest),
            cuid: None,
        };
        let unseen = [
            ("host keys: give '-k'", expected.host_keys.is_empty()),
            ("the challenge: give '--challenge'", expected.challenge.is_none()),
            ("the session: give '--runtime-data'", expected.runtime_data.is_none()),
        ];
        for (what, _) in unseen.into_iter().filter(|(_, unseen)| *unseen) {
            system.warn(&format!("Not compared with {what}"));
        }
        let verdict = verify(&evidence, &rsa, &expected).context("Cannot verify the evidence")?;
        match self.format {
            Format::Text => system.print(&to_text(&verdict.claims))?,
            Format::Json => system.print_json(&format!("{:#}\n", serde_json::to_value(&verdict)?))?,
        }
        system.finish()?;
        if verdict.is_verified() {
            system.warn("Evidence verified");
            return Ok(Outcome::Done);
        }
        for difference in &verdict.differences {
            system.eprint(&format!("✘ {difference}\n"));
        }
        system.eprint("The evidence does not hold\n");
        Ok(Outcome::NotAsExpected)
    }
}

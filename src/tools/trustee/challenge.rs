//! `trustee challenge`.

use super::load_header;
use crate::shared::error::{Failure, Outcome};
use crate::shared::host_keys::HostKeyArgs;
use crate::shared::input;
use crate::shared::output::{self, Privacy};
use crate::shared::system::System;
use anyhow::Context;
use clap::Args;
use setrustee::{Challenge, PublicHalf};
use std::path::{Path, PathBuf};

/// Make a challenge as Trustee's Secure Execution verifier does
///
/// A guest's attester answers it with an evidence, which 'pvtools trustee evidence verify' judges: for tests without a
/// server.
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    host_keys: HostKeyArgs,
    /// SE image of the guest, or its header
    #[arg(long, value_name = "IMAGE")]
    image: PathBuf,
    /// The verifier's public RSA key (rsa/encrypt_key.pub), which is to be kept secret
    #[arg(long, value_name = "FILE")]
    rsa_public: PathBuf,
    /// Write the challenge to FILE; '-' is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<Outcome, Failure> {
    let mut inputs = args.host_keys.inputs();
    inputs.extend([args.image.as_path(), &args.rsa_public]);
    output::refuse_overwriting(&args.output, &inputs)?;
    let header = load_header(&args.image, system)?;
    let rsa = PublicHalf::from_pem(&input::read(&args.rsa_public, 1 << 16, "public RSA key")?);
    let rsa = rsa.with_context(|| format!("Cannot use '{}'", args.rsa_public.display()))?;
    let host_keys = args.host_keys.load("challenge", system)?;
    let challenge = Challenge::new(header.parsed.boot_tags().clone(), &host_keys, &rsa);
    let text = challenge.context("Cannot make the challenge")?.to_json();
    if args.output == Path::new("-") {
        system.print(&format!("{text}\n"))?;
    } else {
        // Without a line end: a guest returns it byte by byte.
        output::write(&args.output, text.as_bytes(), Privacy::Public, "the challenge")?;
    }
    Ok(Outcome::Done)
}

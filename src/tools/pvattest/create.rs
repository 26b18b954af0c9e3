//! `pvattest create`.

use crate::shared::cli;
use crate::shared::error::Failure;
use crate::shared::host_keys::HostKeyArgs;
use crate::shared::output::{self, Outputs, Privacy};
use crate::shared::system::System;
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;
use uvrequest::attest::{AttestationRequest, Exchange};
use uvtypes::attestation::AttestationFlags;
use uvtypes::flags::{Flag, attestation};

/// Create a request to attest a Secure Execution guest
///
/// The request goes into the guest; the attestation request protection key stays here: without it the response cannot
/// be verified, and with it a response can be forged.
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    host_keys: HostKeyArgs,
    /// Write the request to FILE; '-' is standard output
    #[arg(short, long, alias = "output-file", value_name = "FILE")]
    output: PathBuf,
    /// Write the attestation request protection key to FILE, which only its owner may read
    #[arg(short, long, value_name = "FILE")]
    arpk: PathBuf,
    /// What the response is to contain; may be repeated
    #[arg(long, value_parser = cli::flags(attestation::TABLE), value_name = "FLAGS", value_delimiter = ',')]
    add_data: Vec<Flag>,
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<(), Failure> {
    let inputs = args.host_keys.inputs();
    output::refuse_overwriting(&args.output, &inputs)?;
    output::refuse_overwriting(&args.arpk, &inputs)?;
    if output::is_stdout(&args.arpk, Privacy::Secret) {
        return Err(anyhow::anyhow!("the protection key cannot be written to standard output: name a file").into());
    }
    if output::same_target(&args.output, &args.arpk) {
        return Err(anyhow::anyhow!(
            "the request and its protection key would both be written to '{}'",
            args.output.display()
        )
        .into());
    }
    let host_keys = args.host_keys.load("attestation request", system)?;
    let flags =
        args.add_data.iter().fold(AttestationFlags::default(), |flags, data| flags.with(AttestationFlags::from(*data)));
    let request = AttestationRequest::new(flags);
    let (arcb, arpk) = request.seal(&host_keys).context("Cannot create the attestation request")?;
    let exchange = Exchange::new(arcb, request.flags()).to_bytes();

    // The key first: a request without its key is of no use.
    let mut outputs = Outputs::default();
    outputs.add(&args.arpk, arpk.expose(), Privacy::Secret, "Attestation request Protection Key")?;
    outputs.add(&args.output, &exchange, Privacy::Public, "attestation request")?;
    outputs.publish(system)?;
    system.status("Successfully generated the request");
    Ok(())
}

//! `pvattest perform`.

use super::{Command, load_exchange};
use crate::shared::cli::{self, InOut};
use crate::shared::error::Failure;
use crate::shared::input;
use crate::shared::output::{self, Privacy};
use crate::shared::system::System;
use anyhow::{Context, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use uvdevice::AttestInput;
use uvrequest::attest::Response;
use uvtypes::limits::USER_DATA_MAX;

const FILES: [(&str, &str); 4] = [
    ("FILE", "Attestation request; '-' is standard input"),
    ("IN", "Attestation request; '-' is standard input. With '-i' the first argument is OUT"),
    ("FILE", "Write the response to FILE; '-' is standard output"),
    ("OUT", "Write the response to this file; '-' is standard output"),
];

/// Have this guest measured by its ultravisor (guest only)
#[derive(Args)]
#[command(mut_args(|arg| InOut::described(arg, FILES)))]
pub(super) struct Arguments {
    #[command(flatten)]
    files: InOut,
    /// Add user data, 256 bytes at most, that the measurement covers
    #[arg(short, long, value_name = "File")]
    user_data: Option<PathBuf>,
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<(), Failure> {
    let error = |message: &str| cli::usage_error::<Command>("perform", message);
    let (input, output) = args.files.paths(error)?;
    let output = output.ok_or_else(|| error("the output is missing"))?;
    let inputs: Vec<_> = args.user_data.as_deref().into_iter().chain([input]).collect();
    output::refuse_overwriting(output, &inputs)?;
    let exchange = load_exchange(input, system)?;
    let user_data = args.user_data.as_deref().map(load_user_data).transpose()?.unwrap_or_default();
    let attested = (system.uv)()?.attest(&AttestInput {
        request: exchange.request(),
        user_data: &user_data,
        measurement_size: exchange.measurement_size(),
        additional_size: exchange.additional_size(),
    })?;
    let response =
        Response { measurement: attested.measurement, additional: attested.additional, user_data, cuid: attested.cuid };
    let bytes = exchange.with_response(response).to_bytes();
    output::write(output, &bytes, Privacy::Public, "attestation response", system)?;
    system.status("Successfully performed the attestation");
    Ok(())
}

fn load_user_data(path: &Path) -> anyhow::Result<Vec<u8>> {
    let data = input::read(path, 64 << 10, "user data")?;
    if data.len() > USER_DATA_MAX {
        let size = data.len();
        let problem = format!("it has {size} bytes; {USER_DATA_MAX} are possible");
        return Err(anyhow::anyhow!(problem)).with_context(|| format!("Cannot use '{}' as user data", path.display()));
    }
    if data.is_empty() {
        bail!("Cannot use '{}' as user data: it is empty", path.display());
    }
    Ok(data.to_vec())
}

//! `pvsecret verify`.

use super::Command;
use crate::shared::cli::{self, InOut};
use crate::shared::error::Failure;
use crate::shared::input;
use crate::shared::output::{self, Privacy};
use crate::shared::system::System;
use anyhow::{Context, anyhow};
use clap::Args;
use hostkey::CertificateFile;
use openssl::pkey::{PKey, Public};
use std::path::{Path, PathBuf};
use uvrequest::Error;
use uvrequest::secret::{AddSecretRequestView, VerifiedUserData};
use uvtypes::limits::ADD_SECRET_MAX;

const MAX_CERTIFICATE: usize = 1 << 20;

const FILES: [(&str, &str); 4] = [
    ("FILE", "Add-secret request; '-' is standard input"),
    ("INPUT", "Add-secret request; '-' is standard input. With '-i' the first argument is OUTPUT"),
    ("OUTPUT", "Write the user data to OUTPUT; '-' is standard output [default: '-']"),
    ("OUTPUT", "Write the user data to this file; '-' is standard output"),
];

/// Verify the user data of an add-secret request
///
/// Checks the structure of the request and, if its user data is signed, the signature. What the request is
/// encrypted for, and its secret, only the ultravisor can check.
#[derive(Args)]
// In help, the certificate stands between input and output.
#[command(mut_args(|arg| InOut::described(arg, FILES)), mut_arg("output", |arg| arg.display_order(3)))]
pub(super) struct Arguments {
    #[command(flatten)]
    files: InOut,
    /// Certificate with the key that signed the user data (PEM or DER)
    #[arg(long, value_name = "FILE", display_order = 2)]
    user_cert: Option<PathBuf>,
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<(), Failure> {
    let (input, output) = args.files.paths(|message| cli::usage_error::<Command>("verify", message))?;
    let output = output.unwrap_or(Path::new("-"));
    output::refuse_overwriting(output, &[input])?;
    let request = input::read_or_stdin(input, ADD_SECRET_MAX, "add-secret request", system)?;
    let key = args.user_cert.as_deref().map(load_user_certificate).transpose()?;
    let view = AddSecretRequestView::parse(&request);
    let user_data = view.map_err(Error::from).and_then(|view| view.verify_user_data(key.as_ref()));
    let user_data =
        user_data.with_context(|| format!("Could not verify the Add-secret request '{}'", input.display()))?;
    if let VerifiedUserData::Unsigned(data) | VerifiedUserData::Signed(data) = user_data {
        output::write(output, data, Privacy::Public, "user data", system)?;
    }
    system.status("Successfully verified the request.");
    Ok(())
}

/// The public key of a certificate that signs user data.
pub(crate) fn load_user_certificate(path: &Path) -> anyhow::Result<PKey<Public>> {
    let bytes = input::read(path, MAX_CERTIFICATE, "user-verification certificate")?;
    let cannot = || format!("Cannot use '{}' as user-verification certificate", path.display());
    let file = CertificateFile::parse(&bytes).with_context(cannot)?;
    let certificate = file.certificates.first().ok_or_else(|| anyhow!("it contains no certificate"));
    certificate.with_context(cannot)?.public_key().with_context(cannot)
}

//! `pvattest verify`.

use super::load_exchange;
use super::report::{Report, hex};
use crate::shared::error::{Failure, Outcome};
use crate::shared::output::{self, Outputs, Privacy};
use crate::shared::system::System;
use crate::shared::{input, se_header};
use anyhow::Context;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use uvrequest::attest::{Arpk, Exchange, Verdict};
use uvtypes::text::{escaped_json, escaped_lines};

/// Verify the response of a guest
///
/// Computes from the protection key of the request and the SE header of the image what the ultravisor must have measured,
/// and compares. Exit status: 0 if the response holds, 2 if it does not, 1 if that could not be told.
#[derive(Args)]
pub(super) struct Arguments {
    /// Attestation response; '-' is standard input
    #[arg(short, long, value_name = "FILE")]
    input: PathBuf,
    /// Write what the response says to FILE; '-' is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// SE header of the guest, or its whole boot image
    #[arg(long, value_name = "FILE")]
    hdr: PathBuf,
    /// Attestation request protection key that 'pvattest create' wrote
    #[arg(short, long, value_name = "FILE")]
    arpk: PathBuf,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    format: Format,
    /// Write the user data of the response to FILE
    #[arg(short, long, value_name = "FILE")]
    user_data: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Format {
    /// YAML, which 'pvsecret create --cuid' takes
    Yaml,
    /// JSON with the same keys
    Json,
}

impl Format {
    /// On standard output, what a terminal would act upon is escaped; a file has the text as it is.
    pub(super) fn for_output(self, text: String, output: &Path) -> String {
        match self {
            _ if !output::is_stdout(output, Privacy::Public) => text,
            Self::Yaml => escaped_lines(&text).into_owned(),
            Self::Json => escaped_json(&text).into_owned(),
        }
    }
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<Outcome, Failure> {
    let outputs = [&args.output, &args.user_data].map(|path| path.as_deref());
    for path in outputs.into_iter().flatten() {
        output::refuse_overwriting(path, &[&args.input, &args.hdr, &args.arpk])?;
    }
    if let [Some(output), Some(user_data)] = outputs {
        if output::same_target(output, user_data) {
            return Err(anyhow::anyhow!("two outputs would be written to '{}'", output.display()).into());
        }
    }
    let exchange = load_exchange(&args.input, system)?;
    let image = se_header::load_boot_tags(&args.hdr, system)?;
    let arpk = load_arpk(&args.arpk)?;
    let cannot = || format!("Cannot verify '{}'", args.input.display());
    let attested = match uvrequest::attest::verify(&exchange, &arpk, &image).with_context(cannot)? {
        Verdict::Verified(attested) => attested,
        Verdict::Mismatch { calculated } => return Ok(mismatch(&exchange, &calculated, system)),
    };
    let report = Report::from(&attested);
    let text = match args.format {
        Format::Yaml => serde_yaml::to_string(&report)?,
        Format::Json => format!("{:#}\n", serde_json::to_value(&report)?),
    };
    let mut outputs = Outputs::default();
    if let Some(path) = args.user_data.as_deref().filter(|_| !attested.claims().user_data.is_empty()) {
        outputs.add(path, attested.claims().user_data, Privacy::Public, "user data")?;
    }
    if let Some(path) = &args.output {
        let text = args.format.for_output(text, path);
        outputs.add(path, text.as_bytes(), Privacy::Public, "the result")?;
    }
    outputs.publish(system)?;
    system.status("Attestation measurement verified");
    report.to_text().split('\n').for_each(|line| system.warn(line));
    if args.user_data.is_some() && attested.claims().user_data.is_empty() {
        system.warn("Location for `user-data` specified, but the response does not contain any user-data");
    }
    Ok(Outcome::Done)
}

/// Says that a response does not hold, in the words of s390-tools, then in those of IBM's documents: scripts look for
/// either.
pub(super) fn mismatch(exchange: &Exchange, calculated: &[u8], system: &mut System) -> Outcome {
    system.eprint(
        "Attestation measurement verification failed. Calculated and received attestation measurement are not equal.\n\
         ERROR: Attestation measurement verification failed:\n\
         Calculated and received attestation measurement are not the same.\n",
    );
    if let Ok(response) = exchange.response() {
        system.debug(&format!("Calculated: {}", hex(calculated)));
        system.debug(&format!("Received:   {}", hex(&response.measurement)));
    }
    Outcome::NotAsExpected
}

pub(super) fn load_arpk(path: &Path) -> anyhow::Result<Arpk> {
    let bytes = input::read(path, 4096, "attestation request protection key")?;
    Arpk::try_from(bytes.as_slice()).with_context(|| format!("Cannot use '{}'", path.display()))
}

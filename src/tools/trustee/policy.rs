//! `trustee policy`.

use super::server::{Body, Server, ServerArgs};
use super::{Header, load_headers, outcome, read_text};
use crate::shared::cli::Format;
use crate::shared::error::{Failure, Outcome};
use crate::shared::host_keys::load_document;
use crate::shared::output::{self, Privacy};
use crate::shared::system::System;
use clap::{Args, ValueEnum};
use setrustee::lint::{Kind, kind, lint};
use setrustee::{
    ImageReference, Lists, MachineReference, ReferenceValues, attestation_policy, attestation_policy_upload,
    resource_policy, resource_policy_upload,
};
use std::path::{Path, PathBuf};
use uvtypes::text::shown_path;

/// Write reference values and policies for images and machines, or check a policy
///
/// The attestation policy affirms a guest if the tag of its header is that of one of the images, and both the host key that
/// opened the image and the one that answered are those of the machines. The resource policy gives resources to affirmed
/// Secure Execution guests alone: without it, the server's own default gives them to every guest, whatever its attestation
/// says. Exit status: 0; with '--lint' 0 if nothing was found, 3 if there are warnings, 2 if there are errors; 1 for any
/// failure.
#[derive(Args)]
pub(super) struct Arguments {
    /// SE image that guests may run, or its header; may be repeated
    #[arg(long, value_name = "IMAGE", required_unless_present = "lint", value_delimiter = ',')]
    image: Vec<PathBuf>,
    /// Host-key document of a machine that guests may run on; may be repeated [default: all that the images are for]
    #[arg(short = 'k', long, value_name = "FILE", value_delimiter = ',')]
    host_key_document: Vec<PathBuf>,
    /// What to write
    #[arg(long, value_enum, default_value_t = What::Text)]
    show: What,
    /// Let the attestation policy look the lists up as reference values, instead of holding them
    #[arg(long)]
    registered: bool,
    /// Write to FILE; '-' is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Check the policy in FILE for what a server swallows silently
    #[arg(long, value_name = "FILE", conflicts_with_all = ["image", "host_key_document", "registered", "url"])]
    lint: Option<PathBuf>,
    /// Which kind of policy '--lint' checks [default: as it looks]
    #[arg(long, value_enum, value_name = "KIND", requires = "lint")]
    kind: Option<PolicyKind>,
    /// Form of what '--lint' prints
    #[arg(long, value_enum, default_value_t = Format::Text, requires = "lint")]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum What {
    /// Reference values for people
    Text,
    /// Reference values as JSON
    Json,
    /// Reference values as the message of the reference value service
    Rvps,
    /// The attestation policy
    Attestation,
    /// The resource policy
    Resource,
}

#[derive(Clone, Copy, ValueEnum)]
enum PolicyKind {
    /// What an evidence is worth
    Attestation,
    /// Who gets a resource
    Resource,
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<Outcome, Failure> {
    if let Some(path) = &args.lint {
        return check(path, args, system);
    }
    let inputs: Vec<_> = args.image.iter().chain(&args.host_key_document).map(PathBuf::as_path).collect();
    output::refuse_overwriting(&args.output, &inputs)?;
    let values = reference_values(&load_headers(&args.image, system)?, &args.host_key_document)?;
    for stranger in values.strangers() {
        system.warn(&format!("warning: {stranger}"));
    }
    if args.server.is_given() {
        upload(&values, args.registered, &mut args.server.connect(system)?, system)?;
        return Ok(Outcome::Done);
    }
    let text = match args.show {
        What::Text => values.to_text(),
        What::Json => format!("{:#}\n", values.to_json()),
        What::Rvps => format!("{}\n", values.to_rvps()),
        What::Attestation => attestation_policy(&values, lists(args.registered)),
        What::Resource => resource_policy().to_owned(),
    };
    if args.output == Path::new("-") {
        match args.show {
            What::Json | What::Rvps => system.print_json(&text)?,
            What::Text | What::Attestation | What::Resource => system.print(&text)?,
        }
    } else {
        output::write(&args.output, text.as_bytes(), Privacy::Public, "the policy", system)?;
    }
    Ok(Outcome::Done)
}

fn lists(registered: bool) -> Lists {
    if registered { Lists::Registered } else { Lists::Literal }
}

/// The values of these images, on these machines.
pub(super) fn reference_values(headers: &[Header], documents: &[PathBuf]) -> anyhow::Result<ReferenceValues> {
    let images = headers.iter().map(|header| ImageReference::new(shown_path(&header.path), &header.parsed));
    let machines = documents
        .iter()
        .map(|path| Ok(MachineReference { name: shown_path(path), host_key: load_document(path)?.hash() }));
    Ok(ReferenceValues::new(images.collect(), machines.collect::<anyhow::Result<_>>()?)?)
}

/// Sends everything, the values before the policy that looks them up.
pub(super) fn upload(
    values: &ReferenceValues,
    registered: bool,
    server: &mut Server,
    system: &mut System,
) -> anyhow::Result<()> {
    if registered {
        server.post("reference-value", &Body::Json(values.to_rvps()), "the reference values", system)?;
    }
    let policy = attestation_policy(values, lists(registered));
    server.post(
        "attestation-policy",
        &Body::Json(attestation_policy_upload(&policy)),
        "the attestation policy",
        system,
    )?;
    let policy = resource_policy();
    server.post("resource-policy", &Body::Json(resource_policy_upload(policy)), "the resource policy", system)?;
    system.status("Successfully sent the policies");
    Ok(())
}

fn check(path: &Path, args: &Arguments, system: &mut System) -> Result<Outcome, Failure> {
    let policy = read_text(path, "policy", system)?;
    let kind = match args.kind {
        Some(PolicyKind::Attestation) => Kind::Attestation,
        Some(PolicyKind::Resource) => Kind::Resource,
        None => kind(&policy),
    };
    let findings = lint(&policy, kind);
    if args.format == Format::Json {
        system.print_json(&format!("{:#}\n", serde_json::to_value(&findings)?))?;
        return Ok(outcome(&findings));
    }
    for finding in &findings {
        system.print(&format!("{finding}\n"))?;
    }
    if findings.is_empty() {
        system.warn(&format!("Nothing was found in '{}'", shown_path(path)));
    }
    Ok(outcome(&findings))
}

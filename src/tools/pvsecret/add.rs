//! `pvsecret add`.

use crate::shared::error::Failure;
use crate::shared::input;
use crate::shared::system::System;
use anyhow::{Context, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use uvdevice::Ultravisor;
use uvrequest::secret::AddSecretRequestView;
use uvtypes::SecretId;
use uvtypes::limits::ADD_SECRET_MAX;

/// Add the secret of a request to the secret store (guest only)
///
/// A request that 'pvsecret create' made for this image and this machine. A secret whose id is in the store already is
/// refused, as the two could not be told apart by it.
#[derive(Args)]
pub(super) struct Arguments {
    /// Add-secret request; '-' is standard input
    #[arg(short, long, value_name = "FILE", conflicts_with = "positional_input")]
    input: Option<PathBuf>,
    /// Add-secret request; '-' is standard input
    #[arg(id = "positional_input", value_name = "INPUT", required_unless_present = "input")]
    positional_input: Option<PathBuf>,
    /// Add the secret although its id is in the store already
    #[arg(short, long)]
    force: bool,
}

pub(super) fn run(args: &Arguments, system: &mut System) -> Result<(), Failure> {
    let input = args.input.as_deref().or(args.positional_input.as_deref()).unwrap_or(Path::new("-"));
    let request = input::read_or_stdin(input, ADD_SECRET_MAX, "add-secret request", system)?;
    let view = AddSecretRequestView::parse(&request)
        .with_context(|| format!("Cannot use the add-secret request '{}'", input.display()))?;
    let uv = (system.uv)()?;
    if let Some(id) = view.secret_id() {
        check_duplicate(id, args.force, &*uv, system)?;
    }
    uv.add_secret(&request)?;
    system.status("Successfully added the secret");
    Ok(())
}

fn check_duplicate(id: SecretId, force: bool, uv: &dyn Ultravisor, system: &mut System) -> anyhow::Result<()> {
    let list = match uv.list_secrets() {
        Ok(list) => list,
        Err(error) if force => {
            system.info(&format!("The secret store cannot be searched for the id: {error}"));
            return Ok(());
        }
        Err(error) => return Err(error).context("Cannot search the secret store for the id"),
    };
    let Some(secret) = list.secrets.iter().find(|secret| secret.id == id) else {
        if list.is_cut() {
            system.warn("The secret list contains more data but the uvdevice cannot show all: the id may be there.");
        }
        return Ok(());
    };
    if !force {
        let index = secret.index;
        bail!(
            "Unable to add the secret due to duplicated IDs: the secret with index {index} has the id {id}; \
             use '--force' to add it all the same"
        );
    }
    system.warn("There is already a secret in the secret store with that id.");
    system.warn("'--force' specified: Adding the secret anyways.");
    Ok(())
}

//! `pvsecret lock`.

use crate::shared::error::Failure;
use crate::shared::system::System;
use clap::Args;

/// Lock the secret store until the guest is started again (guest only)
///
/// Nothing can be added to a locked store. Secrets in it can still be used, listed and retrieved.
#[derive(Args)]
pub(super) struct Arguments {}

pub(super) fn run(system: &mut System) -> Result<(), Failure> {
    (system.uv)()?.lock_secrets()?;
    system.status("Successfully locked secret store");
    Ok(())
}

//! What the guest must have before its queues can be configured.

use super::narrator::Narrator;
use crate::system::System;
use anyhow::{Context, bail};
use apbus::{AssociationSecret, Bus, Clock, SecretId};
use std::time::Duration;
use uvdevice::{Query, SecretKind};

/// Three scans of the bus, which come every 30 seconds.
const BINDINGS_TIMEOUT: Duration = Duration::from_secs(90);

/// Is this a guest whose ultravisor lists secrets?
pub(super) fn check(system: &System) -> anyhow::Result<()> {
    /// Of the ultravisor's facilities: secrets can be listed.
    const LIST_SECRETS: u32 = 30;
    if !system.is_guest() {
        bail!("this is not a SE guest: queues are bound from within a Secure Execution guest");
    }
    let facilities = match Query::below(&system.root.join("sys")) {
        Some(query) => query.bits("facilities").context("Failure parsing UV facilities entry")?,
        None => None,
    };
    if !facilities.is_some_and(|facilities| facilities.has(LIST_SECRETS)) {
        bail!(
            "The 'list secret' feature is missing on this UV: the machine needs firmware that supports EP11 association"
        );
    }
    Ok(())
}

/// The secrets that queues can be associated with.
pub(super) fn association_secrets(system: &mut System) -> anyhow::Result<Vec<AssociationSecret>> {
    let list = (system.uv)()?.list_secrets()?;
    if list.is_cut() {
        system.warn("Warning: the ultravisor has more secrets than the uvdevice of this kernel can list");
    }
    let association = list.secrets.iter().filter(|secret| secret.kind == SecretKind::ASSOCIATION);
    Ok(association.map(|secret| AssociationSecret { id: SecretId(secret.id.0), index: secret.index }).collect())
}

/// Waits until every queue has its driver; without end would be too long.
pub(super) fn wait_for_bindings(bus: &Bus, clock: &dyn Clock, narrator: &mut Narrator<'_>) -> Result<(), apbus::Error> {
    const LONGEST: Duration = Duration::from_millis(200);
    const REMINDER: Duration = Duration::from_secs(5);
    let mut pause = Duration::from_millis(1);
    let mut reminded = Duration::ZERO;
    let began = clock.elapsed();
    loop {
        let bindings = bus.bindings()?;
        let waited = clock.elapsed().saturating_sub(began);
        if bindings.are_complete() {
            return Ok(());
        }
        if waited >= BINDINGS_TIMEOUT {
            narrator.warn(&format!(
                "Warning: only {} of the AP bus devices have a driver after {} s; going on with these",
                bindings.text,
                waited.as_secs()
            ));
            return Ok(());
        }
        if waited - reminded >= REMINDER {
            reminded = waited;
            narrator.remind(&format!("Waiting for AP bus bindings complete ({}).", bindings.text));
        }
        clock.sleep(pause);
        pause = (pause * 2).min(LONGEST);
    }
}

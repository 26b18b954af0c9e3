//! What the firmware refuses. Each rule can be switched in the `bus:` of an inventory.

use super::bus::{BusSettings, Queues};
use super::name::QueueId;
use super::terms::End;
use crate::StoredSecret;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// Association secrets, as the ultravisor numbers kinds.
pub(crate) const ASSOCIATION: u16 = 2;

/// When the firmware finds out that a rule is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Check {
    /// The write fails.
    #[default]
    AtOnce,
    /// The association ends with an asynchronous error.
    Later,
    /// Never.
    Off,
}

/// A guest may have so many bound queues: one more cannot be bound (response 33).
pub(crate) fn refuses_bind(settings: &BusSettings, queues: &Queues) -> Result<(), Errno> {
    let bound = queues.values().filter(|queue| queue.takes_a_place()).count();
    if bound < settings.limit { Ok(()) } else { Err(Errno::EIO) }
}

/// How the association of a queue with the secret `index` ends, for what the firmware knows of secrets: `end` if it
/// has nothing against it.
///
/// The secret must be an association secret in the store (response 34). No two queues of a card may have the same
/// one (response 35), by its value (assumed).
pub(crate) fn association(
    settings: &BusSettings,
    queues: &Queues,
    secrets: &[StoredSecret],
    id: QueueId,
    index: u16,
    end: End,
) -> Result<End, Errno> {
    let secret = |index| secrets.iter().find(|secret| secret.index == index && secret.kind == ASSOCIATION);
    let Some(wanted) = secret(index) else { return verdict(settings.unknown_secret, end) };
    let same = |other| other == index || secret(other).is_some_and(|other| other.secret == wanted.secret);
    let others = queues.iter().filter(|(other, _)| other.card == id.card && **other != id);
    let taken = others.filter_map(|(_, queue)| queue.secret()).any(same);
    if taken { verdict(settings.secret_twice, end) } else { Ok(end) }
}

fn verdict(check: Check, end: End) -> Result<End, Errno> {
    match check {
        Check::AtOnce => Err(Errno::EIO),
        Check::Later => Ok(End::Asynchronous),
        Check::Off => Ok(end),
    }
}

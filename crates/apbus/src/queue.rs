//! What is there.

use crate::{Apqn, Generation, Mkvp, SerialNumber};
use std::fmt;

/// Mode of a card, and so of each of its queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Clear-key RSA and the like: `CEX8A`.
    Accelerator,
    /// CCA coprocessor: `CEX8C`. No Secure Execution guest can use it.
    Cca,
    /// EP11 coprocessor: `CEX8P`.
    Ep11,
}

/// State of a queue on its way to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The queue can be bound.
    Unbound,
    /// The queue is bound to this guest: an accelerator is usable then, an EP11 queue can be associated.
    Bound,
    /// The queue is bound, and an association is running, nobody knows with which secret.
    Pending,
    /// The queue is bound and associated with the secret of this index.
    Associated(u16),
    /// The hypervisor does not let this guest use the queue.
    Illicit,
    /// The host has taken it away; the bus has not noticed yet.
    Gone,
    /// The queue, or its card, is taken out of use in this guest.
    Offline,
    /// The queue reports an error that an unbind clears.
    Broken,
}

/// Knowledge of the master key of an EP11 queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MasterKey {
    /// Nothing: it can be asked for only while the queue is bound.
    Unknown,
    /// The queue has no master key.
    None,
    /// The queue has the master key with this verification pattern.
    Valid(Mkvp),
}

/// A Crypto Express queue: one domain of one card, as sysfs shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Name of the queue.
    pub apqn: Apqn,
    /// Generation of the card.
    pub generation: Generation,
    /// Mode that the queue's card is configured for.
    pub mode: Mode,
    /// State of the queue.
    pub state: State,
    /// Master key of an EP11 queue; [`MasterKey::None`] for any other.
    pub master_key: MasterKey,
    /// Serial number of the card, known of an EP11 card of which a queue is bound.
    pub serialnr: Option<SerialNumber>,
}

impl Queue {
    /// The type of its card, as sysfs and lszcrypt write it: `CEX8P`.
    pub fn card_type(&self) -> String {
        let letter = match self.mode {
            Mode::Accelerator => 'A',
            Mode::Cca => 'C',
            Mode::Ep11 => 'P',
        };
        format!("{}{letter}", self.generation)
    }
}

impl State {
    /// Whether the queue is bound, so that its card can be asked through it.
    pub fn is_bound(self) -> bool {
        matches!(self, Self::Bound | Self::Pending | Self::Associated(_))
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unbound => f.write_str("unbound"),
            Self::Bound => f.write_str("bound"),
            Self::Pending => f.write_str("bound, with an association pending"),
            Self::Associated(index) => write!(f, "associated {index}"),
            Self::Illicit => f.write_str("illicit"),
            Self::Gone => f.write_str("gone"),
            Self::Offline => f.write_str("offline"),
            Self::Broken => f.write_str("in error"),
        }
    }
}
